"""What each place looks like in normal work, and how far a frame is from it.

A patch of 4 × 4 halves around a cell is held against the patches that normal work has shown there and in the cells
beside it; the distance to the nearest is the novelty. Roth et al., «Towards total recall in industrial anomaly
detection» (CVPR 2022), with the picture itself, much reduced, in the place of a large network's features.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Map = NDArray[np.float32]

# A patch nearer to the background than this (root mean square, grey levels of 255) is background.
BACKGROUND_LEVELS = 8.0
SIDE = 4
TINY = 1e-3


@dataclass(frozen=True)
class Appearance:
    """Normal patches. `background`: float32 [2 Gh, 2 Gw, C], what is mostly there.

    `patches`: float32 [M, 16 C] of whole grey levels, those of cell k (rows first) from `starts[k]` to
    `starts[k + 1]`, int32 [Gh Gw + 1]; `squares`: float32 [M], their squared lengths.
    """

    background: Map
    patches: Map
    squares: Map
    starts: NDArray[np.int32]


def appearance_from_patches(background: Map, patches: NDArray[np.uint8], starts: NDArray[np.int32]) -> Appearance:
    """Return the appearance of patches uint8 [M, 16 C] in the order of their cells; see `Appearance`."""
    known = patches.astype(np.float32)
    return Appearance(background, known, np.einsum("mi,mi->m", known, known), starts)


def gain_of(thumbnail: Map, background: Map) -> float:
    """Return how much brighter than the background a thumbnail is; both float32 [2 Gh, 2 Gw, C].

    It is that of the middle one of all places, so that no object can carry it.
    """
    return max(float(np.median(thumbnail / (background + 1.0))), TINY)


def levelled(thumbnail: Map, background: Map) -> Map:
    """Return the thumbnail at the background's brightness; both float32 [2 Gh, 2 Gw, C]."""
    level: Map = thumbnail / np.float32(gain_of(thumbnail, background))
    return level


def patches_from_thumbnail(thumbnail: Map) -> Map:
    """Return the patch around each cell: float32 [Gh, Gw, 16 C]; thumbnail [2 Gh, 2 Gw, C]."""
    padded = np.pad(thumbnail, ((1, 1), (1, 1), (0, 0)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (SIDE, SIDE), axis=(0, 1))[::2, ::2]
    patches: Map = windows.reshape(*windows.shape[:2], -1)
    return patches


def background_distance(thumbnail: Map, background: Map) -> Map:
    """Return the distance of each cell's patch to the background's: float32 [Gh, Gw], grey levels of 255."""
    squares = ((thumbnail - background) ** 2).mean(axis=2)
    padded = np.pad(squares, 1, mode="edge")
    rows = padded[0:-3:2] + padded[1:-2:2] + padded[2:-1:2] + padded[3::2]
    sums = rows[:, 0:-3:2] + rows[:, 1:-2:2] + rows[:, 2:-1:2] + rows[:, 3::2]
    distance: Map = np.sqrt(sums / np.float32(SIDE * SIDE))
    return distance


def novelty(thumbnail: Map, appearance: Appearance) -> Map:
    """Return how far each cell is from all that normal work shows there: float32 [Gh, Gw], grey levels of 255.

    `thumbnail` [2 Gh, 2 Gw, C] is levelled. Root mean square over the patch; a cell that shows the background is as
    far as that.
    """
    found = background_distance(thumbnail, appearance.background)
    rows, columns = np.nonzero(found > BACKGROUND_LEVELS)
    if rows.size:
        patches = patches_from_thumbnail(thumbnail)[rows, columns]
        lengths = np.einsum("ki,ki->k", patches, patches)
        nearest = [
            _nearest_square(patch, appearance, row * found.shape[1], column, found.shape[1])
            for patch, row, column in zip(patches, rows.tolist(), columns.tolist(), strict=True)
        ]
        apart = np.sqrt(np.maximum(np.array(nearest) + lengths, 0.0) / patches.shape[1])
        found[rows, columns] = np.minimum(apart, found[rows, columns])
    return found


def _nearest_square(patch: Map, appearance: Appearance, row_start: int, column: int, columns: int) -> float:
    """The least squared distance to the normal patches of a cell and the two beside it, less |patch|²."""
    starts = appearance.starts
    start = starts[row_start + max(column - 1, 0)]
    stop = starts[row_start + min(column + 2, columns)]
    if start == stop:
        return np.inf
    known = slice(int(start), int(stop))
    apart: Map = appearance.squares[known] - 2.0 * (appearance.patches[known] @ patch)
    return float(apart.min())
