"""The network that the package brings, and the rules with which the demo and a first configuration ask it."""

from __future__ import annotations

from pathlib import Path

BUNDLE = Path(__file__).with_name("data") / "demo.prednet"
# Two false events an hour at the most: the promise of one an hour, which its footage supports too, misses more.
FALSE_EVENTS_PER_DAY = 48.0
# Its limits are fitted for this hold: an accident is told the sooner, and what normal work shows for a moment counts.
HOLD_SECONDS = 0.5
