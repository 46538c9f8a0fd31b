"""What each place looks like in normal work, and how far a frame is from it.

The patch of 4 × 4 quarters that a cell shows is held against the patches that normal work has shown there and in the
cells beside it; the distance to the nearest is the novelty. The dark counts twice as much as the bright, and colour
half as much and half as finely (docs/decisions/0009).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.bank import Bank, nearest_squares, shares_near
from edge.ranks import median

Map = NDArray[np.float32]
Thumbnail = NDArray[np.uint8]

# A patch nearer to the background than this (root mean square, tones of 255) is background.
BACKGROUND_TONES = 8.0
# A single quarter that differs by more than this in any channel is not the background.
FOREGROUND_LEVELS = 14.0
# What is no farther than this from what a place shows looks alike (docs/decisions/0009), and of what stands something
# is said where what looks alike was there, or in the cells beside it, in so large a share of normal work's frames.
ALIKE_TONES = 18.0
PASSING_SHARE = 0.01
SIDE = 4
# A colour is that of a block of so many quarters to each side.
COLOUR_SIDE = 2
# A tone is log(level + LIFTED_BY), stretched so that 0–255 become 0–255: the steepest, at 0, is twice the flattest.
LIFTED_BY = 255.0
TINY = 1e-3
# What of red, green and blue is in a tone: brightness, and two differences. In a patch these count by COLOUR_SHARE of
# what they would were its axes only turned.
COLOUR_SHARE = 0.5
_OF_BLUE, _OF_GREEN = COLOUR_SHARE * COLOUR_SIDE / 6.0**0.5, COLOUR_SHARE * COLOUR_SIDE / 18.0**0.5
_COLOUR_AXES = np.array(
    [[1 / 3, _OF_BLUE, -_OF_GREEN], [1 / 3, 0.0, 2.0 * _OF_GREEN], [1 / 3, -_OF_BLUE, -_OF_GREEN]], np.float32
)


@dataclass(frozen=True)
class Appearance:
    """`background`: float32 [4 Gh, 4 Gw, C], what is mostly there; `patches`: a bank of `patches_from_tones`.

    `stands`: another, of the patches of what has stood before the background (`edge.stillness.standing_picture`).
    `shares`: float32 [M], the share of normal work's frames in which each of `patches` was the nearest.
    """

    background: Map
    patches: Bank
    shares: Map
    stands: Bank

    @cached_property
    def tones(self) -> Map:
        """The tones of the background: float32 [4 Gh, 4 Gw, C]."""
        return toned(self.background)

    @cached_property
    def ground(self) -> Map:
        """The patches of the background: float32 [Gh, Gw, D]."""
        return patches_from_tones(self.tones)


def gain_of(thumbnail: Thumbnail, background: Map) -> float:
    """Return how much brighter than the background a thumbnail is; both [4 Gh, 4 Gw, C].

    It is that of the middle one of a quarter of all places, so that no object can carry it.
    """
    return max(median(thumbnail[::2, ::2] / (background[::2, ::2] + np.float32(1.0))), TINY)


def levelled(thumbnail: Thumbnail, background: Map) -> Map:
    """Return the thumbnail at the background's brightness: float32 [4 Gh, 4 Gw, C]."""
    level: Map = thumbnail / np.float32(gain_of(thumbnail, background))
    return level


def toned(picture: Map) -> Map:
    """Return what of a levelled thumbnail counts in a patch: float32 [4 Gh, 4 Gw, C]; C is 1 or 3.

    The first channel is brightness, 0–255; colour has two differences more, of red and blue and of green and both,
    each around 0.
    """
    tones = np.log(picture + np.float32(LIFTED_BY), dtype=np.float32)
    tones -= np.float32(np.log(LIFTED_BY))
    tones *= np.float32(255.0 / np.log((255.0 + LIFTED_BY) / LIFTED_BY))
    return tones if tones.shape[-1] == 1 else np.asarray(tones @ _COLOUR_AXES)


