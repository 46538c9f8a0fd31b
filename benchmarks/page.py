"""What the page costs the river: the same daemon with the page open in turns, and closed.

  python benchmarks/page.py [--cameras 4] [--seconds 240] [--browsers 2]

The daemon's own `watch_device` watches the drawn factory with the demo's bundle. In turns of 15 seconds as many
browsers as asked for look at the page, or none: each asks for the live numbers twice a second and for each camera's
picture five times a second, as page.js does, and moves the slider of a limit every two seconds over a day of scores
that were laid down before. They are a process of their own (page_browsers.py). Told are frames a second, the time from
a frame's arrival to the end of its moment, and the processor time of the river's own thread and of the whole process.
Both halves are one run, and share whatever else runs.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from machine import measured_on
from page_browsers import TURN_SECONDS, Look

from edge.capture import CameraStatus
from edge.daemon import watch_device
from edge.moments import Moment
from edge.page.page_desk import read_place
from edge.ring import FOLDER, SCORES, SEGMENT_SECONDS, write_scores
from edge.setup import read_device
from edge.shipped import BUNDLE
from tests.ringing import segment_of

SETTLE_SECONDS = 2.0


@dataclass
class Half:
    """What was seen while the page was open, or closed: of each moment its latency and the river's processor time."""

    latency_ms: list[float] = field(default_factory=list)
    river_ms: list[float] = field(default_factory=list)
    process_seconds: float = 0.0
    seconds: float = 0.0


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cameras", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=240.0)
    parser.add_argument("--browsers", type=int, default=2)
    parsed = parser.parse_args()
    print(measured_on())
    with tempfile.TemporaryDirectory() as folder:
        report(parsed.cameras, *measure(Path(folder), parsed.cameras, parsed.seconds, parsed.browsers))


def write_config(folder: Path, count: int) -> tuple[Path, list[str]]:
    """Write a configuration of so many cameras, and a day of scores for each."""
    cameras = [f"cam{number}" for number in range(count)]
    lines = [f"  {camera}: {{source: 'test://factory?seed={number + 30}'}}\n" for number, camera in enumerate(cameras)]
    sources = "".join(lines)
    path = folder / "config.yaml"
    path.write_text(
        f"site: plant7\ndevice: edge1\nbundle: {BUNDLE}\nstate_directory: state\n"
        f"evidence: {{free_megabytes: 0}}\nring: {{free_megabytes: 0}}\nmqtt: {{port: 9}}\ncameras:\n{sources}"
    )
    random = np.random.default_rng(1)
    begun = time.time() - 86400.0
    for camera in cameras:
        place = folder / "state" / FOLDER / camera
        place.mkdir(parents=True)
        for number in range(int(86400 / SEGMENT_SECONDS)):
            levels = random.normal(1.0, 0.5, int(10 * SEGMENT_SECONDS))
            levels[100:150] += 5.0 * (random.uniform() < 0.03)  # some 40 events of five seconds
            segment = segment_of(list(levels), start=number * SEGMENT_SECONDS, wall_offset_seconds=begun)
            at = round((begun + number * SEGMENT_SECONDS) * 1000)
            write_scores(place / f"{at}{SCORES}", segment.facts, segment.rows)
    return path, cameras


def measure(folder: Path, count: int, seconds: float, browsers: int) -> tuple[dict[bool, Half], dict[str, list[float]]]:
    """Run daemon and browsers; return both halves, and how long the browsers waited for each kind of answer, in ms."""
    config, cameras = write_config(folder, count)
    halves, stopping, state = {True: Half(), False: Half()}, threading.Event(), folder / "state"
    began = time.time() + 10.0
    last = [time.thread_time(), time.process_time(), time.monotonic()]

    def see(moment: Moment, status: CameraStatus) -> None:
        turn, into = divmod(time.time() - began, TURN_SECONDS)
        river, process, now = time.thread_time(), time.process_time(), time.monotonic()
        if turn >= 0 and into > SETTLE_SECONDS and status.frame_seconds is not None and moment.sensed is not None:
            half = halves[turn % 2 == 1]
            half.latency_ms.append(1000 * (now - status.frame_seconds))
            half.river_ms.append(1000 * (river - last[0]))
            half.process_seconds += process - last[1]
            half.seconds += now - last[2]
        last[:] = [river, process, now]
        if time.time() - began > seconds:
            stopping.set()

    looking = threading.Thread(target=start_browsers, args=(state, cameras, browsers, began, seconds, waits := {}))
    looking.start()
    watch_device(read_device(config), stopping, see)
    looking.join()
    return halves, waits


def start_browsers(
    state: Path, cameras: list[str], count: int, began: float, seconds: float, waits: dict[str, list[float]]
) -> None:
    """Run the browsers in a process of their own until the end, and take in what they waited."""
    while (place := read_place(state)) is None:
        time.sleep(0.1)
    token = (state / "page.token").read_text().strip()
    told = Look(place.port, token, cameras, count, began, seconds - 1.0)._asdict()
    command = [sys.executable, str(Path(__file__).with_name("page_browsers.py")), json.dumps(told)]
    waits.update(json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout))


def report(count: int, halves: dict[bool, Half], waits: dict[str, list[float]]) -> None:
    """Print what was measured."""
    rows: dict[str, Callable[[Half], float]] = {
        "frames a second of each camera": lambda half: len(half.latency_ms) / half.seconds / count,
        "arrival to decision, median ms": lambda half: float(np.median(half.latency_ms)),
        "arrival to decision, 95 % ms": lambda half: float(np.percentile(half.latency_ms, 95)),
        "river's thread, processor ms a frame": lambda half: float(np.mean(half.river_ms)),
        "whole process, processor ms a frame": lambda half: 1000 * half.process_seconds / len(half.latency_ms),
    }
    print(f"\n| {count} cameras | page open | closed | ratio |\n|---|---|---|---|")
    for name, value in rows.items():
        opened, closed = value(halves[True]), value(halves[False])
        print(f"| {name} | {opened:.2f} | {closed:.2f} | {opened / closed:.2f} |")
    print()
    for name, times in waits.items():
        if not times:
            print(f"{name}: no answer")
            continue
        print(f"{name}: {len(times)} answers, median {np.median(times):.0f} ms, 95 % {np.percentile(times, 95):.0f} ms")


if __name__ == "__main__":
    main()
