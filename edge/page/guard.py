"""Who may come in: the token as a bearer header, or a browser's session that began with it, from the page itself."""

from __future__ import annotations

import logging
from urllib.parse import urlsplit

from werkzeug.wrappers import Request, Response

from edge.page.serving import Serving
from edge.page.token import is_same, session_of
from edge.seldom import Seldom

log = logging.getLogger(__name__)

SESSION_SECONDS = 30 * 86400
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "media-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class Wrong:
    """Counts wrong tokens, and says so in the log."""

    def __init__(self) -> None:
        self._seldom = Seldom()

    def note(self, address: str | None) -> None:
        """Note one, from an address."""
        if (count := self._seldom.count()) is not None:
            log.warning("page_token_wrong count=%d address=%s", count, address)


def has_bearer(serving: Serving, request: Request) -> bool:
    """Return whether a request carries the token in its Authorization header."""
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    return scheme.lower() == "bearer" and is_same(given.strip(), serving.token)


def has_session(serving: Serving, request: Request) -> bool:
    """Return whether a browser's session began with the token that is in force."""
    return is_same(request.cookies.get(serving.cookie, ""), session_of(serving.token))


def is_from_elsewhere(request: Request) -> bool:
    """Return whether a browser says that another site sent the request, another port of this machine among them."""
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        return True
    origin = request.headers.get("Origin")
    return origin is not None and urlsplit(origin).netloc != request.host


def is_proven_own(request: Request) -> bool:
    """Return whether a browser proves that the page itself sent the request: what every browser does of a POST."""
    return not is_from_elsewhere(request) and ("Origin" in request.headers or "Sec-Fetch-Site" in request.headers)


def begin_session(serving: Serving, response: Response, *, is_secure: bool) -> None:
    """Give a browser its session: no script reads it, and no other site can make use of it."""
    response.set_cookie(
        serving.cookie,
        session_of(serving.token),
        max_age=SESSION_SECONDS,
        path="/",
        secure=is_secure,
        httponly=True,
        samesite="Strict",
    )


def end_session(serving: Serving, response: Response) -> None:
    """Have a browser forget its session."""
    response.delete_cookie(serving.cookie, path="/", httponly=True, samesite="Strict")
