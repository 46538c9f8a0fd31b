"""What each address of the page answers."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from werkzeug.exceptions import BadRequest, Conflict, GatewayTimeout, NotFound, ServiceUnavailable, TooManyRequests
from werkzeug.utils import redirect, send_file
from werkzeug.wrappers import Request, Response

from edge.errors import JsonError, PrednetError
from edge.page.aside import NoSeat
from edge.page.guard import Wrong, begin_session, end_session, has_bearer, has_session, is_from_elsewhere
from edge.page.limits import limit_of_text, told_limit
from edge.page.listing import MOST_EVENTS, TYPES, evidence_file, listed
from edge.page.live import live
from edge.page.pictures import Pictures
from edge.page.serving import Serving
from edge.page.token import is_same
from edge.page.trying import Question
from edge.seldom import Seldom

FILES = Path(__file__).parents[1] / "data" / "page"
# What is shown to everybody: nothing of the device stands in it.
STATIC = {
    "page.css": "text/css",
    "login.js": "text/javascript",
    "page.js": "text/javascript",
    "camera.js": "text/javascript",
    "chart.js": "text/javascript",
    "events.js": "text/javascript",
    "limit.js": "text/javascript",
    "orders.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}
# The sentence at the door that the token was wrong, before and after one.
HIDDEN, SHOWN = b'role="alert" hidden', b'role="alert"'
# Which events are asked for: all, those that a limit promises a rate of, and the others.
KINDS = {"all": None, "judged": True, "others": False}
_NO_EVIDENCE = "There is no such evidence: it has gone for want of room, was deleted, or never was."
_HIGHEST = 2**53
_EVENT_ID = re.compile(r"[0-9A-Z]{1,26}")


@dataclass(frozen=True)
class Room:
    """What answers are made from."""

    serving: Serving
    pictures: Pictures
    wrong: Wrong
    failures: Seldom


Answer = Callable[..., Response]


def home(room: Room, request: Request) -> Response:
    """The page itself, or the door where the token is asked for."""
    is_in = has_bearer(room.serving, request) or has_session(room.serving, request)
    return file_response("index.html" if is_in else "login.html", "text/html")


def static(_: Room, __: Request, name: str) -> Response:
    """A part of the page that tells nothing of the device."""
    if name not in STATIC:
        raise NotFound
    return file_response(name, STATIC[name])


def login(room: Room, request: Request) -> Response:
    """Take the token of a form and begin a session."""
    if is_from_elsewhere(request) or not is_same(request.form.get("token", "").strip(), room.serving.token):
        room.wrong.note(request.remote_addr)
        door = (FILES / "login.html").read_bytes().replace(HIDDEN, SHOWN)
        return Response(door, 401, mimetype="text/html")
    response = redirect("/", 303)
    begin_session(room.serving, response, is_secure=request.is_secure)
    return response


def logout(room: Room, _: Request) -> Response:
    """End the session in this browser."""
    response = redirect("/", 303)
    end_session(room.serving, response)
    return response


def now(room: Room, request: Request) -> Response:
    """All that is so now, and what is new after a number."""
    return Response(live(room.serving, whole_number(request, "after", 0, _HIGHEST)), mimetype="application/json")


def events(room: Room, request: Request) -> Response:
    """The last events, of all cameras or of one, before one of them."""
    before, camera = request.args.get("before", "~"), request.args.get("camera")
    if before != "~" and _EVENT_ID.fullmatch(before) is None:
        raise BadRequest("before: an event_id is expected.")
    if camera is not None:
        known_camera(room, camera)
    kind = request.args.get("kind", "all")
    if kind not in KINDS:
        raise BadRequest(f"kind: one of {', '.join(KINDS)} is expected.")
    most = whole_number(request, "limit", 30, MOST_EVENTS)
    return json_response({"events": listed(room.serving, before, camera, KINDS[kind], most)})


def limit(room: Room, request: Request, camera: str) -> Response:
    """A camera's limit; with `on`, what the last day would have told under that one."""
    known_camera(room, camera)
    if "on" not in request.args:
        return json_response(told_limit(room.serving, camera))
    bounds = room.serving.switches.bounds(camera)
    on = limit_of_text(request.args["on"], bounds)
    if on is None:
        raise BadRequest(f"on: a level from {bounds[0]:.3f} to {bounds[1]:.3f} is expected.")
    question = Question(str(room.serving.state_directory), camera, on, room.serving.wall_clock())
    try:
        told = room.serving.aside.ask(question)
    except NoSeat as error:
        raise TooManyRequests(str(error)) from error
    except PrednetError as error:
        raise ServiceUnavailable(str(error)) from error
    return json_response(told)


