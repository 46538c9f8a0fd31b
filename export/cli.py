"""The command line of `prednet-export`."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from calibration.asked import add_asked, asked_from
from calibration.told import told_limits
from edge.command import Parser, check_folder_of, parser_for, run_command
from edge.engine.engine_cli import add_export_engine_command
from edge.errors import UsageError
from export.bundle_cli import add_bundle_file_commands
from export.import_cli import add_import_command, add_network_options, given_from_arguments
from export.importing.found import LEAST_USEFUL_RATIO
from export.opening import opened
from export.stages import Stages, told_seconds
from export.train_cli import add_train_command

# As in export.variants.forms, which needs the workstation's packages.
VARIANT_NAMES = ("float", "int8", "fp16", "int8.fp16", "cpu")
ROUNDED_NAMES = ("int8", "int8.fp16", "cpu")
LEAST_GATE_STEPS = 100

BUNDLE_HELP = """Turn trained weights and footage of normal work into a bundle that a camera can run.

What is normal is fitted on the footage: it must show nothing that you want to be told of, and be
footage that the training did not see, or the limits are too low.

The bundle holds the step as float32 and in the variants below: int8, fp16 and int8.fp16 for TensorRT, cpu for ONNX
Runtime. Each is compared with float over closed-loop steps of the footage before it goes in, and has limits of its own.
NAME.report.html, beside the bundle and in it, shows what came of it.

  prednet-export bundle press.safetensors --footage normal/ -o press.prednet
  prednet-export bundle MODEL.json WEIGHTS.hdf5 --footage normal/ -o press.prednet
  prednet-export bundle press.safetensors --footage normal/ -o press.prednet --variants float
  prednet-export bundle press.safetensors --footage normal/ -o press.prednet --variants int8 --precision int8
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `prednet-export` and return its exit code."""
    parser, commands = parser_for("prednet-export", "A trained PredNet becomes a bundle that a camera can run.")
    add_train_command(commands)
    add_import_command(commands)
    _add_bundle_command(commands)
    add_bundle_file_commands(commands)
    add_export_engine_command(commands)
    parser.set_defaults(typed=list(sys.argv[1:] if arguments is None else arguments))
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
    add_asked(bundle)
    _add_variant_options(bundle.add_argument_group("the variants"))
    bundle.add_argument("--json", action="store_true", help="print the result as JSON")
    bundle.set_defaults(run=_bundle)


def _add_variant_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--variants", metavar="NAME,NAME,…", default=",".join(VARIANT_NAMES),
                       help="what the bundle holds beside 'float' (default: %(default)s)")  # fmt: skip
    group.add_argument("--precision", choices=("auto", "int8"), default="auto",
                       help="auto: layers return to float where the gate fails, and the report says what it costs; "
                            "int8: every layer that can be is INT8, or the export fails with code 4")  # fmt: skip
    group.add_argument("--allow-fallback", action="store_true",
                       help="with --precision int8: let the most sensitive layers return to float")  # fmt: skip
    group.add_argument("--gate-steps", type=int, default=1000, metavar="STEPS",
                       help="closed-loop steps that every variant is compared over (default: %(default)s; "
                            "fewer are a trial, and the report says so)")  # fmt: skip
    group.add_argument("--licence", default="", help="of the network, for the manifest")


def _bundle(parsed: argparse.Namespace) -> int:
    check_folder_of(parsed.out)
    making, given = opened("export.making"), given_from_arguments(parsed)
    stages = Stages()
    try:
        made = making.make_bundle(
            parsed.weights, given, parsed.footage, parsed.out, stages, _wanted(making, parsed), stages.seconds
        )
    finally:
        stages.close()
    for note in made.notes:
        print(f"note: {note}", file=sys.stderr)
    if parsed.json:
        print(msgspec.json.encode(made).decode())
        return 0
    print(f"{parsed.out}: {made.megabytes:.1f} MB\n{told_limits(made.limits)}")
    print(f"error beside that of repeating the last frame: {made.ratio:.2f}")
    print("\n".join(_told_variant(one) for one in made.variants))
    page = ".report.html" if len(made.variants) > 1 else ".report.json"  # nothing is compared with float alone
    print(f"report: {parsed.out.with_suffix(page)}", file=sys.stderr)
    print(told_seconds(made.seconds), file=sys.stderr)
    if made.ratio >= LEAST_USEFUL_RATIO:
        print("warning: the network hardly beats repeating the last frame; train it longer.", file=sys.stderr)
    if made.is_training_footage:
        print("warning: this is the footage it was trained on; give other normal footage.", file=sys.stderr)
    return 0


def _wanted(making: Any, parsed: argparse.Namespace) -> Any:
    names = tuple(name.strip() for name in parsed.variants.split(","))
    unknown = [name for name in names if name not in VARIANT_NAMES]
    if unknown:
        raise UsageError(f"--variants: '{unknown[0]}' is not known; there are {', '.join(VARIANT_NAMES)}.")
    if parsed.gate_steps < LEAST_GATE_STEPS:
        raise UsageError(
            f"--gate-steps is {parsed.gate_steps}; a gate of fewer than {LEAST_GATE_STEPS} proves nothing."
        )
    demands = parsed.precision == "int8"
    if demands and not set(names) & set(ROUNDED_NAMES):
        raise UsageError(f"--precision int8 demands something of {', '.join(ROUNDED_NAMES)}: name one in --variants.")
    command = shlex.join(["prednet-export", *parsed.typed])
    may_return = not demands or parsed.allow_fallback
    return making.Wanted(names, demands, may_return, parsed.gate_steps, command, parsed.licence, asked_from(parsed))


def _told_variant(one: Any) -> str:
    speed = "" if one.step_milliseconds is None else f", {one.step_milliseconds:.1f} ms a step here"
    if one.parity is None:
        return f"{one.name}: {one.bytes / 1e6:.2f} MB{speed}"
    kept = "" if one.is_kept else "LEFT OUT: "
    return (
        f"{one.name}: {kept}{one.bytes / 1e6:.2f} MB, {len(one.int8)} of {one.convolutions} convolutions INT8, "
        f"rank correlation {one.parity.rank_correlation:.4f} over {one.parity.steps} steps{speed}"
    )
