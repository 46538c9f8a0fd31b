"""How kernels lie in a file: frameworks disagree on what a convolution is, and converters make mistakes.

Theano convolves, TensorFlow and PyTorch correlate: a kernel saved by one is the other's, turned by 180°. A
converter that is in use swaps height and width. The wrong reading looks plausible, so that footage decides.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Reading = Literal["stored", "rotated", "transposed", "transposed-rotated"]

_TURNS: dict[Reading, Callable[[NDArray[np.float32]], NDArray[np.float32]]] = {
    "stored": lambda kernel: kernel,
    "rotated": lambda kernel: kernel[:, :, ::-1, ::-1],
    "transposed": lambda kernel: kernel.swapaxes(2, 3),
    "transposed-rotated": lambda kernel: kernel.swapaxes(2, 3)[:, :, ::-1, ::-1],
}
READINGS = tuple(_TURNS)
# Readings closer together than this share of their error are not told apart.
LEAST_DIFFERENCE = 0.02


def with_reading(weights: Mapping[str, NDArray[np.float32]], reading: Reading) -> dict[str, NDArray[np.float32]]:
    """Return the weights with every kernel [out, in, height, width] turned as the reading says."""
    turn = _TURNS[reading]
    return {
        name: np.ascontiguousarray(turn(values) if values.ndim == 4 else values) for name, values in weights.items()
    }


def best_reading(errors: Mapping[Reading, float]) -> Reading | None:
    """Return the reading with the lowest error; None where the next one is as good."""
    ranked = sorted(errors, key=lambda reading: errors[reading])
    if len(ranked) > 1 and errors[ranked[0]] > (1.0 - LEAST_DIFFERENCE) * errors[ranked[1]]:
        return None
    return ranked[0]


def is_symmetric(weights: Mapping[str, NDArray[np.float32]]) -> bool:
    """Return whether all readings are the same: kernels of one pixel."""
    return all(values.ndim != 4 or values.shape[2:] == (1, 1) for values in weights.values())
