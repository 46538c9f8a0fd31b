"""Redaction: no secret of a configuration leaves the device, in whatever file and form it stands.

Two nets: the secrets that this device has, wherever they turn up, plain, quoted for an address, or in base64; and the
forms in which secrets are written, for those that nobody knew of.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote, quote_plus, unquote

from edge.config import Config
from edge.errors import ConfigInvalid
from edge.kept_secrets import read_secret, secret_files

REMOVED = "[removed]"
# What is shorter is a word that stands in every text; that it is somebody's password is not told by removing it.
LEAST_LENGTH = 4
_NAMES = r"pass(?:word|wd|phrase)?|pwd|user-pw|secret|token|(?:api|access|secret)[_-]?key|auth(?:orization)?|credential"
_QUERY_NAMES = rf"(?:{_NAMES}|key|sig|signature|code)"
_KEPT = rf"\g<kept>{REMOVED}"
_FORMS = (
    (re.compile(r"(?P<kept>[a-z][a-z0-9+.-]*://)[^\s'\"]+@", re.I), rf"{_KEPT}@"),
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.S), REMOVED),
    (re.compile(r"(?P<kept>\b(?:bearer|basic)\s+)[A-Za-z0-9._~+/=-]{6,}", re.I), _KEPT),
    (re.compile(rf"(?P<kept>[?&;]{_QUERY_NAMES}=)[^&\s'\"#;]+", re.I), _KEPT),
    (  # name: value, however often it is quoted
        re.compile(rf"(?P<kept>(?:{_NAMES})\b[\\\"']*\s*[:=]\s*[\\\"']*)(?!\[removed\])[^\s\\\"',;}}\]&]+", re.I),
        _KEPT,
    ),
)


def secrets_of(config: Config) -> frozenset[str]:
    """Return what is secret in a configuration and in the files that it names; a file that cannot be read is none."""
    found: set[str] = set()
    for camera in config.cameras.values():
        found |= set(_of_address(camera.source))
    found |= set(_of_address(config.hooks.webhook))
    found |= {word.partition("=")[2] or word for word in config.hooks.command[1:] if _is_secret_word(word)}
    found |= set(_kept(config)) | set(_of_file(config.mqtt.key_file))
    return frozenset(one for one in found if len(one) >= LEAST_LENGTH)


def redacted(text: str, secrets: Iterable[str] = ()) -> str:
    """Return the text without secrets: those that are known, longest first, and whatever is written like one."""
    for form in sorted(_forms_of(secrets), key=len, reverse=True):
        text = text.replace(form, REMOVED)
    for pattern, removed in _FORMS:
        text = pattern.sub(removed, text)
    return text


def _kept(config: Config) -> Iterator[str]:
    """The secrets of files, credentials and the environment, each as far as it can be read."""
    for name, file in secret_files(config).items():
        with suppress(ConfigInvalid):  # told as missing; what is written like a secret is removed all the same
            if (secret := read_secret(name, file)) is not None:
                yield secret.value


def _forms_of(secrets: Iterable[str]) -> set[str]:
    forms: set[str] = set()
    for secret in secrets:
        forms |= {secret, quote(secret), quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1]}
        forms |= set(_in_base64(secret.encode()))
    return {form for form in forms if len(form) >= LEAST_LENGTH}


def _in_base64(secret: bytes) -> Iterator[str]:
    """The part of base64 that stands for the secret whatever is before and after it: a login is `user:password`."""
    if len(secret) < 6:
        return
    for before in range(3):
        text = base64.b64encode(b"\0" * before + secret).decode()
        first = (0, 2, 3)[before]
        last = len(text) - (4 if (before + len(secret)) % 3 else 0)
        yield text[first:last]


def _of_address(address: str) -> Iterator[str]:
    """The password in an address, as it is written and as it is meant, and secrets of its query."""
    login = re.match(r"[a-z0-9+.-]+://[^:@/]*:(.+)@", address, re.I)
    if login:
        yield from (login[1], unquote(login[1]))
    for name, value in re.findall(r"[?&;]([^=&;]+)=([^&;#]+)", address):
        if re.search(_QUERY_NAMES, name, re.I):
            yield from (value, unquote(value))
    if address.startswith("gst://"):
        yield from re.findall(r"(?:user-pw|password)=\"?([^\s\"]+)", address)
        for inner in re.findall(r"location=\"?([^\s\"]+)", address):
            yield from _of_address(inner)


def _is_secret_word(word: str) -> bool:
    return re.match(rf"-{{0,2}}(?:{_NAMES})=", word, re.I) is not None


def _of_file(file: str) -> Iterator[str]:
    if not file:
        return
    try:
        text = Path(file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return
    if "PRIVATE KEY" not in text:
        yield text
        return
    for line in text.splitlines():  # a line of a key alone is of no use to anybody, and no word of a text
        if not line.startswith("-----") and len(line) >= 16 and _is_base64(line):
            yield line


def _is_base64(line: str) -> bool:
    try:
        base64.b64decode(line, validate=True)
    except (binascii.Error, ValueError):
        return False
    return True
