"""How long each place has stood still: the witness of a movement that normally comes and now does not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.appearance import SIDE, differing

Map = NDArray[np.float32]

# So many of a cell's 16 quarters must have stood for as long as the cell is said to.
HELD_PARTS = 3


@dataclass(frozen=True)
class Stillness:
    """One camera's memory. `reference`: float32 [4 Gh, 4 Gw, C], each quarter as it was when it last changed.

    `changed_seconds`: float64 [4 Gh, 4 Gw], when that was, on the source's clock.
    """

    reference: Map
    changed_seconds: NDArray[np.float64]


def first_stillness(thumbnail: Map, seconds: float) -> Stillness:
    """Return the memory after one frame: everything has just begun to stand still."""
    return Stillness(thumbnail, np.full(thumbnail.shape[:2], seconds))


def watched_on(stillness: Stillness, thumbnail: Map, seconds: float, change_levels: float) -> Stillness:
    """Return the memory after one more frame; a quarter has changed where it differs by `change_levels`.

    `thumbnail` float32 [4 Gh, 4 Gw, C] is levelled. A place is held against what it was when it last changed, so
    that a slow movement adds up to a change too.
    """
    changed = differing(thumbnail, stillness.reference, change_levels)
    return Stillness(
        np.where(changed[..., None], thumbnail, stillness.reference),
        np.where(changed, seconds, stillness.changed_seconds),
    )


def still_seconds(stillness: Stillness, seconds: float) -> Map:
    """Return for how long nothing in each cell has changed: float32 [Gh, Gw]."""
    since: Map = (seconds - _by_cell(stillness.changed_seconds).max(axis=2)).astype(np.float32)
    return since


def held_seconds(stillness: Stillness, foreground: NDArray[np.bool_], seconds: float) -> Map:
    """Return for how long something that is not the background has stood in each cell: float32 [Gh, Gw].

    `foreground`, bool [4 Gh, 4 Gw], says where that is. A few quarters are enough: a thing that stands still on a belt
    that runs is seen where it covers them.
    """
    held = np.where(foreground, seconds - stillness.changed_seconds, 0.0)
    cells = _by_cell(held)
    longest: Map = np.partition(cells, -HELD_PARTS, axis=2)[..., -HELD_PARTS].astype(np.float32)
    return longest


def _by_cell(quarters: NDArray[np.float64]) -> NDArray[np.float64]:
    """[Gh, Gw, 16] of [4 Gh, 4 Gw]."""
    rows, columns = quarters.shape
    cells = quarters.reshape(rows // SIDE, SIDE, columns // SIDE, SIDE).swapaxes(1, 2)
    return np.asarray(cells.reshape(rows // SIDE, columns // SIDE, SIDE * SIDE))
