"""What the last day would have told under another limit: the program of the process that tries limits.

It reads a question a line, and answers each with a line; it imports no more than that takes.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import msgspec

from edge.coverage import DAY_SECONDS, HOUR_SECONDS
from edge.errors import UsageError
from edge.ring import ring_of
from edge.what_if import Change, preview
from edge.what_if_told import headline

NICENESS = 5
# From this much that was scored on, a number of events is told as one of a day.
LEAST_SECONDS = HOUR_SECONDS


class Question(msgspec.Struct, frozen=True):
    """A camera, the level that is tried as its limit, and the end of the day that is meant, Unix time."""

    state_directory: str
    camera: str
    on: float
    until: float


def tried_limit(question: Question) -> dict[str, Any]:
    """Return what the day would have told under the limit, as `replay --what-if` counts it.

    `per_day` is None where too little was scored to speak of a day, `found` where no scores are kept at all.
    """
    on, until = question.on, question.until
    try:
        ring = ring_of(Path(question.state_directory))
    except UsageError:
        return {"on": on, "found": None, "per_day": None}
    found = preview(ring, question.camera, until - DAY_SECONDS, until, Change(on))
    scored = found.covered.scored_seconds
    return {
        "on": on,
        "found": {name: getattr(found, name) for name in ("before", "after", "stay", "come", "vanish")},
        "headline": headline(found),
        "scored_seconds": scored,
        "per_day": None if scored < LEAST_SECONDS else round(found.after * DAY_SECONDS / scored, 2),
    }


def main() -> None:
    """Answer until there are no more questions; Ctrl-C at the daemon's terminal is the daemon's."""
    os.nice(NICENESS)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for line in sys.stdin.buffer:
        answer = tried_limit(msgspec.json.decode(line, type=Question))
        sys.stdout.buffer.write(msgspec.json.encode(answer) + b"\n")
        sys.stdout.buffer.flush()
