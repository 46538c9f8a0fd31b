"""Runners that predict that nothing moves: repeating the last frame, and its differences over a moving block."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from edge.frames import FrameFormat
from edge.pooling import Map, block_maxima, cell_maxima, cell_means, grid_from_form
from edge.runner import Step, StepSpec, TensorSpec, check_inputs

Pool = Callable[[Map, tuple[int, int]], Map]


class LastFrameRunner:
    """Predicts the last frame; one layer of errors, half the mean absolute difference in 0–1, as PredNet's E_0.

    The error of a first frame is that of predicting black, as PredNet's is of a guess: it is warm-up.
    """

    def __init__(self, form: FrameFormat, slots: int, pool: Pool, name: str) -> None:
        """Keep a last frame for each of `slots` cameras; `pool` lays the errors of pixels on the grid."""
        self.name, self.slots = name, slots
        last = TensorSpec("last_frame", (form.height, form.width, form.channels), "uint8")
        self.spec = StepSpec(form, 1, grid_from_form(form), (last,))
        self._pool = pool
        self._last = np.zeros((slots, *last.shape), np.uint8)
        self._step = empty_step(self.spec, slots)

    def step(self, frames: NDArray[np.uint8], advance: NDArray[np.bool_], reset: NDArray[np.bool_]) -> Step:
        """Advance the slots with a new frame; see `edge.runner.Runner`."""
        check_inputs(self.spec, self.slots, frames, advance, reset)
        self._last[reset] = 0
        for slot in np.flatnonzero(advance):
            errors = half_errors(frames[slot], self._last[slot])
            self._step.errors[slot, 0] = self._pool(errors, self.spec.grid)
            self._step.peaks[slot, 0] = cell_maxima(errors, self.spec.grid)
            self._step.prediction[slot] = self._last[slot]
            self._last[slot] = frames[slot]
        return self._step

    def close(self) -> None:
        """Nothing is held."""


def last_frame_runner(form: FrameFormat, slots: int) -> LastFrameRunner:
    """Return the runner whose errors are means of a cell."""
    return LastFrameRunner(form, slots, cell_means, "last-frame")


def moving_block_runner(form: FrameFormat, slots: int) -> LastFrameRunner:
    """Return the runner whose errors are the highest means of a moving block: frame differencing as it is done."""
    return LastFrameRunner(form, slots, block_maxima, "moving-block")


def half_errors(frame: NDArray[np.uint8], prediction: NDArray[np.uint8]) -> Map:
    """Return half the absolute difference of each pixel, the mean of its channels, in 0–1: float32 [H, W]."""
    errors: Map = np.abs(frame.astype(np.int16) - prediction).mean(axis=2, dtype=np.float32) / np.float32(510.0)
    return errors


def empty_step(spec: StepSpec, slots: int) -> Step:
    """Return a step of zeros, which a runner fills anew each time."""
    maps = (slots, *spec.maps)
    shape = (slots, spec.form.height, spec.form.width, spec.form.channels)
    return Step(np.zeros(maps, np.float32), np.zeros(maps, np.float32), np.zeros(shape, np.uint8))
