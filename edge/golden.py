"""Golden answers: what a right runner gives on a few frames of our own scene, so that a wrong one is never used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge.arrays import UNREADABLE, opened_arrays
from edge.errors import PrednetError
from edge.runner import Runner, StepSpec


class Tolerance(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How far a right runner may be off: `errors` of the maps, `prediction` in grey levels, means over a frame."""

    errors: float
    prediction: float


@dataclass(frozen=True)
class Answer:
    """What a runner gave on T frames from a reset: `errors` float32 [T, L, Gh, Gw], `prediction` uint8 [T, H, W, C]."""

    errors: NDArray[np.float32]
    prediction: NDArray[np.uint8]


@dataclass(frozen=True)
class Golden:
    """The frames, uint8 [T, H, W, C], what a right runner answers, and how far it may be off."""

    frames: NDArray[np.uint8]
    answer: Answer
    tolerance: Tolerance


def answer_of(runner: Runner, frames: NDArray[np.uint8], slot: int = 0) -> Answer:
    """Return what a slot of a runner gives on the frames, from a reset; every slot sees them."""
    errors, predictions = [], []
    for number, frame in enumerate(frames):
        step = runner.step(
            np.repeat(frame[None], runner.slots, axis=0),
            np.ones(runner.slots, np.bool_),
            np.full(runner.slots, number == 0),
        )
        errors.append(step.errors[slot].copy())
        predictions.append(step.prediction[slot].copy())
    return Answer(np.stack(errors), np.stack(predictions))


def distance(one: Answer, other: Answer) -> Tolerance:
    """Return the largest mean difference of a frame between two answers; infinite where one is not finite."""
    errors = np.abs(one.errors - other.errors).mean(axis=(1, 2, 3))
    levels = np.abs(one.prediction.astype(np.float64) - other.prediction).mean(axis=(1, 2, 3))
    far = float(errors.max()) if np.isfinite(errors).all() else float("inf")
    return Tolerance(far, float(levels.max()))


def check_golden(runner: Runner, golden: Golden, where: str) -> Tolerance:
    """Return how far a runner is off; PrednetError where that is too far. Its states are of no use afterwards."""
    found = distance(answer_of(runner, golden.frames), golden.answer)
    if found.errors <= golden.tolerance.errors and found.prediction <= golden.tolerance.prediction:
        return found
    raise PrednetError(
        f"{where}: its golden answer is missed: errors by {found.errors:.2g} (at most {golden.tolerance.errors:.2g}), "
        f"predictions by {found.prediction:.2g} grey levels (at most {golden.tolerance.prediction:.2g}). "
        f"This runner computes something else; export the bundle anew, or use another variant."
    )


def golden_from_bytes(frames: bytes, answer: bytes, tolerance: Tolerance, spec: StepSpec, where: str) -> Golden:
    """Return the golden answer of two npz files; PrednetError where they are not of the spec's shapes and finite."""
    form = spec.form
    seen = _array(frames, "frames", np.uint8, where)
    count = len(seen) if seen.ndim else 0
    image = (count, form.height, form.width, form.channels)
    errors, prediction = (_array(answer, name, kind, where) for name, kind in _KINDS)
    for name, found, expected in (
        ("frames", seen.shape, image),
        ("errors", errors.shape, (count, *spec.maps)),
        ("prediction", prediction.shape, image),
    ):
        if found != expected or not count:
            raise PrednetError(f"{where}: {name} is {list(found)}, expected {list(expected)}; export the bundle anew.")
    if not np.isfinite(errors).all() or not 0 <= tolerance.errors < 1 or not 0 <= tolerance.prediction < 255:
        raise PrednetError(f"{where}: the golden answer is not finite, or allows anything; export the bundle anew.")
    return Golden(seen, Answer(errors, prediction), tolerance)


_KINDS = (("errors", np.float32), ("prediction", np.uint8))


def _array(data: bytes, name: str, kind: type[np.generic], where: str) -> NDArray[Any]:
    try:
        with opened_arrays(data) as arrays:
            array: NDArray[Any] = arrays[name]
    except UNREADABLE as error:
        raise PrednetError(f"{where}: {name} cannot be read ({error}); export the bundle anew.") from error
    if array.dtype != kind:
        raise PrednetError(f"{where}: {name} is {array.dtype}, expected {np.dtype(kind)}; export the bundle anew.")
    return array
