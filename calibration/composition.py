"""The colours of normal work's foreground, and the mixtures of them that stand together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from scipy.cluster.vq import kmeans2

from calibration.bank import Shown
from edge.appearance import Map, Thumbnail, is_foreground, levelled
from edge.composition import LEAST_COVERED, mixtures_from_thumbnail

# Colours of the palette, and how many quarters of the foreground, of so many frames, it is made from.
COLOURS = 24
CHOSEN_FROM = 60_000
PALETTE_FRAMES = 500
ROUNDS = 30


def palette_of(thumbnails: Sequence[Thumbnail], background: Map) -> Map:
    """Return the colours that stand for the foreground of normal work: float32 [K, C], 0–255.

    Fewer than COLOURS where the foreground has fewer; black alone where nothing was ever in front.
    """
    chosen = np.linspace(0, len(thumbnails) - 1, min(len(thumbnails), PALETTE_FRAMES)).astype(int)
    pictures = [levelled(thumbnails[index], background) for index in chosen]
    colours = np.concatenate([picture[is_foreground(picture, background)] for picture in pictures])
    generator = np.random.default_rng(0)
    colours = colours[generator.permutation(len(colours))[:CHOSEN_FROM]]
    different = np.unique(np.rint(colours), axis=0)
    if len(different) <= 1:
        return np.zeros((1, background.shape[2]), np.float32)
    first = generator.permutation(different)[:COLOURS]
    centres, _ = kmeans2(colours, first, iter=ROUNDS, minit="matrix")
    return np.asarray(centres, np.float32)


def shown_mixtures(thumbnails: Sequence[Thumbnail], background: Map, palette: Map) -> Iterator[Shown]:
    """Yield, for each thumbnail, the mixtures of the windows that hold something, and their cells."""
    for thumbnail in thumbnails:
        mixtures = mixtures_from_thumbnail(levelled(thumbnail, background), background, palette)
        mixtures = mixtures.reshape(-1, len(palette))
        cells = np.flatnonzero(mixtures.sum(axis=1) > LEAST_COVERED)
        yield cells, mixtures[cells]
