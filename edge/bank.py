"""What normal work has shown in each cell, kept as vectors, and the distance to the nearest of them.

Roth et al., «Towards total recall in industrial anomaly detection» (CVPR 2022), with small pictures and mixtures of
colours in the place of a large network's features.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Map = NDArray[np.float32]

# Cells side by side are looked up together, so many at once: what they show is held against what was seen in any of
# them and in so many cells to the left and to the right.
TOGETHER, BESIDE = 4, 2


@dataclass(frozen=True)
class Bank:
    """Normal vectors. `known`: float32 [M, D], whole numbers from 0 to 255; `squares` [M], their squared lengths.

    Those of cell k, rows first, lie from `starts[k]` to `starts[k + 1]`; int32 [Gh Gw + 1].
    """

    known: Map
    squares: Map
    starts: NDArray[np.int32]


def bank_from(known: NDArray[np.uint8], starts: NDArray[np.int32]) -> Bank:
    """Return the bank of vectors uint8 [M, D] in the order of their cells; see `Bank`."""
    vectors = known.astype(np.float32)
    return Bank(vectors, np.einsum("mi,mi->m", vectors, vectors), starts)


def nearest_squares(vectors: Map, rows: NDArray[np.intp], columns: NDArray[np.intp], width: int, bank: Bank) -> Map:
    """Return the squared distance of each vector to the nearest normal one of its place: float32 [n].

    vectors: [n, D], that of each (row, column), rows first, of a grid `width` cells wide. Infinite where nothing was
    ever seen.
    """
    first = columns - columns % TOGETHER
    begins = bank.starts[rows * width + np.maximum(first - BESIDE, 0)]
    ends = bank.starts[rows * width + np.minimum(first + TOGETHER + BESIDE, width)]
    places = rows * width + first
    bounds = [0, *(np.flatnonzero(np.diff(places)) + 1).tolist(), len(places)]
    nearest = np.einsum("ni,ni->n", vectors, vectors)
    for start, stop in pairwise(bounds):
        nearest[start:stop] += _least(vectors[start:stop], bank, slice(int(begins[start]), int(ends[start])))
    return np.asarray(np.maximum(nearest, np.float32(0.0)))


def _least(vectors: Map, bank: Bank, known: slice) -> Map:
    """The least squared distance of each vector to some known ones, less the vector's own squared length."""
    if known.start == known.stop:
        return np.full(len(vectors), np.inf, np.float32)
    apart: Map = vectors @ bank.known[known].T
    apart *= -2.0
    apart += bank.squares[known]
    least: Map = apart.min(axis=1)
    return least
