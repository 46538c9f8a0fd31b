"""What recorded scores cover of a stretch of time, in seconds, and what they do not, and why."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge.ring import ACTS, FIRST_LOSS, SCORED, SEGMENT_SECONDS, SILENCE_SECONDS, Segment
from edge.ring_events import is_apart

Stretch = tuple[float, float]
_UNRECORDED = "unrecorded_seconds"
_FIELDS = {"scored": "scored_seconds", "warming_up": "warming_seconds", "degraded": "degraded_seconds",
           "paused": "degraded_seconds", "disabled": "disabled_seconds"}  # fmt: skip
# The field that the time after a frame belongs to, by what became of it; the last one where nothing was recorded.
_NAMES = (*(_FIELDS.get(act, "blind_seconds") for act in ACTS), _UNRECORDED)


# The cap of a flood looks back for an hour; an event that began earlier still is told in neither count.
LEAD_SECONDS = 3600.0 + 2 * SEGMENT_SECONDS


class Covered(msgspec.Struct, frozen=True, kw_only=True):
    """The seconds of a stretch. Only of `scored_seconds` can an event be said to have come or not.

    `before_seconds` lie before the oldest score that is kept, `after_seconds` after the newest one (the daemon writes a
    minute when it is over), `unrecorded_seconds` between: the device was off, or had no room, or was too busy.
    `unfilmed_seconds` were scored and could not be scored again, for want of frames; None where none were needed.
    """

    asked_seconds: float
    scored_seconds: float = 0.0
    warming_seconds: float = 0.0
    degraded_seconds: float = 0.0
    blind_seconds: float = 0.0
    disabled_seconds: float = 0.0
    before_seconds: float = 0.0
    unrecorded_seconds: float = 0.0
    after_seconds: float = 0.0
    unfilmed_seconds: float | None = None


def covered(segments: Sequence[Segment], stretch: Stretch) -> Covered:
    """Return what a camera's segments, the oldest first, cover of a stretch of Unix time."""
    since, until = stretch
    if not segments:
        return Covered(asked_seconds=until - since, before_seconds=until - since)
    times = np.concatenate([one.wall_seconds for one in segments])
    fields = np.concatenate([one.rows["act"] for one in segments])
    ends = np.append(times[1:], times[-1])
    fields[_is_unrecorded(segments, fields, ends - times)] = len(ACTS)
    lengths = (np.minimum(ends, until) - np.maximum(times, since)).clip(min=0.0)
    sums = dict.fromkeys(_NAMES, 0.0)
    for name, seconds in zip(_NAMES, np.bincount(fields, lengths, len(_NAMES)).tolist(), strict=True):
        sums[name] += seconds
    sums["before_seconds"] = max(min(float(times[0]), until) - since, 0.0)
    sums["after_seconds"] = max(until - max(float(times[-1]), since), 0.0)
    return Covered(asked_seconds=until - since, **{name: round(seconds, 1) for name, seconds in sums.items()})


def _is_unrecorded(
    segments: Sequence[Segment], acts: NDArray[np.uint8], lengths: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Return after which rows nothing was recorded: frames were dropped, or the daemon was off, or had no room."""
    missed = np.concatenate([one.rows["missed"] for one in segments])
    unrecorded = np.append(missed[1:] > 0, False) | ((acts < FIRST_LOSS) & (lengths > SILENCE_SECONDS))
    lasts = np.cumsum([len(one.rows) for one in segments]) - 1
    for last, earlier, later in zip(lasts.tolist(), segments, segments[1:], strict=False):
        unrecorded[last] |= is_apart(earlier, later)
    return np.asarray(unrecorded, np.bool_)


def scored_within(segments: Sequence[Segment], stretch: Stretch) -> int:
    """Return how many frames were scored within a stretch of Unix time, both ends included."""
    first, last = stretch
    near = [one for one in segments if one.wall_seconds[0] <= last and one.wall_seconds[-1] >= first]
    return sum(
        int(((one.rows["act"] == SCORED) & (one.wall_seconds >= first) & (one.wall_seconds <= last)).sum())
        for one in near
    )


def unfilmed_seconds(segments: Sequence[Segment], again: Sequence[Segment], stretch: Stretch) -> float:
    """Return how many seconds were scored, and not again: their frames are gone, or what was tried had to warm up."""
    return max(round(covered(segments, stretch).scored_seconds - covered(again, stretch).scored_seconds, 1), 0.0)
