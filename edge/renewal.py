"""Renewal: a camera's state that has grown old gives way to a young one, and not a frame goes unscored.

C forgets nothing that its gates do not let go: after hours it holds what a state of a minute does not, and in whole
numbers something else than in float (docs/decisions/0013-long-streams.md). So the last frames are shown to it once
more from nothing, before the next one is.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from edge.runner import Runner, Step

log = logging.getLogger(__name__)

# A state that has seen so many frames is old: a minute at 10 frames a second. The five steps more are 0.8 % of all.
RENEW_FRAMES = 600
# With it those that are half as old are renewed, so that cameras need the five steps once and not each by itself.
WITH_FRAMES = RENEW_FRAMES // 2
# A state so old is renewed whatever is going on: what it holds may be what keeps an event open.
MOST_FRAMES = 10 * RENEW_FRAMES
# The mean time of a step follows the last one by this share.
_SHARE = 0.1
Images = tuple[NDArray[np.uint8], ...]


class Renewing:
    """Steps of a runner, and states that begin anew where that takes no longer than `pause_seconds`.

    On a device a frame waits for the steps before it: where they would take so long that the next one is lost, a state
    is better left to grow old, which is told once. A predictor without C has nothing that grows old.
    """

    def __init__(self, runner: Runner, pause_seconds: float) -> None:
        self.runner, self._pause_seconds = runner, pause_seconds
        self._can_age = any(state.name.startswith("c") for state in runner.spec.states)
        self._step_seconds = 0.0
        self._has_told = False

    def step(self, frames: NDArray[np.uint8], advance: NDArray[np.bool_], reset: NDArray[np.bool_]) -> Step:
        """Advance the slots with a new frame; see `Runner.step`."""
        began = time.perf_counter()
        step = self.runner.step(frames, advance, reset)
        self._step_seconds += _SHARE * (time.perf_counter() - began - self._step_seconds)
        return step

    def renew(self, last: Mapping[int, Images]) -> bool:
        """Begin the states of slots anew from the last frames that each saw; say whether that was done.

        Frames are uint8 [H, W, C], the latest at the end; all slots have the same number, others are left as they are.
        Raises StepFailed as `Runner.step` does.
        """
        count = max((len(images) for images in last.values()), default=0)
        if not self._can_age or not count or not self._is_quick(count):
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

    def _is_quick(self, count: int) -> bool:
        if count * self._step_seconds <= self._pause_seconds:
            return True
        if not self._has_told:
            self._has_told = True
            log.warning(
                "states_grow_old step_ms=%.0f: to renew them takes longer than a frame's time", 1e3 * self._step_seconds
            )
        return False
