"""How high the events of normal footage reach: counted by the device's own `decide`, at any limit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.detection import Detector, Limit, Reading, Rules, decide, limit_from_on

Values = NDArray[np.float64]
# (seconds [T], level [T]) of a stretch that was watched without a break.
Run = tuple[Values, Values]

NOWHERE = (0.0, 0.0, 1.0, 1.0)
# From one limit that is tried to the next lower one, so many times more frames lie above it.
FRAMES_RATIO = 1.25
# How finely the heights of events are told apart, between the threshold and the highest of them.
HEIGHT_STEPS = 40


@dataclass(frozen=True)
class Heights:
    """Events that `decide` makes above `threshold`: how far each reaches above it, and when each was announced.

    `above` [n] is ascending: an event reaches as far as a limit can be raised and still announce it, told apart in
    steps of `step`, of which it is the middle. `hours` [n] counts watched time from the beginning of the
    footage, of which there are `watched_hours`.
    """

    threshold: float
    above: Values
    hours: Values
    watched_hours: float
    step: float = 0.0


def middle_of(runs: Sequence[Run]) -> float:
    """Return the level of normal work: the median."""
    return float(np.median(np.concatenate([levels for _, levels in runs])))


def watched_seconds(runs: Sequence[Run], rules: Rules) -> float:
    """Return how long an event could have been announced: no run can have one before its first hold has passed."""
    return sum(max(float(seconds[-1] - seconds[0]) - rules.hold_seconds, 0.0) for seconds, _ in runs if len(seconds))


def announcements(run: Run, limit: Limit, rules: Rules) -> list[float]:
    """Return the seconds at which `decide` announces an event. Frames that it does nothing at are passed over."""
    seconds, levels = run
    told: list[float] = []
    detector = Detector()
    above = np.flatnonzero(levels > limit.on)
    index = 0
    while (place := int(np.searchsorted(above, index))) < len(above):
        index = int(above[place])
        while index < len(levels):
            reading = Reading(float(seconds[index]), float(levels[index]), 0.0, NOWHERE)
            detector, detection = decide(detector, reading, limit, rules)
            index += 1
            if detection is not None and detection.type == "new":
                told.append(reading.seconds)
            if detector.episode is None:
                break
    return told


def count_events(runs: Sequence[Run], limit: Limit, rules: Rules) -> int:
    """Return how many events `decide` announces at one limit."""
    return sum(len(announcements(run, limit, rules)) for run in runs)


def event_heights(runs: Sequence[Run], rules: Rules, wanted: int) -> Heights | None:
    """Return the heights of the highest events, so many or a few more; None where no limit announces as many.

    The threshold is the highest limit tried that announces them. What reaches a limit above it is what `decide`
    announces there, so that hold, release and refractory time are in every count.
    """
    middle = middle_of(runs)
    found = _threshold(runs, middle, rules, wanted)
    if found is None:
        return None
    threshold, top = found
    limits = np.linspace(threshold, top, HEIGHT_STEPS + 1)
    counts = np.array([count_events(runs, limit_from_on(float(on), middle), rules) for on in limits[:-1]] + [0])
    reached = np.maximum.accumulate(counts[::-1])[::-1]  # what splits into two events at a higher limit is two
    above = np.repeat(0.5 * (limits[:-1] + limits[1:]) - threshold, reached[:-1] - reached[1:])
    hours, begun = [], 0.0
    for run in runs:
        told = announcements(run, limit_from_on(threshold, middle), rules)
        hours += [(begun + at - float(run[0][0]) - rules.hold_seconds) / 3600.0 for at in told]
        begun += watched_seconds([run], rules)
    return Heights(threshold, above, np.array(hours), begun / 3600.0, (top - threshold) / HEIGHT_STEPS)


def _threshold(runs: Sequence[Run], middle: float, rules: Rules, wanted: int) -> tuple[float, float] | None:
    """Return (threshold, a limit above it that announces nothing)."""
    levels = np.sort(np.concatenate([levels for _, levels in runs]))
    top, frames = float(levels[-1]), 1.0
    while frames < len(levels) and (on := float(levels[-1 - int(frames)])) > middle:
        count = count_events(runs, limit_from_on(on, middle), rules)
        if count >= wanted:
            return on, top
        if not count:
            top = on
        frames = max(frames * FRAMES_RATIO, frames + 1.0)
    return None
