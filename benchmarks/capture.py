"""What capture costs: 1080p30 H.264 in, small frames out, beside a loop of OpenCV; and from there to the decision.

    python benchmarks/capture.py [--frames 300] [--repeat 3]

A film of a moving pattern under a sensor's noise is made once (x264). Each library decodes it whole and gives 160×128
frames at 10 a second, in turn, several times; so does the loop that a user would write, `cv2.VideoCapture`, which
decodes every frame, and resizes and turns into grey or RGB every third. Then 30 s of the factory run through flow,
conditions, witnesses, level and decision with the demo's bundle, in colour, the step's own time taken off. Printed:
milliseconds a frame, medians and spread; other work on the machine touches processor time through caches alone. Exits
with 4 where a decision waits for more than 2 ms beside decoding and the step (docs/decisions/0030-cost-of-the-rest.md).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import cv2
import numpy as np
from cameras import Timed
from figures import EVERYTHING, REST, WAITED
from machine import measured_on
from numpy.typing import NDArray

from edge.bundle import read_bundle
from edge.detection import Rules
from edge.errors import GATE_FAILED
from edge.frames import Frame, FrameFormat
from edge.model import read_model
from edge.pipeline import rounds_from_frames, watch
from edge.shipped import BUNDLE
from edge.sources import Capture, has_gstreamer, open_source

MOST_MILLISECONDS = 2.0
COLUMNS = ("colour", "capture", "processor ms a decoded frame", "range", "÷ OpenCV", "frames out")
TOLD = (WAITED, "processor time of the river's thread", EVERYTHING)
SCENE = "test://factory?seed=3001&seconds=30"


def film(path: Path, frames: int) -> None:
    """Write 1920×1080 frames at 30 a second: a textured ground, things that move, noise."""
    rng = np.random.default_rng(0)
    ground = cv2.resize(rng.integers(60, 180, (68, 120, 3), np.uint8), (1920, 1080), interpolation=cv2.INTER_CUBIC)
    noise = rng.normal(0, 2, (4, 1080, 1920, 3)).astype(np.int8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(30))
        stream.width, stream.height, stream.pix_fmt = 1920, 1080, "yuv420p"
        stream.options = {"preset": "veryfast", "b:v": "6000k", "g": "30"}
        for number in range(frames):
            image = ground.copy()
            for thing in range(6):
                x, y = (number * (5 + 2 * thing)) % 1800, 100 + 150 * thing
                image[y : y + 100, x : x + 120] = 40 * thing
            noisy = np.clip(image.astype(np.int16) + noise[number % 4], 0, 255).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(noisy, format="rgb24")))
        container.mux(stream.encode())


def captured(path: Path, form: FrameFormat, library: Capture) -> tuple[list[Frame], float, str]:
    """Return the small frames, the processor seconds that they took, and what captured them."""
    began = time.process_time()
    source = open_source(str(path), form, library)
    frames = list(source.frames())
    source.close()
    return frames, time.process_time() - began, source.backend


def looped(path: Path, form: FrameFormat) -> tuple[int, float]:
    """Return how many small frames the usual loop of OpenCV gives, and the processor seconds that it took."""
    began = time.process_time()
    video = cv2.VideoCapture(str(path))
    every, number, frames = round(video.get(cv2.CAP_PROP_FPS) / form.rate_hz), 0, []
    code = cv2.COLOR_BGR2GRAY if form.channels == 1 else cv2.COLOR_BGR2RGB
    while True:
        is_there, image = video.read()
        if not is_there:
            break
        if number % every == 0:
            small = cv2.resize(image, (form.width, form.height), interpolation=cv2.INTER_AREA)
            frames.append(cv2.cvtColor(small, code))
        number += 1
    video.release()
    return len(frames), time.process_time() - began


class Rest(NamedTuple):
    """Milliseconds a frame from mailbox to decision, less the step's own.

    `elapsed` is what a decision waits for; what needs no prediction is found beside the step, so that the processor
    time of all threads, `everything`, is more than that of the river's own, `river`.
    """

    elapsed: float
    river: float
    everything: float


def rest_of(frames: list[Frame]) -> Rest:
    """Return what everything but decoding and the step costs."""
    model = read_model(BUNDLE, "float", None)
    runner = Timed(model.runner(1, threads=1))
    judge = model.judge(Rules())
    began = clocks()
    scored = sum(one.sensed is not None for one in watch(rounds_from_frames("a", frames), runner, {"a": judge}))
    taken = clocks() - began - [sum(runner.seconds), sum(runner.processor_seconds), sum(runner.processor_seconds)]
    runner.close()
    return Rest(*(taken / scored * 1000))


def clocks() -> NDArray[np.float64]:
    """Return the time, this thread's processor time, and that of all threads, in seconds."""
    return np.array([time.perf_counter(), time.thread_time(), time.process_time()])


def rows(colour: str, path: Path, form: FrameFormat, repeat: int, count: int) -> Iterator[str]:
    """Yield a row for OpenCV's loop and for each of our libraries, measured in turns."""
    names = dict.fromkeys(libraries(), "")
    costs: dict[str, list[float]] = {"OpenCV": []} | {library: [] for library in names}
    given: dict[str, int] = {}
    for _ in range(repeat):
        given["OpenCV"], seconds = looped(path, form)
        costs["OpenCV"].append(1000 * seconds / count)
        for library in names:
            frames, seconds, names[library] = captured(path, form, library)
            given[library] = len(frames)
            costs[library].append(1000 * seconds / count)
    usual = np.median(costs["OpenCV"])
    for name, taken in costs.items():
        told = names.get(name) or "OpenCV, VideoCapture loop"  # type: ignore[call-overload]
        middle = np.median(taken)
        spread = f"{min(taken):.2f} to {max(taken):.2f}"
        yield f"| {colour} | {told} | {middle:.2f} | {spread} | {middle / usual:.2f} | {given[name]} |"


def libraries() -> Iterator[Capture]:
    """Yield what this machine has."""
    yield "pyav"
    if has_gstreamer():
        yield "gstreamer"


def main() -> int:
    """Measure and print; 4 where the rest is over its bound."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--repeat", type=int, default=3)
    parsed = parser.parse_args()
    cv2.setNumThreads(1)
    print(measured_on())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "film.mp4"
        film(path, parsed.frames)
        print(f"film: {parsed.frames} frames, {path.stat().st_size * 8 * 30 / parsed.frames / 1e6:.1f} Mbit/s")
        print(f"\n| {' | '.join(COLUMNS)} |\n{'|---' * len(COLUMNS)}|")
        for colour, channels in (("grey", 1), ("rgb", 3)):
            form = FrameFormat(128, 160, channels, 10.0)
            print("\n".join(rows(colour, path, form, parsed.repeat, parsed.frames)), flush=True)
    scene = list(open_source(SCENE, read_bundle(BUNDLE).spec.form).frames())
    rest = [rest_of(scene) for _ in range(parsed.repeat)]
    print(f"\n{rest_table(rest)}")
    return 0 if np.median([one.elapsed for one in rest]) < MOST_MILLISECONDS else GATE_FAILED


def rest_table(rest: Sequence[Rest]) -> str:
    """Return the medians and spread of each time, and the bound of what a decision waits for."""
    lines = [f"| {REST} | ms a frame | range | bound ms |", "|---|---|---|---|"]
    for told, taken in zip(TOLD, np.transpose(rest), strict=True):
        bound = f"{MOST_MILLISECONDS:g}" if told == WAITED else "–"
        lines.append(f"| {told} | {np.median(taken):.2f} | {min(taken):.2f} to {max(taken):.2f} | {bound} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
