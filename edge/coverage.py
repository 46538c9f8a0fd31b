"""Coverage: the seconds that a camera was watched, warming up, degraded or blind; silence is worth no more."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import InitVar, dataclass, field

from edge.messages import Coverage, CoverageSpan

HOUR_SECONDS = 3600.0
DAY_SECONDS = 86400.0
# Time is summed in steps of this length: a day is 1,440 of them.
STEP_SECONDS = 60.0
FIELDS = {
    "watching": "watched_seconds",
    "warming_up": "warming_seconds",
    "degraded": "degraded_seconds",
    "blind": "blind_seconds",
    "rebuilding": "blind_seconds",
    "disabled": "disabled_seconds",
}


@dataclass(frozen=True)
class Step:
    """Seconds by column of `CoverageSpan`, between two moments of a monotonic clock."""

    begin: float
    end: float
    seconds: Mapping[str, float]


@dataclass
class CoverageMeter:
    """Sums a camera's time by state on a monotonic clock; `earlier` are steps from before this start."""

    clock: Callable[[], float]
    state: str = "blind"
    earlier: InitVar[Iterable[Step]] = ()
    _since: float = field(init=False)
    _steps: deque[Step] = field(init=False)
    _untaken: dict[str, float] = field(default_factory=dict)

    def __post_init__(self, earlier: Iterable[Step]) -> None:
        self._since = self.clock()
        self._steps = deque(earlier)

    def enter(self, state: str) -> None:
        """Count the time until now to the state that was, from now on to `state`."""
        now = self.clock()
        self._add(now, now - self._since)
        self.state, self._since = state, now

    def coverage(self) -> Coverage:
        """Return the sums of the last hour and the last day."""
        self.enter(self.state)
        return Coverage(hour=self._span(HOUR_SECONDS), day=self._span(DAY_SECONDS))

    def take(self) -> dict[str, float]:
        """Return the seconds by column since the last call."""
        self.enter(self.state)
        taken, self._untaken = self._untaken, {}
        return taken

    def _add(self, now: float, seconds: float) -> None:
        column = FIELDS[self.state]
        self._untaken[column] = self._untaken.get(column, 0.0) + seconds
        last = self._steps[-1] if self._steps else None
        if last is None or now - last.begin > STEP_SECONDS or last.end > now - seconds + 1e-6:
            self._steps.append(Step(now - seconds, now, {column: seconds}))
        else:
            sums = {**last.seconds, column: last.seconds.get(column, 0.0) + seconds}
            self._steps[-1] = Step(last.begin, now, sums)
        while self._steps[0].end < now - DAY_SECONDS:
            self._steps.popleft()

    def _span(self, length_seconds: float) -> CoverageSpan:
        begin = self._since - length_seconds
        sums = dict.fromkeys(FIELDS.values(), 0.0)
        for step in self._steps:
            share = min(1.0, (step.end - begin) / max(step.end - step.begin, 1e-9))
            for column, seconds in step.seconds.items():
                sums[column] += seconds * max(share, 0.0)
        return CoverageSpan(**{name: round(seconds, 1) for name, seconds in sums.items()})
