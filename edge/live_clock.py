"""A camera's timestamps laid on our monotonic clock, so that bursts of the network keep their spacing."""

from __future__ import annotations

from collections.abc import Callable

# Further off than this a camera's clock has jumped, and is laid on ours anew.
MAX_CLOCK_DRIFT_SECONDS = 1.0
# Each frame takes away so much of the distance to its arrival: a clock that drifts is followed, and a first frame that
# was late is made good within a minute, while a burst of the network moves the spacing by a millisecond or two.
_FOLLOWED_SHARE = 0.002


class LiveClock:
    """Remembers how far a camera's clock stands from ours."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._offset: float | None = None

    def seconds_from_media(self, media_seconds: float) -> float:
        """Return the time of capture on our clock, which is followed slowly; laid anew after a jump."""
        arrived = self._clock() - media_seconds
        if self._offset is None or abs(self._offset - arrived) > MAX_CLOCK_DRIFT_SECONDS:
            self._offset = arrived
        self._offset += _FOLLOWED_SHARE * (arrived - self._offset)
        return media_seconds + self._offset
