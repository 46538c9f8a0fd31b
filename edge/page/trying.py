"""What the last day would have told under another limit. It runs in a process of its own, which imports this alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edge.coverage import DAY_SECONDS, HOUR_SECONDS
from edge.errors import UsageError
from edge.ring import ring_of
from edge.what_if import Change, preview
from edge.what_if_told import headline

# From this much that was scored on, a number of events is told as one of a day.
LEAST_SECONDS = HOUR_SECONDS


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
