"""A camera's timestamps laid on our monotonic clock, so that bursts of the network keep their spacing."""

from __future__ import annotations

from collections.abc import Callable

# A camera's clock may drift against ours; beyond this it has jumped, and is laid on ours anew.
MAX_CLOCK_DRIFT_SECONDS = 1.0


class LiveClock:
    """Remembers how far a camera's clock stands from ours."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._offset: float | None = None

    def seconds_from_media(self, media_seconds: float) -> float:
        """Return the time of capture on our clock; laid anew after a jump."""
        now = self._clock()
        if self._offset is None or abs(media_seconds + self._offset - now) > MAX_CLOCK_DRIFT_SECONDS:
            self._offset = now - media_seconds
        return media_seconds + self._offset
