"""A camera that is never reset: its surprise after 100,000 steps beside that of a camera just switched on.

    python benchmarks/long_stream.py [BUNDLE] [--steps 100000] [--footage SPEC]

Two slots of one runner see the same continuous footage. One is never reset; its twin starts anew every 600
frames, as a camera that was just switched on. Printed for each tenth of the stream: the largest |C|, the
median and the 99th percentile of the surprise of both, and the Kolmogorov–Smirnov distance between them and
between the first tenth and this one. Exits with 4 where the never-reset stream differs from its twin in the
last tenth by more than a tenth of a standard deviation in the median, or by more than 0.05 in distance.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from machine import measured_on
from tqdm import tqdm

from edge.frames import Frame
from edge.model import read_model
from edge.normality import error_score
from edge.pipeline import WARMUP_FRAMES
from edge.runner_onnx import OnnxRunner
from edge.senses import error_blocks
from edge.sources import open_source

BUNDLE = Path(__file__).parents[1] / "edge" / "data" / "demo.prednet"
TWIN_FRAMES = 600
MOST_SHIFT, MOST_DISTANCE = 0.1, 0.05


def main() -> int:
    """Run the stream and print a line a tenth."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path, nargs="?", default=BUNDLE)
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--footage", help="continuous footage (default: days of the synthetic factory)")
    parsed = parser.parse_args()
    model = read_model(parsed.bundle, "float", None)
    runner = model.runner(2)
    assert isinstance(runner, OnnxRunner)  # noqa: S101 - states are read from it
    spec = parsed.footage or f"test://factory?seed=301&seconds={parsed.steps / model.bundle.spec.form.rate_hz:g}"
    print(f"{measured_on()}; {parsed.bundle.name}; {parsed.steps} steps of {spec}")
    source = open_source(spec, model.bundle.spec.form)
    surprises = np.full((parsed.steps, 2), np.nan)
    largest = np.zeros(parsed.steps)
    for number, frame in enumerate(tqdm(limited(source.frames(), parsed.steps), total=parsed.steps, disable=None)):
        reset = np.array([number == 0, number % TWIN_FRAMES == 0])
        step = runner.step(np.stack([frame.image] * 2), np.ones(2, bool), reset)
        if number % TWIN_FRAMES >= WARMUP_FRAMES:
            surprises[number] = [
                error_score(error_blocks(frame.image, prediction, runner.spec.grid), model.calibration.normality)
                for prediction in step.prediction
            ]
        if number % 100 == 0:
            states = runner.states()
            largest[number] = max(float(np.abs(states[name][0]).max()) for name in states if name.startswith("c"))
    return told(surprises[: number + 1], largest[: number + 1])


def limited(frames: Iterator[Frame], count: int) -> Iterator[Frame]:
    """Yield the first `count` frames."""
    for _, frame in zip(range(count), frames, strict=False):
        yield frame


def told(surprises: np.ndarray, largest: np.ndarray) -> int:
    """Print the table and return the exit code."""
    tenths = np.array_split(np.arange(len(surprises)), 10)
    print("\n| tenth | largest C | median never-reset | twin | 99 % never-reset | twin | KS to twin | to first tenth |")
    print("|---" * 8 + "|")
    first = surprises[tenths[0]]
    for number, tenth in enumerate(tenths, 1):
        ours, twin = (values[np.isfinite(values)] for values in surprises[tenth].T)
        shift, distance = float(np.median(ours) - np.median(twin)), ks(ours, twin)
        print(
            f"| {number} | {largest[tenth].max():.1f} | {np.median(ours):.3f} | {np.median(twin):.3f} | "
            f"{np.quantile(ours, 0.99):.3f} | {np.quantile(twin, 0.99):.3f} | {distance:.4f} | "
            f"{ks(ours, first[np.isfinite(first[:, 0]), 0]):.4f} |"
        )
    good = abs(shift) <= MOST_SHIFT and distance <= MOST_DISTANCE
    print("\nthe never-reset stream equals its twin" if good else "the never-reset stream has drifted from its twin")
    return 0 if good else 4


def ks(one: np.ndarray, other: np.ndarray) -> float:
    """Return the Kolmogorov–Smirnov distance of two samples: the largest gap between their distributions."""
    grid = np.concatenate([one, other])
    shares = [np.searchsorted(np.sort(sample), grid, side="right") / len(sample) for sample in (one, other)]
    return float(np.abs(shares[0] - shares[1]).max())


if __name__ == "__main__":
    sys.exit(main())
