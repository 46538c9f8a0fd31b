"""Golden answers made: each variant on a few frames of our own scene, never of the user's footage."""

from __future__ import annotations

from contextlib import closing

import numpy as np
from numpy.typing import NDArray

from edge.frames import FrameFormat
from edge.golden import Answer, Tolerance, answer_of, distance
from edge.runners import open_runner
from edge.sources import open_source
from export.variants.forms import Form

FRAMES = 6
SCENE = "test://factory?seed=4711&accidents=none&seconds={seconds:g}"
# How far two right runners may be apart: kernels sum in other orders, and a number that tips over to the next whole
# one moves by a step and feeds back. In shares of the answer's mean error, and in grey levels.
_APART = {"float": (0.001, 0.05), "fp16": (0.03, 0.5)}
_APART_ROUNDED = (0.1, 1.0)
# What two runs of one runner differ by is doubled twice: other processors were not at hand.
_SAFETY = 4.0


def golden_frames(form: FrameFormat) -> NDArray[np.uint8]:
    """Return the frames of the golden clip, uint8 [T, H, W, C]."""
    with closing(open_source(SCENE.format(seconds=FRAMES / form.rate_hz), form)) as source:
        return np.stack([frame.image for frame in source.frames()])


def golden_answer(form: Form, frames: NDArray[np.uint8]) -> tuple[Answer, Tolerance]:
    """Return what a variant answers to the frames, and how far another right runner may be off."""
    with closing(open_runner(form.step, form.spec, 1, threads=1)) as alone:
        answer = answer_of(alone, frames)
    with closing(open_runner(form.step, form.spec, 2)) as beside:
        found = distance(answer, answer_of(beside, frames, slot=1))
    share, levels = _APART.get(form.name, _APART_ROUNDED)
    least = share * float(answer.errors.mean()) + 1e-6
    return answer, Tolerance(max(least, _SAFETY * found.errors), max(levels, _SAFETY * found.prediction))
