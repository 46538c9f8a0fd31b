"""Events against labels: what the daemon's own decisions find, how late, and at what cost in false events."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.detection import Detector, Limit, Reading, Rules, decide, limit_from_on
from edge.truth import EARLY_SECONDS, LATE_SECONDS

# Limits that a sweep tries, spread over the levels that occur.
SWEEP_LIMITS = 80


@dataclass(frozen=True)
class Stretch:
    """One labelled stretch of anomalous frames, in seconds of its clip, end exclusive."""

    start_seconds: float
    end_seconds: float


@dataclass(frozen=True)
class WatchedClip:
    """One clip as the river saw it: `readings` of its scored frames, and what its labels say is anomalous.

    `normal_seconds` counts the frames that are labelled normal.
    """

    readings: tuple[Reading, ...]
    stretches: tuple[Stretch, ...]
    normal_seconds: float


@dataclass(frozen=True)
class EventScore:
    """What one limit does: delays in seconds from a stretch's first frame to the announcement of its event."""

    limit: float
    stretches: int
    delays: tuple[float, ...]
    false_events: int
    normal_seconds: float

    @property
    def recall(self) -> float | None:
        """The share of stretches that were found; None where there are none."""
        return len(self.delays) / self.stretches if self.stretches else None

    @property
    def false_per_hour(self) -> float | None:
        """False events an hour of normal footage; None where the labels leave no normal frame."""
        return 3600.0 * self.false_events / self.normal_seconds if self.normal_seconds else None

    @property
    def median_delay_seconds(self) -> float | None:
        """The delay of the middle one of the stretches found."""
        return float(np.median(self.delays)) if self.delays else None


def stretches_from_labels(labels: NDArray[np.uint8], seconds: NDArray[np.float64]) -> tuple[Stretch, ...]:
    """Return the runs of anomalous frames in labels uint8 [T]; `seconds` [T] are the times of the frames."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], labels > 0, [0]]).astype(np.int8)))
    ends = np.append(seconds[1:], seconds[-1] + (seconds[-1] - seconds[0]) / max(len(seconds) - 1, 1))
    return tuple(Stretch(float(seconds[start]), float(ends[end - 1])) for start, end in edges.reshape(-1, 2))


def score_events(clips: Sequence[WatchedClip], limit: Limit, rules: Rules) -> EventScore:
    """Return what the daemon's `decide` makes of all clips at one limit."""
    delays: list[float] = []
    false = 0
    for clip in clips:
        events = list(_events(clip.readings, limit, rules))
        found = [min(late) for one in clip.stretches if (late := _delays(one, events))]
        delays += [max(delay, 0.0) for delay in found]
        false += sum(not any(_is_of(start, one) for one in clip.stretches) for start, _ in events)
    stretches, normal = sum(len(clip.stretches) for clip in clips), sum(clip.normal_seconds for clip in clips)
    return EventScore(limit.on, stretches, tuple(delays), false, normal)


def sweep_limits(clips: Sequence[WatchedClip], middle: float, rules: Rules) -> list[EventScore]:
    """Return the score of each of many limits, lowest first; `middle` is the level of normal work (see `limits`)."""
    levels = np.array([reading.level for clip in clips for reading in clip.readings])
    levels = levels[levels > middle]
    if not levels.size:
        return []
    limits = np.unique(np.append(np.quantile(levels, np.linspace(0.0, 1.0, SWEEP_LIMITS)), middle))
    return [score_events(clips, limit_from_on(on, middle), rules) for on in limits.tolist()]


def recall_at(scores: Iterable[EventScore], most_false_per_hour: float) -> EventScore | None:
    """Return the score that finds most at no more than so many false events an hour; of equals the quickest."""
    allowed = [one for one in scores if (one.false_per_hour or 0.0) <= most_false_per_hour]
    return max(allowed, key=lambda one: (len(one.delays), -sum(one.delays)), default=None)


def _events(readings: Iterable[Reading], limit: Limit, rules: Rules) -> Iterable[tuple[float, float]]:
    """Yield (start, announced) in seconds of each event."""
    detector = Detector()
    for reading in readings:
        detector, detection = decide(detector, reading, limit, rules)
        if detection is not None and detection.type == "new":
            yield detection.episode.start_seconds, reading.seconds


def _is_of(start_seconds: float, stretch: Stretch) -> bool:
    """As `edge.truth`: an event is of what it begins in; one that merely lasts into it has found nothing."""
    return stretch.start_seconds - EARLY_SECONDS <= start_seconds <= stretch.end_seconds + LATE_SECONDS


def _delays(stretch: Stretch, events: Iterable[tuple[float, float]]) -> list[float]:
    return [announced - stretch.start_seconds for start, announced in events if _is_of(start, stretch)]
