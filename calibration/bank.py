"""Banks of normal vectors: of all that footage shows in each cell, a small selection that covers it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from edge.bank import Bank, bank_from

# Vectors that a quarter of the footage keeps of a cell, chosen of so many at the most. No more are kept once none is
# farther than NEAR from one that is, root mean square of 255 levels.
KEPT = 64
CHOSEN_FROM = 6000
NEAR = 4.0

# The vectors kept of each cell, rows first: uint8 [M_k, D].
Cells = Sequence[NDArray[np.uint8]]
# What one frame shows: the cells where there is something, [n], and the vectors there, [n, D] from 0 to 255.
Shown = tuple[NDArray[np.intp], NDArray[np.float32]]


def covering_cells(frames: Iterable[Shown], count: int, size: int) -> Cells:
    """Return the vectors of `size` numbers that stand for what frames show in each of `count` cells."""
    seen: list[list[NDArray[np.uint8]]] = [[] for _ in range(count)]
    for cells, vectors in frames:
        rounded = np.clip(np.rint(vectors), 0, 255).astype(np.uint8)
        for cell, vector in zip(cells.tolist(), rounded, strict=True):
            seen[cell].append(vector)
    return [_covering(np.array(vectors, np.uint8).reshape(-1, size)) for vectors in seen]


def joined(parts: Sequence[Cells]) -> Bank:
    """Return the bank that knows the vectors of all parts."""
    cells = [np.concatenate(vectors) for vectors in zip(*parts, strict=True)]
    starts = np.concatenate([[0], np.cumsum([len(vectors) for vectors in cells])]).astype(np.int32)
    return bank_from(np.concatenate(cells), starts)


def _covering(vectors: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A selection such that no vector is far from it: the farthest is taken, again and again.

    Gonzalez, «Clustering to minimize the maximum intercluster distance» (1985).
    """
    vectors = vectors[:: max(1, -(-len(vectors) // CHOSEN_FROM))]
    if not len(vectors):
        return vectors
    values = vectors.astype(np.float32)
    squares = np.einsum("mi,mi->m", values, values)
    nearest, taken = np.full(len(values), np.inf, np.float32), [0]
    for _ in range(KEPT - 1):
        last = taken[-1]
        nearest = np.minimum(nearest, squares - 2.0 * (values @ values[last]) + squares[last])
        farthest = int(nearest.argmax())
        if nearest[farthest] <= NEAR**2 * values.shape[1]:
            break
        taken.append(farthest)
    return vectors[taken]
