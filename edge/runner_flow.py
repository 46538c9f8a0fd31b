"""The runner that predicts by optical flow: it needs no network, and watches before any is trained."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge.flow import DenseFlow, Effort, moved_on, speed_from_flow
from edge.frames import FrameFormat
from edge.pooling import block_maxima, cell_maxima, cell_means, grid_from_form
from edge.runner import Step, StepSpec, TensorSpec, check_inputs
from edge.runner_last_frame import empty_step, half_errors


class FlowRunner:
    """Predicts the last frame moved along its flow. Two layers of maps.

    Layer 0: the error of that prediction, half the mean absolute difference in 0–1, as PredNet's E_0.
    Layer 1: the speed of the flow into this frame, pixels a frame, the highest mean of a moving block in the cell.
    """

    def __init__(self, form: FrameFormat, slots: int, effort: Effort, name: str) -> None:
        """Keep the last frame and its flow for each of `slots` cameras."""
        self.name, self.slots = name, slots
        shape = (form.height, form.width)
        states = (
            TensorSpec("last_frame", (*shape, form.channels), "uint8"),
            TensorSpec("backward", (*shape, 2), "float32"),
            TensorSpec("has_last", (), "bool"),
        )
        self.spec = StepSpec(form, 2, grid_from_form(form), states)
        self._last, self._backward, self._has_last = (np.zeros((slots, *one.shape), one.dtype) for one in states)
        self._step = empty_step(self.spec, slots)
        self._flow = DenseFlow(effort)

    def step(self, frames: NDArray[np.uint8], advance: NDArray[np.bool_], reset: NDArray[np.bool_]) -> Step:
        """Advance the slots with a new frame; see `edge.runner.Runner`."""
        check_inputs(self.spec, self.slots, frames, advance, reset)
        self._last[reset], self._backward[reset], self._has_last[reset] = 0, 0.0, False
        for slot in np.flatnonzero(advance).tolist():
            self._advance(slot, frames[slot])
        return self._step

    def close(self) -> None:
        """Nothing is held."""

    def _advance(self, slot: int, frame: NDArray[np.uint8]) -> None:
        grid, step = self.spec.grid, self._step
        step.prediction[slot] = moved_on(self._last[slot], self._backward[slot])
        errors = half_errors(frame, step.prediction[slot])
        if self._has_last[slot]:  # against the black before the first frame there is no flow
            self._backward[slot] = self._flow.between(frame, self._last[slot])
        speed = speed_from_flow(self._backward[slot])
        step.errors[slot] = cell_means(errors, grid), block_maxima(speed, grid)
        step.peaks[slot] = cell_maxima(errors, grid), cell_maxima(speed, grid)
        self._last[slot], self._has_last[slot] = frame, True
