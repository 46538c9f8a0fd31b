"""How long a step takes on this machine: the median of some, on frames of our own scene."""

from __future__ import annotations

import time

import numpy as np

from edge.runners import open_runner
from export.variants.forms import Form

STEPS = 25


def step_milliseconds(form: Form, cameras: int = 1, steps: int = STEPS) -> float:
    """Return the median time of a variant's step for some cameras, in milliseconds, on all processors."""
    runner = open_runner(form.step, form.spec, cameras)
    frame = form.spec.form
    shape = (cameras, frame.height, frame.width, frame.channels)
    images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    took = []
    for number in range(steps + 3):
        began = time.perf_counter()
        runner.step(images, np.ones(cameras, np.bool_), np.full(cameras, number == 0))
        took.append(time.perf_counter() - began)
    runner.close()
    return 1000.0 * float(np.median(took[3:]))
