"""What parts of normal footage have shown, place by place: patches, what stands, mixtures of colours."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from calibration.appearance import pictures_of, shown_patches
from calibration.bank import Kept, covering_cells, joined, times_of
from calibration.composition import shown_mixtures
from calibration.stillness import standing_pictures
from edge.appearance import SIDE, Appearance, patch_size
from edge.composition import Composition
from edge.normality import Map, Normality, ignored_of
from edge.senses import Senses

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Seen:
    """The scored frames of one clip without a break: `seconds` [T] and the senses of each."""

    seconds: Values
    senses: Sequence[Senses]


@dataclass(frozen=True)
class Part:
    """What so many frames of the footage keep of each cell: patches and what stands (D numbers each), mixtures (K)."""

    frames: int
    patches: Sequence[Kept]
    stands: Sequence[Kept]
    mixtures: Sequence[Kept]


@dataclass(frozen=True)
class Ground:
    """What all parts of the footage share: `background` [4 Gh, 4 Gw, C], `palette` [K, C], what a change is, the mask.

    See `edge.normality.Normality` for the numbers.
    """

    background: Map
    palette: Map
    change_levels: float
    sensitivity: Map | None


def part_of(runs: Sequence[Seen], ground: Ground) -> Part:
    """Return what the frames of some runs have shown."""
    background, palette = ground.background, ground.palette
    rows, columns, channels = background.shape
    count, size = rows * columns // SIDE**2, patch_size(channels)
    thumbnails = [sense.thumbnail for run in runs for sense in run.senses]
    pictures = partial(pictures_of, thumbnails, background, ignored_of(ground.sensitivity))
    return Part(
        frames=len(thumbnails),
        patches=covering_cells(shown_patches(pictures(), background), count, size),
        stands=covering_cells(shown_patches(_stands(runs, ground), background), count, size),
        mixtures=covering_cells(shown_mixtures(pictures(), background, palette), count, len(palette)),
    )


def _stands(runs: Sequence[Seen], ground: Ground) -> Iterator[Map]:
    """The background with what stands before it, frame after frame of all runs."""
    background, ignored = ground.background, ignored_of(ground.sensitivity)
    for run in runs:
        pictures = pictures_of((sense.thumbnail for sense in run.senses), background, ignored)
        yield from standing_pictures(run.seconds.tolist(), run.senses, pictures, background, ground.change_levels)


def known_by(ground: Ground, parts: Sequence[Part]) -> Normality:
    """Return a normality without highs: enough to make the witnesses speak of what the parts do not know."""
    nothing = np.zeros(0, np.float32)
    patches, frames = [part.patches for part in parts], sum(part.frames for part in parts)
    shares = (times_of(patches) / frames).astype(np.float32)
    appearance = Appearance(ground.background, joined(patches), shares, joined([part.stands for part in parts]))
    composition = Composition(ground.palette, joined([part.mixtures for part in parts]))
    return Normality(
        nothing, nothing, nothing, nothing, appearance, composition, ground.change_levels, ground.sensitivity
    )
