"""The real Ped2: bundles and every baseline side by side, through the daemon's own river, as a Markdown table.

    python benchmarks/ped2.py [BUNDLE …] [--dataset FOLDER] [--clips 01 04]

Learns what is normal from the 16 training clips and scores all 12 test clips, online. Baselines run at 192×128,
the size of the known figures (frame differences 0.887, optical-flow speed 0.912), flow also at 160×128.
"""

from __future__ import annotations

import argparse
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from tqdm import tqdm

from calibration.datasets import read_dataset
from calibration.evaluate import Candidate, candidate_from_bundle, candidate_from_predictor, evaluate
from calibration.evaluate_cli import chosen_clips, form_from_options
from calibration.report import told_table
from edge.detection import Rules
from edge.runners import PREDICTORS

PED2 = Path(__file__).parents[2] / "shared" / "data" / "ped2"
BASELINES = [(name, "192x128") for name in PREDICTORS] + [("flow-light", "160x128"), ("flow", "160x128")]


def main() -> int:
    """Evaluate the bundles that are named and all baselines, and print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundles", nargs="*", type=Path, metavar="BUNDLE")
    parser.add_argument("--dataset", type=Path, default=PED2)
    parser.add_argument("--clips", nargs="+", metavar="NAME", help="score only these test clips")
    parsed = parser.parse_args()
    if not parsed.dataset.is_dir():
        print(f"skipped: {parsed.dataset} is absent; name the folder of Ped2 with --dataset.")
        return 0
    print(f"machine: {platform.machine()}, Python {platform.python_version()}; commit: {commit()}", flush=True)
    dataset = chosen_clips(read_dataset(parsed.dataset), parsed.clips)
    began, evaluations = time.monotonic(), []
    for open_candidate in candidates(parsed.bundles):
        candidate = open_candidate()
        with tqdm(unit="frame", desc=candidate.name, disable=None, leave=False) as bar:
            evaluations.append(evaluate(dataset, candidate, Rules(), lambda _, frames, bar=bar: bar.update(frames)))
        candidate.runner.close()
    print(f"time: {time.monotonic() - began:.0f} s\n\n{told_table(dataset, evaluations)}")
    return 0


def candidates(bundles: list[Path]) -> Iterator[Callable[[], Candidate]]:
    """Yield what opens each candidate."""
    for path in bundles:
        yield partial(candidate_from_bundle, path, "float")
    for name, size in BASELINES:
        yield partial(sized_candidate, name, size)


def sized_candidate(name: str, size: str) -> Candidate:
    """Return a baseline under its name and size."""
    return replace(candidate_from_predictor(name, form_from_options(size, "grey", 10.0)), name=f"{name} {size}")


def commit() -> str:
    """Return the short hash of the commit that is measured, with a plus where files differ from it."""
    root = Path(__file__).parents[1]
    asked = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False, cwd=root
    )
    changed = subprocess.run(["git", "diff", "--quiet", "HEAD"], check=False, cwd=root).returncode
    return (asked.stdout.strip() or "unknown") + ("+" if changed else "")


if __name__ == "__main__":
    sys.exit(main())
