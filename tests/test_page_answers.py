"""What the page answers, to whom: tokens, sessions, other sites, paths that lead away, queries that are too large."""

from __future__ import annotations

import hmac
import http.client
import json
import logging
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge.errors import PrednetError
from edge.page.app import BODY_BYTES, OPEN, ROUTES
from edge.page.aside import NICENESS, Aside
from edge.page.guard import HEADERS
from edge.page.server import HEADER_BYTES
from tests.page_serving import CLIP, EVENT_ID, TOKEN, Served, bearer, moment_of, served

PLACE = f"/evidence/busy/{EVENT_ID}/clip.mp4"
RULES = [rule for rule in ROUTES.iter_rules() if rule.endpoint not in OPEN]
METHODS = {
    str(rule).replace("<event_id>", EVENT_ID).replace("<camera>", "busy").replace("<path:place>", PLACE[10:]): (
        "POST" if "POST" in (rule.methods or ()) else "GET"
    )
    for rule in RULES
}
CLOSED = list(METHODS)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One page for all tests of this file."""
    with served(tmp_path_factory.mktemp("page")) as one:
        one.board.see(moment_of("busy", time.monotonic()))
        yield one


@pytest.mark.parametrize("path", CLOSED)
def test_without_the_token_nothing_of_the_device_is_told(page: Served, path: str) -> None:
    """No token, a wrong one, one in the address, an empty session: 401, and not a byte of what lies behind."""
    for asked, headers in (
        (path, {}),
        (path, bearer("wrong-horse-battery-staple")),
        (path, bearer("")),
        (path, {"Authorization": f"Basic {TOKEN}"}),
        (f"{path}?token={TOKEN}", {}),
        (path, {"Cookie": "prednet_test="}),
        (path, {"Cookie": f"prednet_test={TOKEN}"}),
    ):
        status, told, body = page.ask(asked, METHODS[path], headers)
        assert status == 401, (asked, headers)
        assert told["WWW-Authenticate"] == 'Bearer realm="prednet-edge"'
        assert list(json.loads(body)) == ["error"]


@pytest.mark.parametrize("path", [path for path in CLOSED if METHODS[path] == "GET"])
def test_the_token_opens_every_address(page: Served, path: str) -> None:
    """As a bearer header, and as the session that began with it."""
    assert page.ask(path, headers=bearer())[0] == 200
    assert page.ask(path, headers={"Cookie": page.session()})[0] == 200


def test_secrets_are_compared_in_constant_time(page: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is asked with a secret, `hmac.compare_digest` decides, of the token and of the session alike."""
    compared: list[bytes] = []
    real = hmac.compare_digest

    def watched(one: bytes, other: bytes) -> bool:
        compared.append(one)
        return real(one, other)

    monkeypatch.setattr(hmac, "compare_digest", watched)
    page.ask("/api/live", headers=bearer("given-token"))
    page.ask("/api/live", headers={"Cookie": "prednet_test=given-session"})
    page.ask("/login", "POST", {"Content-Type": "application/x-www-form-urlencoded"}, "token=given-form")
    assert {b"given-token", b"given-session", b"given-form"} <= set(compared)


def test_a_session_is_no_token_and_no_script_or_other_site_has_it(page: Served) -> None:
    """HttpOnly, SameSite=Strict, for this page alone, and the token cannot be read from it."""
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    status, headers, _ = page.ask("/login", "POST", form, f"token={TOKEN}")
    assert (status, headers["Location"]) == (303, "/")
    cookie = headers["Set-Cookie"]
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(cookie.split("; "))
    assert TOKEN not in cookie
    status, headers, body = page.ask("/login", "POST", form, "token=wrong-horse-battery-staple")
    assert (status, headers["Set-Cookie"]) == (401, None)
    assert b"not the token" in body


def test_a_session_ends_with_sign_out_and_with_the_token(page: Served, tmp_path: Path) -> None:
    """The browser is told to forget it; another token knows it no more."""
    session = page.session()
    own = {"Cookie": session, "Origin": f"http://127.0.0.1:{page.port}"}
    status, headers, _ = page.ask("/logout", "POST", own | {"Host": f"127.0.0.1:{page.port}"})
    assert status == 303
    assert "Max-Age=0" in headers["Set-Cookie"]
    with served(tmp_path, token=f"another-{TOKEN}") as other:
        assert other.ask("/api/live", headers={"Cookie": session})[0] == 401


