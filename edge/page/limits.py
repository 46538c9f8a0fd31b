"""A camera's limit on the page: what it is, within which bounds it may be set, and what another would have told."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from edge.coverage import DAY_SECONDS, HOUR_SECONDS
from edge.errors import UsageError
from edge.page.serving import Serving
from edge.promise import told_promise
from edge.ring import ring_of
from edge.what_if import Change, preview
from edge.what_if_told import headline

# From this much that was scored on, a number of events is told as one of a day.
LEAST_SECONDS = HOUR_SECONDS


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


def tried_limit(state_directory: Path, camera: str, on: float, until: float) -> dict[str, Any]:
    """Return what the day before `until`, Unix time, would have told under a limit, as `replay --what-if` counts it.

    `per_day` is None where too little was scored to speak of a day, `found` where no scores are kept at all.
    """
    try:
        ring = ring_of(state_directory)
    except UsageError:
        return {"on": on, "found": None, "per_day": None}
    found = preview(ring, camera, until - DAY_SECONDS, until, Change(on))
    scored = found.covered.scored_seconds
    return {
        "on": on,
        "found": {name: getattr(found, name) for name in ("before", "after", "stay", "come", "vanish")},
        "headline": headline(found),
        "scored_seconds": scored,
        "per_day": None if scored < LEAST_SECONDS else round(found.after * DAY_SECONDS / scored, 2),
    }


def limit_of_text(text: str, bounds: tuple[float, float]) -> float | None:
    """Return the level that a text says; None where it is no number within the bounds."""
    try:
        level = float(text) if len(text) <= 32 else math.nan
    except ValueError:
        return None
    return level if bounds[0] <= level <= bounds[1] else None
