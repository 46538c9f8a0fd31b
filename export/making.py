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
from export.importing.found import Given
from export.importing.network import read_network, settled
from export.step import spec_from_architecture, step_onnx

Stage = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Made:
    """What came of an export.

    `ratio` is the network's error over that of repeating the last frame, on the normal footage;
    `is_training_footage` is true where the limits were fitted on the very footage that it was trained on;
    `notes` tell what was taken on trust of a network that another program trained.
    """

    limits: Limits
    ratio: float
    megabytes: float
    is_training_footage: bool
    notes: tuple[str, ...] = ()


def make_bundle(
    files: Sequence[Path],
    given: Given,
    footage: Sequence[str],
    out: Path,
    stage: Stage,
    false_events_per_day: float = 1.0,
) -> Made:
    """Write the bundle of a checkpoint or of another program's network, normality and limits fitted on `footage`.

    `stage` is told a stage's name, the frames done and the frames in all (0 where they are not counted).
    Raises PrednetError where network or footage cannot be used.
    """
    found = read_network(files, given)
    architecture, spec = found.architecture, spec_from_architecture(found.architecture)
    clips = read_footage(footage, spec.form, lambda name: stage(f"reading {name}", 0, 0))
    network, _ = settled(found, clips if len(found.readings) > 1 else (), lambda name: stage(name, 0, 0))
    facts = network.facts
    stage("writing the step", 0, 0)
    model = step_onnx(architecture, network.weights)
    frames = sum(len(clip.images) for clip in clips)
    runner = open_runner(model, spec, slots=1)
    observations = observe(clips, runner, lambda done: stage("watching normal footage", done, frames))
    runner.close()
    stage("fitting normality and limits", 0, 0)
    calibration = fit_calibration(clips, observations, spec.form.rate_hz, false_events_per_day)
    write_bundle(out, architecture, spec, [MadeVariant("float", model, calibration)], facts)
    return Made(
        calibration.limits,
        error_ratio(observations),
        out.stat().st_size / 1e6,
        footage_digest(clips) == facts.get("footage"),
        (*found.notes, *((network.told_kernels,) if network.errors else ()), *network.warnings),
    )
