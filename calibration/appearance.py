"""What normal work looks like, place by place: the background, and patches of all that passes or stands before it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from calibration.bank import Shown
from edge.appearance import (
    BACKGROUND_TONES,
    Map,
    Thumbnail,
    background_distance,
    levelled,
    patches_from_tones,
    toned,
)
from edge.senses import unseen

# Thumbnails that the background is the median of, spread over the footage.
BACKGROUND_FRAMES = 400


def background_of(thumbnails: Sequence[Thumbnail]) -> Map:
    """Return what is mostly at each place: the median of thumbnails [4 Gh, 4 Gw, C], float32."""
    median: Map = np.median(np.stack(spread_over(thumbnails, BACKGROUND_FRAMES)), axis=0)
    return median.astype(np.float32)


def spread_over(thumbnails: Sequence[Thumbnail], count: int) -> list[Thumbnail]:
    """Return so many thumbnails, or all, spread evenly over the footage."""
    chosen = np.linspace(0, len(thumbnails) - 1, min(len(thumbnails), count)).astype(int)
    return [thumbnails[index] for index in chosen.tolist()]


def pictures_of(thumbnails: Iterable[Thumbnail], background: Map, ignored: NDArray[np.bool_] | None) -> Iterator[Map]:
    """Yield each thumbnail as the witnesses see it: at the background's brightness, blind where it is ignored."""
    for thumbnail in thumbnails:
        yield unseen(levelled(thumbnail, background), background, ignored)


def shown_patches(pictures: Iterable[Map], background: Map) -> Iterator[Shown]:
    """Yield, for each picture, the patches that are not the background's, and their cells.

    pictures: those of `pictures_of`, or of what stands (`calibration.stillness.standing_pictures`).
    """
    ground = patches_from_tones(toned(background))
    for picture in pictures:
        patches = patches_from_tones(toned(picture))
        cells = np.flatnonzero(background_distance(patches, ground) > BACKGROUND_TONES)
        yield cells, patches.reshape(-1, patches.shape[2])[cells]
