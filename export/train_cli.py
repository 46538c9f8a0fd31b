"""`prednet-export train`: the user's own footage becomes a trained PredNet."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from tqdm import tqdm

from calibration.footage import read_footage
from edge.command import Parser
from edge.errors import UsageError
from edge.frames import FrameFormat
from edge.options import SIZE, rate_from_text, size_from_text
from export.architecture import ERROR_GAINS, Architecture, Head
from export.learning.settings import SkillReport, TrainingProgress, TrainingReport, TrainingSettings
from export.opening import opened

if TYPE_CHECKING:
    from collections.abc import Iterator

    from export.learning.training import Weights

TRAIN_HELP = """Train a PredNet on your own footage of normal work.

Half an hour of training on a laptop's CPU is a good start; a GPU is used where there is one. A
tenth of the footage is held back to judge the network on. Training that was interrupted goes on
when the same command is given again.

  prednet-export train --footage monday.mp4 tuesday.mp4 --out press.safetensors
  prednet-export train --footage recordings/ --out press.safetensors --minutes 120
  prednet-export train --footage 'shift.mp4#t=0,3600' --out press.safetensors --colour rgb --size 320x192
  prednet-export train --footage new/ --start press.safetensors --out press2.safetensors --minutes 10
  torchrun --nproc_per_node 4 --no-python prednet-export train --footage recordings/ --out press.safetensors

Then make a bundle of it, with footage that it was not trained on:
  prednet-export bundle press.safetensors --footage friday.mp4 -o press.prednet