def set_limit(room: Room, request: Request, camera: str) -> Response:
    """Set a camera's limit, or give the calibration's own back."""
    return ordered(room, "threshold", {"camera": known_camera(room, camera), "on": body(request).get("on")})


def verdict(room: Room, request: Request, event_id: str) -> Response:
    """Keep what a person says of an event."""
    return ordered(room, "acknowledge", {"event_id": event_id, "verdict": body(request).get("verdict")})


def picture(room: Room, request: Request, camera: str) -> Response:
    """The newest frame, prediction and error of a camera; 204 where there is none newer than a number."""
    known_camera(room, camera)
    number, jpeg = room.pictures.newest(camera)
    if jpeg is None or number <= whole_number(request, "after", 0, _HIGHEST):
        return Response(status=204)
    return Response(jpeg, mimetype="image/jpeg", headers={"X-Frame-Number": str(number)})


def evidence(room: Room, request: Request, place: str) -> Response:
    """A file of evidence, where an event's message says that it lies."""
    path = evidence_file(room.serving.state_directory, place)
    if path is None:
        raise NotFound(_NO_EVIDENCE)
    name = f"{path.parts[-3]}-{path.parts[-2]}-{path.name}"
    try:
        response = send_file(path, request.environ, mimetype=TYPES[path.name], download_name=name, conditional=True)
    except FileNotFoundError as error:  # it has gone since it was looked for
        raise NotFound(_NO_EVIDENCE) from error
    response.headers["Cache-Control"] = "private, no-cache"
    return response


def ordered(room: Room, verb: str, args: dict[str, Any]) -> Response:
    """Give the device a command, and answer what it replies."""
    reply = room.serving.orders.ask(verb, args)
    if reply is None:
        raise GatewayTimeout("The device did not answer in time; look whether it was done.")
    if reply.status == "error":
        raise Conflict(reply.hint or reply.code)
    return json_response(reply.result)


def known_camera(room: Room, camera: str) -> str:
    """Return a camera's name; NotFound where the configuration has none of it."""
    if camera not in room.serving.device.models:
        raise NotFound(f"There are the cameras {', '.join(room.serving.device.models)}.")
    return camera


def whole_number(request: Request, name: str, default: int, most: int) -> int:
    """Return a number of the query, from 0 to `most`; BadRequest for anything else."""
    text = request.args.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 16 and int(text) <= most):
        raise BadRequest(f"{name}: a whole number from 0 to {most} is expected.")
    return int(text)


def body(request: Request) -> dict[str, Any]:
    """Return the JSON object of a request; BadRequest for anything else."""
    if request.mimetype != "application/json":
        raise BadRequest("A JSON object is expected, with Content-Type: application/json.")
    try:
        return msgspec.json.decode(request.get_data(), type=dict[str, Any])
    except JsonError as error:
        raise BadRequest(f"A JSON object is expected ({error}).") from error


def json_response(value: object, status: int = 200) -> Response:
    """Return a value as JSON."""
    return Response(msgspec.json.encode(value), status, mimetype="application/json")


def file_response(name: str, mimetype: str) -> Response:
    """Return a file of the page."""
    return Response((FILES / name).read_bytes(), mimetype=mimetype)
