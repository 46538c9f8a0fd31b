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
from edge.kept_secrets import PAGE_TOKEN, Secret, read_secret
from edge.page.settings import Page

TOKEN_FILE = "page.token"  # noqa: S105 - the name of its file
LEAST_CHARACTERS = 16
_FORM = re.compile(r"[A-Za-z0-9._~+/=-]+")  # what an Authorization header can carry


def open_token(state_directory: Path, settings: Page) -> str:
    """Return the token; where none is configured, one is made at the first start.

    Raises ConfigInvalid where it cannot be read, or is no token.
    """
    if configured_token(settings) is None:
        with suppress(FileExistsError):
            _make(state_directory / TOKEN_FILE)
    return known_token(state_directory, settings)


def known_token(state_directory: Path, settings: Page) -> str:
    """Return the token that is configured, or was made. Raises ConfigInvalid where there is none."""
    path = state_directory / TOKEN_FILE
    return configured_token(settings) or _checked(read_secret(PAGE_TOKEN, str(path), {}), str(path))


def configured_token(settings: Page) -> str | None:
    """Return the token of the file, the credential or the environment that is given; None where none is.

    Raises ConfigInvalid where it cannot be read, or is easy to guess.
    """
    found = read_secret(PAGE_TOKEN, settings.token_file)
    return None if found is None else _checked(found, found.origin)


def _checked(found: Secret | None, origin: str) -> str:
    token = "" if found is None else found.value.strip()
    if len(token) < LEAST_CHARACTERS or _FORM.fullmatch(token) is None:
        raise ConfigInvalid(
            f"{origin}: the page's token is shorter than {LEAST_CHARACTERS} characters, or holds others than "
            "A-Z a-z 0-9 . _ ~ + / = -. Make one: openssl rand -hex 32"
        )
    return token


def is_same(given: str, expected: str) -> bool:
    """Return whether two secrets are the same, in a time that does not tell how much of them is."""
    return hmac.compare_digest(given.encode("utf-8", "replace"), expected.encode())


def session_of(token: str) -> str:
    """Return what a browser keeps instead of the token: it ends with the token, and does not tell it."""
    return hmac.new(token.encode(), b"prednet-edge page session", hashlib.sha256).hexdigest()


def _make(path: Path) -> None:
    """Write a new token that nobody else may read, whole or not at all. Raises FileExistsError where there is one."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(32) + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(aside, path)
    finally:
        aside.unlink()
