"""A camera that runs for hours: its surprise after 100,000 steps beside that of a camera just switched on.

    python benchmarks/long_stream.py [BUNDLE] [--variant float] [--steps 100000] [--footage SPEC]

Three slots of one runner see the same continuous footage. The first is watched as `watch` does: after every 600 frames
its state begins anew from the last five (edge/renewal.py). The second, its twin, does so half way between. The third is
never renewed, as if there were no renewal. Printed for each tenth of the stream: the largest |C|, the median and the
99th percentile of the surprise, and Kolmogorov–Smirnov distances: of the first and the third to the twin, and of the
first to its first tenth. Exits with 4 where in the last tenth the first differs from its twin by more than a tenth of a
standard deviation in the median, or by more than 0.05 in distance.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from machine import measured_on
from tqdm import tqdm

from edge.errors import GATE_FAILED
from edge.frames import Frame
from edge.model import read_model
from edge.normality import error_score
from edge.pipeline import WARMUP_FRAMES
from edge.renewal import RENEW_FRAMES, Renewing
from edge.runner_onnx import OnnxRunner
from edge.senses import error_blocks
from edge.shipped import BUNDLE
from edge.sources import open_source

WATCHED, TWIN, NEVER = range(3)
MOST_SHIFT, MOST_DISTANCE = 0.1, 0.05


def main() -> int:
    """Run the stream and print a line a tenth."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path, nargs="?", default=BUNDLE)
    parser.add_argument("--variant", default="float")
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--footage", help="continuous footage (default: days of the synthetic factory)")
    parsed = parser.parse_args()
    model = read_model(parsed.bundle, parsed.variant, None)
    runner = model.runner(3)
    assert isinstance(runner, OnnxRunner)  # noqa: S101 - states are read from it
    spec = parsed.footage or f"test://factory?seed=301&seconds={parsed.steps / model.bundle.spec.form.rate_hz:g}"
    print(f"{measured_on()}; {parsed.bundle.name} {parsed.variant}; {parsed.steps} steps of {spec}")
    source = open_source(spec, model.bundle.spec.form)
    surprises, largest = np.full((parsed.steps, 3), np.nan), np.zeros(parsed.steps)
    last: deque[np.ndarray] = deque(maxlen=WARMUP_FRAMES)
    renewed_at = {WATCHED: 0, TWIN: RENEW_FRAMES // 2}
    for number, frame in enumerate(tqdm(limited(source.frames(), parsed.steps), total=parsed.steps, disable=None)):
        due = [slot for slot, at in renewed_at.items() if number and number % RENEW_FRAMES == at]
        if due:
            Renewing(runner, math.inf).renew({slot: tuple(last) for slot in due})
        last.append(frame.image)
        step = runner.step(np.stack([frame.image] * 3), np.ones(3, bool), np.full(3, number == 0))
        if number >= WARMUP_FRAMES:
            surprises[number] = [
                error_score(error_blocks(frame.image, prediction, runner.spec.grid), model.calibration.normality)
                for prediction in step.prediction
            ]
        if number % 100 == 0:
            states = runner.states()
            largest[number] = max(float(np.abs(states[name][NEVER]).max()) for name in states if name.startswith("c"))
    return told(surprises[: number + 1], largest[: number + 1])


def limited(frames: Iterator[Frame], count: int) -> Iterator[Frame]:
    """Yield the first `count` frames."""
    for _, frame in zip(range(count), frames, strict=False):
        yield frame


def told(surprises: np.ndarray, largest: np.ndarray) -> int:
    """Print the table and return the exit code."""
    tenths = np.array_split(np.arange(len(surprises)), 10)
    print("\n| tenth | largest C, never renewed | median: watched | twin | never renewed | 99 %: watched | twin | "
          "never renewed | KS: watched to twin | never renewed to twin | watched to its first tenth |")  # fmt: skip
    print("|---" * 11 + "|")
    scored = [surprises[tenth][np.isfinite(surprises[tenth, 0])] for tenth in tenths]
    for number, (tenth, values) in enumerate(zip(tenths, scored, strict=True), 1):
        medians, tails = np.median(values, axis=0), np.quantile(values, 0.99, axis=0)
        distance = ks(values[:, WATCHED], values[:, TWIN])
        cells = [f"{largest[tenth].max():.1f}", *(f"{one:.3f}" for one in (*medians, *tails))]
        others = (distance, ks(values[:, NEVER], values[:, TWIN]), ks(values[:, WATCHED], scored[0][:, WATCHED]))
        print(f"| {' | '.join([str(number), *cells, *(f'{one:.4f}' for one in others)])} |")
    shift = (medians[WATCHED] - medians[TWIN]) / values[:, TWIN].std()
    good = abs(shift) <= MOST_SHIFT and distance <= MOST_DISTANCE
    print("\nthe watched stream equals its twin" if good else "the watched stream has drifted from its twin")
    return 0 if good else GATE_FAILED


def ks(one: np.ndarray, other: np.ndarray) -> float:
    """Return the Kolmogorov–Smirnov distance of two samples: the largest gap between their distributions."""
    grid = np.concatenate([one, other])
    shares = [np.searchsorted(np.sort(sample), grid, side="right") / len(sample) for sample in (one, other)]
    return float(np.abs(shares[0] - shares[1]).max())


if __name__ == "__main__":
    sys.exit(main())
