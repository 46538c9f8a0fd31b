"""How much of freed memory the C library keeps for threads: a call of glibc (mallopt(3)), elsewhere nothing."""

from __future__ import annotations

import ctypes

# What mallopt(3) calls M_ARENA_MAX: pools for threads. Each keeps what its threads have freed; eight a core are usual.
_ARENA_MAX = -8
POOLS = 2


def keep_few_pools() -> bool:
    """Let threads share a few pools of memory, and return whether the library does; call it before they begin."""
    try:
        return bool(ctypes.CDLL(None).mallopt(_ARENA_MAX, POOLS))
    except (OSError, AttributeError):
        return False
