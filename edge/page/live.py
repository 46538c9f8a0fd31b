"""What the page shows live: states as MQTT says them, and the numbers that are new since the last question."""

from __future__ import annotations

from typing import Any

import msgspec

from edge.page.board import Point
from edge.page.listing import told_event
from edge.page.serving import Serving
from edge.topics import FAULTS, HEALTH, STATUS, camera_subtopic

# A camera whose last frame is older shows no picture any more, before the device calls it lost.
SILENT_SECONDS = 2.0
SILENT_PERIODS = 5.0
_EMPTY = b"null"


def live(serving: Serving, after: int) -> bytes:
    """Return as JSON all that is so now, and the points and events with a number above `after`."""
    until, states = serving.board.number, serving.states()
    device = serving.device
    told = {
        "boot": serving.boot_id,
        "number": until,
        "time": round(serving.wall_clock(), 3),
        "site": device.topics.site,
        "device": device.topics.device,
        "bundle": device.bundle.manifest.name,
        "status": states.get(STATUS, b"offline").decode(),
        "faults": msgspec.Raw(states.get(FAULTS, b"[]")),
        "health": msgspec.Raw(states.get(HEALTH, _EMPTY)),
        "cameras": {camera: _camera(serving, states, camera, after, until) for camera in device.models},
        "events": [told_event(serving, event) for event in serving.board.events(after, until)],
    }
    return msgspec.json.encode(told)


def _camera(serving: Serving, states: dict[str, bytes], camera: str, after: int, until: int) -> dict[str, Any]:
    model, offset = serving.device.models[camera], serving.wall_clock() - serving.monotonic()
    seen = serving.board.seen(camera)
    state = states.get(camera_subtopic(camera, "state"), b"blind").decode()
    silent = None if seen is None else round(serving.monotonic() - seen.seen_seconds, 1)
    longest = max(SILENT_SECONDS, SILENT_PERIODS / serving.device.bundle.spec.form.rate_hz)
    return {
        "state": state,
        "anomaly": states.get(camera_subtopic(camera, "anomaly")) == b"ON",
        "conditions": msgspec.Raw(states.get(camera_subtopic(camera, "condition"), b"[]")),
        "coverage": msgspec.Raw(states.get(camera_subtopic(camera, "coverage"), _EMPTY)),
        "zones": _open_zones(states, camera),
        "silent_seconds": silent,
        "is_silent": silent is None or silent > longest,
        "calibrated": model.is_calibrated,
        "profile": model.profile or None,
        "frame": 0 if seen is None else seen.number,
        "points": [_numbers(point, offset) for point in serving.board.points(camera, after, until)],
    }


def _open_zones(states: dict[str, bytes], camera: str) -> list[str]:
    prefix = camera_subtopic(camera, "zone/")
    opened = [name for name, value in states.items() if name.startswith(prefix) and value == b"ON"]
    return [name[len(prefix) :].split("/")[0] for name in opened]


def _numbers(point: Point, offset_seconds: float) -> tuple[float, float | None, float | None, float | None, int]:
    """Unix time, error in grey levels, level, limit, and 1 within an event."""
    return (
        round(point.seconds + offset_seconds, 2),
        None if point.error is None else round(point.error, 2),
        None if point.level is None else round(point.level, 3),
        None if point.limit is None else round(point.limit, 3),
        int(point.is_event),
    )
