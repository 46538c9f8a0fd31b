"""What normal work has shown in each cell, kept as vectors, and the distance to the nearest of them.

Roth et al., «Towards total recall in industrial anomaly detection» (CVPR 2022), with small pictures and mixtures of
colours in the place of a large network's features.
"""

from __future__ import annotations

from collections.abc import Iterator
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
    """Normal vectors of D whole numbers from 0 to 255, a column of `table` each: float32 [D + 1, M].

    The last row holds their squared lengths, so that one product says how far they are. Those of cell k, rows first,
    lie from `starts[k]` to `starts[k + 1]`; int32 [Gh Gw + 1].
    """

    table: Map
    starts: NDArray[np.int32]

    @property
    def known(self) -> NDArray[np.uint8]:
        """The vectors: uint8 [M, D]."""
        return np.ascontiguousarray(self.table[:-1].T.astype(np.uint8))


def bank_from(known: NDArray[np.uint8], starts: NDArray[np.int32]) -> Bank:
    """Return the bank of vectors uint8 [M, D] in the order of their cells; see `Bank`."""
    table = np.empty((known.shape[1] + 1, known.shape[0]), np.float32)
    table[:-1] = known.T
    np.einsum("im,im->m", table[:-1], table[:-1], out=table[-1])
    return Bank(table, starts)


def nearest_squares(vectors: Map, rows: NDArray[np.intp], columns: NDArray[np.intp], width: int, bank: Bank) -> Map:
    """Return the squared distance of each vector to the nearest normal one of its place: float32 [n].

    vectors: [n, D], that of each (row, column), rows first, of a grid `width` cells wide. Infinite where nothing was
    ever seen.
    """
    least = np.full(len(vectors), np.inf, np.float32)
    for here, _, beyond in _beyond_lengths(vectors, rows, columns, width, bank):
        np.minimum.reduce(beyond, axis=1, out=least[here], initial=np.inf)
    least += np.einsum("ni,ni->n", vectors, vectors)
    return np.asarray(np.maximum(least, np.float32(0.0)))


def shares_near(
    vectors: Map, rows: NDArray[np.intp], columns: NDArray[np.intp], width: int, bank: Bank, shares: Map, squares: float
) -> tuple[Map, Map]:
    """Return of each vector, [n], the summed `shares` [M] of all that is no farther than `squares`, and the nearest.

    The second is `nearest_squares`, which see for the others.
    """
    lengths = np.einsum("ni,ni->n", vectors, vectors)
    near, least = np.zeros(len(vectors), np.float32), np.full(len(vectors), np.inf, np.float32)
    for here, there, beyond in _beyond_lengths(vectors, rows, columns, width, bank):
        near[here] = (beyond <= squares - lengths[here, None]) @ shares[there]
        np.minimum.reduce(beyond, axis=1, out=least[here], initial=np.inf)
    return near, np.maximum(least + lengths, np.float32(0.0))


def _beyond_lengths(
    vectors: Map, rows: NDArray[np.intp], columns: NDArray[np.intp], width: int, bank: Bank
) -> Iterator[tuple[slice, slice, Map]]:
    """Yield, cells together by cells together: which vectors are there, which of the bank, and how far they are apart.

    That is their squared distance, [here, there], less the squared length of the vector.
    """
    first = columns - columns % TOGETHER
    begins = bank.starts[rows * width + np.maximum(first - BESIDE, 0)].tolist()
    ends = bank.starts[rows * width + np.minimum(first + TOGETHER + BESIDE, width)].tolist()
    places = rows * width + first
    bounds = [0, *(np.flatnonzero(np.diff(places)) + 1).tolist(), len(places)]
    asked = np.empty((len(vectors), vectors.shape[1] + 1), np.float32)
    np.multiply(vectors, np.float32(-2.0), out=asked[:, :-1])
    asked[:, -1] = 1.0
    for start, stop in pairwise(bounds):
        there = slice(begins[start], ends[start])
        yield slice(start, stop), there, asked[start:stop] @ bank.table[:, there]
