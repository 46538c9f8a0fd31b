"""What a shadow costs the river: the same frames with a second bundle beside the live one, and without.

  python benchmarks/shadow.py [--cameras 4] [--seconds 120] [--share 0.1]

The shipped bundle watches the drawn factory at its own rate in the daemon's own river, one thread a session, and is its
own shadow. In turns of twenty seconds the shadow is shown every moment, or none. Timed is each round from its frames to
its last moment, the processor time of the river's own thread, and that of the whole process; the share of frames
that the shadow took stands beside them.
"""

from __future__ import annotations

import argparse
import tempfile
from itertools import islice
from pathlib import Path

import numpy as np
from machine import measured_on
from turns import Costs, a_frame, is_on, watched_in_turns

from edge.bundle import Bundle, read_bundle
from edge.detection import Rules
from edge.frames import Image
from edge.model import AUTO, chosen_variant, runner_of, with_normal
from edge.shipped import BUNDLE
from edge.sources import open_source
from edge.updates.shadow import Shadow

TURN_SECONDS = 20.0
SETTLE_SECONDS = 3.0  # a look of the turn before has ended by then


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cameras", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--share", type=float, default=0.1, help="of the frames, for the shadow (default: 0.1)")
    parsed = parser.parse_args()
    print(f"{measured_on()}; {parsed.cameras} cameras, share {parsed.share:g}", flush=True)
    bundle = read_bundle(BUNDLE)
    images = drawn(bundle, parsed.seconds)
    with tempfile.TemporaryDirectory() as folder:
        measure(bundle, images, parsed.cameras, parsed.share, Path(folder))


def drawn(bundle: Bundle, seconds: float) -> list[Image]:
    """Return the frames of one camera, drawn ahead so that drawing is not timed."""
    source = open_source("test://factory", bundle.spec.form)
    count = round(seconds * bundle.spec.form.rate_hz)
    try:
        return [frame.image.copy() for frame in islice(source.frames(), count) if frame is not None]
    finally:
        source.close()


def measure(bundle: Bundle, images: list[Image], count: int, share: float, folder: Path) -> None:
    """Run the river in turns, and print both costs side by side."""
    variant, rate_hz = chosen_variant(bundle, AUTO), bundle.spec.form.rate_hz
    models = {f"cam{number}": with_normal(bundle, variant, None) for number in range(count)}
    judges = {camera: model.judge(Rules()) for camera, model in models.items()}
    runner = runner_of(bundle, variant, slots=count, threads=1)
    shadow = Shadow(models, judges, share, folder)
    costs = {False: Costs(), True: Costs()}
    for moment, since in watched_in_turns(runner, judges, images, rate_hz, TURN_SECONDS, costs, SETTLE_SECONDS):
        if is_on(since, TURN_SECONDS):
            shadow.see(moment)
    shadow.close()
    runner.close()
    tell(costs, shadow)


def tell(costs: dict[bool, Costs], shadow: Shadow) -> None:
    """Print the table, and how much the shadow looked at."""
    print("| a round, ms | median | 95th percentile | river's processor | process's processor |\n|---|---|---|---|---|")
    for is_shadowed, cost in costs.items():
        cells = (*np.percentile(cost.rounds, [50, 95]), np.mean(cost.river), np.mean(cost.process))
        told = " | ".join(f"{1000.0 * cell:.2f}" for cell in cells)
        print(f"| {'with' if is_shadowed else 'without'} a shadow | {told} |")
    shadowed, alone = a_frame(costs, 1)
    extra = shadowed / alone - 1.0
    report = shadow.report
    print(
        f"a shadow takes {extra:+.0%} of the processor; it took {report.frames} of {report.live_frames} frames "
        f"({report.frames / max(report.live_frames, 1):.0%}), {report.dropped} looks were dropped"
    )


if __name__ == "__main__":
    main()
