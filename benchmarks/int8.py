"""The variants of a bundle over a long stream, and on Ped2: what the gate of the export cannot wait for.

    python benchmarks/int8.py BUNDLE [--variants NAME …] [--steps 100000] [--footage SPEC …]
    python benchmarks/int8.py BUNDLE --ped2 [FOLDER]

The first runs each variant and the float step over the same frames in one closed loop, as a camera is watched, and
prints for each tenth of it the mean and the deviation of what lies between their surprises, in standard deviations of
the float surprise, and at the end the gate's own figures; exit code 4 where the last tenth has moved by more than 0.1
from the first. The second compares the frame AUC on Ped2, for a bundle trained on it; exit code 4 beyond 0.005.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from machine import measured_on
from ped2 import PED2
from tqdm import tqdm

from calibration.datasets import read_dataset
from calibration.evaluate import candidate_from_bundle, evaluate
from calibration.footage import read_footage
from calibration.parity import MOST_DRIFT, Rollout, compare, roll_out
from edge.bundle import Bundle, read_bundle
from edge.detection import Rules
from edge.errors import GATE_FAILED
from edge.model import runner_of

FOOTAGE = [f"test://factory?seed={seed}&seconds=60" for seed in (301, 302)]
MOST_AUC_APART = 0.005
# What events are decided by; the other scores are shown beside them.
DECIDING = ("surprise", "level")


def main() -> int:
    """Measure and print; return 4 where a bound is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--variants", nargs="+", metavar="NAME", help="default: all of the bundle beside float")
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--footage", nargs="+", default=FOOTAGE)
    parser.add_argument("--ped2", type=Path, nargs="?", const=PED2)
    parsed = parser.parse_args()
    print(f"{measured_on()}; {parsed.bundle.name}", flush=True)
    bundle = read_bundle(parsed.bundle)
    variants = parsed.variants or [name for name in bundle.manifest.variants if name != "float"]
    if parsed.ped2:
        return ped2(parsed.bundle, parsed.ped2, variants)
    return drift(bundle, parsed.footage, variants, parsed.steps)


def drift(bundle: Bundle, footage: list[str], variants: list[str], steps: int) -> int:
    """Print the tenths of the stream for every variant."""
    clips = read_footage(footage, bundle.spec.form)
    rollouts: dict[str, Rollout] = {}
    for variant in ("float", *variants):
        runner = runner_of(bundle, variant, 1)
        with tqdm(total=steps, desc=variant, disable=None, leave=False) as bar:
            rollouts[variant] = roll_out(clips, runner, bundle.calibration(variant), steps,
                                         lambda done, bar=bar: bar.update(done - bar.n))  # fmt: skip
        runner.close()
    moved = [told_drift(variant, rollouts["float"], rollouts[variant]) for variant in variants]
    print(f"largest difference of the last tenth from the first: {max(moved):.4f} sd, at most {MOST_DRIFT} is allowed")
    return GATE_FAILED if max(moved) > MOST_DRIFT else 0


def told_drift(variant: str, reference: Rollout, other: Rollout) -> float:
    """Print one variant's tenths and return by how much the last differs from the first."""
    spread = reference.surprise.std()
    tenths = [(one - two) / spread for one, two in
              zip(np.array_split(other.surprise, 10), np.array_split(reference.surprise, 10), strict=True)]  # fmt: skip
    print(f"\n{variant}: {len(reference.surprise)} scored steps\n\n| tenth | mean apart (sd) | deviation |")
    print("|---|---|---|\n" + "\n".join(f"| {n} | {t.mean():+.4f} | {t.std():.4f} |" for n, t in enumerate(tenths, 1)))
    print(f"\n{compare(reference, other)}", flush=True)
    return abs(float(tenths[-1].mean() - tenths[0].mean()))


def ped2(bundle: Path, folder: Path, variants: list[str]) -> int:
    """Print the frame AUC of every variant on Ped2 beside the float step's."""
    if not folder.is_dir():
        print(f"skipped: {folder} is absent; name the folder of Ped2.")
        return 0
    dataset, found = read_dataset(folder), {}
    for variant in ("float", *variants):
        candidate = candidate_from_bundle(bundle, variant)
        with tqdm(unit="frame", desc=variant, disable=None, leave=False) as bar:
            figures = evaluate(dataset, candidate, Rules(), lambda _, frames, bar=bar: bar.update(frames)).figures
        candidate.runner.close()
        found[variant] = {score: one.auc or 0.0 for score, one in figures.items()}
        apart = ", ".join(
            f"{score} {auc:.4f} ({auc - found['float'][score]:+.4f})" for score, auc in found[variant].items()
        )
        print(f"{variant}: frame AUC {apart}", flush=True)
    worst = max(abs(one[score] - found["float"][score]) for one in found.values() for score in DECIDING)
    print(f"largest difference of {' and '.join(DECIDING)}: {worst:.4f}, at most {MOST_AUC_APART} is allowed")
    return GATE_FAILED if worst > MOST_AUC_APART else 0


if __name__ == "__main__":
    sys.exit(main())
