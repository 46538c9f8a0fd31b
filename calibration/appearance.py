"""What normal work looks like, place by place: the background, and patches that cover all that passes before it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from calibration.bank import Shown
from edge.appearance import BACKGROUND_LEVELS, Map, Thumbnail, background_distance, levelled, patches_from_thumbnail

# Thumbnails that the background is the median of, spread over the footage.
BACKGROUND_FRAMES = 400


def background_of(thumbnails: Sequence[Thumbnail]) -> Map:
    """Return what is mostly at each place: the median of thumbnails [4 Gh, 4 Gw, C], float32."""
    chosen = np.linspace(0, len(thumbnails) - 1, min(len(thumbnails), BACKGROUND_FRAMES)).astype(int)
    median: Map = np.median(np.stack([thumbnails[index] for index in chosen]), axis=0)
    return median.astype(np.float32)


def shown_patches(thumbnails: Sequence[Thumbnail], background: Map) -> Iterator[Shown]:
    """Yield, for each thumbnail, the patches that are not the background's, and their cells."""
    for thumbnail in thumbnails:
        picture = levelled(thumbnail, background)
        cells = np.flatnonzero(background_distance(picture, background) > BACKGROUND_LEVELS)
        patches = patches_from_thumbnail(picture)
        yield cells, patches.reshape(-1, patches.shape[2])[cells]
