"""Pacing: which frames of a source stand nearest to the regular grid that the network was trained on."""

from __future__ import annotations

# A frame this much of a period early is the grid's own frame with jitter, not one too many.
EARLY_PERIODS = 0.25
# From this many periods on, frames are missing between two that were kept (design.md: «over 1.5 frames»).
GAP_PERIODS = 1.5


class Pacer:
    """Says of each timestamp whether its frame is kept, so that kept frames come at `rate_hz` or slower."""

    def __init__(self, rate_hz: float) -> None:
        self.period_seconds = 1.0 / rate_hz
        self._due_seconds: float | None = None

    def keeps(self, seconds: float) -> bool:
        """Return True for the first frame, and then for the frame nearest to each point of the grid."""
        due = self._due_seconds
        if due is None or seconds < due - 2 * self.period_seconds:  # the first frame, or the clock went back
            self._due_seconds = seconds + self.period_seconds
            return True
        if seconds < due - EARLY_PERIODS * self.period_seconds:
            return False
        self._due_seconds = max(due, seconds - 0.5 * self.period_seconds) + self.period_seconds
        return True


def is_gap(step_seconds: float, rate_hz: float) -> bool:
    """Return True where frames are missing between two frames that were kept, or time went back."""
    return step_seconds <= 0.0 or step_seconds * rate_hz > GAP_PERIODS
