"""Stillness on normal footage: what has changed, what stands, and where movement is to be expected."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from edge.appearance import Thumbnail, is_foreground
from edge.senses import Senses
from edge.stillness import first_stillness, standing_picture, watched_on

Map = NDArray[np.float32]

# A change is this many times what noise alone does from frame to frame, and at least so many grey levels.
NOISE_TIMES = 6.0
LEAST_LEVELS = 4.0
# A place is expected to move where it did so at least this often, and never paused for longer than this share
# of the footage: a pause that was hardly ever seen to end promises no movement.
LEAST_MOVES = 20
LONGEST_SHARE = 0.01
PAIRS = 500
# A place is asked what stands there where in so large a share of frames something does that differs from what other
# footage has shown by so many tones, root mean square: elsewhere everything that stands is new.
STANDING_SHARE, STANDING_TONES = 0.03, 3.0
# A place always moves where all but this share of frames have seen it change within so many seconds. It is asked how
# slowly where in so large a share it shows what is often there.
RESTING_SHARE, RESTING_SECONDS = 0.1, 0.5
ASKED_SHARE = 0.25
# How slowly moves what always does is held against this quantile of normal footage.
SLOW_QUANTILE = 0.9999


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


def standing_pictures(
    seconds: Sequence[float],
    senses: Sequence[Senses],
    pictures: Iterable[Map],
    background: Map,
    change_levels: float,
) -> Iterator[Map]:
    """Yield the background with what stands before it, frame after frame of footage without a break."""
    stillness = None
    for second, sense, picture in zip(seconds, senses, pictures, strict=True):
        if stillness is None:
            stillness = first_stillness(picture, sense.speed, second)
        else:
            stillness = watched_on(stillness, picture, sense.speed, second, change_levels)
        yield standing_picture(stillness, picture, is_foreground(picture, background), background)


def standing_high(standing: Map) -> Map:
    """Return the newest that has stood in each cell, infinite where things seldom stand: float32 [Gh, Gw].

    `standing`: float32 [T, Gh, Gw], how far what stood in each frame was from what stands there in other footage, in
    tones.
    """
    often = (standing > STANDING_TONES).mean(axis=0) >= STANDING_SHARE
    high: Map = np.where(often, standing.max(axis=0), np.float32(np.inf))
    return high


def slowness_high(slowness: Map, still: Map) -> Map:
    """Return how slowly each cell moves at most, infinite where it does not always move: float32 [Gh, Gw].

    `slowness`, `still`: float32 [T, Gh, Gw], frames a pixel, 0 where that was not asked, and for how long each cell had
    not changed.
    """
    always = (still > RESTING_SECONDS).mean(axis=0) <= RESTING_SHARE
    always &= (slowness > 0.0).mean(axis=0) >= ASKED_SHARE
    high: Map = np.where(always, np.quantile(slowness, SLOW_QUANTILE, axis=0), np.float32(np.inf))
    return high.astype(np.float32)


def expected_to_move(still: Map, footage_seconds: float) -> Map:
    """Return the longest pause of each cell in seconds, infinite where no movement is to be expected: float32 [Gh, Gw].

    `still`: float32 [T, Gh, Gw], for how long each cell had not changed in each frame of the footage.
    """
    moves = (np.diff(still, axis=0) < 0.0).sum(axis=0)
    longest = still.max(axis=0)
    expected = (moves >= LEAST_MOVES) & (longest <= LONGEST_SHARE * footage_seconds)
    longest_or_never: Map = np.where(expected, longest, np.float32(np.inf))
    return longest_or_never
