"""What the page answers: evidence and nothing beside it, live numbers and pictures, and sentences to wrong queries."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge.page import answers, aside
from edge.page.app import BODY_BYTES
from edge.page.server import HEADER_BYTES, THREADS
from tests.page_serving import CLIP, EVENT_ID, TOKEN, Served, bearer, moment_of, served

PLACE = f"/evidence/busy/{EVENT_ID}/clip.mp4"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One page for all tests of this file."""
    with served(tmp_path_factory.mktemp("page")) as one:
        one.board.see(moment_of("busy", time.monotonic()))
        yield one


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
    """Headers, addresses and bodies beyond the bounds; JSON that nests too deeply or is no UTF-8; a body that never comes."""
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
    assert page.ask(verdict, "POST", as_json, b'{"verdict": "\xff"}')[0] == 400
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


def test_what_nobody_foresaw_is_told_in_the_log_once_a_minute(
    page: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A page on a wall asks twice a second: each question is answered with a sentence, and the log tells of the first."""
    monkeypatch.setattr(answers, "live", lambda *_: {}["unforeseen"])
    for _ in range(3):
        status, _, body = page.ask("/api/live", headers=bearer())
        assert (status, json.loads(body)["error"]) == (500, "The device failed to answer; its log says why.")
    assert [record.getMessage() for record in caplog.records] == ["page_failed path='/api/live' count=1"]
    assert "KeyError" in caplog.text


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


def test_limits_that_are_tried_leave_threads_to_pictures_and_numbers(
    page: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many ask at once what a limit would have told, and however long that takes, the rest is answered."""
    go_on, statuses = threading.Event(), []
    monkeypatch.setattr(aside, "_answered", lambda *_: {"found": None} if go_on.wait(30.0) else {})
    level = page.serving.switches.own("busy").on

    def try_limit() -> None:
        statuses.append(page.ask(f"/api/cameras/busy/limit?on={level}", headers=bearer())[0])

    asking = [threading.Thread(target=try_limit) for _ in range(2 * THREADS)]
    for one in asking:
        one.start()
    try:
        deadline = time.monotonic() + 20.0
        while len(statuses) < len(asking) - aside.SEATS:
            assert time.monotonic() < deadline, "who finds no seat is told so at once"
            time.sleep(0.01)
        assert set(statuses) == {429}
        assert page.ask_in("/api/live")["status"] == "online"
    finally:
        go_on.set()
        for one in asking:
            one.join(30.0)
    assert statuses[-aside.SEATS :] == [200] * aside.SEATS


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
