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
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from machine import ROOT, measured_on
from tqdm import tqdm

sys.path.insert(0, str(ROOT))

from calibration.fit import fit_calibration, observe
from edge.detection import Rules
from edge.evidence_settings import Evidence
from edge.frames import Frame
from edge.messages import Event, EventTime, new_event_id, utc_from_seconds
from edge.model import judge_from_calibration
from edge.moments import Round
from edge.pipeline import watch
from edge.recorder import Recorder
from tests.tiny import clip_from, normal_images, tiny_architecture, tiny_runner

RATE_HZ = 10.0
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
    architecture = tiny_architecture(height=128, width=160, stack=(1, 16, 32, 64), r_stack=(4, 16, 32, 64))
    images = normal_images(100, height=128, width=160)
    clips = [clip_from(images)]
    calibration = fit_calibration(clips, observe(clips, tiny_runner(architecture=architecture)), RATE_HZ)
    cameras = [f"cam{number}" for number in range(count)]
    judges = {camera: judge_from_calibration(calibration, Rules()) for camera in cameras}
    recorder = Recorder(folder, Evidence(free_megabytes=0.0), {})
    began = time.monotonic()
    taken = [began]
    rounds: dict[bool, list[float]] = {True: [], False: []}
    calls: list[float] = []
    river: dict[bool, list[float]] = {True: [], False: []}
    process: dict[bool, float] = {True: 0.0, False: 0.0}
    used, all_used = time.thread_time(), time.process_time()
    open_ids: dict[str, str] = {}

    def paced() -> Iterator[Round]:
        for number in tqdm(range(round(seconds * RATE_HZ)), unit="round", disable=None):
            due = began + number / RATE_HZ
            time.sleep(max(due - time.monotonic(), 0.0))
            taken[0] = time.monotonic()
            image = images[number % len(images)]
            yield Round({camera: Frame(image.copy(), due) for camera in cameras})

    for number, moment in enumerate(watch(paced(), tiny_runner(count, architecture), judges)):
        turn, into = divmod(moment.seconds - began, TURN_SECONDS)
        is_recorded = turn % 2 == 1
        if is_recorded:
            before = time.perf_counter()
            recorder.see(moment)
            calls.append(time.perf_counter() - before)
        tell(recorder, moment.camera, open_ids, is_open=is_recorded and into < TURN_SECONDS - 1.0)
        if number % count == count - 1 and moment.seconds - began > 2.0:
            rounds[is_recorded].append(time.monotonic() - taken[0])
            river[is_recorded].append(time.thread_time() - used)
            process[is_recorded] += time.process_time() - all_used
        if number % count == count - 1:
            used, all_used = time.thread_time(), time.process_time()
    recorder.close(20.0)
    report(count, rounds, calls, recorder, river, process)


def tell(recorder: Recorder, camera: str, open_ids: dict[str, str], *, is_open: bool) -> None:
    """Open a camera's event at the begin of a turn, and have it written a second before the turn ends."""
    if is_open and camera not in open_ids:
        open_ids[camera] = new_event_id(time.time(), os.urandom(10))
        recorder.hear(event_of(camera, "new", open_ids[camera]))
    elif not is_open and camera in open_ids:
        ended = event_of(camera, "end", open_ids.pop(camera))
        recorder.hear(ended)


def report(
    count: int,
    rounds: dict[bool, list[float]],
    calls: list[float],
    recorder: Recorder,
    river: dict[bool, list[float]],
    process: dict[bool, float],
) -> None:
    """Print what was measured."""
    median = {key: float(np.median(times)) * 1000 for key, times in rounds.items()}
    worst = {key: float(np.percentile(times, 95)) * 1000 for key, times in rounds.items()}
    told = [event.evidence.status for event in recorder.told() if event.evidence]
    print(f"{count} cameras; events recorded: {told.count('ready')} of {len(told)}; dropped: {recorder.drops}")
    own = {key: float(np.median(times)) * 1000 for key, times in river.items()}
    a_frame = {key: process[key] / len(rounds[key]) / count * 1000 for key in rounds}
    print("\n| milliseconds | every camera recorded | none | ratio |\n|---|---|---|---|")
    for name, told_ms in (
        ("a round by the clock, median", median), ("the same, 95 %", worst),
        ("processor time of the river's thread a round, median", own),
        ("processor time of all threads a frame", a_frame),
    ):  # fmt: skip
        print(f"| {name} | {told_ms[True]:.2f} | {told_ms[False]:.2f} | {told_ms[True] / told_ms[False]:.2f} |")
    print(f"\nsee, microseconds: median {np.median(calls) * 1e6:.1f}, 99.9 % {np.percentile(calls, 99.9) * 1e6:.0f}")


if __name__ == "__main__":
    main()
