"""A tape of steps: what a runner gave on footage, played again without computing it again."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge.errors import PrednetError
from edge.normality import Map
from edge.runner import Runner, Step


class RecordingRunner:
    """A runner that remembers the error maps of its steps, in order; for one camera."""

    def __init__(self, runner: Runner) -> None:
        self.name, self.slots, self.spec = runner.name, runner.slots, runner.spec
        self._runner = runner
        self.steps: list[tuple[Map, Map]] = []

    def step(self, frames: NDArray[np.uint8], advance: NDArray[np.bool_], reset: NDArray[np.bool_]) -> Step:
        """Advance as the runner does; see `edge.runner.Runner`."""
        step = self._runner.step(frames, advance, reset)
        self.steps.append((step.errors.copy(), step.peaks.copy()))
        return step

    def copy_slot(self, source: int, target: int) -> None:
        """Copy a slot as the runner does."""
        self._runner.copy_slot(source, target)

    def close(self) -> None:
        """Free what the runner holds; the tape stays."""
        self._runner.close()


class PlayedRunner:
    """Gives a tape's steps again, for the same frames in the same order; its predictions are black."""

    def __init__(self, tape: RecordingRunner) -> None:
        self.name, self.slots, self.spec = tape.name, tape.slots, tape.spec
        self._steps = iter(tape.steps)
        form = self.spec.form
        self._prediction = np.zeros((self.slots, form.height, form.width, form.channels), np.uint8)

    def step(self, frames: NDArray[np.uint8], advance: NDArray[np.bool_], reset: NDArray[np.bool_]) -> Step:
        """Return the next step of the tape. Raises PrednetError at its end."""
        found = next(self._steps, None)
        if found is None:
            raise PrednetError("the tape of steps has ended; play it on the footage that it was recorded on.")
        return Step(found[0], found[1], self._prediction)

    def copy_slot(self, source: int, target: int) -> None:
        """Nothing is held in slots."""

    def close(self) -> None:
        """Nothing is held."""