@pytest.mark.parametrize(
    ("headers", "get", "post"),
    [
        ({"Sec-Fetch-Site": "cross-site"}, 403, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403, 403),  # another port of the same machine
        ({"Origin": "http://127.0.0.1:1"}, 403, 403),
        ({"Origin": "https://evil.example"}, 403, 403),
        ({"Origin": "null"}, 403, 403),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "https://evil.example"}, 403, 403),
        ({}, 200, 403),  # a browser proves of every POST where it is from
        ({"Sec-Fetch-Site": "none"}, 200, 200),
        ({"Sec-Fetch-Site": "same-origin"}, 200, 200),
    ],
)
def test_another_site_cannot_use_a_browsers_session(page: Served, headers: dict[str, str], get: int, post: int) -> None:
    """Where a browser says, or does not prove, that a request is the page's own, nothing is told and nothing is done."""
    with_session = headers | {"Cookie": page.session()}
    assert page.ask("/api/live", headers=with_session)[0] == get
    before = len(page.commands)
    as_json = with_session | {"Content-Type": "application/json"}
    assert page.ask(f"/api/events/{EVENT_ID}/verdict", "POST", as_json, '{"verdict": "real"}')[0] == post
    assert len(page.commands) - before == int(post == 200)


def test_a_form_of_another_site_does_nothing_even_with_a_session(page: Served) -> None:
    """What a form can send without asking, as text or as a form, is no command; nor can it sign a browser in."""
    own = {"Cookie": page.session(), "Sec-Fetch-Site": "same-origin"}
    before = len(page.commands)
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        status, _, _ = page.ask(
            f"/api/events/{EVENT_ID}/verdict", "POST", own | {"Content-Type": kind}, '{"verdict": "real"}'
        )
        assert status == 400
    assert len(page.commands) == before
    foreign = {"Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Site": "cross-site"}
    assert page.ask("/login", "POST", foreign, f"token={TOKEN}")[0] == 401


def test_every_answer_forbids_frames_scripts_and_guessing(page: Served) -> None:
    """Errors too: no other page may frame or embed it, nothing of another origin is loaded, types are not guessed."""
    for path, headers in (("/", {}), ("/static/page.js", {}), ("/api/live", {}), ("/none", {}), (PLACE, bearer())):
        told = page.ask(path, headers=headers)[1]
        assert {name: told[name] for name in HEADERS} == HEADERS
        assert "Access-Control-Allow-Origin" not in told
        assert told["Cache-Control"] in ("no-store", "private, no-cache")


AWAY = [
    "/evidence/../page.token",
    "/evidence/busy/../../page.token",
    f"/evidence/busy/{EVENT_ID}/../../../page.token",
    "/evidence/%2e%2e/page.token",
    "/evidence/..%2fpage.token",
    "/evidence/busy/..%5c..%5cpage.token",
    f"/evidence/busy/{EVENT_ID}/%2e%2e%2f%2e%2e%2f%2e%2e%2fpage.token",
    f"/evidence/busy/{EVENT_ID}/clip.mp4%00.txt",
    f"/evidence/busy/{EVENT_ID}/clip.mp4%0a",
    f"/evidence//busy/{EVENT_ID}/clip.mp4",
    "/evidence//etc/passwd",
    "/evidence/%2fetc%2fpasswd",
    f"/evidence/busy/{EVENT_ID}/page.token",
    f"/evidence/busy/{EVENT_ID}/",
    f"/evidence/busy/.{EVENT_ID}.part/clip.mp4",
    f"/evidence/link/{EVENT_ID}/clip.mp4",
    f"/evidence/busy/{EVENT_ID}/strip.jpg",
    "/static/../page_serving.py",
    "/static/%2e%2e/demo.prednet",
    "/static/..%2fdemo.prednet",
    "/static/index.html",
    "//etc/passwd",
    "/../../../etc/passwd",
]


