"""`prednet-calibrate evaluate`: bundles and baselines on a labelled dataset."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import msgspec
from tqdm import tqdm

from calibration.asked import MOST_HOLD_SECONDS
from calibration.datasets import Dataset, read_dataset
from calibration.evaluate import Candidate, Evaluation, candidate_from_bundle, candidate_from_predictor, evaluate
from calibration.report import plain_report, told_table
from edge.command import Parser
from edge.detection import Rules
from edge.errors import UsageError
from edge.options import SIZE, frame_format, number_of, rate_from_text, size_from_text
from edge.runners import PREDICTORS

EVALUATE_HELP = """Measure bundles and baselines on a labelled dataset, through the daemon's own river.

What is normal is learned from the dataset's normal clips; the test clips are scored frame by frame, as a
camera sees them. Without --bundle and --predictor, every baseline is measured.

  prednet-calibrate evaluate --dataset ped2 --bundle press.prednet --predictor moving-block flow
  prednet-calibrate evaluate --dataset ped2 --bundle seed0.prednet seed1.prednet seed2.prednet --out curves
  prednet-calibrate evaluate --dataset mine --predictor flow --size 320x256 --json

Layouts that are read:
  Ped2          train/01/*.jpg  test/01/*.jpg  test_labels/01.npy  test_masks/01.npz (key 'mask')
  UCSD's own    Train/Train001/*.tif  Test/Test001/*.tif  Test/Test001_gt/*.bmp
  Avenue        training_videos/01.avi  testing_videos/01.avi  testing_label_mask/1_label.mat
  ShanghaiTech  training/videos/*.avi  testing/frames/01_0014/*.jpg  testing/test_frame_mask/01_0014.npy
  your own      normal/*.mp4  test/a.mp4  test/a.labels.npy (or .txt: one 0 or 1 per frame)
  whole videos  normal/*.mp4  test/*.mp4  test/video_labels.txt (lines 'a.mp4 1')

Several bundles (one for each seed of a training) end in a line of mean and standard deviation.
"""


def add_evaluate_command(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add `evaluate` to the commands of `prednet-calibrate`."""
    parser = commands.add_parser("evaluate", help="measure on a labelled dataset", description=EVALUATE_HELP)
    parser.add_argument("--dataset", type=Path, required=True, help="the dataset's folder")
    parser.add_argument("--bundle", type=Path, nargs="+", default=[], help="bundles to measure")
    parser.add_argument("--variant", default="auto", help="of the bundles (default: cpu, else float)")
    parser.add_argument("--predictor", nargs="+", choices=PREDICTORS, default=[], help="what needs no network")
    parser.add_argument("--size", type=size_from_text, default=SIZE, metavar="WIDTHxHEIGHT",
                        help="of predictors (default: %(default)s)")  # fmt: skip
    parser.add_argument("--colour", choices=("grey", "rgb"), default="grey", help="of predictors (default: grey)")
    parser.add_argument("--rate", type=rate_from_text, default=10.0, metavar="HZ", help="of predictors (default: 10)")
    parser.add_argument(
        "--images-rate", type=rate_from_text, metavar="HZ", help="of images, if not that of their layout"
    )
    parser.add_argument("--clips", nargs="+", metavar="NAME", help="score only these test clips")
    parser.add_argument("--hold", type=number_of("seconds", MOST_HOLD_SECONDS, "1.5 or 0", is_zero_good=True),
                        default=Rules.hold_seconds, metavar="SECONDS",
                        help="how long a crossing must last to be an event (default: %(default)s)")  # fmt: skip
    parser.add_argument("--out", type=Path, metavar="DIR", help="draw the curves into this folder")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.set_defaults(run=_evaluate)


def _evaluate(parsed: argparse.Namespace) -> int:
    if parsed.out is not None:
        _check_folder(parsed.out)
    dataset = chosen_clips(read_dataset(parsed.dataset, parsed.images_rate), parsed.clips)
    rules, evaluations = Rules(hold_seconds=parsed.hold), []
    for open_candidate in _candidates(parsed):
        candidate = open_candidate()
        with closing(candidate.runner), _stages(candidate.name) as stage:
            evaluations.append(evaluate(dataset, candidate, rules, stage))
    report = plain_report(dataset, evaluations)
    print(msgspec.json.encode(report).decode() if parsed.json else told_table(dataset, evaluations))
    if parsed.out:
        draw_curves(dataset, evaluations, parsed.out)
    return 0


def _check_folder(path: Path) -> None:
    """Raise UsageError where a folder can neither be found nor made, because a file is in its place."""
    there = next(one for one in (path, *path.absolute().parents) if one.exists())
    if not there.is_dir():
        raise UsageError(f"--out {path}: {there} is a file; give a folder, which is made where there is none.")


def chosen_clips(dataset: Dataset, names: Sequence[str] | None) -> Dataset:
    """Return the dataset with only the test clips of these names; UsageError for a name that it does not hold."""
    if names is None:
        return dataset
    known = {Path(clip.place.where).stem: clip for clip in dataset.test}
    for name in names:
        if name not in known:
            raise UsageError(f"{dataset.name}: has no test clip '{name}'; it holds {', '.join(known)}.")
    return replace(dataset, test=tuple(known[name] for name in names))


def draw_curves(dataset: Dataset, evaluations: Sequence[Evaluation], folder: Path) -> None:
    """Write `roc.png` and, where frames are labelled, `events.png` into the folder, and say where."""
    from calibration.curves import draw_events, draw_roc  # noqa: PLC0415 - only a command opens its doors

    folder.mkdir(parents=True, exist_ok=True)
    draw_roc(evaluations, dataset.name, folder / "roc.png")
    if any(one.sweep for one in evaluations):
        draw_events(evaluations, dataset.name, folder / "events.png")
    print(f"curves: {folder}", file=sys.stderr)


def _candidates(parsed: argparse.Namespace) -> Iterator[Callable[[], Candidate]]:
    form = frame_format(parsed.size, parsed.colour, parsed.rate)
    for path in parsed.bundle:
        yield partial(candidate_from_bundle, path, parsed.variant)
    for name in parsed.predictor or ([] if parsed.bundle else PREDICTORS):
        yield partial(candidate_from_predictor, name, form)


@contextmanager
def _stages(name: str) -> Iterator[Callable[[str, int], None]]:
    """A progress bar that counts frames, and names what is being done with them."""
    with tqdm(unit="frame", desc=name, disable=None, leave=False) as bar:

        def stage(told: str, frames: int) -> None:
            bar.set_description(f"{name}: {told}", refresh=False)
            bar.update(frames)

        yield stage
