"""Normality from error maps of normal footage, with every number judged on footage that it was not made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from edge.errors import UsageError
from edge.normality import WITNESS_LAYERS, Map, Normality, cell_scores, standing_out

# Fewer scored frames than this say nothing about what is normal.
LEAST_FRAMES = 10
# Stretches that the footage is cut into; each is judged by the normality of the others.
FOLDS = 4
# A cell's errors are held against this quantile of its own and its neighbours' errors on normal footage.
HIGH_QUANTILE = 0.999
# What is added to both sides of a ratio of errors, as a share of the layer's median: zeros must not shout.
FLOOR_SHARE = 0.1
TINY = 1e-6

Surprises = NDArray[np.float64]


def fit_normality(clips: Sequence[Map]) -> tuple[Normality, list[Surprises]]:
    """Return the normality of clips of errors [T, L, Gh, Gw], and each clip's surprise [T] as held-out footage.

    The surprise of a frame is that against the normality of the other folds, so it is what new normal
    footage will show and not what fitted footage shows. Raises UsageError where there is too little.
    """
    errors = np.concatenate(clips) if clips else np.zeros((0, 1, 1, 1), np.float32)
    if len(errors) < LEAST_FRAMES:
        raise UsageError(
            f"the normal footage has {len(errors)} scored frames; at least {LEAST_FRAMES} are needed "
            f"(the first 5 of each clip are warm-up). Give more footage of normal work."
        )
    fold = np.arange(len(errors)) * FOLDS // len(errors)
    held_out = np.empty((len(errors), errors.shape[1]), np.float32)
    for part in range(FOLDS):
        normality = _cells(errors[fold != part])
        held_out[fold == part] = [standing_out(cell_scores(one, normality)) for one in errors[fold == part]]
    normality = replace(_cells(errors), layer_mean=held_out.mean(axis=0), layer_scale=held_out.std(axis=0) + TINY)
    layers = (held_out - normality.layer_mean) / normality.layer_scale
    surprise = layers[:, :WITNESS_LAYERS].max(axis=1).astype(np.float64)
    return normality, np.split(surprise, np.cumsum([len(clip) for clip in clips])[:-1])


def _cells(errors: Map) -> Normality:
    """The highest normal errors of each cell and its neighbours, and the floor of each layer."""
    layers = errors.shape[1]
    median = np.median(errors, axis=(0, 2, 3)).reshape(layers, 1, 1)
    floor = np.broadcast_to(FLOOR_SHARE * median + TINY, errors.shape[1:]).astype(np.float32)
    high = _highest_around(np.quantile(errors, HIGH_QUANTILE, axis=0).astype(np.float32))
    return Normality(high, floor, np.zeros(layers, np.float32), np.ones(layers, np.float32))


def _highest_around(cells: Map) -> Map:
    """Return for each cell of [L, Gh, Gw] the highest of the 3 × 3 cells around it."""
    padded = np.pad(cells, ((0, 0), (1, 1), (1, 1)), mode="edge")
    _, rows, columns = cells.shape
    shifted = [padded[:, row : row + rows, column : column + columns] for row in range(3) for column in range(3)]
    highest: Map = np.maximum.reduce(shifted)
    return highest
