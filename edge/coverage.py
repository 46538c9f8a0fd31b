"""Coverage: the seconds that a camera was watched, warming up, degraded or blind; silence is worth no more."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from edge.messages import Coverage, CoverageSpan

HOUR_SECONDS = 3600.0
DAY_SECONDS = 86400.0
# Time is summed in steps of this length: a day is 1,440 of them.
STEP_SECONDS = 60.0
_FIELDS = {
    "watching": "watched_seconds",
    "warming_up": "warming_seconds",
    "degraded": "degraded_seconds",
    "blind": "blind_seconds",
}


@dataclass
class CoverageMeter:
    """Sums a camera's time by state on a monotonic clock."""

    clock: Callable[[], float]
    state: str = "blind"
    _since: float = field(init=False)
    _steps: deque[tuple[float, dict[str, float]]] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self._since = self.clock()

    def enter(self, state: str) -> None:
        """Count the time until now to the state that was, from now on to `state`."""
        now = self.clock()
        self._add(now, now - self._since)
        self.state, self._since = state, now

    def coverage(self) -> Coverage:
        """Return the sums of the last hour and the last day."""
        self.enter(self.state)
        return Coverage(hour=self._span(HOUR_SECONDS), day=self._span(DAY_SECONDS))

    def _add(self, now: float, seconds: float) -> None:
        if not self._steps or now - self._steps[-1][0] >= STEP_SECONDS:
            self._steps.append((now - seconds, {}))
        sums = self._steps[-1][1]
        sums[self.state] = sums.get(self.state, 0.0) + seconds
        while self._steps and self._steps[0][0] < now - DAY_SECONDS - STEP_SECONDS:
            self._steps.popleft()

    def _span(self, length_seconds: float) -> CoverageSpan:
        begin = self._since - length_seconds
        sums = dict.fromkeys(_FIELDS.values(), 0.0)
        for start, states in self._steps:
            if start >= begin - STEP_SECONDS / 2:
                for state, seconds in states.items():
                    sums[_FIELDS[state]] += seconds
        return CoverageSpan(**{name: round(seconds, 1) for name, seconds in sums.items()})
