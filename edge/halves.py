"""Parts of cells: halves and quarters, at which the host looks at a frame, and blocks of 4 × 4 halves."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Map = NDArray[np.float32]


def half_means(pixels: NDArray[np.generic], grid: tuple[int, int]) -> Map:
    """Return the mean of each quarter of a cell's area: float32 [2 Gh, 2 Gw, C]; pixels [H, W, C]."""
    return _part_means(pixels, grid, 2)


def quarter_means(pixels: NDArray[np.uint8], grid: tuple[int, int]) -> NDArray[np.uint8]:
    """Return the means of 4 × 4 parts of each cell, rounded: uint8 [4 Gh, 4 Gw, C]; pixels [H, W, C]."""
    return np.rint(_part_means(pixels, grid, 4)).astype(np.uint8)


def _part_means(pixels: NDArray[np.generic], grid: tuple[int, int], parts: int) -> Map:
    """The mean of each of `parts` × `parts` of a cell; a pixel that lies in several of them counts in each."""
    rows, columns = parts * grid[0], parts * grid[1]
    if pixels.shape[0] % rows or pixels.shape[1] % columns:
        pixels = pixels.repeat(parts, axis=0).repeat(parts, axis=1)
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
