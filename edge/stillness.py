"""How long each place has stood still: the witnesses of a movement that normally comes and now does not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.appearance import SIDE, by_cell, differing

Map = NDArray[np.float32]

# So many of a cell's 16 quarters must have stood for as long as the cell is said to.
HELD_PARTS = 3
# What has not changed for so long is taken to stand (docs/decisions/0009).
STANDING_SECONDS = 1.0
# The mean of the speed forgets with this time constant; what is added to it is the least speed that counts, in pixels
# a frame.
PACE_SECONDS = 0.2
LEAST_PACE = 0.05
# How slowly something moves is asked of what is there in so large a share of normal work's frames.
MOVING_SHARE = 0.03


@dataclass(frozen=True)
class Stillness:
    """One camera's memory. `reference`: float32 [4 Gh, 4 Gw, C], each quarter as it was when it last changed.

    `changed_seconds`: float64 [4 Gh, 4 Gw], when that was, on the source's clock. `pace`: float32 [Gh, Gw], the mean of
    each cell's speed, pixels a frame, as it was at `seconds`.
    """

    reference: Map
    changed_seconds: NDArray[np.float64]
    pace: Map
    seconds: float


def first_stillness(thumbnail: Map, speed: Map, seconds: float) -> Stillness:
    """Return the memory after one frame: everything has just begun to stand still."""
    return Stillness(thumbnail, np.full(thumbnail.shape[:2], seconds), speed, seconds)


def watched_on(stillness: Stillness, thumbnail: Map, speed: Map, seconds: float, change_levels: float) -> Stillness:
    """Return the memory after one more frame; a quarter has changed where it differs by `change_levels`.

    `thumbnail` float32 [4 Gh, 4 Gw, C] is levelled; `speed` float32 [Gh, Gw] is that of the flow. A place is held
    against what it was when it last changed, so that a slow movement adds up to a change too.
    """
    changed = differing(thumbnail, stillness.reference, change_levels)
    share = np.float32(-np.expm1((stillness.seconds - seconds) / PACE_SECONDS))
    return Stillness(
        np.where(changed[..., None], thumbnail, stillness.reference),
        np.where(changed, seconds, stillness.changed_seconds),
        stillness.pace + share * (speed - stillness.pace),
        seconds,
    )


def still_seconds(stillness: Stillness) -> Map:
    """Return for how long nothing in each cell has changed: float32 [Gh, Gw]."""
    last_changed = by_cell(stillness.changed_seconds[..., None], SIDE).max(axis=2)
    since: Map = (stillness.seconds - last_changed).astype(np.float32)
    return since


def held_seconds(stillness: Stillness, foreground: NDArray[np.bool_]) -> Map:
    """Return for how long something that is not the background has stood in each cell: float32 [Gh, Gw].

    `foreground`, bool [4 Gh, 4 Gw], says where that is. A few quarters are enough: a thing that stands still on a belt
    that runs is seen where it covers them.
    """
    held = np.where(foreground, stillness.seconds - stillness.changed_seconds, 0.0)
    cells = by_cell(held[..., None], SIDE)
    longest: Map = np.partition(cells, -HELD_PARTS, axis=2)[..., -HELD_PARTS].astype(np.float32)
    return longest


def standing_picture(stillness: Stillness, thumbnail: Map, foreground: NDArray[np.bool_], background: Map) -> Map:
    """Return the background with what stands before it: float32 [4 Gh, 4 Gw, C], as `thumbnail` and `background`.

    What has changed within STANDING_SECONDS is left out: of a thing that passes, little more than what is alike on
    both sides of its middle stays.
    """
    stands = foreground & (stillness.seconds - stillness.changed_seconds >= STANDING_SECONDS - 1e-6)
    picture: Map = np.where(stands[..., None], thumbnail, background)
    return picture


def slowness(stillness: Stillness, share: Map) -> Map:
    """Return how many frames each cell takes for a pixel of movement, 0 where what it shows is rare: float32 [Gh, Gw].

    `share` [Gh, Gw] is that of `edge.appearance.novelty_and_share`: who stops before a belt hides that it runs.
    """
    frames = np.float32(1.0) / (stillness.pace + np.float32(LEAST_PACE))
    asked: Map = np.where(share >= MOVING_SHARE, frames, np.float32(0.0))
    return asked
