"""What each place looks like in normal work, and how far a frame is from it.

The patch of 4 × 4 quarters that a cell shows is held against the patches that normal work has shown there and in the
cells beside it; the distance to the nearest is the novelty.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.bank import Bank, nearest_squares
from edge.ranks import median

Map = NDArray[np.float32]
Thumbnail = NDArray[np.uint8]

# A patch nearer to the background than this (root mean square, grey levels of 255) is background.
BACKGROUND_LEVELS = 8.0
# A single quarter that differs by more than this in any channel is not the background.
FOREGROUND_LEVELS = 14.0
SIDE = 4
TINY = 1e-3


@dataclass(frozen=True)
class Appearance:
    """`background`: float32 [4 Gh, 4 Gw, C], what is mostly there; `patches`: a bank of vectors of 16 C numbers.

    `stands`: another, of the patches of what has stood before the background (`edge.stillness.standing_picture`).
    """

    background: Map
    patches: Bank
    stands: Bank


def gain_of(thumbnail: Thumbnail, background: Map) -> float:
    """Return how much brighter than the background a thumbnail is; both [4 Gh, 4 Gw, C].

    It is that of the middle one of a quarter of all places, so that no object can carry it.
    """
    return max(median(thumbnail[::2, ::2] / (background[::2, ::2] + np.float32(1.0))), TINY)


def levelled(thumbnail: Thumbnail, background: Map) -> Map:
    """Return the thumbnail at the background's brightness: float32 [4 Gh, 4 Gw, C]."""
    level: Map = thumbnail / np.float32(gain_of(thumbnail, background))
    return level


def patches_from_thumbnail(thumbnail: Map) -> Map:
    """Return the patch that each cell shows: float32 [Gh, Gw, 16 C]; thumbnail [4 Gh, 4 Gw, C]."""
    rows, columns, channels = thumbnail.shape
    cells = thumbnail.reshape(rows // SIDE, SIDE, columns // SIDE, SIDE, channels).swapaxes(1, 2)
    patches: Map = cells.reshape(rows // SIDE, columns // SIDE, -1)
    return patches


def background_distance(thumbnail: Map, background: Map) -> Map:
    """Return the distance of each cell's patch to the background's: float32 [Gh, Gw], grey levels of 255."""
    apart = patches_from_thumbnail(thumbnail - background)
    distance: Map = np.sqrt(np.einsum("rci,rci->rc", apart, apart) / np.float32(apart.shape[2]))
    return distance


def is_foreground(thumbnail: Map, background: Map) -> NDArray[np.bool_]:
    """Return which quarters show something before the background: bool [4 Gh, 4 Gw]."""
    return differing(thumbnail, background, FOREGROUND_LEVELS)


def differing(first: Map, second: Map, levels: float) -> NDArray[np.bool_]:
    """Return where two thumbnails differ by more than so many grey levels in any channel: bool [4 Gh, 4 Gw]."""
    apart = np.abs(first - second)
    differs = [apart[..., channel] > levels for channel in range(apart.shape[2])]
    return np.asarray(np.logical_or.reduce(differs))


def novelty(picture: Map, background: Map, known: Bank) -> Map:
    """Return how far each cell is from all that normal work shows there: float32 [Gh, Gw], grey levels of 255.

    `picture` [4 Gh, 4 Gw, C] is a levelled thumbnail, as the background is. Root mean square over the patch; a cell
    that shows the background is as far as that.
    """
    found = background_distance(picture, background)
    rows, columns = np.nonzero(found > BACKGROUND_LEVELS)
    if rows.size:
        patches = patches_from_thumbnail(picture)[rows, columns]
        squares = nearest_squares(patches, rows, columns, found.shape[1], known)
        found[rows, columns] = np.minimum(np.sqrt(squares / np.float32(patches.shape[1])), found[rows, columns])
    return found
