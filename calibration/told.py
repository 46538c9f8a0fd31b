"""What limits are worth, in sentences for a person."""

from __future__ import annotations

from edge.calibrated import Limits
from edge.promise import told_promise


def told_limits(limits: Limits) -> str:
    """Return what the limits are worth, in sentences for a person."""
    told = (
        f"normal footage: {limits.footage_seconds:.0f} s scored ({limits.frames} frames), "
        f"highest level {limits.highest_level:.2f}\n"
        f"limit: {limits.on:.2f} (an event ends below {limits.off:.2f})"
    )
    if limits.promise is None:
        return f"{told}\nno promise of a rate: the limit is what this footage stayed below, plus its uncertainty"
    return f"{told}\n{told_promise(limits.promise, limits.is_promise)}"
