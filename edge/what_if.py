"""What if: which events would have come and which would have vanished, had a limit been another one.

`preview` answers from recorded scores alone, in a fraction of a second for a day; another mask or bundle needs the
frames watched again (`edge.what_if_frames`), and comes back as segments that are compared in the same way.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import msgspec
import numpy as np

from edge.detection import Limit, limit_at
from edge.labels import seconds_from_utc
from edge.messages import Event, utc_from_seconds
from edge.ring import Facts, Ring, Segment
from edge.ring_coverage import LEAD_SECONDS, Covered, Stretch, covered, scored_within, unfilmed_seconds
from edge.ring_events import LimitsOf, Seen, events_of, limits_in_force

# An event is not judged by frames of which less than this share could be scored again.
LEAST_SHARE = 0.5

Fate = Literal["stays", "comes", "vanishes", "unknown"]
Limits = tuple[Limit | None, Limit | None]


@dataclass(frozen=True)
class Change:
    """What is tried; what is left out stays as it was in force at the time.

    `limit` is a level, set for surprises as the command `threshold` sets it. `limits` are those of surprise and stall
    by profile (the empty name for a camera without profiles), such as a promise asks for: `edge.what_if_change`.
    """

    limit: float | None = None
    limits: Mapping[str, Limits] = field(default_factory=dict)


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """An event and what becomes of it; times are UTC, `seconds` its length, None while it is open."""

    fate: Fate
    kind: str
    start: str
    peak: str
    end: str | None
    seconds: float | None
    score_peak: float
    threshold_on: float
    bbox: tuple[float, float, float, float]
    zones: tuple[str, ...]


class WhatIf(msgspec.Struct, frozen=True, kw_only=True):
    """What a change makes of a camera's events in a stretch of time.

    `before` and `after` count the events under what was in force and under the change; `suppressed_…` those that the
    cap of a flood held back. `stay` and `vanish` are of those before, `come` of those after: one that stays may come in
    several parts, or several in one. `unknown` events lie where no frames are kept, and are in neither count, nor is
    what could still be seen of one. `events` are all of them, by their beginning; of an event that stays it is the one
    under the change.
    """

    camera: str
    since: str
    until: str
    before: int
    after: int
    stay: int
    come: int
    vanish: int
    unknown: int
    suppressed_before: int
    suppressed_after: int
    events: tuple[Judged, ...]
    covered: Covered


def preview(ring: Ring, camera: str, since_seconds: float, until_seconds: float, change: Change) -> WhatIf:
    """Return what a change of limits makes of a camera's events, from its recorded scores alone.

    Times are Unix time. It reads the ring's files and writes none, may run in any thread, beside the daemon, and
    takes well below a second for a day at 10 frames a second (benchmarks/what_if.py). An event counts where it begins
    within the stretch. A camera that nothing is kept of has no events, and `covered` says so.
    """
    segments = recorded(ring, camera, since_seconds, until_seconds)
    return compared(camera, (since_seconds, until_seconds), segments, segments, limits_under(change), is_filmed=False)


def recorded(ring: Ring, camera: str, since_seconds: float, until_seconds: float) -> list[Segment]:
    """Return the segments of a stretch, and of the time before it from which on the decisions are the daemon's own."""
    return ring.segments(camera, since_seconds - LEAD_SECONDS, until_seconds)


def limits_under(change: Change) -> LimitsOf:
    """Return the limits of each segment under a change."""

    def limits_of(facts: Facts) -> Limits:
        surprise, stall = change.limits.get(facts.profile, limits_in_force(facts))
        if change.limit is not None and surprise is not None:
            surprise = limit_at(surprise, change.limit)
        return surprise, stall

    return limits_of


