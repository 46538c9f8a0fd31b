"""Stillness on normal footage: from which difference on a place has changed, and where movement is to be expected."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from edge.appearance import Thumbnail

Map = NDArray[np.float32]

# A change is this many times what noise alone does from frame to frame, and at least so many grey levels.
NOISE_TIMES = 6.0
LEAST_LEVELS = 4.0
# A place is expected to move where it did so at least this often, and never paused for longer than this share
# of the footage: a pause that was hardly ever seen to end promises no movement.
LEAST_MOVES = 20
LONGEST_SHARE = 0.01
PAIRS = 500


def change_levels_of(pictures: Iterable[Map]) -> float:
    """Return the difference (grey levels of 255) from which a quarter has changed; pictures [4 Gh, 4 Gw, C].

    The pictures come in pairs that follow one another. Most places stand still most of the time, so the median
    difference from frame to frame is noise.
    """
    seen = iter(pictures)
    apart = [np.abs(second - first) for first, second in zip(seen, seen, strict=False)]
    return max(NOISE_TIMES * float(np.median(apart)), LEAST_LEVELS) if apart else LEAST_LEVELS


def pairs_of(thumbnails: Sequence[Thumbnail]) -> Iterator[Thumbnail]:
    """Yield pairs of thumbnails that follow one another, spread over the footage, one thumbnail after the other."""
    for start in range(0, len(thumbnails) - 1, max(1, len(thumbnails) // PAIRS)):
        yield from thumbnails[start : start + 2]


def expected_to_move(still: Map, footage_seconds: float) -> Map:
    """Return the longest pause of each cell in seconds, infinite where no movement is to be expected: float32 [Gh, Gw].

    `still`: float32 [T, Gh, Gw], for how long each cell had not changed in each frame of the footage.
    """
    moves = (np.diff(still, axis=0) < 0.0).sum(axis=0)
    longest = still.max(axis=0)
    expected = (moves >= LEAST_MOVES) & (longest <= LONGEST_SHARE * footage_seconds)
    longest_or_never: Map = np.where(expected, longest, np.float32(np.inf))
    return longest_or_never
