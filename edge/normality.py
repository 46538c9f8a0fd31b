"""Normality: what each cell and layer of the error map does on normal footage, and surprise against it."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

Map = NDArray[np.float32]

# The frame's surprise is drawn from this many cells that stand out most: more than one, so that a hot
# pixel or a flash on one spot cannot carry it, and few, so that a small thing in a large picture can.
STANDING_OUT_CELLS = 4
# Decided by measurement (docs/decisions/0009-surprise.md): the layers above the pixels add more noise than sight.
WITNESS_LAYERS = 1


@dataclass(frozen=True)
class Normality:
    """Errors on normal footage. `high`, `floor`: float32 [L, Gh, Gw]; layer statistics [L].

    `high` is the error that a cell or one of its neighbours exceeds in one normal frame of a thousand;
    `floor` is added to both sides of a ratio, so that cells where nothing ever happens do not shout;
    `layer_mean` and `layer_scale` are those of each layer's standing-out score on normal footage.
    """

    high: Map
    floor: Map
    layer_mean: Map
    layer_scale: Map

    @property
    def grid(self) -> tuple[int, int, int]:
        """Layers, rows and columns [L, Gh, Gw] that an error map must have."""
        layers, rows, columns = self.high.shape
        return layers, rows, columns


@dataclass(frozen=True)
class Surprise:
    """One frame against normality: `value` in standard deviations of normal work, `cells` float32 [Gh, Gw]."""

    value: float
    cells: Map


def cell_scores(errors: Map, normality: Normality) -> Map:
    """Return the log ratio of each cell's error to the highest that is normal around it: [L, Gh, Gw]."""
    scores: Map = np.log((errors + normality.floor) / (normality.high + normality.floor))
    return scores


def standing_out(scores: Map) -> Map:
    """Return each layer's mean of the cells that stand out most: float32 [L]; scores [L, Gh, Gw]."""
    flat = scores.reshape(scores.shape[0], -1)
    count = min(STANDING_OUT_CELLS, flat.shape[1])
    top: Map = np.partition(flat, flat.shape[1] - count, axis=1)[:, -count:].mean(axis=1)
    return top


def surprise_from_errors(errors: Map, normality: Normality) -> Surprise:
    """Return the surprise of one frame's errors [L, Gh, Gw]: the cells that stand out, standardised."""
    scores = cell_scores(errors[:WITNESS_LAYERS], witnesses(normality))
    layers = (standing_out(scores) - normality.layer_mean[:WITNESS_LAYERS]) / normality.layer_scale[:WITNESS_LAYERS]
    return Surprise(float(layers.max()), scores.max(axis=0))


def witnesses(normality: Normality) -> Normality:
    """Return the normality of the layers that the surprise is drawn from, as views."""
    return Normality(*(getattr(normality, part.name)[:WITNESS_LAYERS] for part in fields(Normality)))


def box_from_cells(cells: Map) -> tuple[float, float, float, float]:
    """Return (x0, y0, x1, y1) in 0–1 around the cells of at least half the highest score; cells [Gh, Gw]."""
    rows, columns = np.nonzero(cells >= max(0.5 * float(cells.max()), np.finfo(np.float32).tiny))
    height, width = cells.shape
    if not rows.size:
        return (0.0, 0.0, 1.0, 1.0)
    return (
        float(columns.min() / width),
        float(rows.min() / height),
        float((columns.max() + 1) / width),
        float((rows.max() + 1) / height),
    )
