"""Maps of pixels pooled onto the common grid, for the predictors that need no network."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge.frames import FrameFormat

Map = NDArray[np.float32]

# A grid cell's side, as the export chooses it.
CELL_PIXELS = 8
# The side of the block that moves over the picture: the classic measure of motion.
BLOCK_PIXELS = 16


def cell_side(form: FrameFormat) -> int:
    """Return the side of a cell in pixels: the highest power of two, 8 at most, that divides the frame."""
    divisor = int(np.gcd(form.height, form.width))
    return min(CELL_PIXELS, divisor & -divisor)


def grid_from_form(form: FrameFormat) -> tuple[int, int]:
    """Return rows and columns of the grid (Gh, Gw) that lies on frames of this form."""
    return form.height // cell_side(form), form.width // cell_side(form)


def cell_means(pixels: Map, grid: tuple[int, int]) -> Map:
    """Return each cell's mean: float32 [Gh, Gw]; pixels [H, W]."""
    means: Map = _cells(pixels, grid).mean(axis=(1, 3))
    return means


def cell_maxima(pixels: Map, grid: tuple[int, int]) -> Map:
    """Return each cell's maximum: float32 [Gh, Gw]; pixels [H, W]."""
    maxima: Map = _cells(pixels, grid).max(axis=(1, 3))
    return maxima


def block_maxima(pixels: Map, grid: tuple[int, int]) -> Map:
    """Return the highest mean of a block that moves by single pixels, its middle in each cell: float32 [Gh, Gw].

    Blocks of 16 × 16 (a whole frame that is smaller); beyond the border the picture is mirrored. pixels [H, W].
    """
    return cell_maxima(_block_means(pixels), grid)


def _cells(pixels: Map, grid: tuple[int, int]) -> Map:
    height, width = pixels.shape
    return pixels.reshape(grid[0], height // grid[0], grid[1], width // grid[1])


def _block_means(pixels: Map) -> Map:
    """The mean of the block around every pixel, by an integral image: float32 [H, W]."""
    side = min(BLOCK_PIXELS, *pixels.shape)
    before, after = side // 2, side - 1 - side // 2
    padded = np.pad(pixels, (before, after), mode="symmetric")
    sums = np.zeros((padded.shape[0] + 1, padded.shape[1] + 1))
    np.cumsum(np.cumsum(padded, axis=0, dtype=np.float64), axis=1, out=sums[1:, 1:])
    blocks = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
    means: Map = np.maximum(blocks / (side * side), 0.0).astype(np.float32)
    return means
