"""Arithmetic of small pictures: means of parts of cells, highest blocks, sums of windows, distances.

Halves and quarters are parts of a cell's side, at which the host looks at a frame; blocks are of 4 × 4 halves. All of
it is done for every frame, so sums are of slices: numpy's general ways of padding and of short axes cost several
times as much.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Map = NDArray[np.float32]
Pixels = NDArray[np.uint8]


def half_means(pixels: NDArray[np.generic], grid: tuple[int, int]) -> Map:
    """Return the mean of each quarter of a cell's area: float32 [2 Gh, 2 Gw, C]; pixels [H, W, C]."""
    return _part_means(pixels, grid, 2)


def grey_half_means(pixels: Pixels, grid: tuple[int, int]) -> Map:
    """Return the mean of each quarter of a cell's area over all channels: float32 [2 Gh, 2 Gw]; pixels [H, W, C]."""
    rows, columns = 2 * grid[0], 2 * grid[1]
    if pixels.shape[0] % rows or pixels.shape[1] % columns:
        return np.asarray(_part_means(pixels, grid, 2).mean(axis=2), np.float32)
    high, channels = pixels.shape[0] // rows, pixels.shape[2]
    wide = pixels.shape[1] // columns * channels
    sums = pixels.reshape(rows, high, -1).sum(axis=1, dtype=np.uint32)
    means: Map = np.einsum("rcx->rc", sums.reshape(rows, columns, wide).astype(np.float32))
    means *= np.float32(1.0 / (high * wide))
    return means


def quarter_means(pixels: Pixels, grid: tuple[int, int]) -> Pixels:
    """Return the means of 4 × 4 parts of each cell, rounded: uint8 [4 Gh, 4 Gw, C]; pixels [H, W, C]."""
    return np.rint(_part_means(pixels, grid, 4)).astype(np.uint8)


def _part_means(pixels: NDArray[np.generic], grid: tuple[int, int], parts: int) -> Map:
    """The mean of each of `parts` × `parts` of a cell; a pixel that lies in several of them counts in each."""
    rows, columns = parts * grid[0], parts * grid[1]
    if pixels.shape[0] % rows or pixels.shape[1] % columns:
        pixels = pixels.repeat(parts, axis=0).repeat(parts, axis=1)
    high, wide = pixels.shape[0] // rows, pixels.shape[1] // columns
    values = pixels.astype(np.float32)
    sums = _total([values[row::high] for row in range(high)])
    means = _total([sums[:, column::wide] for column in range(wide)])
    means *= np.float32(1.0 / (high * wide))
    return means


def block_highs(halves: Map) -> Map:
    """Return the highest mean of a block of 4 × 4 halves that begins in each cell's neighbourhood: float32 [Gh, Gw].

    The block moves by halves, its middle within the cell; beyond the border the map is mirrored. halves [2 Gh, 2 Gw].
    """
    rows, columns = halves.shape
    around = np.empty((rows + 3, columns + 3), np.float32)
    around[2:-1, 2:-1] = halves
    around[:, 1], around[:, 0], around[:, -1] = around[:, 2], around[:, 3], around[:, -2]
    around[1], around[0], around[-1] = around[2], around[3], around[-2]
    sums = _total([around[row : row + rows] for row in range(4)])
    sums = _total([sums[:, column : column + columns] for column in range(4)])
    highs: Map = np.maximum(sums[::2], sums[1::2])
    highs = np.maximum(highs[:, ::2], highs[:, 1::2])
    highs *= np.float32(1.0 / 16.0)
    return highs


def window_sums(cells: Map, tall: int, wide: int) -> Map:
    """Return each cell's sum with those up to `tall` above and below and `wide` beside it: float32 [Gh, Gw, K].

    Beyond the border there is nothing. cells [Gh, Gw, K].
    """
    rows, columns, count = cells.shape
    around = np.zeros((rows + 2 * tall, columns + 2 * wide, count), np.float32)
    around[tall : tall + rows, wide : wide + columns] = cells
    sums = _total([around[row : row + rows] for row in range(2 * tall + 1)])
    return _total([sums[:, column : column + columns] for column in range(2 * wide + 1)])


def apart(first: Pixels, second: Pixels) -> Pixels:
    """Return how far two pictures are from each other: uint8 [H, W, C], as both."""
    return np.maximum(first, second) - np.minimum(first, second)


def mean_apart(first: Pixels, second: Pixels) -> float:
    """Return the mean of how far two pictures are from each other, in grey levels of 255; both uint8 [H, W, C]."""
    return float(apart(first, second).mean(dtype=np.float32))


def _total(parts: list[Map]) -> Map:
    total: Map = parts[0] + parts[1] if len(parts) > 1 else parts[0].copy()
    for part in parts[2:]:
        total += part
    return total
