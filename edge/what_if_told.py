"""What a what-if says to people: «3 instead of 41; these 3 stay», and what the ring does not cover."""

from __future__ import annotations

from collections.abc import Iterator

from edge.what_if import Judged, WhatIf

# Less is not worth a line.
LEAST_SECONDS = 1.0
_NOT_COVERED = {
    "before_seconds": "before the oldest score that is kept",
    "after_seconds": "after the newest score that is kept (a minute is written when it is over)",
    "unrecorded_seconds": "not recorded: the device was off, too busy, or had no room",
    "blind_seconds": "blind: the camera gave no frames",
    "disabled_seconds": "disabled",
    "degraded_seconds": "degraded: a condition of the camera, or missing frames",
    "warming_seconds": "warming up",
    "unfilmed_seconds": "scored, but not again: their frames are gone, or a network had to warm up",
}


def headline(found: WhatIf) -> str:
    """Return the answer in a line."""
    told = f"{found.camera}: {found.after} instead of {found.before}"
    parts = found.after - found.come
    as_parts = "" if parts == found.stay else f" (as {parts} event{'s' if parts > 1 else ''})"
    fates = (
        _told_count(found.stay, "stays", "stay") + as_parts,
        _told_count(found.come, "comes", "come"),
        _told_count(found.vanish, "vanishes", "vanish"),
    )
    unknown = f"{found.unknown} cannot be told, their frames are gone" if found.unknown else ""
    becomes = [one for one in (", ".join(filter(None, fates)), unknown) if one]
    return "; ".join([told, *(becomes or ["there were no events"])])


def _told_count(count: int, one: str, many: str) -> str:
    if not count:
        return ""
    return f"this one {one}" if count == 1 else f"these {count} {many}"


def told_event(event: Judged) -> str:
    """Return an event in a line."""
    length = "open" if event.seconds is None else f"{event.seconds:.1f} s"
    zones = f"  in {', '.join(event.zones)}" if event.zones else ""
    at = event.start[:19].replace("T", " ")
    return f"{event.fate:9s} {at}  {event.kind:8s} {length:>8s}  peak {event.score_peak:.2f}{zones}"


def told_coverage(found: WhatIf) -> Iterator[str]:
    """Yield what is covered, and a line for each reason why seconds are not."""
    told = found.covered
    yield f"scored: {told.scored_seconds:.0f} of {told.asked_seconds:.0f} s"
    for name, reason in _NOT_COVERED.items():
        seconds = getattr(told, name)
        if seconds is not None and seconds >= LEAST_SECONDS:
            yield f"not covered: {seconds:.0f} s {reason}"
    if found.suppressed_before or found.suppressed_after:
        yield (
            f"not counted, held back by detection.most_events_per_hour: {found.suppressed_after} instead of "
            f"{found.suppressed_before}"
        )
