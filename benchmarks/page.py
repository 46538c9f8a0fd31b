"""What the page costs the river: the same daemon with the page open in turns, and closed.

  python benchmarks/page.py [--cameras 4] [--seconds 240] [--browsers 2]

The daemon's own `watch_device` watches the drawn factory with the demo's bundle. In turns of 15 seconds as many
browsers as asked for look at the page, or none: each asks for the live numbers twice a second and for each camera's
picture five times a second, as page.js does, and moves the slider of a limit every two seconds over a day of scores
that were laid down before. They run in a process of their own, at low priority: a control room's browser runs on
another machine. Told are frames a second, the time from a frame's arrival to the end of its moment, and the processor
time of the river's own thread and of the whole process. Both halves are one run, and share whatever else runs.
"""

from __future__ import annotations

import argparse
import http.client
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from machine import ROOT, measured_on

sys.path.insert(0, str(ROOT))

from edge.capture import CameraStatus
from edge.daemon import watch_device
from edge.moments import Moment
from edge.page.page_desk import read_place
from edge.ring import FOLDER, SCORES, SEGMENT_SECONDS, write_scores
from edge.setup import read_device
from tests.ringing import segment_of

TURN_SECONDS, SETTLE_SECONDS = 15.0, 2.0
LIVE_SECONDS, PICTURE_SECONDS, SLIDER_SECONDS = 0.5, 0.2, 2.0


@dataclass
class Half:
    """What was seen while the page was open, or closed: of each moment its latency and the river's processor time."""

    latency_ms: list[float] = field(default_factory=list)
    river_ms: list[float] = field(default_factory=list)
    process_seconds: float = 0.0
    seconds: float = 0.0


class Look(NamedTuple):
    """What the browsers are told: where the page is, how many they are, and when they look."""

    port: int
    token: str
    cameras: list[str]
    count: int
    began: float
    seconds: float


def main() -> None:
    """Measure and print a table, or be the browsers of a measurement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cameras", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=240.0)
    parser.add_argument("--browsers", type=int, default=2)
    parser.add_argument("--browse", help=argparse.SUPPRESS)
    parsed = parser.parse_args()
    if parsed.browse:
        browse(Look(**json.loads(parsed.browse)))
        return
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
        f"site: plant7\ndevice: edge1\nbundle: {ROOT / 'edge/data/demo.prednet'}\nstate_directory: state\n"
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
    command = ["nice", "-n", "19", sys.executable, __file__, "--browse", json.dumps(told)]
    waits.update(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))


def browse(look: Look) -> None:
    """Look at the page in every second turn, and print how long each kind of answer took, in milliseconds."""
    waits: dict[str, list[float]] = {"live": [], "picture": [], "slider": []}
    numbers = dict.fromkeys(["live", *look.cameras], 0)
    random = np.random.default_rng(2)

    def asked(path: str) -> tuple[bytes, str | None]:
        connection = http.client.HTTPConnection("127.0.0.1", look.port, timeout=30)
        connection.request("GET", path, headers={"Authorization": f"Bearer {look.token}"})
        answer = connection.getresponse()
        found = answer.read(), answer.headers["X-Frame-Number"]
        connection.close()
        return found

    def live() -> None:
        numbers["live"] = json.loads(asked(f"/api/live?after={numbers['live']}")[0])["number"]

    def picture(camera: str) -> None:
        _, number = asked(f"/api/cameras/{camera}/live.jpg?after={numbers[camera]}")
        numbers[camera] = int(number or numbers[camera])

    def slider() -> None:
        where = f"/api/cameras/{look.cameras[0]}/limit"
        bounds = json.loads(asked(where)[0])
        asked(f"{where}?on={random.uniform(bounds['low'], bounds['high']):.4f}")

    tasks: list[tuple[str, float, Callable[[], None]]] = [
        ("live", LIVE_SECONDS, live),
        ("slider", SLIDER_SECONDS, slider),
    ]
    tasks += [("picture", PICTURE_SECONDS, partial(picture, camera)) for camera in look.cameras]
    threads = [
        threading.Thread(target=again, args=(look, waits[name], pause, task))
        for _ in range(look.count)
        for name, pause, task in tasks
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps(waits))


def again(look: Look, waits: list[float], pause: float, task: Callable[[], None]) -> None:
    """Ask again and again while the page is open."""
    while (since := time.time() - look.began) < look.seconds:
        if since < 0 or int(since // TURN_SECONDS) % 2 == 0:
            time.sleep(0.05)
            continue
        asked = time.monotonic()
        with suppress(OSError):
            task()
            waits.append(1000 * (time.monotonic() - asked))
        time.sleep(pause)


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
        print(f"{name}: {len(times)} answers, median {np.median(times):.0f} ms, 95 % {np.percentile(times, 95):.0f} ms")


if __name__ == "__main__":
    main()
