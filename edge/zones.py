"""Zones and ignore masks of a camera: the cells that they cover, how much a cell counts, and whose an anomaly is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge.normality import STANDING_OUT_CELLS, Map, carrying, drawn
from edge.privacy import Shape, shares_from_shape

# A cell belongs to a shape that covers at least this much of it; a shape that covers no cell so far has the cells of
# which it covers most.
LEAST_COVER = 0.5
# An event names a zone in which this share of it lies, or so many whole frames of it, whichever is less.
LEAST_SHARE = 0.05
LEAST_FRAMES = 2.0


class Zone(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A part of a camera's picture with a name.

    `polygon`: two opposite corners of a rectangle, or three or more points. What a witness says of a cell in the zone
    counts as `sensitivity` times as much: 1 as everywhere else, 2 stands out where half as much would, 0 never.
    """

    polygon: Shape
    sensitivity: float = 1.0


@dataclass(frozen=True)
class Zones:
    """The zones of a camera on its grid. `covers`: float32 [Z, Gh, Gw], the share of each cell that a zone covers."""

    names: tuple[str, ...]
    covers: Map


@dataclass(frozen=True)
class Tally:
    """How much of an event lay in a zone: the sum of its shares (0–1) over the frames, and the highest level there."""

    frames: float
    peak: float


def covers_of(shapes: Sequence[Shape], grid: tuple[int, int]) -> Map:
    """Return the share (0–1) of each cell that each shape covers: float32 [N, Gh, Gw]."""
    if not shapes:
        return np.zeros((0, *grid), np.float32)
    return np.stack([shares_from_shape(shape, *grid) for shape in shapes]).astype(np.float32)


def cells_of(cover: Map) -> NDArray[np.bool_]:
    """Return which cells belong to a shape that covers so much of each: bool [Gh, Gw]."""
    most = float(cover.max())
    return np.asarray(cover >= min(LEAST_COVER, most) if most > 0.0 else np.zeros(cover.shape), np.bool_)


def zones_of(zones: Mapping[str, Zone], grid: tuple[int, int]) -> Zones | None:
    """Return a camera's zones on its grid; None where it has none."""
    return Zones(tuple(zones), covers_of([zone.polygon for zone in zones.values()], grid)) if zones else None


def sensitivity_of(zones: Mapping[str, Zone], ignore_masks: Sequence[Shape], grid: tuple[int, int]) -> Map | None:
    """Return how much each cell counts, float32 [Gh, Gw], 0 where it is ignored; None where all count alike.

    Of zones that share a cell the one that covers most of it has it, of equal ones the first; a mask takes all.
    """
    sensitivity, most = np.ones(grid, np.float32), np.zeros(grid, np.float32)
    for zone, cover in zip(zones.values(), covers_of([zone.polygon for zone in zones.values()], grid), strict=True):
        taken = cells_of(cover) & (cover > most)
        sensitivity[taken], most[taken] = zone.sensitivity, cover[taken]
    for cover in covers_of(ignore_masks, grid):
        sensitivity[cells_of(cover)] = 0.0
    return None if (sensitivity == 1.0).all() else sensitivity


def is_alike(one: Map | None, other: Map | None) -> bool:
    """Return whether two sensitivities count every cell alike."""
    if one is None or other is None:
        return one is other
    return np.array_equal(one, other)


def shares_of(zones: Zones | None, cells: Map) -> dict[str, float]:
    """Return the share (0–1) of a frame's anomaly that lies in each zone in which any of it lies; cells [Gh, Gw]."""
    if zones is None:
        return {}
    carried = np.where(carrying(cells), cells, np.float32(0.0))
    if not carried.any():  # none exceeds what is normal there, and together they do: those that the score is drawn from
        carried = drawn(cells, int(STANDING_OUT_CELLS.max())).astype(np.float32)
    whole = max(float(carried.sum()), float(np.finfo(np.float32).tiny))
    sums = np.einsum("zrc,rc->z", zones.covers, carried).tolist()
    return {name: found / whole for name, found in zip(zones.names, sums, strict=True) if found > 0.0}


def tallied(tallies: Mapping[str, Tally], shares: Mapping[str, float], level: float) -> Mapping[str, Tally]:
    """Return the tallies of an event after one more frame of it."""
    if not shares:
        return tallies
    grown = dict(tallies)
    for name, share in shares.items():
        before = grown.get(name, Tally(0.0, level))
        grown[name] = Tally(before.frames + share, max(before.peak, level))
    return grown


def named_zones(tallies: Mapping[str, Tally], frames: int) -> list[tuple[str, float, float]]:
    """Return (name, highest level, share) of the zones that an event of so many frames lies in, the heaviest first."""
    least = min(LEAST_FRAMES, LEAST_SHARE * frames)
    found = [(name, tally) for name, tally in tallies.items() if tally.frames >= least]
    return [
        (name, tally.peak, min(tally.frames / frames, 1.0))
        for name, tally in sorted(found, key=lambda one: -one[1].frames)
    ]
