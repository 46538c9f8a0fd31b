"""The colours of normal work's foreground, and the mixtures of them that stand together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from scipy.cluster.vq import kmeans2

from calibration.bank import Shown
from edge.appearance import Map, is_foreground
from edge.composition import LEAST_COVERED, covered, mixtures_from_thumbnail

# Colours of the palette, and how many quarters of the foreground, of so many frames, it is made from.
COLOURS = 16
CHOSEN_FROM = 60_000
PALETTE_FRAMES = 500
ROUNDS = 30


def palette_of(pictures: Iterable[Map], background: Map) -> Map:
    """Return the colours that stand for the foreground of pictures [4 Gh, 4 Gw, C]: float32 [K, C], 0–255.

    Fewer than COLOURS where the foreground has fewer; black alone where nothing was ever in front.
    """
    colours = np.concatenate([picture[is_foreground(picture, background)] for picture in pictures])
    generator = np.random.default_rng(0)
    colours = colours[generator.permutation(len(colours))[:CHOSEN_FROM]]
    different = np.unique(np.rint(colours), axis=0)
    if len(different) <= 1:
        return np.zeros((1, background.shape[2]), np.float32)
    first = generator.permutation(different)[:COLOURS]
    centres, _ = kmeans2(colours, first, iter=ROUNDS, minit="matrix")
    return np.asarray(centres, np.float32)


def shown_mixtures(pictures: Iterable[Map], background: Map, palette: Map) -> Iterator[Shown]:
    """Yield, for each picture, the mixtures of the windows that hold something, and their cells."""
    for picture in pictures:
        mixtures = mixtures_from_thumbnail(picture, is_foreground(picture, background), palette)
        cells = np.flatnonzero(covered(mixtures) > LEAST_COVERED)
        yield cells, mixtures.reshape(-1, len(palette))[cells]
