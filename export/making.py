"""The way from trained weights and normal footage to a bundle."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from calibration.fit import error_ratio, fit_calibration, observe
from calibration.footage import footage_digest, read_footage
from edge.calibrated import Limits
from edge.runners import open_runner
from export.bundle import MadeVariant, write_bundle
from export.checkpoint import load_checkpoint
from export.step import spec_from_architecture, step_onnx

Stage = Callable[[str, int, int], None]
# A network above this share of the error of repeating the last frame does not earn its cost.
LEAST_USEFUL_RATIO = 0.9


@dataclass(frozen=True)
class Made:
    """What came of an export.

    `ratio` is the network's error over that of repeating the last frame, on the normal footage;
    `is_training_footage` is true where the limits were fitted on the very footage that it was trained on.
    """

    limits: Limits
    ratio: float
    megabytes: float
    is_training_footage: bool


def make_bundle(checkpoint: Path, footage: Sequence[str], out: Path, stage: Stage) -> Made:
    """Write the bundle of a checkpoint, normality and limits fitted on `footage`.

    `stage` is told a stage's name, the frames done and the frames in all (0 where they are not counted).
    Raises PrednetError where checkpoint or footage cannot be used.
    """
    architecture, weights, facts = load_checkpoint(checkpoint)
    spec = spec_from_architecture(architecture)
    stage("writing the step", 0, 0)
    model = step_onnx(architecture, weights)
    clips = read_footage(footage, spec.form, lambda name: stage(f"reading {name}", 0, 0))
    frames = sum(len(clip.images) for clip in clips)
    runner = open_runner(model, spec, slots=1)
    observations = observe(clips, runner, lambda done: stage("watching normal footage", done, frames))
    runner.close()
    stage("fitting normality and limits", 0, 0)
    calibration = fit_calibration(clips, observations, spec.form.rate_hz)
    write_bundle(out, architecture, spec, [MadeVariant("float", model, calibration)], facts)
    return Made(
        calibration.limits,
        error_ratio(observations),
        out.stat().st_size / 1e6,
        footage_digest(clips) == facts.get("footage"),
    )
