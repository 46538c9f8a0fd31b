"""How well each camera is watched: frame rate, age, time from frame to score."""

from __future__ import annotations

from collections.abc import Iterable

from edge.capture import CameraStatus
from edge.drift import Monitor
from edge.messages import CameraHealth
from edge.switches import Held


class CameraGauges:
    """What health tells of each camera; `now` and `started_seconds` are of one monotonic clock."""

    def __init__(self, cameras: Iterable[str], started_seconds: float) -> None:
        self._rates = dict.fromkeys(cameras, (started_seconds, 0))
        self._latency_ms: dict[str, float] = {}

    def took(self, camera: str, latency_ms: float) -> None:
        """Note how long a frame took from its capture to its score."""
        self._latency_ms[camera] = latency_ms

    def read(
        self, camera: str, status: CameraStatus, profile: str, held: Held | None, drift: Monitor | None, now: float
    ) -> CameraHealth:
        """Return a camera's health; its frame rate is that since the last reading."""
        since, before = self._rates[camera]
        self._rates[camera] = (now, status.frames)
        latency_ms = self._latency_ms.get(camera)
        return CameraHealth(
            fps=round((status.frames - before) / max(now - since, 1e-3), 2),
            latency_ms=None if latency_ms is None else round(latency_ms, 1),
            last_frame_age_seconds=None if status.frame_seconds is None else round(now - status.frame_seconds, 2),
            capture=status.backend,
            profile=(profile or None) if held is None else None,
            held_back=None if held is None else held.reason,
            drift=None if drift is None or drift.distance is None else round(drift.distance, 3),
        )
