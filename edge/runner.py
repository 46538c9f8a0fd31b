"""Runners: whatever computes the step of `design.md` for the cameras of a device."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edge.errors import PrednetError
from edge.frames import FrameFormat

# That one step takes, and one device watches.
MOST_CAMERAS = 16
# States other than float32: whole numbers where the export chose them, and the last frame.
WHOLE_DTYPES = ("int8", "uint8")
STATE_AXES = 3
MOST_STATE_SIZE = 8192
# Of all states of a camera together; those of the KITTI network have 8 MB, and would have 800 at 1080p.
MOST_STATE_BYTES = 1 << 30


class StepFailed(PrednetError):
    """A step was not computed, and its states are gone; whoever raises it tries to compute the next ones."""


@dataclass(frozen=True)
class TensorSpec:
    """Name, shape without the batch axis, and numpy dtype name of one state of the step.

    The shape is [C, H, W]; [H, W, C] of pixels, and of layers in whole numbers as the variant `cpu` has them.
    `zero` is the number that stands for 0 in the state, with which it starts: other than 0 for some whole numbers.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    zero: int = 0


@dataclass(frozen=True)
class StepSpec:
    """What a step takes and gives, as the manifest states it: every runner holds its model to this."""

    form: FrameFormat
    layers: int
    grid: tuple[int, int]
    states: tuple[TensorSpec, ...]

    @property
    def maps(self) -> tuple[int, int, int]:
        """Layers, rows and columns [L, Gh, Gw] of the error maps."""
        return (self.layers, *self.grid)


@dataclass(frozen=True)
class Step:
    """One step's results, valid until the runner's next step: its arrays belong to the runner.

    `errors` and `peaks`: float32 [N, L, Gh, Gw], ≥ 0, of no meaning where `advance` was false;
    `prediction`: uint8 [N, H, W, C], the prediction of this step's frame made before it was seen.
    """

    errors: NDArray[np.float32]
    peaks: NDArray[np.float32]
    prediction: NDArray[np.uint8]


class Runner(Protocol):
    """Computes steps for `slots` cameras and keeps their states."""

    name: str
    slots: int
    spec: StepSpec

    def step(self, frames: NDArray[np.uint8], advance: NDArray[np.bool_], reset: NDArray[np.bool_]) -> Step:
        """Advance the states of the slots with a new frame. frames uint8 [N, H, W, C], advance and reset [N]."""

    def close(self) -> None:
        """Free what the runner holds."""


def check_states(states: Sequence[TensorSpec], where: str) -> None:
    """Raise PrednetError where states have names, shapes or types that no step has."""
    for state in states:
        is_whole = state.dtype in WHOLE_DTYPES and np.iinfo(state.dtype).min <= state.zero <= np.iinfo(state.dtype).max
        if not is_whole and not (state.dtype == "float32" and state.zero == 0):
            raise PrednetError(
                f"{where}: the state {state.name} is {state.dtype} with zero at {state.zero}; expected float32, or "
                f"{' or '.join(WHOLE_DTYPES)} with a zero that it can hold. Export the bundle anew."
            )
        if state.name.startswith("c") and state.dtype != "float32":
            raise PrednetError(f"{where}: the state {state.name} is {state.dtype}; C has no bound and is float32.")
        if len(state.shape) != STATE_AXES or not all(1 <= size <= MOST_STATE_SIZE for size in state.shape):
            raise PrednetError(
                f"{where}: the state {state.name} is {list(state.shape)}; expected {STATE_AXES} sizes of 1 to "
                f"{MOST_STATE_SIZE}. Export the bundle anew."
            )
    size = sum(math.prod(state.shape) * np.dtype(state.dtype).itemsize for state in states)
    if size > MOST_STATE_BYTES:
        raise PrednetError(
            f"{where}: the states of a camera have {size >> 20} MB; at most {MOST_STATE_BYTES >> 20} MB are allowed. "
            f"Export the bundle anew."
        )
    names = [state.name for state in states]
    if len(set(names)) != len(names):
        raise PrednetError(f"{where}: two states have one name. Export the bundle anew.")


def check_inputs(
    spec: StepSpec,
    slots: int,
    frames: NDArray[np.uint8],
    advance: NDArray[np.bool_],
    reset: NDArray[np.bool_],
) -> None:
    """Raise PrednetError where a step is called with other shapes or types than the spec's."""
    shape = (slots, spec.form.height, spec.form.width, spec.form.channels)
    if frames.shape != shape or frames.dtype != np.uint8:
        raise PrednetError(f"frames are {frames.dtype} {list(frames.shape)}; this step takes uint8 {list(shape)}.")
    for name, flags in (("advance", advance), ("reset", reset)):
        if flags.shape != (slots,) or flags.dtype != np.bool_:
            raise PrednetError(f"{name} is {flags.dtype} {list(flags.shape)}; this step takes bool [{slots}].")
