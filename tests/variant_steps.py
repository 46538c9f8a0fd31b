"""One small step in all its variants, with ranges that were not measured but set."""

from __future__ import annotations

import numpy as np

from export.step import spec_from_architecture, step_onnx
from export.variants.forms import Form, form_of, roundable
from tests.tiny import random_weights, tiny_architecture

ARCHITECTURE = tiny_architecture()
WEIGHTS = random_weights(ARCHITECTURE)
STEP, SPEC = step_onnx(ARCHITECTURE, WEIGHTS), spec_from_architecture(ARCHITECTURE)
FRAMES = np.random.default_rng(0).integers(60, 190, (12, 32, 40, 1), dtype=np.uint8)
RANGES = {
    "r0": 0.7,
    "r1": 0.8,
    "r2": 0.6,
    "e0": 1.0,
    "e1": 3.0,
    "e2": 3.0,
    "a1": 3.0,
    "a2": 3.0,
    "ahat1": 1.5,
    "ahat2": 1.5,
}


def made(name: str) -> Form:
    """A variant with every convolution whole that may be."""
    return form_of(name, STEP, SPEC, RANGES, roundable(name, STEP))