def compared(
    camera: str,
    stretch: Stretch,
    before: Sequence[Segment],
    after: Sequence[Segment],
    limits_of: LimitsOf,
    *,
    is_filmed: bool,
) -> WhatIf:
    """Return what became of the events of `before` in `after`, under the limits that are tried.

    `is_filmed`: `after` are frames watched again; an event of which too few were scored again is `unknown`.
    """
    was, held_before = _within(events_of(camera, before, limits_in_force), stretch)
    now, held_after = _within(events_of(camera, after, limits_of), stretch)
    unknown = [one for one in was if is_filmed and not _is_seen(one, before, after)]
    known = [one for one in was if one not in unknown]
    now = _without_rests(now, known, unknown)
    met_now, met_before = _met(now, known), _met(known, now)
    judged = [_judged(one, "stays" if is_met else "comes") for one, is_met in zip(now, met_now, strict=True)]
    judged += [_judged(one, "vanishes") for one, is_met in zip(known, met_before, strict=True) if not is_met]
    judged += [_judged(one, "unknown") for one in unknown]
    fates = Counter(one.fate for one in judged)
    told = covered(before, stretch)
    if is_filmed:
        told = msgspec.structs.replace(told, unfilmed_seconds=unfilmed_seconds(before, after, stretch))
    return WhatIf(
        camera=camera, since=utc_from_seconds(stretch[0]), until=utc_from_seconds(stretch[1]),
        before=len(known), after=len(now),
        stay=len(known) - fates["vanishes"], come=fates["comes"], vanish=fates["vanishes"], unknown=fates["unknown"],
        suppressed_before=held_before, suppressed_after=held_after,
        events=tuple(sorted(judged, key=lambda one: one.start)), covered=told,
    )  # fmt: skip


class _Spanned(NamedTuple):
    """An event with the Unix times of its beginning and end; of one that is open the end is infinite."""

    event: Event
    start: float
    end: float


def _within(seen: Seen, stretch: Stretch) -> tuple[list[_Spanned], int]:
    """The events that begin within a stretch, and how many were held back there."""
    told, held = ([one for one in map(_spanned, events) if stretch[0] <= one.start < stretch[1]] for events in seen)
    return told, len(held)


def _spanned(event: Event) -> _Spanned:
    end = math.inf if event.time.end is None else seconds_from_utc(event.time.end)
    return _Spanned(event, seconds_from_utc(event.time.start or ""), end)


def _met(events: Sequence[_Spanned], others: Sequence[_Spanned]) -> list[bool]:
    """Of each event whether another one of its kind shares time with it."""
    starts, ends = np.array([one.start for one in others]), np.array([one.end for one in others])
    kinds = np.array([one.event.kind for one in others])
    return [
        bool(((starts <= one.end) & (ends >= one.start) & (kinds == one.event.kind)).any()) if others else False
        for one in events
    ]


def _without_rests(now: Sequence[_Spanned], known: Sequence[_Spanned], unknown: Sequence[_Spanned]) -> list[_Spanned]:
    """The events of now without those that are but what could be seen of unknown ones."""
    both = zip(now, _met(now, known), _met(now, unknown), strict=True)
    return [one for one, is_of_known, is_of_unknown in both if is_of_known or not is_of_unknown]


def _is_seen(one: _Spanned, before: Sequence[Segment], after: Sequence[Segment]) -> bool:
    span = (one.start, one.end)
    return scored_within(after, span) >= LEAST_SHARE * scored_within(before, span)


def _judged(one: _Spanned, fate: Fate) -> Judged:
    time, score = one.event.time, one.event.score
    return Judged(
        fate=fate, kind=one.event.kind or "",
        start=time.start or "", peak=time.peak or "", end=time.end,
        seconds=None if time.end is None else round(one.end - one.start, 3),
        score_peak=0.0 if score is None else score.peak,
        threshold_on=0.0 if score is None else score.threshold_on,
        bbox=one.event.bbox or (0.0, 0.0, 1.0, 1.0), zones=tuple(zone.id for zone in one.event.zones),
    )  # fmt: skip
