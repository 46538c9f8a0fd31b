"""What is asked of limits: so many false events a day at the most, events that hold so long; and its options."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field, replace

from edge.detection import Rules
from edge.options import number_of

MOST_PER_DAY = 10_000.0
MOST_HOLD_SECONDS = 60.0


@dataclass(frozen=True)
class Asked:
    """At most so many false events a day, over all limits of the camera, where events are decided by such rules."""

    false_events_per_day: float = 1.0
    rules: Rules = field(default_factory=Rules)


def add_asked(parser: argparse.ArgumentParser, otherwise: str = "") -> None:
    """Add `--false-per-day` and `--hold`; `otherwise` says where else the hold may stand."""
    parser.add_argument(
        "--false-per-day",
        type=number_of("events a day", MOST_PER_DAY, "1 or 0.5"),
        default=1.0,
        metavar="EVENTS",
        help="so many false events a day at most, over all limits of the camera (default: 1); "
        "what the footage is too short to promise is said",
    )
    parser.add_argument(
        "--hold",
        type=number_of("seconds", MOST_HOLD_SECONDS, "1.5 or 0.5"),
        metavar="SECONDS",
        help="how long a level must stay above its limit before it is an event "
        f"(default: {Rules.hold_seconds:g}{otherwise}); a device that holds shorter has no promise",
    )


def asked_from(parsed: argparse.Namespace, rules: Rules | None = None) -> Asked:
    """Return what a command line asks for; `rules` are those of the device, where they are known."""
    rules = rules or Rules()
    return Asked(parsed.false_per_day, rules if parsed.hold is None else replace(rules, hold_seconds=parsed.hold))
