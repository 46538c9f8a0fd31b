"""The known anomaly of a self-test: a part of the picture that flickers as nothing real does, in a copy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from edge.frames import Frame, Image

# The part is a third of the picture high and wide, and stands in one of nine places.
THIRDS = 3
SEED = 20260101
Value = TypeVar("Value", bound=np.generic)
_CENTRE_FIRST = ((1, 1), (0, 1), (1, 0), (1, 2), (2, 1), (0, 0), (0, 2), (2, 0), (2, 2))


def place_of(ignored: NDArray[np.bool_] | None) -> tuple[int, int]:
    """Return the row and column (0–2) of the ninth of the picture that is ignored least; `ignored` bool [Gh, Gw]."""
    if ignored is None:
        return _CENTRE_FIRST[0]
    shares = [float(part(ignored, place).mean()) for place in _CENTRE_FIRST]
    return _CENTRE_FIRST[int(np.argmin(shares))]


def part(plane: NDArray[Value], place: tuple[int, int]) -> NDArray[Value]:
    """Return the view of a ninth of a plane [H, W, …]."""
    (top, bottom), (left, right) = (_edges(length, third) for length, third in zip(plane.shape, place, strict=False))
    return plane[top:bottom, left:right]


def planted(frames: Sequence[Frame], first: int, place: tuple[int, int]) -> list[Frame]:
    """Return copies of the frames in which the anomaly stands from frame number `first` on; always the same one."""
    rng = np.random.default_rng(SEED)
    return [
        frame if number < first else Frame(_flickering(frame.image, place, rng), frame.seconds)
        for number, frame in enumerate(frames)
    ]


def _flickering(image: Image, place: tuple[int, int], rng: np.random.Generator) -> Image:
    copy: Image = image.copy()
    hidden = part(copy, place)
    hidden[...] = rng.integers(0, 256, hidden.shape, dtype=np.uint8)
    return copy


def _edges(length: int, third: int) -> tuple[int, int]:
    return length * third // THIRDS, length * (third + 1) // THIRDS
