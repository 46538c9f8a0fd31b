"""The part of the configuration that says what the score ring keeps, and how much of the disk it takes."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec


class RingSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is kept of every frame, for all cameras together; the oldest goes first.

    Scores and small frames take `megabytes` at most. They go before any evidence does: of the disk `free_megabytes` are
    left to others, beyond those that evidence leaves. `frames: false` keeps scores alone, `keep: false` nothing.
    """

    keep: bool = True
    frames: bool = True
    megabytes: float = 2000.0
    free_megabytes: float = 512.0


def ring_faults(ring: RingSettings) -> Iterator[tuple[list[str], str]]:
    """Yield the keys of what is wrong, and the rest of the sentence."""
    for key, low in (("megabytes", 1.0), ("free_megabytes", 0.0)):
        value = getattr(ring, key)
        if not low <= value <= 1e7:
            yield [key], f"{value:g} is not within {low:g} to 1e+07."
