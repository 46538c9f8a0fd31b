"""The page's doorman: finds what answers an address, lets in who may, and answers errors with one sentence."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any

from werkzeug.exceptions import Forbidden, HTTPException, InternalServerError, MethodNotAllowed, Unauthorized
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

from edge.page import answers
from edge.page.answers import Room
from edge.page.guard import HEADERS, Wrong, has_bearer, has_session, is_from_elsewhere, is_proven_own
from edge.page.pictures import Pictures
from edge.page.serving import Serving
from edge.seldom import Seldom

log = logging.getLogger(__name__)

BODY_BYTES = 16384
Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
ROUTES = Map(
    [
        Rule("/", endpoint=answers.home, methods=["GET"]),
        Rule("/login", endpoint=answers.login, methods=["POST"]),
        Rule("/logout", endpoint=answers.logout, methods=["POST"]),
        Rule("/static/<name>", endpoint=answers.static, methods=["GET"]),
        Rule("/api/live", endpoint=answers.now, methods=["GET"]),
        Rule("/api/events", endpoint=answers.events, methods=["GET"]),
        Rule("/api/events/<event_id>/verdict", endpoint=answers.verdict, methods=["POST"]),
        Rule("/api/cameras/<camera>/live.jpg", endpoint=answers.picture, methods=["GET"]),
        Rule("/api/cameras/<camera>/limit", endpoint=answers.limit, methods=["GET"]),
        Rule("/api/cameras/<camera>/limit", endpoint=answers.set_limit, methods=["POST"]),
        Rule("/evidence/<path:place>", endpoint=answers.evidence, methods=["GET"]),
    ],
    merge_slashes=False,
)
# These look at the token themselves, or tell nothing of the device.
OPEN = frozenset({answers.home, answers.login, answers.static})


def application(serving: Serving) -> Application:
    """Return what answers every request, as WSGI wants it."""
    room = Room(serving, Pictures(serving.board), Wrong(), Seldom())

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        request = Request(environ)
        request.max_content_length = request.max_form_memory_size = BODY_BYTES
        response = answered(room, request)
        for name, value in HEADERS.items():
            response.headers[name] = value
        response.headers.setdefault("Cache-Control", "no-store")
        return response(environ, start_response)

    return answer


def answered(room: Room, request: Request) -> Response:
    """Return the answer to a request, whatever comes of it."""
    try:
        endpoint, values = ROUTES.bind_to_environ(request.environ).match()
        if endpoint not in OPEN:
            _let_in(room, request)
        response: Response = endpoint(room, request, **values)
    except HTTPException as error:
        return _refusal(error)
    except Exception:
        if (count := room.failures.count()) is not None:
            log.exception("page_failed path=%r count=%d", request.path[:200], count)
        return _refusal(InternalServerError("The device failed to answer; its log says why."))
    return response


def _let_in(room: Room, request: Request) -> None:
    """Raise Unauthorized or Forbidden for a request that may not be answered."""
    if has_bearer(room.serving, request):
        return
    if not has_session(room.serving, request):
        if "Authorization" in request.headers or room.serving.cookie in request.cookies:
            room.wrong.note(request.remote_addr)
        raise Unauthorized("Send the page's token: 'Authorization: Bearer …', or open the page in a browser.")
    is_own = not is_from_elsewhere(request) if request.method in ("GET", "HEAD") else is_proven_own(request)
    if not is_own:
        raise Forbidden("A browser may ask for this from the page itself alone.")


def _refusal(error: HTTPException) -> Response:
    if error.response is not None:  # a redirection of the routing itself
        return answers.json_response({"error": "There is nothing here."}, 404)
    response = answers.json_response({"error": error.description}, error.code or 500)
    if isinstance(error, MethodNotAllowed):
        response.headers["Allow"] = ", ".join(error.valid_methods or ())
    if error.code == Unauthorized.code:
        response.headers["WWW-Authenticate"] = 'Bearer realm="prednet-edge"'
    return response
