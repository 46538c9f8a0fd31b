"""Runners: whatever computes the step of `design.md` for the cameras of a device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edge.errors import PrednetError
from edge.frames import FrameFormat


@dataclass(frozen=True)
class TensorSpec:
    """Name, shape without the batch axis, and numpy dtype name of one state of the step."""

    name: str
    shape: tuple[int, ...]
    dtype: str


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

    def copy_slot(self, source: int, target: int) -> None:
        """Give the target slot a copy of the source slot's states."""

    def close(self) -> None:
        """Free what the runner holds."""


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
