"""Renewal: a camera's state that has grown old gives way to a young one, and not a frame goes unscored.

C forgets nothing that its gates do not let go: after hours it holds what a state of a minute does not, and in whole
numbers something else than in float (docs/decisions/0013-long-streams.md). So the last frames are shown to it once
more from nothing, before the next one is.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from edge.runner import Runner

# A state that has seen so many frames is old: a minute at 10 frames a second. The five steps more are 0.8 % of all.
RENEW_FRAMES = 600
Images = tuple[NDArray[np.uint8], ...]


def renew(runner: Runner, last: Mapping[int, Images]) -> None:
    """Begin the states of slots anew from the last frames that each saw, uint8 [H, W, C], the latest at the end.

    All have the same number of them; other slots are left as they are. Raises StepFailed as `Runner.step` does.
    """
    form = runner.spec.form
    frames = np.zeros((runner.slots, form.height, form.width, form.channels), np.uint8)
    advance = np.zeros(runner.slots, np.bool_)
    advance[list(last)] = True
    for number, images in enumerate(zip(*last.values(), strict=True)):
        for slot, image in zip(last, images, strict=True):
            frames[slot] = image
        runner.step(frames, advance, advance if number == 0 else np.zeros_like(advance))
