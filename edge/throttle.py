"""Too slow for the frame rate, or too hot: when the device goes down to its slower rate, and when it tries again.

Frames that nobody has time for are counted where they are dropped; they are never left out in silence.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import NamedTuple

from edge.capture import CameraStatus
from edge.hardware import is_throttled

log = logging.getLogger(__name__)

LOOK_SECONDS, WINDOW_LOOKS = 5.0, 6
# So much of what the cameras bring may be lost before the machine is too slow; a busy moment loses a frame or two.
MOST_DROPPED = 0.1
# The full rate is tried again after so long; where it fails within a first rest, twice as long is waited, and so on.
FIRST_REST_SECONDS, LONGEST_REST_SECONDS = 600.0, 4 * 3600.0


class _Look(NamedTuple):
    """What was seen at one moment: frames brought and dropped since the start, and whether the machine is throttled."""

    frames: int
    dropped: int
    is_hot: bool


class Throttle:
    """Which rate the device watches at, over its restarts; asked by the river. `is_slow` is what it is to be.

    `is_told` says whether the fault is there: while it is slow, and where there is nothing slower to go to.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        is_hot: Callable[[], bool | None] = is_throttled,
        look_seconds: float = LOOK_SECONDS,
        first_rest_seconds: float = FIRST_REST_SECONDS,
    ) -> None:
        self._clock, self._is_hot, self._look_seconds = clock, is_hot, look_seconds
        self._first_rest = self._rest = first_rest_seconds
        self._looks: deque[_Look] = deque(maxlen=WINDOW_LOOKS + 1)
        self._changed_at = self._cool_since = self._due = clock()
        self._tried_at = float("-inf")
        self.is_slow = self._is_overloaded = False

    @property
    def is_told(self) -> bool:
        """Whether the device does less than it is asked for."""
        return self.is_slow or self._is_overloaded

    def begin(self) -> None:
        """Begin to count anew: another river has begun, whose counts start at nothing."""
        self._looks.clear()
        self._is_overloaded = False
        self._due = self._clock() + self._look_seconds

    def changes(self, statuses: Mapping[str, CameraStatus], *, has_slower: bool) -> bool:
        """Return whether the rate is to be another from now on. Call it often; it is cheap."""
        now = self._clock()
        if now < self._due:
            return False
        self._due = now + self._look_seconds
        self._look(statuses, now)
        if self.is_slow and (not has_slower or min(now - self._changed_at, now - self._cool_since) >= self._rest):
            self._tried_at = now
            return self._go(now, is_slow=False)
        if self.is_slow or not self._is_overloaded or not has_slower:
            return False
        has_failed = now - self._tried_at < self._first_rest
        self._rest = min(2.0 * self._rest, LONGEST_REST_SECONDS) if has_failed else self._first_rest
        return self._go(now, is_slow=True)

    def refuse(self) -> None:
        """Take the last change back: the device cannot be read at that rate."""
        self.is_slow = not self.is_slow

    def _go(self, now: float, *, is_slow: bool) -> bool:
        log.warning("rate_changed slow=%s hot=%s dropped=%.0f%%", is_slow, self._looks[-1].is_hot, 100 * self._dropped)
        self.is_slow, self._changed_at = is_slow, now
        return True

    def _look(self, statuses: Mapping[str, CameraStatus], now: float) -> None:
        frames, dropped = (sum(getattr(one, of) for one in statuses.values()) for of in ("frames", "dropped"))
        self._looks.append(_Look(frames, dropped, bool(self._is_hot())))
        if self._looks[-1].is_hot:
            self._cool_since = now
        is_whole = len(self._looks) > WINDOW_LOOKS
        is_hot = all(look.is_hot for look in self._looks)
        self._is_overloaded = is_whole and (is_hot or self._dropped > MOST_DROPPED)

    @property
    def _dropped(self) -> float:
        """The share of the window's frames that nobody had time for."""
        first, last = self._looks[0], self._looks[-1]
        return (last.dropped - first.dropped) / max(last.frames - first.frames, 1)
