"""The proof of an import: the imported step predicts the user's footage, beside repeating the last frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calibration.footage import Clip
from edge.errors import UsageError
from edge.frames import Image
from edge.pipeline import WARMUP_FRAMES
from edge.runner import Runner
from edge.runners import open_runner
from export.architecture import Architecture
from export.step import spec_from_architecture, step_onnx

# As many frames as a large network predicts in half a minute on a CPU.
MOST_FRAMES = 200


@dataclass(frozen=True)
class Proof:
    """Mean absolute errors over `frames` frames, pixels in 0–1, and the frame that had changed most.

    `error` is the network's, `repeated` that of repeating the last frame.
    """

    error: float
    repeated: float
    frames: int
    frame: Image
    prediction: Image

    @property
    def ratio(self) -> float:
        """The network's error over that of repeating the last frame; infinite where nothing ever changes."""
        return self.error / self.repeated if self.repeated else float("inf")


def prove(architecture: Architecture, weights: Mapping[str, NDArray[np.float32]], clips: Sequence[Clip]) -> Proof:
    """Return how a network predicts the first frames of the clips; UsageError where they are too few."""
    runner = open_runner(step_onnx(architecture, weights), spec_from_architecture(architecture), slots=1)
    errors: list[float] = []
    repeats: list[float] = []
    most: tuple[float, Image, Image] = (-1.0, np.empty(0, np.uint8), np.empty(0, np.uint8))
    try:
        for clip in clips:
            for error, repeated, frame, prediction in _predicted(runner, clip, MOST_FRAMES - len(errors)):
                errors.append(error)
                repeats.append(repeated)
                most = max(most, (repeated, frame, prediction), key=lambda shown: shown[0])
    finally:
        runner.close()
    if not errors:
        raise UsageError(f"no clip of the footage has more than {WARMUP_FRAMES} frames; give some seconds of it.")
    return Proof(float(np.mean(errors)), float(np.mean(repeats)), len(errors), most[1], most[2])


def _predicted(runner: Runner, clip: Clip, most: int) -> list[tuple[float, float, Image, Image]]:
    """Return error, error of repeating, frame and prediction of a clip's frames after the warm-up."""
    seen = []
    for number, image in enumerate(clip.images[: max(most + WARMUP_FRAMES, 0) if most > 0 else 0]):
        step = runner.step(image[None], np.ones(1, np.bool_), np.array([number == 0]))
        if number >= WARMUP_FRAMES:
            repeated = np.abs(image.astype(np.int16) - clip.images[number - 1]).mean() / 255.0
            error = 2.0 * float(step.errors[0, 0].mean())  # E_0 holds both signs, one of them zero
            seen.append((error, float(repeated), image, step.prediction[0].copy()))
    return seen
