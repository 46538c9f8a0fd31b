"""The real Ped2: bundles and every baseline side by side, through the daemon's own river, as a Markdown table.

    python benchmarks/ped2.py [NETWORK …] [--dataset FOLDER] [--clips 01 04] [--write]

A network is a bundle or a checkpoint; without any, those of benchmarks/weights, three seeds. --write puts the tables
into docs/quality.md, in the place of those that are there. Learns what is normal from the 16 training clips and scores
all 12 test clips, online. Baselines run at 192×128, the size of the known figures (frame differences 0.887,
optical-flow speed 0.912), flow also at 160×128.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from machine import DATA, measured_on
from tqdm import tqdm

from calibration.datasets import read_dataset
from calibration.evaluate import Candidate, Evaluation, candidate_from_bundle, candidate_from_predictor, evaluate
from calibration.evaluate_cli import chosen_clips
from calibration.report import told_events, told_table
from edge.detection import Rules
from edge.options import frame_format, size_from_text
from edge.runners import PREDICTORS, open_runner
from export.checkpoint import load_checkpoint
from export.step import spec_from_architecture, step_onnx

QUALITY = Path(__file__).parents[1] / "docs" / "quality.md"
WEIGHTS = Path(__file__).with_name("weights")
BEGIN, END = "<!-- by benchmarks/ped2.py: -->", "<!-- until here -->"
PED2 = DATA / "ped2"
BASELINES = [(name, "192x128") for name in PREDICTORS] + [("flow-light", "160x128"), ("flow", "160x128")]


def main() -> int:
    """Evaluate the bundles that are named and all baselines, and print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", type=Path, metavar="NETWORK", default=sorted(WEIGHTS.iterdir()))
    parser.add_argument("--write", action="store_true", help="put the tables into docs/quality.md")
    parser.add_argument("--dataset", type=Path, default=PED2)
    parser.add_argument("--clips", nargs="+", metavar="NAME", help="score only these test clips")
    parsed = parser.parse_args()
    if not parsed.dataset.is_dir():
        print(f"skipped: {parsed.dataset} is absent; name the folder of Ped2 with --dataset.")
        return 0
    where = measured_on()
    print(where, flush=True)
    dataset = chosen_clips(read_dataset(parsed.dataset), parsed.clips)
    began, evaluations = time.monotonic(), []
    for open_candidate in candidates(parsed.networks):
        candidate = open_candidate()
        with tqdm(unit="frame", desc=candidate.name, disable=None, leave=False) as bar:
            evaluations.append(evaluate(dataset, candidate, Rules(), lambda _, frames, bar=bar: bar.update(frames)))
        candidate.runner.close()
    print(f"time: {time.monotonic() - began:.0f} s\n\n{told_table(dataset, evaluations)}\n\n{summary(evaluations)}")
    if parsed.write:
        write(f"`python benchmarks/ped2.py --write`, {where}.\n\n{summary(evaluations)}")
    return 0


def candidates(networks: list[Path]) -> Iterator[Callable[[], Candidate]]:
    """Yield what opens each candidate."""
    for path in networks:
        is_bundle = path.suffix == ".prednet"
        yield partial(candidate_from_bundle, path, "float") if is_bundle else partial(candidate_from_weights, path)
    for name, size in BASELINES:
        yield partial(sized_candidate, name, size)


def candidate_from_weights(path: Path) -> Candidate:
    """Return the candidate of a checkpoint: its float step, as a bundle would hold it."""
    architecture, weights, _ = load_checkpoint(path)
    runner = open_runner(step_onnx(architecture, weights), spec_from_architecture(architecture), 1)
    return Candidate(path.stem, runner, None)


def summary(evaluations: Sequence[Evaluation]) -> str:
    """Return what a reader asks first: the networks' scores, with each part and without it, and all by their level."""
    networks = [one for one in evaluations if one.name.split()[0] not in PREDICTORS]
    lines = []
    if networks:
        lines += [f"| score | {' | '.join(one.name for one in networks)} | mean ± sd |"]
        lines += ["|---" * (len(networks) + 2) + "|"]
    for score in networks[0].figures if networks else ():
        if not score.startswith(("largest", "smoothed")):
            lines.append(seeds_row(score, [one.figures[score].auc for one in networks]))
    lines += ["", "| all, by their level | frame AUC | stretched clip by clip | EER | events at the fitted limit |"]
    lines += ["|---|---|---|---|---|"]
    for one in evaluations:
        level = one.figures["level"]
        values = (level.auc, level.auc_by_clip, level.equal_error_rate)
        cells = ["–" if value is None else f"{value:.4f}" for value in values]
        lines.append(f"| {one.name} | {' | '.join(cells)} | {told_events(one.events)} |")
    return "\n".join(lines)


def seeds_row(told: str, values: Sequence[float | None]) -> str:
    """Return a row of one score of all networks, with mean and standard deviation."""
    known = np.array(values, np.float64)
    spread = f" ± {known.std(ddof=1):.4f}" if len(known) > 1 else ""
    return f"| {told} | {' | '.join(f'{value:.4f}' for value in known)} | {known.mean():.4f}{spread} |"


def write(text: str) -> None:
    """Put the text between the marks in docs/quality.md."""
    page = QUALITY.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    QUALITY.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")


def sized_candidate(name: str, size: str) -> Candidate:
    """Return a baseline under its name and size."""
    return replace(
        candidate_from_predictor(name, frame_format(size_from_text(size), "grey", 10.0)), name=f"{name} {size}"
    )


if __name__ == "__main__":
    sys.exit(main())
