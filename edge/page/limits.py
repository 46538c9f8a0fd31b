"""A camera's limit on the page: what it is, and within which bounds it may be set."""

from __future__ import annotations

import math
from typing import Any

from edge.page.serving import Serving
from edge.promise import told_promise


def told_limit(serving: Serving, camera: str) -> dict[str, Any]:
    """Return the limit of surprises in force, the calibration's own, its promise, and the bounds that commands keep."""
    limits, switch = serving.device.models[camera].calibration.limits, serving.switches.of(camera)
    low, high = serving.switches.bounds(camera)
    own = serving.switches.own(camera).on
    promise = None if limits.promise is None else told_promise(limits.promise, limits.is_promise)
    return {
        "on": own if switch.limit_on is None else switch.limit_on,
        "own": own,
        "is_set": switch.limit_on is not None,
        "low": low,
        "high": high,
        "promise": promise,
    }


def limit_of_text(text: str, bounds: tuple[float, float]) -> float | None:
    """Return the level that a text says; None where it is no number within the bounds."""
    try:
        level = float(text) if len(text) <= 32 else math.nan
    except ValueError:
        return None
    return level if bounds[0] <= level <= bounds[1] else None
