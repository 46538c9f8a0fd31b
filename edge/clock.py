"""Whether the wall clock can be believed: a label on every event, never an input of a decision."""

from __future__ import annotations

import ctypes
from typing import Literal

# adjtimex(2) returns TIME_ERROR while no time service has set the kernel's clock.
_TIME_ERROR = 5
# Larger than `struct timex` on every Linux; zeroed, it asks and changes nothing.
_TIMEX_BYTES = 512


def clock_state() -> Literal["synced", "unsynced"]:
    """Return `synced` where the kernel says that its clock has been set from a time source."""
    try:
        state: int = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    except (OSError, AttributeError):
        return "unsynced"
    return "synced" if 0 <= state < _TIME_ERROR else "unsynced"
