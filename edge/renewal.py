"""Renewal: a camera's state that has grown old gives way to a young one, and not a frame goes unscored.

C forgets nothing that its gates do not let go: after hours it holds what a state of a minute does not, and in whole
numbers something else than in float (docs/decisions/0013-long-streams.md). So the last frames are shown to it once
more from nothing, before the next one is.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from edge.runner import Runner, Step

# A state that has seen so many frames is old: a minute at 10 frames a second. The five steps more are 0.8 % of all.
RENEW_FRAMES = 600
# How much the last step says of what the next one takes.
_SHARE = 0.1
Images = tuple[NDArray[np.uint8], ...]


class Renewal:
    """Steps of a runner, and states that begin anew where that takes no longer than `pause_seconds`.

    On a device a frame waits for the steps before it: where they would take so long that the next one is lost, a state
    is better left to grow old.
    """

    def __init__(self, runner: Runner, pause_seconds: float) -> None:
        self.runner, self._pause_seconds = runner, pause_seconds
        self._step_seconds = 0.0

    def step(self, frames: NDArray[np.uint8], advance: NDArray[np.bool_], reset: NDArray[np.bool_]) -> Step:
        """Advance the slots with a new frame; see `Runner.step`."""
        began = time.perf_counter()
        step = self.runner.step(frames, advance, reset)
        self._step_seconds += _SHARE * (time.perf_counter() - began - self._step_seconds)
        return step

    def of(self, last: Mapping[int, Images]) -> bool:
        """Begin the states of slots anew from the last frames that each saw; say whether that was done.

        Frames are uint8 [H, W, C], the latest at the end; all slots have the same number, others are left as they are.
        Raises StepFailed as `Runner.step` does.
        """
        number = max((len(images) for images in last.values()), default=0)
        if not number or number * self._step_seconds > self._pause_seconds:
            return False
        form, slots = self.runner.spec.form, self.runner.slots
        frames = np.zeros((slots, form.height, form.width, form.channels), np.uint8)
        advance, reset = np.zeros(slots, np.bool_), np.zeros(slots, np.bool_)
        advance[list(last)] = reset[list(last)] = True
        for images in zip(*last.values(), strict=True):
            for slot, image in zip(last, images, strict=True):
                frames[slot] = image
            self.runner.step(frames, advance, reset)
            reset[:] = False
        return True
