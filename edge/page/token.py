"""The token that opens the page: made once, kept where only the service reads it, compared in constant time."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
from contextlib import suppress
from pathlib import Path

from edge.errors import ConfigInvalid
from edge.page.settings import Page

TOKEN_FILE = "page.token"  # noqa: S105 - the name of its file
LEAST_CHARACTERS = 16
_FORM = re.compile(r"[A-Za-z0-9._~+/=-]+")  # what an Authorization header can carry


def token_path(state_directory: Path, settings: Page) -> Path:
    """Return the file that holds the token."""
    return Path(settings.token_file) if settings.token_file else state_directory / TOKEN_FILE


def open_token(state_directory: Path, settings: Page) -> str:
    """Return the token; one that the configuration does not name is made where there is none.

    Raises ConfigInvalid where it cannot be read, or is no token.
    """
    path = token_path(state_directory, settings)
    if not settings.token_file:
        with suppress(FileExistsError):
            _make(path)
    return read_token(path)


def read_token(path: Path) -> str:
    """Return the token in a file. Raises ConfigInvalid where there is none that is hard to guess."""
    try:
        token = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigInvalid(f"{path}: the page's token cannot be read ({error}).") from error
    if len(token) < LEAST_CHARACTERS or _FORM.fullmatch(token) is None:
        raise ConfigInvalid(
            f"{path}: the page's token is shorter than {LEAST_CHARACTERS} characters, or holds others than "
            f"A-Z a-z 0-9 . _ ~ + / = -. Make one: openssl rand -hex 32 > {path}"
        )
    return token


def is_same(given: str, expected: str) -> bool:
    """Return whether two secrets are the same, in a time that does not tell how much of them is."""
    return hmac.compare_digest(given.encode("utf-8", "replace"), expected.encode())


def session_of(token: str) -> str:
    """Return what a browser keeps instead of the token: it ends with the token, and does not tell it."""
    return hmac.new(token.encode(), b"prednet-edge page session", hashlib.sha256).hexdigest()


def _make(path: Path) -> None:
    """Write a new token that nobody else may read. Raises FileExistsError where there is one."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(secrets.token_urlsafe(32) + "\n")
        file.flush()
        os.fsync(file.fileno())
