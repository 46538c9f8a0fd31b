"""A queue between threads, emptied by the one that must not wait."""

from __future__ import annotations

import queue
from contextlib import suppress
from typing import TypeVar

_Item = TypeVar("_Item")


def drained(items: queue.SimpleQueue[_Item]) -> list[_Item]:
    """Return everything that lies in a queue now, the oldest first."""
    found: list[_Item] = []
    with suppress(queue.Empty):
        while True:
            found.append(items.get_nowait())
    return found
