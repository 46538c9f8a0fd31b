"""What recording costs the river: the same frames with every camera within an event and recorded, and without.

  python benchmarks/evidence.py [--cameras 4] [--seconds 120]

A network of the default edge size (160×128, layers 1, 16, 32, 64) with weights of chance watches live test pictures at
10 frames a second in the daemon's own river. In turns of ten seconds every camera has an open event, which is encoded
and written by the recorder, or none, and nothing is laid into the recorder's queue. Timed is each round from its frames
to its last moment; and each call of `see` alone. Both halves run in one process, so they share whatever else runs.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

import numpy as np
from machine import measured_on
from turns import Costs, a_frame, is_on, milliseconds, row, turns

from edge.evidence_settings import Evidence
from edge.messages import Event, EventTime, new_event_id, utc_from_seconds
from edge.recorder import Recorder

TURN_SECONDS = 10.0


def event_of(camera: str, type_: str, event_id: str) -> Event:
    """Return a message of an event that begins now."""
    now = utc_from_seconds(time.time())
    return Event(
        type=type_, event_id=event_id, site="s", device="d", camera=camera, kind="surprise", severity="alert",
        time=EventTime(clock="synced", start=now, end=now if type_ == "end" else None),
        end_reason="stopped" if type_ == "end" else None,
    )  # fmt: skip


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cameras", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=120.0)
    parsed = parser.parse_args()
    print(measured_on())
    with tempfile.TemporaryDirectory() as folder:
        measure(parsed.cameras, parsed.seconds, Path(folder))


def measure(count: int, seconds: float, folder: Path) -> None:
    """Run the river in turns and tell its times."""
    recorder = Recorder(folder, Evidence(free_megabytes=0.0), {})
    costs = {True: Costs(), False: Costs()}
    calls: list[float] = []
    open_ids: dict[str, str] = {}
    for moment, since in turns(count, seconds, TURN_SECONDS, costs):
        is_recorded = is_on(since, TURN_SECONDS)
        if is_recorded:
            before = time.perf_counter()
            recorder.see(moment)
            calls.append(time.perf_counter() - before)
        is_open = is_recorded and since % TURN_SECONDS < TURN_SECONDS - 1.0
        tell(recorder, moment.camera, open_ids, is_open=is_open)
    recorder.close(20.0)
    report(count, costs, calls, recorder)


def tell(recorder: Recorder, camera: str, open_ids: dict[str, str], *, is_open: bool) -> None:
    """Open a camera's event at the begin of a turn, and have it written a second before the turn ends."""
    if is_open and camera not in open_ids:
        open_ids[camera] = new_event_id(time.time(), os.urandom(10))
        recorder.hear(event_of(camera, "new", open_ids[camera]))
    elif not is_open and camera in open_ids:
        ended = event_of(camera, "end", open_ids.pop(camera))
        recorder.hear(ended)


def report(count: int, costs: dict[bool, Costs], calls: list[float], recorder: Recorder) -> None:
    """Print what was measured."""
    told = [event.evidence.status for event in recorder.told() if event.evidence]
    print(f"{count} cameras; events recorded: {told.count('ready')} of {len(told)}; dropped: {recorder.drops}")
    print("\n| milliseconds | every camera recorded | none | ratio |\n|---|---|---|---|")
    for name, pair in (
        ("a round by the clock, median", milliseconds(costs, "rounds")),
        ("the same, 95 %", milliseconds(costs, "rounds", 95)),
        ("processor time of the river's thread a round, median", milliseconds(costs, "river")),
        ("processor time of all threads a frame", a_frame(costs, count)),
    ):
        print(row(name, pair))
    print(f"\nsee, microseconds: median {np.median(calls) * 1e6:.1f}, 99.9 % {np.percentile(calls, 99.9) * 1e6:.0f}")


if __name__ == "__main__":
    main()
