"""Who is let in to the page: the token, a browser's session, and no other site."""

from __future__ import annotations

import hmac
import json
import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.page.app import OPEN, ROUTES
from edge.page.guard import HEADERS
from edge.page.settings import Page
from edge.page.token import open_token
from tests.page_serving import EVENT_ID, TOKEN, Served, bearer, moment_of, served

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
    told = b'<p class="trouble" role="alert"%s>That is not the token of this device.</p>'
    assert told % b"" in body
    assert told % b" hidden" in page.ask("/")[2]  # nobody is told so before a token was given


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


def test_a_token_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is full when the token is made leaves none, and the next start makes one."""

    def refuse(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", refuse)
        with pytest.raises(OSError, match="No space"):
            open_token(tmp_path, Page())
    assert list(tmp_path.iterdir()) == []
    token = open_token(tmp_path, Page())
    assert open_token(tmp_path, Page()) == token
    assert [path.name for path in tmp_path.iterdir()] == ["page.token"]
