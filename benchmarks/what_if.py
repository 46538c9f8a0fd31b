"""What the score ring costs the river, how large it gets, and how fast a day of it answers what-if.

  python benchmarks/what_if.py [--cameras 4] [--seconds 120]

River: a network of the default edge size (160×128, layers 1, 16, 32, 64) with weights of chance watches test
pictures at 10 frames a second; in turns of ten seconds every moment is laid into the ring, or none. Both halves run
in one process, so they share whatever else runs. Size: the factory's pictures, grey and in colour, as the ring
keeps them. Preview: a day of one camera's scores at 10 frames a second, both kinds, noise that is correlated over 3
s and 48 events; the median of five calls, in processor time and by the clock.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from machine import measured_on
from scipy.signal import lfilter
from turns import RATE_HZ, Costs, a_frame, is_on, milliseconds, row, turns

from edge.detection import Limit
from edge.frames import FrameFormat
from edge.recording import Film
from edge.ring import Ring, write_scores
from edge.ring_settings import RingSettings
from edge.ring_writer import RingWriter
from edge.sources import open_source
from edge.what_if import Change, preview
from tests.ringing import facts, segment_of

TURN_SECONDS = 10.0
DAY_MINUTES = 1440


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cameras", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=120.0)
    parsed = parser.parse_args()
    print(measured_on())
    with tempfile.TemporaryDirectory() as folder:
        measure_preview(Path(folder))
    with tempfile.TemporaryDirectory() as folder:
        measure_size(Path(folder))
    with tempfile.TemporaryDirectory() as folder:
        measure_river(parsed.cameras, parsed.seconds, Path(folder))


def measure_preview(folder: Path) -> None:
    """Write a day, and ask of it."""
    rng, kept = np.random.default_rng(0), np.exp(-1.0 / (RATE_HZ * 3.0))
    (folder / "a").mkdir()
    limit = Limit(4.0, 2.0)
    for minute in range(DAY_MINUTES):
        levels = lfilter([1.0], [1.0, -kept], rng.normal(0.0, np.sqrt(1.0 - kept * kept), 600))
        if minute % 30 == 0:
            levels[100:140] = 6.0
        told, start = levels.tolist(), 60.0 * minute
        one = segment_of(told, start=start, stalls=told, limit=limit, stall_limit=limit)
        write_scores(folder / "a" / f"{round((1e9 + start) * 1000):014d}.scores", one.facts, one.rows)
    size = sum(path.stat().st_size for path in (folder / "a").iterdir())
    print(f"a day of scores: {size / 1e6:.1f} MB\n")
    print("| preview of a day, limit for 4 | processor ms | by the clock ms | events | before |\n|---|---|---|---|---|")
    for tried in (8.0, 5.0, 4.0, 3.0, 2.0):
        used, times = [], []
        for _ in range(5):
            began, of_processor = time.perf_counter(), time.process_time()
            found = preview(Ring(folder), "a", 1e9, 1e9 + 86400.0, Change(limit=tried))
            times.append(time.perf_counter() - began)
            used.append(time.process_time() - of_processor)
        told_ms = f"{np.median(used) * 1000:.0f} | {np.median(times) * 1000:.0f}"
        print(f"| {tried:g} | {told_ms} | {found.after} | {found.before} |")


def measure_size(folder: Path) -> None:
    """Keep the factory's frames, and tell bytes and processor time of each."""
    print("\n| a frame | kB | ms | camera-hours in 2 GB |\n|---|---|---|---|")
    for channels, colour in ((1, "grey"), (3, "colour")):
        form = FrameFormat(128, 160, channels, RATE_HZ)
        source = open_source("test://factory?seconds=30", form)
        images = [frame.image for frame in source.frames()]
        source.close()
        began = time.process_time()
        film = Film(folder / f"{colour}.mkv", images[0].shape, RATE_HZ)
        for image in images:
            film.write(image)
        size, used = film.finish() / len(images), (time.process_time() - began) / len(images)
        hours = 2000e6 / size / RATE_HZ / 3600.0
        print(f"| {colour} | {size / 1000:.1f} | {used * 1000:.2f} | {hours:.1f} |")


def measure_river(count: int, seconds: float, folder: Path) -> None:
    """Run the river in turns and tell its times."""
    writer, known = RingWriter(folder, RingSettings(free_megabytes=0.0)), facts(form=FrameFormat(128, 160, 1, RATE_HZ))
    costs = {True: Costs(), False: Costs()}
    calls: list[float] = []
    for moment, since in turns(count, seconds, TURN_SECONDS, costs):
        if is_on(since, TURN_SECONDS):
            before = time.perf_counter()
            writer.see(moment, None, known)
            calls.append(time.perf_counter() - before)
    writer.close(20.0)
    report(count, costs, calls, writer)


def report(count: int, costs: dict[bool, Costs], calls: list[float], writer: RingWriter) -> None:
    """Print what was measured."""
    print(f"\n{count} cameras; dropped: {writer.drops}\n\n| milliseconds | ring | without | ratio |\n|---|---|---|---|")
    print(row("a round", milliseconds(costs, "rounds"), 1))
    print(row("a round, 95 %", milliseconds(costs, "rounds", 95), 1))
    print(row("river's thread", milliseconds(costs, "river"), 1))
    print(row("all threads a frame", a_frame(costs, count)))
    print(f"\nsee, microseconds: median {np.median(calls) * 1e6:.1f}, 99.9 % {np.percentile(calls, 99.9) * 1e6:.0f}")


if __name__ == "__main__":
    main()