@pytest.mark.parametrize("path", AWAY)
def test_no_path_leads_out_of_the_evidence(page: Served, path: str) -> None:
    """Dots, escapes, zeros, names that are none and links that point elsewhere find nothing, with the token too."""
    state = page.serving.state_directory
    if not (state / "evidence" / "link").exists():
        (state / "evidence" / "link" / EVENT_ID).mkdir(parents=True)
        (state / "evidence" / "link" / EVENT_ID / "clip.mp4").symlink_to(state / "page.token")
        (state / "evidence" / "busy" / EVENT_ID / "strip.jpg").symlink_to(state / "page.token")
    status, _, body = page.ask(path, headers=bearer())
    assert status in (400, 404)
    assert TOKEN.encode() not in body


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/api/live?after=-1", "after: a whole number from 0"),
        ("/api/live?after=1e9", "after: a whole number"),
        ("/api/live?after=" + "9" * 4000, "after: a whole number"),
        ("/api/live?after=%D9%A1", "after: a whole number"),  # a digit, and none of ours
        ("/api/events?limit=101", "limit: a whole number from 0 to 100"),
        ("/api/events?before=..", "before: an event_id is expected."),
        ("/api/events?before=" + "A" * 27, "before: an event_id is expected."),
        ("/api/events?kind=none", "kind: one of all, judged, others is expected."),
        ("/api/events?camera=none", "There are the cameras busy, quiet."),
        ("/api/cameras/none/live.jpg", "There are the cameras busy, quiet."),
    ],
)
def test_a_wrong_query_is_refused_with_a_sentence(page: Served, path: str, message: str) -> None:
    """What was expected is said; nothing is guessed."""
    status, _, body = page.ask(path, headers=bearer())
    assert status in (400, 404)
    assert json.loads(body)["error"].startswith(message)


def test_what_is_too_large_is_refused_and_the_next_is_answered(page: Served) -> None:
    """Headers, addresses and bodies beyond the bounds; JSON that nests too deeply; a body that never comes."""
    verdict = f"/api/events/{EVENT_ID}/verdict"
    as_json = bearer() | {"Content-Type": "application/json"}
    assert page.ask("/api/live", headers=bearer() | {"X-Long": "x" * HEADER_BYTES})[0] == 431
    assert page.ask("/api/live?after=" + "1" * HEADER_BYTES, headers=bearer())[0] == 431
    assert page.ask(verdict, "POST", as_json, b'{"verdict": "' + b"x" * BODY_BYTES + b'"}')[0] == 413
    assert (
        page.ask(
            "/login", "POST", {"Content-Type": "application/x-www-form-urlencoded"}, b"token=" + b"x" * BODY_BYTES
        )[0]
        == 413
    )
    assert page.ask(verdict, "POST", as_json, "[" * 8000)[0] == 400
    assert page.ask(verdict, "POST", as_json, "[]")[0] == 400
    with socket.create_connection(("127.0.0.1", page.port)) as slow:
        slow.sendall(b"POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n")
        assert page.ask("/api/live", headers=bearer())[0] == 200


def test_a_method_that_an_address_has_not_is_refused(page: Served) -> None:
    """And the answer says which it has."""
    for path, method, allowed in (("/api/live", "POST", "GET"), ("/logout", "GET", "POST"), (PLACE, "DELETE", "GET")):
        status, headers, _ = page.ask(path, method, bearer())
        assert status == 405
        assert allowed in headers["Allow"]
    assert (page.serving.state_directory / PLACE[1:]).exists()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(["/", "/api/", "/api/cameras/", "/api/events/", "/evidence/", "/static/"]),
    st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=40),
    st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=60),
)
def test_no_address_makes_the_page_fail(page: Served, root: str, path: str, query: str) -> None:
    """Whatever stands in an address, the answer is no error of the page's own, and nothing of the token."""
    from urllib.parse import quote  # noqa: PLC0415

    status, _, body = page.ask(f"{root}{quote(path)}?{quote(query, safe='=&%')}", headers=bearer())
    assert status < 500
    assert TOKEN.encode() not in body


