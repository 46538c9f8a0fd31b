"""Banks of normal vectors: of all that footage shows in each cell, a small selection that covers it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.bank import Bank, bank_from

# Vectors that a quarter of the footage keeps of a cell, chosen of so many at the most. No more are kept once none is
# farther than NEAR from one that is, root mean square of the numbers, 0–255.
KEPT = 64
CHOSEN_FROM = 6000
NEAR = 4.0

# What one frame shows: the cells where there is something, [n], and the vectors there, [n, D] from 0 to 255.
Shown = tuple[NDArray[np.intp], NDArray[np.float32]]


@dataclass(frozen=True)
class Kept:
    """What is kept of a cell: `vectors` uint8 [m, D], and of how many of the footage's each is the nearest, [m]."""

    vectors: NDArray[np.uint8]
    times: NDArray[np.int64]


def covering_cells(frames: Iterable[Shown], count: int, size: int) -> Sequence[Kept]:
    """Return the vectors of `size` numbers that stand for what frames show in each of `count` cells, rows first."""
    seen: list[list[NDArray[np.uint8]]] = [[] for _ in range(count)]
    for cells, vectors in frames:
        rounded = np.clip(np.rint(vectors), 0, 255).astype(np.uint8)
        for cell, vector in zip(cells.tolist(), rounded, strict=True):
            seen[cell].append(vector)
    return [_covering(np.array(vectors, np.uint8).reshape(-1, size)) for vectors in seen]


def joined(parts: Sequence[Sequence[Kept]]) -> Bank:
    """Return the bank that knows the vectors of all parts."""
    cells = [np.concatenate([kept.vectors for kept in cell]) for cell in zip(*parts, strict=True)]
    starts = np.concatenate([[0], np.cumsum([len(vectors) for vectors in cells])]).astype(np.int32)
    return bank_from(np.concatenate(cells), starts)


def times_of(parts: Sequence[Sequence[Kept]]) -> NDArray[np.int64]:
    """Return how many of the footage's vectors are nearest to each of the bank that is `joined` of the same parts."""
    return np.concatenate([kept.times for cell in zip(*parts, strict=True) for kept in cell])


def _covering(vectors: NDArray[np.uint8]) -> Kept:
    """A selection such that no vector is far from it: the farthest is taken, again and again.

    Gonzalez, «Clustering to minimize the maximum intercluster distance» (1985).
    """
    if not len(vectors):
        return Kept(vectors, np.zeros(0, np.int64))
    every = -(-len(vectors) // CHOSEN_FROM)
    vectors = vectors[::every]
    values = vectors.astype(np.float32)
    squares = np.einsum("mi,mi->m", values, values)
    nearest, owner, taken = np.full(len(values), np.inf, np.float32), np.zeros(len(values), np.int64), [0]
    while True:
        last = taken[-1]
        apart = squares - 2.0 * (values @ values[last]) + squares[last]
        owner[apart < nearest] = len(taken) - 1
        nearest = np.minimum(nearest, apart)
        farthest = int(nearest.argmax())
        if len(taken) == KEPT or nearest[farthest] <= NEAR**2 * values.shape[1]:
            return Kept(vectors[taken], every * np.bincount(owner, minlength=len(taken)))
        taken.append(farthest)
