"""Maps at half a cell: the resolution at which the host looks at a frame, and blocks of 4 × 4 of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Map = NDArray[np.float32]


def half_means(pixels: NDArray[np.generic], grid: tuple[int, int]) -> Map:
    """Return the mean of each quarter of a cell: float32 [2 Gh, 2 Gw, C]; pixels [H, W, C].

    Where a cell is a single pixel, its four quarters are that pixel.
    """
    rows, columns = 2 * grid[0], 2 * grid[1]
    if pixels.shape[0] % rows or pixels.shape[1] % columns:
        pixels = pixels.repeat(2, axis=0).repeat(2, axis=1)
    high, wide = pixels.shape[0] // rows, pixels.shape[1] // columns
    sums = np.add.reduce([pixels[row::high].astype(np.float32) for row in range(high)])
    means: Map = np.add.reduce([sums[:, column::wide] for column in range(wide)]) / np.float32(high * wide)
    return means


def block_highs(halves: Map) -> Map:
    """Return the highest mean of a block of 4 × 4 halves that begins in each cell's neighbourhood: float32 [Gh, Gw].

    The block moves by halves, its middle within the cell; beyond the border the map is mirrored. halves [2 Gh, 2 Gw].
    """
    padded = np.pad(halves, ((2, 1), (2, 1)), mode="symmetric")
    for axis in (0, 1):
        pairs = _shifted_sum(padded, 1, axis)
        padded = _shifted_sum(pairs, 2, axis)
    rows, columns = halves.shape
    highs: Map = padded.reshape(rows // 2, 2, columns // 2, 2).max(axis=(1, 3)) / np.float32(16.0)
    return highs


def _shifted_sum(values: Map, shift: int, axis: int) -> Map:
    count = values.shape[axis] - shift
    first, second = (values.take(range(start, start + count), axis=axis) for start in (0, shift))
    total: Map = first + second
    return total
