"""Whether memory grows for good: the slope over hours and over days, and the numbers that help to find why."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from edge.hardware import memory_bytes

log = logging.getLogger(__name__)

# Until then libraries load, buffers fill, and the past of every camera and event is gathered.
WARM_SECONDS = 3600.0
LOOK_SECONDS = 30.0
BYTES_A_DAY = 1e6
# One in a thousand, one-sided: each window is asked once a block.
_QUANTILE = 3.09


@dataclass
class Trend:
    """The least memory of each block of seconds; a quarter of the blocks must be there before it says anything.

    `least_slope` is in bytes a day: what grows more slowly than that cannot be told within so short a time.
    """

    block_seconds: float
    most_blocks: int
    least_slope: float
    blocks: deque[tuple[float, float]] = field(init=False)

    def __post_init__(self) -> None:
        self.blocks = deque(maxlen=self.most_blocks)

    def add(self, now: float, size: float) -> bool:
        """Take a reading in; return whether it begins a block, so that the one before is whole."""
        start = now - now % self.block_seconds
        if self.blocks and self.blocks[-1][0] == start:
            self.blocks[-1] = (start, min(size, self.blocks[-1][1]))
            return False
        self.blocks.append((start, size))
        return True

    @property
    def is_growing(self) -> bool:
        """Whether memory surely grows by more than the least slope."""
        whole = list(self.blocks)[:-1]
        return len(whole) >= self.most_blocks // 4 and 86400.0 * sure_slope(whole) > self.least_slope


# Fast growth within hours, and the megabyte a day within days.
def usual_trends() -> tuple[Trend, ...]:
    """Return the windows that memory is watched in: six hours, and a week."""
    return (Trend(300.0, 72, 24 * BYTES_A_DAY), Trend(7200.0, 84, BYTES_A_DAY))


def sure_slope(readings: list[tuple[float, float]]) -> float:
    """Return the lower end of the slope a second of (seconds, value): that of the median of all pairs' slopes.

    Sen 1968: the pairs are ranked, and the end's rank follows from Kendall's S. One step up is no slope.
    """
    times, values = np.array(readings, float).T
    first, last = np.triu_indices(len(times), 1)
    slopes = np.sort((values[last] - values[first]) / (times[last] - times[first]))
    count = len(times)
    spread = _QUANTILE * np.sqrt(count * (count - 1) * (2 * count + 5) / 18.0)
    rank = int((len(slopes) - spread) / 2.0)
    return float(slopes[rank]) if rank >= 0 else -np.inf


class MemoryWatch:
    """Asked at each round; cheap. `diagnose` is called with the readings when growth is found, once a start."""

    def __init__(
        self,
        diagnose: Callable[[list[tuple[float, float]]], object],
        clock: Callable[[], float] = time.monotonic,
        memory: Callable[[], int | None] = memory_bytes,
        trends: tuple[Trend, ...] | None = None,
    ) -> None:
        self._diagnose, self._clock, self._memory = diagnose, clock, memory
        self._trends = usual_trends() if trends is None else trends
        self._due = clock() + WARM_SECONDS
        self._has_diagnosed = self.is_growing = False

    def tick(self) -> None:
        """Look at the memory where it is time."""
        now = self._clock()
        size = self._memory() if now >= self._due else None
        if size is None:
            return
        self._due = now + LOOK_SECONDS
        begun = [trend.add(now, size) for trend in self._trends]
        if any(begun):
            growing = [trend for trend in self._trends if trend.is_growing]
            self.is_growing = bool(growing)
            if growing and not self._has_diagnosed:
                self._has_diagnosed = True
                log.error("memory_slope bytes=%d; memory grows for good", size)
                self._diagnose(list(growing[0].blocks))