"""

COLOUR, RATE_HZ = "grey", 10.0
HEAD: Head = "residual"
UPPER_CHANNELS = (16, 32, 64)
# A wider memory at the frame costs a tenth more and learns faster than a single channel.
R0_CHANNELS = 4


def add_train_command(subparsers: argparse._SubParsersAction[Parser]) -> None:
    """Add `train` to the commands of `prednet-export`."""
    parser = subparsers.add_parser("train", help="train a network on your own footage", description=TRAIN_HELP)
    parser.add_argument(
        "--footage",
        nargs="+",
        required=True,
        metavar="PATH",
        help="videos, folders of images, globs; '#t=START,END' takes a stretch of seconds",
    )
    parser.add_argument("-o", "--out", type=checkpoint_path, required=True, help="where to write NAME.safetensors")
    _add_architecture(parser.add_argument_group("the network"))
    _add_training(parser.add_argument_group("the training"))
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.set_defaults(run=run_train)


def _add_architecture(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--size", type=size_from_text, help=f"WIDTHxHEIGHT in pixels (default: {SIZE})")
    group.add_argument("--colour", choices=("grey", "rgb"), help=f"what the camera sees in (default: {COLOUR})")
    group.add_argument("--rate", type=rate_from_text, metavar="HZ", help=f"frames a second (default: {RATE_HZ:g})")
    group.add_argument(
        "--channels",
        type=numbers_from_text,
        metavar="N,N,…",
        help="channels of every layer, the frame's first (default: 1,16,32,64; 3,16,32,64 for rgb)",
    )
    group.add_argument(
        "--r-channels",
        type=numbers_from_text,
        metavar="N,N,…",
        help="channels of every layer's memory R (default: the same, but 4 or more for the frame)",
    )
    group.add_argument(
        "--head",
        choices=tuple(ERROR_GAINS),
        help="predict the change since the last frame, or draw the frame anew as the original does (default: residual)",
    )
    group.add_argument("--start", type=Path, metavar="CHECKPOINT", help="go on from a trained network instead")


def _add_training(group: argparse._ArgumentGroup) -> None:
    usual = TrainingSettings()
    group.add_argument("--minutes", type=float, default=usual.minutes, help="how long to train (default: %(default)g)")
    group.add_argument("--steps", type=int, help="how many steps to train, instead of --minutes")
    group.add_argument("--batch", type=int, default=usual.batch, help="sequences a step (default: %(default)s)")
    group.add_argument(
        "--sequence-length", type=int, default=usual.sequence_length, help="frames a sequence (default: %(default)s)"
    )
    group.add_argument("--learning-rate", type=float, help="the highest rate (default: 0.004; original head: 0.001)")
    group.add_argument("--seed", type=int, default=usual.seed, help="for weights and sequences (default: %(default)s)")
    group.add_argument("--device", default=usual.device, help="auto, cpu, cuda or cuda:N (default: %(default)s)")


def run_train(parsed: argparse.Namespace) -> int:
    """Train as the arguments say, and print what came of it."""
    report = train_network(parsed)
    if report is not None:  # None on every rank of torchrun but the first
        print(json_from_report(report) if parsed.json else told_report(report))
        for warning in report.warnings:
            print(f"prednet-export train: warning: {warning}", file=sys.stderr)
    return 0


def train_network(parsed: argparse.Namespace) -> TrainingReport | None:
    """Read the footage, train, write the checkpoint, and return the report."""
    training = opened("export.learning.training")
    settings = TrainingSettings(
        minutes=parsed.minutes,
        steps=parsed.steps,
        batch=parsed.batch,
        sequence_length=parsed.sequence_length,
        learning_rate=parsed.learning_rate,
        seed=parsed.seed,
        device=parsed.device,
    )
    architecture, weights = _architecture(parsed)
    form = FrameFormat(architecture.height, architecture.width, architecture.channels, architecture.rate_hz)
    clips = read_footage(parsed.footage, form, lambda name: print(f"reading {name}", file=sys.stderr))
    with _progress_bar() as shown:
        report: TrainingReport | None = training.train(clips, architecture, settings, parsed.out, shown, weights)
    return report


def _architecture(parsed: argparse.Namespace) -> tuple[Architecture, Weights | None]:
    """Return the architecture that the arguments describe, or that of `--start` with its weights."""
    if parsed.start is None:
        return architecture_from_arguments(parsed), None
    from export.checkpoint import load_checkpoint  # noqa: PLC0415 - only a chooser opens a door

    given = [
        name
        for name in ("size", "colour", "rate", "channels", "r_channels", "head")
        if getattr(parsed, name) is not None
    ]
    if given:
        raise UsageError(f"--start brings its own network; leave out --{given[0].replace('_', '-')}.")
    architecture, weights, _ = load_checkpoint(parsed.start)
    if architecture.cell != "original":
        raise UsageError(f"{parsed.start}: its cell is '{architecture.cell}', which can be bundled, not trained.")
    return architecture, weights


def architecture_from_arguments(parsed: argparse.Namespace) -> Architecture:
    """Return the architecture that the arguments describe; raises UsageError where they contradict each other."""
    width, height = parsed.size or size_from_text(SIZE)
    channels = 3 if (parsed.colour or COLOUR) == "rgb" else 1
    stack = parsed.channels or (channels, *UPPER_CHANNELS)
    head: Head = parsed.head or HEAD
    return Architecture(
        height=height,
        width=width,
        channels=channels,
        rate_hz=RATE_HZ if parsed.rate is None else parsed.rate,
        stack=stack,
        r_stack=parsed.r_channels or (max(R0_CHANNELS, stack[0]), *stack[1:]),
        head=head,
        error_gain=ERROR_GAINS[head],
    )


@contextmanager
def _progress_bar() -> Iterator[Callable[[TrainingProgress], None]]:
    """Yield a callback that moves a bar on stderr, where that is a terminal."""
    with tqdm(total=100, desc="training", bar_format="{desc} {percentage:3.0f}%|{bar}| {postfix}", disable=None) as bar:

        def show(progress: TrainingProgress) -> None:
            minutes, seconds = divmod(round(progress.seconds_left), 60)
            bar.set_postfix_str(
                f"step {progress.step}, loss {progress.loss:.5f}, {minutes}:{seconds:02d} left", refresh=False
            )
            bar.update(100 * progress.share - bar.n)

        yield show


def told_report(report: TrainingReport) -> str:
    """Return what came of a training, in sentences for a person."""
    skill = report.skill
    return (
        f"{report.path}: {report.steps} steps on {report.training_frames} frames in {report.seconds / 60:.1f} minutes\n"
        f"on {skill.frames} frames that were held back, the error is {skill.ratio:.2f} of that of repeating the last "
        f"frame; on moving places {skill.moving_ratio:.2f}, and {skill.flow_ratio:.2f} of that of the optical flow\n"
        f"by layer: {', '.join(f'{layer.ratio:.2f}' for layer in skill.layers)} of repeating it there\n"
        f"by region, moving places (of repeating / of the flow):\n{_told_regions(skill)}"
    )


def _told_regions(skill: SkillReport) -> str:
    """Return the ninths of the picture as three lines; a dash where nothing moved."""
    return "\n".join(
        "  " + "   ".join(f"{_told(one)} / {_told(flow)}" for one, flow in zip(row, flows, strict=True))
        for row, flows in zip(skill.regions, skill.regions_flow, strict=True)
    )


def _told(ratio: float) -> str:
    return "–".center(4) if math.isnan(ratio) else f"{ratio:.2f}"


def json_from_report(report: TrainingReport) -> str:
    """Return the report as one JSON object."""
    told = asdict(report) | {"path": str(report.path)}
    skill = report.skill
    told["skill"] |= {"ratio": skill.ratio, "moving_ratio": skill.moving_ratio, "flow_ratio": skill.flow_ratio}
    for layer, ratio in zip(told["skill"]["layers"], (layer.ratio for layer in skill.layers), strict=True):
        layer["ratio"] = ratio
    return msgspec.json.encode(told).decode()


def numbers_from_text(text: str) -> tuple[int, ...]:
    """Return the numbers of `N,N,…`."""
    parts = text.split(",")
    if not all(part.isdigit() for part in parts):
        raise argparse.ArgumentTypeError(f"'{text}' is not a list of channels, such as 1,16,32,64")
    return tuple(int(part) for part in parts)


def checkpoint_path(text: str) -> Path:
    """Return the path of a checkpoint to write."""
    if not text.endswith(".safetensors"):
        raise argparse.ArgumentTypeError(f"'{text}' must end in .safetensors")
    return Path(text)
