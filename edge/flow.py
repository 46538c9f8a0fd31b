"""Optical flow between two frames, and a frame moved along it. The door of `cv2` for flow.

Dense inverse search: Kroeger et al., «Fast optical flow using dense inverse search» (ECCV 2016), coarse to fine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Field = NDArray[np.float32]

# The pictures are small: what threads cost is more than what they save.
cv2.setNumThreads(1)

# What grey is of red, green and blue (ITU-R BT.601).
LUMA = np.array([0.299, 0.587, 0.114], np.float32)

# A search needs this many rows and columns; smaller pictures are continued at their border.
LEAST_SIDE = 16


@dataclass(frozen=True)
class Effort:
    """What a search may cost: the finest scale (0 is the picture itself), steps of descent, and of refinement."""

    finest_scale: int
    descents: int
    refinements: int
    is_mean_normalised: bool


# Down to the picture itself: one scale above it, small things are lost (docs/decisions/0007-yardstick.md).
FINE = Effort(finest_scale=0, descents=16, refinements=5, is_mean_normalised=True)
# The same at less than half the cost.
LIGHT = Effort(finest_scale=0, descents=4, refinements=0, is_mean_normalised=False)
# One scale above the picture.
COARSE = Effort(finest_scale=1, descents=16, refinements=5, is_mean_normalised=True)


class DenseFlow:
    """Finds the flow between two frames at a given effort."""

    def __init__(self, effort: Effort = FINE) -> None:
        self._search: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        self._search.setFinestScale(effort.finest_scale)
        self._search.setGradientDescentIterations(effort.descents)
        self._search.setVariationalRefinementIterations(effort.refinements)
        self._search.setUseMeanNormalization(effort.is_mean_normalised)

    def between(self, start: Pixels, end: Pixels) -> Field:
        """Return where each pixel of `start` lies in `end`, less its own place: float32 [H, W, 2], x then y.

        start, end: uint8 [H, W, C]; displacements in pixels.
        """
        height, width = start.shape[:2]
        field: Field = self._search.calc(_searchable(start), _searchable(end), None)
        return field[:height, :width]


def speed_from_flow(field: Field) -> NDArray[np.float32]:
    """Return the speed of each pixel in pixels a frame: float32 [H, W]."""
    right, down = field[..., 0], field[..., 1]
    return np.sqrt(right * right + down * down)  # cv2.magnitude's last bit depends on where in memory the field lies


def moved_on(image: Pixels, backward: Field) -> Pixels:
    """Return the image one frame later, if everything keeps its motion: uint8 [H, W, C].

    `backward` is the flow from `image` to the frame before it. What is at y then was at x with y = x − backward(x);
    x is found by one step of the fixed point x = y + backward(x).
    """
    rows, columns = np.indices(image.shape[:2], np.float32)
    onward = _taken(backward, columns + backward[..., 0], rows + backward[..., 1])
    moved: Pixels = _taken(image, columns + onward[..., 0], rows + onward[..., 1])
    return moved.reshape(image.shape)


def _taken(values: NDArray, columns: Field, rows: Field) -> NDArray:  # type: ignore[type-arg] # uint8 or float32
    return np.asarray(cv2.remap(values, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))


def _searchable(image: Pixels) -> Pixels:
    """The image in grey, continued at its border where it is too small to be searched."""
    grey = image[..., 0] if image.shape[2] == 1 else (image @ LUMA).astype(np.uint8)
    height, width = grey.shape
    if height >= LEAST_SIDE and width >= LEAST_SIDE:
        return np.ascontiguousarray(grey)
    return np.pad(grey, [(0, max(LEAST_SIDE - height, 0)), (0, max(LEAST_SIDE - width, 0))], mode="edge")
