"""What is wrong with the logins of a configuration: no password stands in it, and a login has a place to go to."""

from __future__ import annotations

import re
from collections.abc import Iterator

from edge.config import Camera, Config
from edge.places import LOGIN_WITH_PASSWORD, without_login

_KEY = r"(?<![a-z])(?:user-pw|loginpas|pass|password|passwd|pwd)="
_WITH_PASSWORD = re.compile(rf"{LOGIN_WITH_PASSWORD}|{_KEY}", re.IGNORECASE)
_WITH_LOGIN = re.compile(r"(?:rtsps?|https?)://", re.IGNORECASE)


def secret_faults(config: Config) -> Iterator[tuple[list[str], str]]:
    """Yield the keys of what is wrong, and the rest of the sentence; it never repeats a password."""
    for name, camera in config.cameras.items():
        yield from ((["cameras", name, key], fault) for key, fault in _camera_faults(camera))
    if _WITH_PASSWORD.search(config.hooks.webhook):
        yield (
            ["hooks", "webhook"],
            "holds a password; write the address without it, and a token into a file: webhook_token_file.",
        )
    if config.mqtt.password_file and not config.mqtt.username:
        yield ["mqtt", "password_file"], "is there without a 'username'; the broker takes both or none."


def _camera_faults(camera: Camera) -> Iterator[tuple[str, str]]:
    has_address = _WITH_LOGIN.match(camera.source) is not None
    if has_address and _WITH_PASSWORD.search(camera.source):
        yield (
            "source",
            f"holds a password; write {_bare(camera.source)}, its user into 'username', and "
            f"the password into a file: 'password_file'.",
        )
    elif _WITH_PASSWORD.search(camera.source):
        yield "source", "holds a password; write rtsp:// or http:// with 'username' and 'password_file' instead."
    if camera.username and not has_address:
        yield "username", "is there for a source that has no login; rtsp:// and http:// have one."
    if camera.username and without_login(camera.source) != camera.source:
        yield "username", "is there twice; leave it out of the source."
    if camera.password_file and not camera.username:
        yield "password_file", "is there without a 'username'; give both or none."


def _bare(address: str) -> str:
    """Return an address up to where it says who asks."""
    return re.sub(rf"/[^/]*{_KEY}.*", "", without_login(address).partition("?")[0], flags=re.IGNORECASE)
