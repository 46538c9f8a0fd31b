"""The part of the configuration that says where the page is served, and what opens it."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

import msgspec


class Page(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The page in a browser: live pictures, charts, events with their evidence.

    `bind` is the address of this machine that it answers on: 127.0.0.1 is reached from the machine itself alone,
    0.0.0.0 from everywhere. `port: 0` takes 8470, or the next free one; a port that is named is taken or a fault.
    Without a `token_file` the daemon makes a token at its first start. `serve: false` serves nothing.
    """

    serve: bool = True
    bind: str = "127.0.0.1"
    port: int = 0
    token_file: str = ""


def page_faults(page: Page) -> Iterator[tuple[list[str], str]]:
    """Yield the keys of what is wrong, and the rest of the sentence."""
    try:
        ipaddress.ip_address(page.bind)
    except ValueError:
        yield ["bind"], f"{page.bind!r} is no address of a machine; write 127.0.0.1, or 0.0.0.0 for all of its own."
    if not 0 <= page.port <= 65535:
        yield ["port"], f"{page.port} is no port; write one from 1 to 65535, or 0 for 8470 or the next free one."
