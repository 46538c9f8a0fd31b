"""Pacing: which frames of a source stand nearest to the regular grid that the network was trained on."""

from __future__ import annotations

# A frame this much of a period early is the grid's own frame with jitter, not one too many.
EARLY_PERIODS = 0.25
# From this many periods on, frames are missing between two that were kept (design.md: «over 1.5 frames»).
GAP_PERIODS = 1.5
# A frame is kept early where the next one would come later than this: a margin for jitter below the gap.
LATEST_PERIODS = 1.4
# What one interval of the source weighs in the estimate of its own period.
_SOURCE_SHARE = 0.1


class Pacer:
    """Says of each timestamp whether its frame is kept, so that kept frames come at `rate_hz` or slower.

    A camera between the network's rate and two fifths above it keeps all its frames: to leave one out would
    make a gap, at every second to fifth frame.
    """

    def __init__(self, rate_hz: float) -> None:
        self.period_seconds = 1.0 / rate_hz
        self._due_seconds: float | None = None
        self._kept_seconds = 0.0
        self._last_seconds: float | None = None
        self._source_period: float | None = None

    def keeps(self, seconds: float) -> bool:
        """Return True for the first frame, and then for the frame nearest to each point of the grid."""
        self._learn_source(seconds)
        due = self._due_seconds
        if due is None or seconds < due - 2 * self.period_seconds:  # the first frame, or the clock went back
            return self._kept(seconds, seconds)
        if seconds < due - EARLY_PERIODS * self.period_seconds and not self._is_last_chance(seconds):
            return False
        return self._kept(seconds, max(due, seconds - 0.5 * self.period_seconds))

    def _kept(self, seconds: float, grid_seconds: float) -> bool:
        self._kept_seconds = seconds
        self._due_seconds = min(grid_seconds, seconds + 0.5 * self.period_seconds) + self.period_seconds
        return True

    def _is_last_chance(self, seconds: float) -> bool:
        """Return whether the source's next frame would come so late that frames seem to be missing."""
        if self._source_period is None or self._source_period < 0.5 * self.period_seconds:
            return False
        late = seconds + self._source_period - self._kept_seconds
        return late > LATEST_PERIODS * self.period_seconds and seconds > self._kept_seconds

    def _learn_source(self, seconds: float) -> None:
        step = None if self._last_seconds is None else seconds - self._last_seconds
        self._last_seconds = seconds
        if step is None or not 0.0 < step < GAP_PERIODS * self.period_seconds:
            return
        before = self._source_period
        self._source_period = step if before is None else before + _SOURCE_SHARE * (step - before)


def is_gap(step_seconds: float, rate_hz: float) -> bool:
    """Return True where frames are missing between two frames that were kept, or time went back."""
    return step_seconds <= 0.0 or step_seconds * rate_hz > GAP_PERIODS
