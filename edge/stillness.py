"""How long each place has stood still: the witness of a movement that normally comes and now does not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.appearance import BACKGROUND_LEVELS

Map = NDArray[np.float32]


@dataclass(frozen=True)
class Stillness:
    """One camera's memory. `reference`: float32 [2 Gh, 2 Gw, C], each half cell as it was when it last changed.

    `changed_seconds`: float64 [2 Gh, 2 Gw], when that was, on the source's clock.
    """

    reference: Map
    changed_seconds: NDArray[np.float64]


def first_stillness(thumbnail: Map, seconds: float) -> Stillness:
    """Return the memory after one frame: everything has just begun to stand still."""
    return Stillness(thumbnail, np.full(thumbnail.shape[:2], seconds))


def watched_on(stillness: Stillness, thumbnail: Map, seconds: float, change_levels: float) -> Stillness:
    """Return the memory after one more frame; a half cell has changed where it differs by `change_levels`.

    `thumbnail` float32 [2 Gh, 2 Gw, C] is levelled. A place is held against what it was when it last changed, so
    that a slow movement adds up to a change too.
    """
    changed = np.abs(thumbnail - stillness.reference).max(axis=2) > change_levels
    return Stillness(
        np.where(changed[..., None], thumbnail, stillness.reference),
        np.where(changed, seconds, stillness.changed_seconds),
    )


def still_seconds(stillness: Stillness, seconds: float) -> Map:
    """Return for how long nothing in each cell has changed: float32 [Gh, Gw]."""
    since: Map = (seconds - _by_cell(stillness.changed_seconds).max(axis=(1, 3))).astype(np.float32)
    return since


def held_seconds(stillness: Stillness, thumbnail: Map, background: Map, seconds: float) -> Map:
    """Return for how long something that is not the background has stood in each cell: float32 [Gh, Gw].

    It counts by half cells: a thing that stands still on a belt that runs is seen where it covers one.
    """
    is_foreground = np.abs(thumbnail - background).max(axis=2) > BACKGROUND_LEVELS
    held = np.where(is_foreground, seconds - stillness.changed_seconds, 0.0)
    longest: Map = _by_cell(held).max(axis=(1, 3)).astype(np.float32)
    return longest


def _by_cell(halves: NDArray[np.float64]) -> NDArray[np.float64]:
    rows, columns = halves.shape
    return halves.reshape(rows // 2, 2, columns // 2, 2)
