"""What normal work looks like, place by place: a small selection of patches that covers all that was seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.appearance import (
    BACKGROUND_LEVELS,
    Appearance,
    Map,
    appearance_from_patches,
    background_distance,
    patches_from_thumbnail,
)

# Thumbnails that the background is the median of, spread over the footage.
BACKGROUND_FRAMES = 400
# Patches that a quarter of the footage keeps of a cell, chosen of so many at the most.
KEPT_PATCHES = 96
CHOSEN_FROM = 2000


@dataclass(frozen=True)
class Part:
    """The patches that a part of the footage keeps: uint8 [M_k, 16 C] for each cell k, rows first."""

    cells: Sequence[NDArray[np.uint8]]


def background_of(thumbnails: Sequence[Map]) -> Map:
    """Return what is mostly at each place: the median of thumbnails [2 Gh, 2 Gw, C], float32."""
    chosen = np.linspace(0, len(thumbnails) - 1, min(len(thumbnails), BACKGROUND_FRAMES)).astype(int)
    median: Map = np.median(np.stack([thumbnails[index] for index in chosen]), axis=0)
    return median.astype(np.float32)


def part_of(thumbnails: Map, background: Map) -> Part:
    """Return the patches that stand for what levelled thumbnails [T, 2 Gh, 2 Gw, C] show before the background."""
    seen: list[list[Map]] = [[] for _ in range(background.shape[0] * background.shape[1] // 4)]
    for thumbnail in thumbnails:
        shown = np.flatnonzero(background_distance(thumbnail, background) > BACKGROUND_LEVELS)
        if shown.size:
            patches = patches_from_thumbnail(thumbnail).reshape(len(seen), -1)[shown]
            rounded = np.clip(np.rint(patches), 0, 255).astype(np.uint8)
            for cell, patch in zip(shown.tolist(), rounded, strict=True):
                seen[cell].append(patch)
    size = 4 * background.shape[2] * 4
    return Part([_covering(np.array(patches, np.uint8).reshape(-1, size)) for patches in seen])


def joined(background: Map, parts: Sequence[Part]) -> Appearance:
    """Return the appearance that knows the patches of all parts."""
    cells = [np.concatenate(patches) for patches in zip(*(part.cells for part in parts), strict=True)]
    starts = np.concatenate([[0], np.cumsum([len(patches) for patches in cells])]).astype(np.int32)
    return appearance_from_patches(background, np.concatenate(cells), starts)


def _covering(patches: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A selection such that no patch is far from it: the farthest is taken, again and again.

    Gonzalez, «Clustering to minimize the maximum intercluster distance» (1985).
    """
    patches = patches[:: max(1, -(-len(patches) // CHOSEN_FROM))]
    if len(patches) <= KEPT_PATCHES:
        return patches
    values = patches.astype(np.float32)
    squares = np.einsum("mi,mi->m", values, values)
    nearest, taken = np.full(len(values), np.inf, np.float32), [0]
    for _ in range(KEPT_PATCHES - 1):
        last = taken[-1]
        nearest = np.minimum(nearest, squares - 2.0 * (values @ values[last]) + squares[last])
        taken.append(int(nearest.argmax()))
    return patches[taken]
