"""A sample of footage: balanced over the day, without repetition, within a budget of bytes. Pure numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.frames import Image

# A clip is described by the mean and the movement of so many places across and down.
SIGNATURE_ROWS, SIGNATURE_COLUMNS = 8, 10
# Movement is worth more than brightness: the same work under drifting light is the same work.
MOVEMENT_WEIGHT = 4.0
# Two clips nearer than this, in grey levels of a place, show the same.
ALIKE_LEVELS = 1.5

Signature = NDArray[np.float32]


@dataclass(frozen=True)
class Kept:
    """One clip of the sample: its file's name, the part of the day that it is of, its bytes, and what it shows."""

    name: str
    part: int
    bytes: int
    signature: Signature


def signature_of(images: Sequence[Image]) -> Signature:
    """Return what a clip shows: each place's mean brightness and mean change from frame to frame, float32 [S]."""
    grey = np.stack([image.mean(axis=2, dtype=np.float32) for image in images])
    change = np.abs(np.diff(grey, axis=0)).mean(axis=0) if len(grey) > 1 else np.zeros_like(grey[0])
    return np.concatenate([_places(grey.mean(axis=0)), MOVEMENT_WEIGHT * _places(change)]).astype(np.float32)


def _places(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    rows = np.array_split(plane, min(SIGNATURE_ROWS, plane.shape[0]), axis=0)
    columns = min(SIGNATURE_COLUMNS, plane.shape[1])
    return np.array([part.mean() for row in rows for part in np.array_split(row, columns, axis=1)], np.float32)


def distance(one: Signature, other: Signature) -> float:
    """Return how differently two clips look: the root mean square difference of their places, in grey levels."""
    return float(np.sqrt(np.mean((one - other) ** 2)))


def with_clip(kept: Sequence[Kept], new: Kept, part_bytes: int, all_bytes: int) -> tuple[list[Kept], list[Kept]]:
    """Return the sample with a new clip considered, and the clips that are given up for it or with it.

    A clip that shows what another of its part of the day shows is given up. Where a part takes more than its share
    of the bytes, or the parts together more than all, the clip that differs least from its neighbours goes, of the
    part that has most: what is rare stays.
    """
    if any(clip.part == new.part and distance(clip.signature, new.signature) < ALIKE_LEVELS for clip in kept):
        return list(kept), [new]
    sample, given_up = [*kept, new], []
    while (part := _overfull(sample, new.part, part_bytes, all_bytes)) is not None:
        least = _most_redundant([clip for clip in sample if clip.part == part])
        sample.remove(least)
        given_up.append(least)
    return sample, given_up


def _overfull(sample: Sequence[Kept], part: int, part_bytes: int, all_bytes: int) -> int | None:
    """Return the part that must give up a clip: the one that grew, or the largest; None where all fit."""
    sums: dict[int, int] = {}
    for clip in sample:
        sums[clip.part] = sums.get(clip.part, 0) + clip.bytes
    if sums.get(part, 0) > part_bytes:
        return part
    return max(sums, key=lambda one: sums[one]) if sum(sums.values()) > all_bytes else None


def _most_redundant(clips: list[Kept]) -> Kept:
    """Return the clip that is nearest to another; of the two, the one that is nearer to all the rest."""

    def nearness(clip: Kept) -> tuple[float, float]:
        distances = sorted(distance(clip.signature, other.signature) for other in clips if other is not clip)
        return (distances[0], sum(distances)) if distances else (0.0, 0.0)

    return min(clips, key=nearness)
