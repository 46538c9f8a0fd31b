"""The command line of `prednet-export`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import msgspec
from tqdm import tqdm

from calibration.told import add_false_per_day, told_limits
from edge.bundle import Bundle, read_bundle
from edge.command import Parser, parser_for, run_command
from export.import_cli import add_import_command, add_network_options, given_from_arguments, opened
from export.importing.found import LEAST_USEFUL_RATIO
from export.train_cli import add_train_command

BUNDLE_HELP = """Turn trained weights and footage of normal work into a bundle that a camera can run.

What is normal is fitted on the footage: it must show nothing that you want to be told of, and be
footage that the training did not see, or the limits are too low.

  prednet-export bundle press.safetensors --footage normal/ -o press.prednet
  prednet-export bundle MODEL.json WEIGHTS.hdf5 --footage normal/ -o press.prednet
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `prednet-export` and return its exit code."""
    parser, commands = parser_for("prednet-export", "A trained PredNet becomes a bundle that a camera can run.")
    add_train_command(commands)
    add_import_command(commands)
    _add_bundle_command(commands)
    inspect = commands.add_parser("inspect", help="show what a bundle holds, after checking it")
    inspect.add_argument("bundle", type=Path)
    inspect.add_argument("--json", action="store_true", help="print the manifest as JSON")
    inspect.set_defaults(run=_inspect)
    return run_command(parser, arguments)


def _add_bundle_command(commands: argparse._SubParsersAction[Parser]) -> None:
    bundle = commands.add_parser("bundle", help="turn trained weights into a bundle", description=BUNDLE_HELP)
    bundle.add_argument(
        "weights", type=Path, nargs="+", help="NAME.safetensors of 'train', or a file that 'import' takes"
    )
    bundle.add_argument(
        "--footage", nargs="+", required=True, help="normal work: videos, folders, globs; '#t=START,END' for a stretch"
    )
    bundle.add_argument("-o", "--out", type=Path, required=True, help="the .prednet file to write")
    add_network_options(bundle.add_argument_group("a network of another program"))
    add_false_per_day(bundle)
    bundle.add_argument("--json", action="store_true", help="print the result as JSON")
    bundle.set_defaults(run=_bundle)


def _bundle(parsed: argparse.Namespace) -> int:
    making, given = opened("export.making"), given_from_arguments(parsed)
    with tqdm(unit="frame", disable=None, leave=False) as bar:
        made = making.make_bundle(
            parsed.weights, given, parsed.footage, parsed.out, partial(_show, bar), parsed.false_per_day
        )
    for note in made.notes:
        print(f"note: {note}", file=sys.stderr)
    if parsed.json:
        print(msgspec.json.encode(made).decode())
        return 0
    print(f"{parsed.out}: {made.megabytes:.1f} MB\n{told_limits(made.limits)}")
    print(f"error beside that of repeating the last frame: {made.ratio:.2f}")
    if made.ratio >= LEAST_USEFUL_RATIO:
        print("warning: the network hardly beats repeating the last frame; train it longer.", file=sys.stderr)
    if made.is_training_footage:
        print("warning: this is the footage it was trained on; give other normal footage.", file=sys.stderr)
    return 0


def _show(bar: tqdm, name: str, done: int, total: int) -> None:
    if bar.disable and not done:
        print(name, file=sys.stderr)
    bar.set_description(name, refresh=not done)
    bar.total = total or None
    bar.update(done - bar.n)


def _inspect(parsed: argparse.Namespace) -> int:
    bundle = read_bundle(parsed.bundle)
    print(msgspec.json.encode(bundle.manifest).decode() if parsed.json else told_bundle(bundle))
    return 0


def told_bundle(bundle: Bundle) -> str:
    """Return what a bundle holds, in lines for a person."""
    manifest, form = bundle.manifest, bundle.spec.form
    colour = "grey" if form.channels == 1 else "RGB"
    lines = [
        f"{manifest.name}  ({bundle.digest})",
        f"made {manifest.created} by {manifest.made_by}",
        f"frames: {form.width}×{form.height} {colour}, {form.rate_hz:g} a second; error grid {manifest.grid}",
        f"network: {_told_facts(manifest.architecture, ('stack', 'r_stack', 'head', 'cell'))}",
        f"training: {_told_facts(manifest.training, manifest.training) or 'nothing is known of it'}",
    ]
    for name in manifest.variants:
        told = told_limits(bundle.calibration(name).limits).replace("\n", "\n  ")
        lines.append(f"variant {name}: step {len(bundle.step(name)) / 1e6:.1f} MB\n  {told}")
    return "\n".join(lines)


def _told_facts(facts: dict[str, object], keys: Sequence[str] | dict[str, object]) -> str:
    return ", ".join(f"{key} {facts[key]}" for key in keys if key in facts)
