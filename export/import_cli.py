"""`prednet-export import`: a network that another program trained becomes a checkpoint of ours, with its proof."""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from calibration.footage import read_footage
from edge.command import Parser, check_folder_of
from edge.frames import FrameFormat
from edge.options import rate_from_text, size_from_text
from export.architecture import Architecture
from export.importing.found import LEAST_USEFUL_RATIO, Given
from export.importing.orientation import READINGS
from export.opening import opened
from export.train_cli import checkpoint_path, numbers_from_text

if TYPE_CHECKING:
    from export.importing.found import Found, Imported
    from export.importing.proof import Proof

IMPORT_HELP = """Import a trained PredNet: the original Keras files, PyTorch state dicts, leido/pytorch-prednet.

Nothing of a file is executed, and neither Keras nor TensorFlow is needed. Every tensor must find its place.
With --footage the imported network predicts it, beside repeating the last frame; the picture shows the frame
that had changed most. Footage also decides how kernels lie where the file does not say it.

  prednet-export import MODEL.json WEIGHTS.hdf5 -o press.safetensors --footage normal/
  prednet-export import WEIGHTS.hdf5 -o press.safetensors --size 160x128 --kernels rotated
  prednet-export import training.pt -o press.safetensors --size 160x128 --rate 10 --footage normal/

Straight to a bundle: prednet-export bundle MODEL.json WEIGHTS.hdf5 --footage normal/ -o press.prednet
"""


@dataclass(frozen=True)
class ImportReport:
    """What came of an import. Errors are mean absolute ones, pixels in 0–1; None without footage."""

    path: str
    kind: str
    architecture: Architecture
    parameters: int
    tensors_used: int
    set_aside: tuple[str, ...]
    kernels: str
    kernels_said_by: str
    errors_by_kernels: dict[str, float]
    error: float | None
    repeated: float | None
    ratio: float | None
    frames: int
    picture: str | None
    notes: tuple[str, ...]
    warnings: tuple[str, ...]


def add_import_command(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add `import` to the commands of `prednet-export`."""
    parser = commands.add_parser("import", help="take over a network that you have", description=IMPORT_HELP)
    parser.add_argument("files", type=Path, nargs="+", help="weights, and the JSON of a Keras model")
    parser.add_argument("-o", "--out", type=checkpoint_path, required=True, help="where to write NAME.safetensors")
    parser.add_argument("--footage", nargs="+", default=[], metavar="PATH", help="to prove the network on, as in train")
    parser.add_argument("--picture", type=Path, help="where to draw frame, prediction, error (default: NAME.png)")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    add_network_options(parser.add_argument_group("what the files do not say"))
    parser.set_defaults(run=run_import)


def add_network_options(group: argparse._ArgumentGroup) -> None:
    """Add what a user may have to say of another program's network."""
    group.add_argument("--size", type=size_from_text, metavar="WIDTHxHEIGHT", help="of its frames, in pixels")
    group.add_argument("--rate", type=rate_from_text, metavar="HZ", help="frames a second that it was trained on")
    group.add_argument("--pixel-max", type=float, metavar="VALUE", help="the most that a predicted pixel can be")
    group.add_argument("--channels", type=numbers_from_text, metavar="N,N,…", help="checked against the file")
    group.add_argument("--r-channels", type=numbers_from_text, metavar="N,N,…", help="checked against the file")
    group.add_argument("--kernels", choices=READINGS, help="how they lie in the file; 'rotated' is Theano's way")


def given_from_arguments(parsed: argparse.Namespace) -> Given:
    """Return what the user says of the network."""
    return Given(parsed.size, parsed.rate, parsed.pixel_max, parsed.channels, parsed.r_channels, parsed.kernels)


def run_import(parsed: argparse.Namespace) -> int:
    """Import as the arguments say, and print what came of it."""
    report = import_files(parsed)
    print(msgspec.json.encode(report).decode() if parsed.json else told_report(report))
    for warning in report.warnings:
        print(f"prednet-export import: warning: {warning}", file=sys.stderr)
    return 0


def import_files(parsed: argparse.Namespace) -> ImportReport:
    """Read, prove on footage, write the checkpoint and the picture, and return the report."""
    picture = parsed.picture or parsed.out.with_suffix(".png")
    for path in (parsed.out, picture):
        check_folder_of(path)
    network = opened("export.importing.network")
    found = network.read_network(parsed.files, given_from_arguments(parsed))
    shape = found.architecture
    form = FrameFormat(shape.height, shape.width, shape.channels, shape.rate_hz)
    clips = read_footage(parsed.footage, form, lambda name: print(f"reading {name}", file=sys.stderr))
    imported, proof = network.settled(found, clips, lambda name: print(name, file=sys.stderr))
    opened("export.checkpoint").save_checkpoint(parsed.out, shape, imported.weights, imported.facts)
    if proof is not None:
        opened("edge.chart").draw_prediction(proof.frame, proof.prediction, picture)
    return _report(parsed.out, found, imported, proof, picture)


def _report(out: Path, found: Found, imported: Imported, proof: Proof | None, picture: Path) -> ImportReport:
    return ImportReport(
        path=str(out), kind=found.kind, architecture=found.architecture,
        parameters=sum(values.size for values in found.weights.values()),
        tensors_used=len(found.sources), set_aside=found.set_aside,
        kernels=imported.reading, kernels_said_by=imported.said_by, errors_by_kernels=dict(imported.errors),
        error=None if proof is None else proof.error, repeated=None if proof is None else proof.repeated,
        ratio=None if proof is None else proof.ratio, frames=0 if proof is None else proof.frames,
        picture=None if proof is None else str(picture),
        notes=found.notes, warnings=(*imported.warnings, *_warnings(proof)),
    )  # fmt: skip


def _warnings(proof: Proof | None) -> list[str]:
    if proof is None:
        return ["without --footage it is not proved that the network predicts anything."]
    if not proof.repeated:
        return ["nothing moves in this footage; it proves nothing."]
    if proof.ratio >= LEAST_USEFUL_RATIO:
        return [
            f"its error is {proof.ratio:.2f} of that of repeating the last frame: it was misread, trained on other "
            "footage, or trained too briefly. Look at the picture."
        ]
    return []


def told_report(report: ImportReport) -> str:
    """Return what came of an import, in sentences for a person."""
    shape = report.architecture
    colour = "grey" if shape.channels == 1 else "RGB"
    lines = [
        f"{report.path}: {report.kind}, {shape.layers} layers {shape.stack}, memories {shape.r_stack}, "
        f"{shape.width}×{shape.height} {colour}, {shape.rate_hz:g} frames a second",
        f"{report.tensors_used} tensors, {report.parameters:,} parameters, each used once"
        + (f"; set aside: {', '.join(report.set_aside)}" if report.set_aside else ""),
        f"kernels: {report.kernels}, said by {report.kernels_said_by}",
    ]
    lines += [f"  kernels {reading}: mean error {error:.5f}" for reading, error in report.errors_by_kernels.items()]
    if report.ratio is not None:
        lines.append(
            f"on {report.frames} frames of footage its error is {report.error:.5f}, of repeating the last frame "
            f"{report.repeated:.5f}: {report.ratio:.2f}; picture: {report.picture}"
        )
    return "\n".join([*lines, *(f"note: {note}" for note in report.notes)])
