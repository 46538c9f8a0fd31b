"""Power cuts at length: a daemon's changes of its disk, cut at random instants, and what the next start finds.

    python benchmarks/power_cuts.py [--cuts 500] [--messages 60] [--seed 1]

Needs strace. The daemon is traced until it has put so many messages on disk; for each cut a state of the disk is made
as hard as POSIX allows (docs/faults.md), and the outbox is opened on it. Printed: cuts, messages that had to be there,
and those that were not. Exits with 4 where one was missing or the outbox was taken for damaged.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import msgspec
from machine import measured_on
from tqdm import tqdm

from edge.errors import GATE_FAILED
from edge.messages import Event
from edge.outbox import Outbox
from tests.power_cuts import Cut, cuts, recorded


def main() -> int:
    """Record, cut, and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cuts", type=int, default=500)
    parser.add_argument("--messages", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parsed = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        recording = recorded(Path(name), parsed.messages)
        made = cuts(recording, Path(name) / "cuts", parsed.cuts, parsed.seed)
        found = [missing_of(cut) for cut in tqdm(made, total=parsed.cuts, unit="cut", disable=None)]
    missing, damaged = sum(lost for _, lost, _ in found), sum(is_damaged for *_, is_damaged in found)
    held = sum(held for held, *_ in found)
    print(f"{measured_on()}\n\n| changes of the disk | cuts | messages that had to be there | missing | damaged |")
    print(f"|---|---|---|---|---|\n| {len(recording.ops)} | {len(found)} | {held} | {missing} | {damaged} |")
    return GATE_FAILED if missing or damaged else 0


def missing_of(cut: Cut) -> tuple[int, int, bool]:
    """Return how many messages had to be there, how many were not, and whether the outbox was taken for damaged."""
    with Outbox(cut.folder / "outbox.sqlite", "plant7", "edge1", "next") as outbox:
        kept = [msgspec.json.decode(row.payload, type=Event) for row in outbox.pending(0, 10_000)]
        is_damaged = outbox.set_aside is not None
    held = {(event.boot_id, event.seq) for event in kept}
    for path in cut.folder.glob("outbox*"):
        path.unlink()
    return len(cut.puts), len({(one.boot_id, one.seq) for one in cut.puts} - held), is_damaged


if __name__ == "__main__":
    sys.exit(main())