def test_evidence_is_fetched_as_the_documents_say(page: Served, tmp_path: Path) -> None:
    """The command of docs/page.md, run as it stands there but for its address, brings the file byte for byte."""
    text = (Path(__file__).parents[1] / "docs" / "page.md").read_text(encoding="utf-8")
    (command,) = [line for line in text.splitlines() if line.startswith("curl ") and "clip.mp4" in line]
    assert shutil.which("curl"), "Debian's own; git needs its library"
    line = command.replace("http://edge1.plant:8470", f"http://127.0.0.1:{page.port}")
    line = line.replace("press3/01JDA6Q3R8W5Z0M7T9K4C2B1XE", f"busy/{EVENT_ID}")
    environment = {"TOKEN": TOKEN, "PATH": os.environ["PATH"]}
    subprocess.run(line, shell=True, check=True, cwd=tmp_path, env=environment, capture_output=True)  # noqa: S602 - our own document
    (found,) = tmp_path.iterdir()
    assert found.read_bytes() == CLIP


def test_a_player_may_fetch_a_part_of_a_clip(page: Served) -> None:
    """Byte ranges, which a video's slider needs; a range beyond the end is refused."""
    status, headers, body = page.ask(PLACE, headers=bearer() | {"Range": "bytes=100-199"})
    assert (status, body) == (206, CLIP[100:200])
    assert headers["Content-Range"] == f"bytes 100-199/{len(CLIP)}"
    assert headers["Content-Type"] == "video/mp4"
    assert page.ask(PLACE, headers=bearer() | {"Range": f"bytes={len(CLIP) + 1}-"})[0] == 416


def test_a_verdict_goes_the_way_of_every_command(page: Served) -> None:
    """The device gets `acknowledge`; what it refuses, the page says in the device's words."""
    as_json = bearer() | {"Content-Type": "application/json"}
    assert page.ask(f"/api/events/{EVENT_ID}/verdict", "POST", as_json, '{"verdict": "false"}')[0] == 200
    assert page.commands[-1] == ("acknowledge", {"event_id": EVENT_ID, "verdict": "false"})
    status, _, body = page.ask(f"/api/events/{EVENT_ID}/verdict", "POST", as_json, '{"verdict": "refuse"}')
    assert (status, json.loads(body)["error"]) == (409, "That is none.")


def test_a_limit_is_tried_in_a_process_of_its_own_at_low_priority() -> None:
    """The river shares neither interpreter nor rank with it; it ends when nothing is asked, and one that dies is replaced."""
    aside = Aside(idle_seconds=0.0)
    first = aside.run(os.getpid)
    assert first != os.getpid()
    assert aside.run(os.nice, 0) >= NICENESS
    with pytest.raises(PrednetError, match="ask again"):
        aside.run(os._exit, 1)
    second = aside.run(os.getpid)
    assert second not in (first, os.getpid())
    aside.rest()
    deadline = time.monotonic() + 10.0
    while Path(f"/proc/{second}").exists() and "zombie" not in Path(f"/proc/{second}/status").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    aside.close()


