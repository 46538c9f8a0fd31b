"""Chance that can be asked for at any time and in any order: numbers from a seed, a name and a count."""

from __future__ import annotations

import hashlib
import struct
from functools import lru_cache
from typing import TypeVar

_Choice = TypeVar("_Choice")
_NUMBERS = struct.Struct("<8I")


@lru_cache(maxsize=4096)
def draws(seed: int, name: str, number: int) -> tuple[float, ...]:
    """Return eight independent uniform numbers, 0 <= u < 1, the same on every machine."""
    digest = hashlib.blake2b(f"{seed}:{name}:{number}".encode(), digest_size=_NUMBERS.size).digest()
    return tuple(word / 2**32 for word in _NUMBERS.unpack(digest))


def between(low: float, high: float, u: float) -> float:
    """Return the number that lies at u (0-1) between low and high."""
    return low + (high - low) * u


def choice(options: tuple[_Choice, ...], u: float) -> _Choice:
    """Return the option that u (0 <= u < 1) falls on; all are equally wide."""
    return options[int(u * len(options))]
