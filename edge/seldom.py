"""What repeats, told in the log once a minute at most, with its count."""

from __future__ import annotations

import threading
import time

REPORT_SECONDS = 60.0


class Seldom:
    """Counts what repeats, for any thread."""

    def __init__(self) -> None:
        self._lock, self._count, self._told = threading.Lock(), 0, -REPORT_SECONDS

    def count(self) -> int | None:
        """Count one more; return how many there were since they were last to be told, None while it is too early."""
        with self._lock:
            self._count += 1
            if time.monotonic() - self._told < REPORT_SECONDS:
                return None
            count, self._count, self._told = self._count, 0, time.monotonic()
            return count