def test_nothing_is_left_of_it_when_the_device_is_killed() -> None:
    """SIGKILL gives nobody time to tidy up: the process sees it, and ends by itself."""
    program = (
        "import os, time\nfrom edge.page.aside import Aside\n"
        "if __name__ == '__main__':\n    aside = Aside()\n    print(aside.run(os.getpid), flush=True)\n    time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as device:
        assert device.stdout is not None
        helper = Path(f"/proc/{device.stdout.readline().strip()}")
        assert helper.exists()
        device.kill()
    deadline = time.monotonic() + 10.0
    while helper.exists() and "zombie" not in (helper / "status").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_limit_is_told_with_its_bounds_and_what_it_would_have_told(page: Served) -> None:
    """The bounds are those of the command `threshold`; a level outside them, or none, is refused; without scores it says so."""
    told = page.ask_in("/api/cameras/busy/limit")
    assert (told["low"], told["high"]) == page.serving.switches.bounds("busy")
    assert (told["on"], told["is_set"]) == (told["own"], False)
    assert page.ask_in(f"/api/cameras/busy/limit?on={told['own']}") == {
        "on": told["own"], "found": None, "per_day": None,
    }  # fmt: skip
    for level in ("nan", "inf", "-1", "1e99", "", "x" * 4000, str(told["high"] * 1.01)):
        status, _, body = page.ask(f"/api/cameras/busy/limit?on={level}", headers=bearer())
        assert status == 400
        assert json.loads(body)["error"].startswith("on: a level from")
    as_json = bearer() | {"Content-Type": "application/json"}
    assert page.ask("/api/cameras/busy/limit", "POST", as_json, '{"on": 4.5}')[0] == 200
    assert page.commands[-1] == ("threshold", {"camera": "busy", "on": 4.5})


def test_the_live_picture_is_frame_prediction_and_error_of_one_moment(page: Served) -> None:
    """Three pictures one below the other; asked after its own number there is nothing new."""
    page.board.see(moment_of("busy", time.monotonic(), grey=90))
    status, headers, body = page.ask("/api/cameras/busy/live.jpg", headers=bearer())
    number = int(headers["X-Frame-Number"])
    assert (status, number) == (200, page.board.seen("busy").number)  # type: ignore[union-attr]
    picture = cv2.imdecode(np.frombuffer(body, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert picture.shape == (96, 40)
    # Frame 90, prediction 80, and the error of 10 drawn twice as bright; JPEG costs plain grey next to nothing.
    found = [picture[at : at + 20].mean() for at in (6, 38, 70)]
    assert found == pytest.approx([90.0, 80.0, 19.0], abs=1.5)
    assert page.ask(f"/api/cameras/busy/live.jpg?after={number}", headers=bearer())[0] == 204
    assert page.ask("/api/cameras/quiet/live.jpg", headers=bearer())[0] == 204


def test_each_point_is_told_once_while_the_river_goes_on(page: Served) -> None:
    """A reader that asks for what is new, again and again, gets every point once and in order."""
    base, found, first = time.monotonic(), [], page.board.number

    def river() -> None:
        for count in range(1500):
            page.board.see(moment_of("quiet", base + count / 10, level=float(count)))

    writer = threading.Thread(target=river)
    writer.start()
    number = first
    while True:
        is_over = not writer.is_alive()
        told = page.ask_in(f"/api/live?after={number}")
        number = told["number"]
        found += [point[2] for point in told["cameras"]["quiet"]["points"]]
        if is_over:
            break
    assert found == [float(count) for count in range(1500)]


def test_a_camera_that_brings_nothing_is_silent_after_two_seconds(page: Served) -> None:
    """Whatever its state still says; a camera that never brought anything is silent from the first."""
    at = time.monotonic()
    page.board.see(moment_of("busy", at))
    assert page.ask_in("/api/live")["cameras"]["busy"]["is_silent"] is False
    later = served_later(page, 2.1)
    assert later["is_silent"] is True
    assert later["state"] == "watching"
    assert later["silent_seconds"] >= 2.1


def served_later(page: Served, seconds: float) -> dict[str, object]:
    """What the page would say of `busy` so many seconds from now."""
    from dataclasses import replace  # noqa: PLC0415

    from edge.page.live import live  # noqa: PLC0415

    then = replace(page.serving, monotonic=lambda: time.monotonic() + seconds)
    told: dict[str, object] = json.loads(live(then, 0))["cameras"]["busy"]
    return told


def test_wrong_tokens_are_told_in_the_log_once_a_minute_and_never_themselves(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A hundred guesses are one line, in which no guess and no token stands."""
    with served(tmp_path) as one, caplog.at_level(logging.WARNING):
        for count in range(100):
            one.ask("/api/live", headers=bearer(f"guess-{count}"))
    lines = [record.getMessage() for record in caplog.records if "page_token_wrong" in record.getMessage()]
    assert len(lines) == 1
    assert "guess" not in caplog.text
    assert TOKEN not in caplog.text


def test_a_page_that_is_closed_answers_no_more(tmp_path: Path) -> None:
    """At once, with connections open, and its threads end."""
    with served(tmp_path) as one:
        held = http.client.HTTPConnection("127.0.0.1", one.port, timeout=5)
        held.request("GET", "/")
        assert held.getresponse().status == 200
        began = time.monotonic()
    assert time.monotonic() - began < 5.0
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", one.port), 1.0)
