"""Which colours stand together before the background, and how far a place's mixture is from all normal ones.

A worker without a vest is made of parts that are all normal; it is the mixture around him that never was. What a
window holds is counted by the colours of a small palette, a bag of colours, so that neither pose nor the exact place
matters. Csurka et al., «Visual categorization with bags of keypoints» (2004), with colours for keypoints. Mixtures are
held against each other by the roots of their shares (Hellinger), so that a small colour that is missing counts as
much as a large one that is a little smaller.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.appearance import SIDE
from edge.bank import Bank, nearest_squares
from edge.pixels import window_sums

Map = NDArray[np.float32]

# The window around a cell, in cells: rows and columns to each side of it. Chosen in docs/decisions/0009.
TALL, WIDE = 3, 1
# A cell with fewer quarters of foreground than this shows nothing, and a window that is covered by less than this, in
# 255ths, holds nothing worth a look.
LEAST_QUARTERS = 2
LEAST_COVERED = 13.0


@dataclass(frozen=True)
class Composition:
    """`palette`: float32 [K, C], the colours of normal work's foreground, 0–255; `mixtures`: a bank of vectors [K]."""

    palette: Map
    mixtures: Bank


def mixtures_from_thumbnail(thumbnail: Map, foreground: NDArray[np.bool_], palette: Map) -> Map:
    """Return how much of the window around each cell is foreground of each colour: float32 [Gh, Gw, K].

    It is the root of the colour's share of the window, times 255.

    `thumbnail` [4 Gh, 4 Gw, C] is levelled; `foreground`, bool [4 Gh, 4 Gw], is `is_foreground` of it. Beyond the
    picture there is nothing; the window around a cell that shows nothing itself is not looked at, and counts as empty.
    """
    rows, columns = np.nonzero(foreground)
    colours = nearest_colours(thumbnail[rows, columns], palette)
    height, width, count = foreground.shape[0] // SIDE, foreground.shape[1] // SIDE, len(palette)
    bins = ((rows // SIDE) * width + columns // SIDE) * count + colours
    cells = np.bincount(bins, minlength=height * width * count).reshape(height, width, count).astype(np.float32)
    window = SIDE * SIDE * (2 * TALL + 1) * (2 * WIDE + 1)
    mixtures: Map = np.sqrt(window_sums(cells, TALL, WIDE) * np.float32(1.0 / window)) * np.float32(255.0)
    mixtures[cells.sum(axis=2) < LEAST_QUARTERS] = 0.0
    return mixtures


def nearest_colours(colours: Map, palette: Map) -> NDArray[np.intp]:
    """Return the index of the palette's nearest colour to each: [n] of colours [n, C]."""
    apart = np.einsum("kc,kc->k", palette, palette) - 2.0 * (colours @ palette.T)
    return np.asarray(apart.argmin(axis=1))


def covered(mixtures: Map) -> Map:
    """Return how much of each window is foreground: float32 [Gh, Gw], 255ths; mixtures [Gh, Gw, K]."""
    shares: Map = np.einsum("rck,rck->rc", mixtures, mixtures) * np.float32(1.0 / 255.0)
    return shares


def strangeness(mixtures: Map, composition: Composition) -> Map:
    """Return how far each cell's mixture is from all normal ones of its place: float32 [Gh, Gw], roots of shares × 255.

    `mixtures` [Gh, Gw, K]; an empty window is normal everywhere.
    """
    shares = covered(mixtures)
    found = np.zeros(shares.shape, np.float32)
    rows, columns = np.nonzero(shares > LEAST_COVERED)
    if rows.size:
        squares = nearest_squares(mixtures[rows, columns], rows, columns, shares.shape[1], composition.mixtures)
        found[rows, columns] = np.sqrt(np.minimum(squares, np.float32(255.0) * shares[rows, columns]))
    return found
