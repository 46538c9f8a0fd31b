"""What limits are worth, in sentences for a person; and the option that asks for it."""

from __future__ import annotations

import argparse

from edge.calibrated import Limits
from edge.promise import told_promise

MOST_PER_DAY = 10_000.0


def add_false_per_day(parser: argparse.ArgumentParser) -> None:
    """Add `--false-per-day`."""
    parser.add_argument(
        "--false-per-day",
        type=per_day_from_text,
        default=1.0,
        metavar="EVENTS",
        help="so many false events a day at most, over all limits of the camera (default: 1); "
        "what the footage is too short to promise is said",
    )


def per_day_from_text(text: str) -> float:
    """Return a number of events a day; raises argparse's error where it is none."""
    try:
        per_day = float(text)
    except ValueError:
        per_day = 0.0
    if not 0.0 < per_day <= MOST_PER_DAY:
        raise argparse.ArgumentTypeError(f"{text} is no number of events a day; give one above 0, such as 1 or 0.5")
    return per_day


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