def patch_size(channels: int) -> int:
    """Return of how many numbers a patch is made: 16 of grey, 24 of colour."""
    return SIDE**2 + (channels - 1) * (SIDE // COLOUR_SIDE) ** 2


def patches_from_tones(tones: Map) -> Map:
    """Return the patch that each cell shows: float32 [Gh, Gw, D] of `toned`, [4 Gh, 4 Gw, C].

    The brightness of its 16 quarters and, of colour, the two differences of each of its four blocks, around 128:
    numbers of 0–255 for pictures of 0–255.
    """
    rows, columns, channels = tones.shape
    patches = np.empty((rows // SIDE, columns // SIDE, patch_size(channels)), np.float32)
    patches[..., : SIDE**2] = by_cell(tones[..., :1], SIDE)
    if channels > 1:
        side_by_side = tones.reshape(rows // COLOUR_SIDE, COLOUR_SIDE, columns // COLOUR_SIDE, COLOUR_SIDE * channels)
        above_below = side_by_side[:, 0] + side_by_side[:, 1]
        blocks = above_below[..., 1:channels] + above_below[..., channels + 1 :]
        blocks *= np.float32(1.0 / COLOUR_SIDE**2)
        blocks += np.float32(128.0)
        patches[..., SIDE**2 :] = by_cell(blocks, SIDE // COLOUR_SIDE)
    return patches


def by_cell(parts: NDArray[Any], side: int) -> NDArray[Any]:
    """Return the side² parts of each cell: [Gh, Gw, side² C] of [side Gh, side Gw, C]."""
    rows, columns, channels = parts.shape
    cells = parts.reshape(rows // side, side, columns // side, side, channels).swapaxes(1, 2)
    return np.asarray(cells.reshape(rows // side, columns // side, -1))


def patch_distance(squares: Map) -> Map:
    """Return the root mean square over a patch's 16 quarters, colour added, of what sums to `squares`: tones of 255."""
    distance: Map = np.sqrt(squares / np.float32(SIDE**2))
    return distance


def background_distance(patches: Map, ground: Map) -> Map:
    """Return the distance of each cell's patch to the background's: float32 [Gh, Gw]; both [Gh, Gw, D]."""
    apart = patches - ground
    return patch_distance(np.einsum("rci,rci->rc", apart, apart))


def is_foreground(thumbnail: Map, background: Map) -> NDArray[np.bool_]:
    """Return which quarters show something before the background: bool [4 Gh, 4 Gw]."""
    return differing(thumbnail, background, FOREGROUND_LEVELS)


def differing(first: Map, second: Map, levels: float) -> NDArray[np.bool_]:
    """Return where two thumbnails differ by more than so many grey levels in any channel: bool [4 Gh, 4 Gw]."""
    apart = np.abs(first - second)
    differs = [apart[..., channel] > levels for channel in range(apart.shape[2])]
    return np.asarray(np.logical_or.reduce(differs))


def novelty(patches: Map, ground: Map, known: Bank) -> Map:
    """Return how far each cell is from all that a bank knows there: float32 [Gh, Gw], tones of 255.

    `patches` [Gh, Gw, D] are those of a levelled thumbnail, `ground` those of the background. Root mean square over
    the patch; a cell that shows the background is as far as that.
    """
    found = background_distance(patches, ground)
    rows, columns = np.nonzero(found > BACKGROUND_TONES)
    if rows.size:
        squares = nearest_squares(patches[rows, columns], rows, columns, found.shape[1], known)
        found[rows, columns] = np.minimum(patch_distance(squares), found[rows, columns])
    return found


def novelty_and_share(patches: Map, appearance: Appearance) -> tuple[Map, Map]:
    """Return the novelty, and in what share of normal work's frames each place has looked alike: float32 [Gh, Gw] both.

    A place is what was seen there and in the cells beside it, and each of them counts: what covers several in one frame
    makes more than 1. The background is always there, 1.
    """
    found = background_distance(patches, appearance.ground)
    share = np.ones_like(found)
    rows, columns = np.nonzero(found > BACKGROUND_TONES)
    if rows.size:
        near, squares = _near(patches, rows, columns, appearance)
        share[rows, columns] = near
        found[rows, columns] = np.minimum(patch_distance(squares), found[rows, columns])
    return found, share


def halted(standing: Map, patches: Map, appearance: Appearance) -> Map:
    """Return how far what stands is from all that stands in normal work, 0 where it hardly ever passes: [Gh, Gw].

    `standing` [Gh, Gw] is the novelty of the `patches` [Gh, Gw, D] of what stands. What is seldom there has had little
    occasion to stand there, and that it does says nothing. Up to BACKGROUND_TONES it stays what it is.
    """
    rows, columns = np.nonzero(standing > BACKGROUND_TONES)
    if not rows.size:
        return standing
    near, _ = _near(patches, rows, columns, appearance)
    halts: Map = standing.copy()
    halts[rows, columns] = np.where(near >= PASSING_SHARE, standing[rows, columns], 0.0)
    return halts


def _near(patches: Map, rows: NDArray[np.intp], columns: NDArray[np.intp], appearance: Appearance) -> tuple[Map, Map]:
    """`shares_near` of the patches that some cells show."""
    squares, width = ALIKE_TONES**2 * SIDE**2, patches.shape[1]
    return shares_near(patches[rows, columns], rows, columns, width, appearance.patches, appearance.shares, squares)
