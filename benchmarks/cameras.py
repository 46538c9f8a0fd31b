"""Many cameras on one machine: frames a second, steps, latency and memory of the river for 1 to 16 cameras.

    python benchmarks/cameras.py [--seconds 20] [--counts 1,2,4,8,16] [--rtsp]

Each camera is a live one: GStreamer's test picture at 30 frames a second, scaled in its pipeline (with --rtsp: H.264
from a real RTSP server on this machine, whose encoder then shares the processor; off by default). All are watched
with the demo's bundle (160×128, 10 frames a second) as the daemon does: capture threads, mailboxes, one batched
step, conditions, surprise, level, decision. Printed for each count, as medians: frames a second a camera, cameras a
step, milliseconds of one step by the clock, of the rest for one frame by the river's processor time (which other work
does not touch), from a frame's capture to its decision at the 95th percentile, resident memory.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from machine import measured_on
from numpy.typing import NDArray

from edge.capture import Mailboxes
from edge.captures import CameraSource, Captures
from edge.detection import Rules
from edge.model import read_model
from edge.pipeline import watch
from edge.runner import Runner, Step
from edge.shipped import BUNDLE

LINE = "gst://videotestsrc is-live=true pattern=ball ! video/x-raw,width=640,height=480,framerate=30/1"


@dataclass
class Timed:
    """A runner that notes how long its steps take, by the clock and of the calling thread's processor, for how many."""

    runner: Runner
    seconds: list[float] = field(default_factory=list)
    processor_seconds: list[float] = field(default_factory=list)
    cameras: list[int] = field(default_factory=list)

    def step(self, frames: NDArray[np.uint8], advance: NDArray[np.bool_], reset: NDArray[np.bool_]) -> Step:
        """Step, and note it."""
        began, processor = time.perf_counter(), time.thread_time()
        step = self.runner.step(frames, advance, reset)
        self.seconds.append(time.perf_counter() - began)
        self.processor_seconds.append(time.thread_time() - processor)
        self.cameras.append(int(advance.sum()))
        return step

    def __getattr__(self, name: str) -> object:
        """Everything else is the runner's."""
        return getattr(self.runner, name)


def main() -> int:
    """Measure each count in a process of its own, so that memory is its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--counts", default="1,2,4,8,16")
    parser.add_argument("--rtsp", action="store_true")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    parsed = parser.parse_args()
    if parsed.one:
        measure(parsed.one, parsed.seconds, LINE if not parsed.rtsp else os.environ["RTSP_URL"])
        return 0
    print(f"{measured_on()}; the demo's bundle\n")
    print(head())
    server = serve() if parsed.rtsp else None
    try:
        for count in parsed.counts.split(","):
            words = ["--one", count, "--seconds", str(parsed.seconds), *(["--rtsp"] if parsed.rtsp else [])]
            subprocess.run([sys.executable, __file__, *words], check=True)
    finally:
        if server is not None:
            server.kill()
    return 0


def serve() -> subprocess.Popen[str]:
    """Start the tests' RTSP server and say where it is."""
    script = Path(__file__).parents[1] / "tests" / "rtsp_server.py"
    server = subprocess.Popen(["/usr/bin/python3", str(script), "8599"], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None  # noqa: S101 - a pipe was asked for
    server.stdout.readline()
    os.environ["RTSP_URL"] = "rtsp://127.0.0.1:8599/ball"
    return server


def measure(count: int, seconds: float, spec: str) -> None:
    """Watch so many cameras for some seconds and print a line."""
    model = read_model(BUNDLE, "float", None)
    cameras = [f"cam{number}" for number in range(count)]
    form = model.bundle.spec.form
    runner = Timed(model.runner(count))
    mailboxes = Mailboxes(cameras, gather_seconds=0.5 / form.rate_hz)
    captures = Captures(form, mailboxes)
    for camera in cameras:
        captures.start(camera, CameraSource(spec))
    judge = model.judge(Rules())
    latencies, began, cpu, frames, busy = [], None, 0.0, 0, 0.0

    def rounds():  # type: ignore[no-untyped-def] # a generator that ends with the time
        nonlocal busy
        end = time.monotonic() + 5.0 + seconds
        while time.monotonic() < end:
            taken = mailboxes.take(0.2)
            before = time.thread_time()
            yield from taken
            busy += time.thread_time() - before

    warm = time.monotonic() + 5.0
    for moment in watch(rounds(), runner, dict.fromkeys(cameras, judge)):  # type: ignore[arg-type]
        if moment.sensed is None or time.monotonic() < warm:
            continue
        if began is None:
            began, cpu, frames, busy = time.monotonic(), time.process_time(), 0, 0.0
            runner.seconds.clear()
            runner.processor_seconds.clear()
            runner.cameras.clear()
        frames += 1
        latencies.append(time.monotonic() - moment.sensed.frame.seconds)
    lasted, cpu = time.monotonic() - (began or 0.0), time.process_time() - cpu
    captures.close()
    rest = (busy - sum(runner.processor_seconds)) / max(frames, 1) * 1000
    memory = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    rate, share = frames / lasted / count, np.mean(runner.cameras)
    step_ms, late_ms = 1000 * float(np.median(runner.seconds)), 1000 * float(np.quantile(latencies, 0.95))
    print(row(count, rate, float(share), step_ms, rest, late_ms, cpu / lasted, memory), flush=True)


def head() -> str:
    """Return the head of the table."""
    columns = ("cameras", "frames/s each", "cameras a step", "step ms (clock)", "rest, processor ms a frame")
    columns += ("capture to decision ms, p95", "processor, cores", "memory MB")
    return f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|"


def row(
    count: int, rate: float, share: float, step_ms: float, rest_ms: float, late_ms: float, cores: float, memory: float
) -> str:
    """Return the row of so many cameras."""
    cells = (f"{count}", f"{rate:.2f}", f"{share:.1f}", f"{step_ms:.1f}", f"{rest_ms:.2f}")
    cells += (f"{late_ms:.0f}", f"{cores:.2f}", f"{memory:.0f}")
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.exit(main())
