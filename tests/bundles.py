"""Bundles that differ: other digests, other normality, an answer that no runner gives; and a device of one camera."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from io import BytesIO
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from calibration.fit import fit_calibration, observe
from edge.archive import read_members, write_members
from edge.bundle import Bundle, read_bundle
from edge.calibrated import Calibration
from edge.golden import Answer, Tolerance
from edge.setup import read_device
from edge.site_calibration import write_site
from export.bundle import MadeVariant, write_bundle
from export.golden import golden_answer, golden_frames
from export.step import spec_from_architecture, step_onnx
from export.variants.forms import form_of
from tests.films import write_clip
from tests.tampering import Members, sealed
from tests.tiny import (
    RATE_HZ,
    clip_from,
    normal_images,
    repeating_weights,
    tiny_architecture,
    tiny_calibration,
    tiny_runner,
)

ARCHITECTURE = tiny_architecture()
SPEC = spec_from_architecture(ARCHITECTURE)


def write_named_bundle(path: Path, still: bool = False) -> Path:
    """A bundle of the repeating network with a golden answer, named by its file; `still`: normal is a still scene."""
    step, frames, answer = _step_and_answer()
    variant = MadeVariant("float", step, _still_calibration() if still else _calibration(), golden=answer)
    write_bundle(path, ARCHITECTURE, SPEC, [variant], {"seed": 0}, frames=frames)
    return path


@cache
def _step_and_answer() -> tuple[bytes, NDArray[np.uint8], tuple[Answer, Tolerance]]:
    step, frames = step_onnx(ARCHITECTURE, repeating_weights(ARCHITECTURE)), golden_frames(SPEC.form)
    return step, frames, golden_answer(form_of("float", step, SPEC, {}, []), frames)


@cache
def _calibration() -> Calibration:
    return tiny_calibration()


@cache
def _still_calibration() -> Calibration:
    noise = np.random.default_rng(4).integers(0, 3, (200, 32, 40, 1), dtype=np.uint8)
    clips = [clip_from(np.repeat(normal_images(1), 200, axis=0) + noise)]
    return fit_calibration(clips, observe(clips, tiny_runner()), RATE_HZ)


def spoil_answer(path: Path) -> Path:
    """Let a bundle claim an answer that no runner gives; every digest is right."""
    members: Members = read_members(path)
    name = next(name for name in members if name.startswith("golden.float"))
    with np.load(BytesIO(members[name])) as arrays:
        wrong = {"errors": arrays["errors"] + 1.0, "prediction": arrays["prediction"]}
    buffer = BytesIO()
    np.savez_compressed(buffer, **wrong)
    members[name] = buffer.getvalue()
    sealed(members)
    write_members(path, members)
    return path


def write_device(folder: Path, port: int, more: str = "", normal: bool = False) -> Path:
    """A configuration of one camera, `cam`, that plays normal work for ever, on `a.prednet`."""
    write_named_bundle(folder / "a.prednet")
    write_clip(folder / "normal.mkv", normal_images(400, seed=8))
    path = folder / "config.yaml"
    line = "normal: cam.normal, " if normal else ""
    path.write_text(
        f"site: plant7\ndevice: edge1\nbundle: a.prednet\nstate_directory: state\nthreads: 1\n{more}"
        f"cameras:\n  cam: {{{line}source: normal.mkv, loop: true}}\n"
        f"mqtt: {{port: {port}, allow_admin: true}}\nevidence: {{record: false}}\n"
    )
    if normal:
        write_normal(folder / "cam.normal", read_bundle(folder / "a.prednet"))
    return path


def write_normal(path: Path, bundle: Bundle, highest: float = 7.0) -> Path:
    """A site calibration of `cam` for a bundle, told apart by its `highest_level`."""
    fitted = bundle.calibration("float")
    limits = msgspec.structs.replace(fitted.limits, highest_level=highest)
    write_site(
        path,
        replace(fitted, limits=limits),
        camera="cam",
        bundle=bundle,
        variant="float",
        created="2026-11-26T00:00:00Z",
    )
    return path


def level_in_force(config: Path) -> tuple[str, float, bool]:
    """The name of the bundle in force, and which calibration of `cam` goes with it."""
    model = read_device(config).models["cam"]
    return model.bundle.manifest.name, model.calibration.limits.highest_level, model.is_site
