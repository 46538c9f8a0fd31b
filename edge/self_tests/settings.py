"""The part of the configuration that says how often a device tests itself."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec


class Schedule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A self-test by itself every so many hours, over restarts too; 0: only when it is asked for."""

    every_hours: float = 24.0


def schedule_faults(schedule: Schedule) -> Iterator[tuple[list[str], str]]:
    """Yield the keys of what is wrong, and the rest of the sentence."""
    if not 0.0 <= schedule.every_hours <= 8760.0:
        yield ["every_hours"], f"{schedule.every_hours:g} is not within 0 to 8760; 0 means never by itself."
