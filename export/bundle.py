"""The bundle written: step, normality and limits of each variant, digests, and where it all came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import msgspec

from edge import __version__
from edge.archive import members_from_files, write_archive
from edge.bundle import BUNDLE, Manifest, Variant
from edge.calibrated import Calibration, normality_to_bytes
from edge.runner import StepSpec
from export.architecture import Architecture


@dataclass(frozen=True)
class MadeVariant:
    """One variant's ONNX bytes and what was fitted on it."""

    name: str
    step: bytes
    calibration: Calibration


def write_bundle(
    path: Path,
    architecture: Architecture,
    spec: StepSpec,
    variants: Sequence[MadeVariant],
    training: Mapping[str, object],
    created: datetime | None = None,
) -> None:
    """Write the bundle of the variants; every file of it is named in the manifest with its digest."""
    files: dict[str, bytes] = {}
    named = {}
    for variant in variants:
        names = Variant(f"step.{variant.name}.onnx", f"normality.{variant.name}.npz", f"limits.{variant.name}.json")
        files[names.step] = variant.step
        files[names.normality] = normality_to_bytes(variant.calibration.normality)
        files[names.limits] = msgspec.json.format(msgspec.json.encode(variant.calibration.limits), indent=1)
        named[variant.name] = names
    manifest = Manifest(
        format=BUNDLE.format,
        format_version=BUNDLE.format_version,
        name=path.stem,
        created=(created or datetime.now(timezone.utc)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        made_by=f"prednet-edge {__version__}",
        frame=spec.form,
        layers=spec.layers,
        grid=spec.grid,
        states=spec.states,
        architecture=msgspec.to_builtins(architecture),
        training=dict(training),
        footage_digest=variants[0].calibration.limits.footage_digest,
        variants=named,
        files=members_from_files(files),
    )
    write_archive(path, manifest, files)
