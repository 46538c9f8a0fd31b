"""The bundle written: step, normality and limits of each variant, digests, and where it all came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge import __version__
from edge.archive import members_from_files, write_archive
from edge.arrays import arrays_to_bytes
from edge.bundle import BUNDLE, Manifest, Variant
from edge.calibrated import Calibration, normality_to_bytes
from edge.golden import Answer, Tolerance
from edge.runner import StepSpec, TensorSpec
from export.architecture import Architecture

GOLDEN_FRAMES = "golden.frames.npz"


@dataclass(frozen=True)
class MadeVariant:
    """One variant's ONNX bytes, what was fitted on it, and what the manifest says of it.

    `states` are its own where they differ from the bundle's; `golden` is what it answers to the golden frames.
    """

    name: str
    step: bytes
    calibration: Calibration
    states: tuple[TensorSpec, ...] | None = None
    golden: tuple[Answer, Tolerance] | None = None
    int8: tuple[str, ...] = ()
    convolutions: int = 0
    ranges: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Provenance:
    """Where a bundle comes from: the command, the versions of the tools, the licence, and reports by file name."""

    command: str = ""
    tools: Mapping[str, str] = field(default_factory=dict)
    licence: str = ""
    reports: Mapping[str, bytes] = field(default_factory=dict)


def write_bundle(
    path: Path,
    architecture: Architecture,
    spec: StepSpec,
    variants: Sequence[MadeVariant],
    training: Mapping[str, object],
    frames: NDArray[np.uint8] | None = None,
    provenance: Provenance | None = None,
) -> None:
    """Write the bundle of the variants; every file of it is named in the manifest with its digest.

    `frames` are those that the variants' golden answers belong to.
    """
    provenance = provenance or Provenance()
    files: dict[str, bytes] = dict(provenance.reports)
    named = {}
    for variant in variants:
        named[variant.name] = names = _names(variant)
        files[names.step] = variant.step
        files[names.normality] = normality_to_bytes(variant.calibration.normality)
        files[names.limits] = msgspec.json.format(msgspec.json.encode(variant.calibration.limits), indent=1)
        if variant.golden is not None:
            answer, _ = variant.golden
            files[names.golden] = arrays_to_bytes(errors=answer.errors, prediction=answer.prediction)
    if frames is not None:
        files[GOLDEN_FRAMES] = arrays_to_bytes(frames=frames)
    manifest = Manifest(
        format=BUNDLE.format,
        format_version=BUNDLE.format_version,
        name=path.stem,
        created=datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
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
        golden_frames="" if frames is None else GOLDEN_FRAMES,
        reports=tuple(provenance.reports),
        command=provenance.command,
        tools=dict(provenance.tools),
        licence=provenance.licence,
    )
    write_archive(path, manifest, files)


def _names(variant: MadeVariant) -> Variant:
    return Variant(
        f"step.{variant.name}.onnx",
        f"normality.{variant.name}.npz",
        f"limits.{variant.name}.json",
        golden=f"golden.{variant.name}.npz" if variant.golden else "",
        golden_tolerance=variant.golden[1] if variant.golden else None,
        states=variant.states,
        int8=variant.int8,
        convolutions=variant.convolutions,
        ranges=dict(variant.ranges),
    )
