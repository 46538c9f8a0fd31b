"""The yardstick's numbers: how well scores part what is anomalous from what is normal. Pure numpy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Flags = NDArray[np.bool_]

# A frame's anomaly is found in its place where this share of its pixels is covered: the pixel-level criterion
# of Mahadevan et al., «Anomaly detection in crowded scenes» (CVPR 2010).
COVERED_SHARE = 0.4


@dataclass(frozen=True)
class Roc:
    """Shares of normal (`false`) and anomalous (`true`) weight above each limit, from (0, 0) to (1, 1); [K]."""

    false: Values
    true: Values


def weighted_roc(scores: Values, positive: Values, negative: Values) -> Roc | None:
    """Return the curve of scores [N] that weigh `positive` and `negative` [N]; None without one of the two.

    Equal scores are one step of the curve, so that a tie counts half.
    """
    if min(float(positive.sum()), float(negative.sum())) <= 0.0:
        return None
    order = np.argsort(-scores, kind="stable")
    last_of_ties = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    true, false = (
        np.concatenate([[0.0], np.cumsum(weight[order])[last_of_ties]]) / weight.sum()
        for weight in (positive, negative)
    )
    return Roc(false, true)


def roc(scores: Values, is_anomalous: Flags) -> Roc | None:
    """Return the curve of scores [N] against flags [N]; None where all are of one kind."""
    return weighted_roc(scores, is_anomalous.astype(np.float64), (~is_anomalous).astype(np.float64))


def area(curve: Roc | None) -> float | None:
    """Return the area under the curve: the share of pairs (anomalous, normal) in the right order, ties half."""
    if curve is None:
        return None
    return float((np.diff(curve.false) * (curve.true[1:] + curve.true[:-1]) / 2).sum())


def auc(scores: Values, is_anomalous: Flags) -> float | None:
    """Return the area under the curve of scores [N] against flags [N]; None where all are of one kind."""
    return area(roc(scores, is_anomalous))


def equal_error_rate(curve: Roc | None) -> float | None:
    """Return the error where as many normal frames are above the limit as anomalous ones below it."""
    if curve is None:
        return None
    excess = curve.false - (1.0 - curve.true)  # rises from −1 to 1
    after = int(np.argmax(excess >= 0.0))
    span = excess[after] - excess[after - 1]
    share = -excess[after - 1] / span
    return float(curve.false[after - 1] + share * (curve.false[after] - curve.false[after - 1]))


def scaled_by_clip(clips: Sequence[Values]) -> list[Values]:
    """Return each clip's scores [T] stretched to 0–1, as papers do; it needs the clip's future, so no camera can.

    A clip of one kind is stretched like any other, its lowest frame to 0 even where every frame is anomalous;
    a clip that never changes becomes 0.
    """
    return [(clip - clip.min()) / (np.ptp(clip) or 1.0) for clip in clips]


def cell_shares(masks: Flags, grid: tuple[int, int]) -> tuple[Values, Values]:
    """Return the pixels of masks [T, H, W] that lie in each cell, [T, Gh, Gw], and all pixels of a cell, [Gh, Gw]."""
    whole = np.ones((1, *masks.shape[1:]), np.bool_)
    return _pixels_by_cell(masks, grid), _pixels_by_cell(whole, grid)[0]


def _pixels_by_cell(masks: Flags, grid: tuple[int, int]) -> Values:
    first_row, first_column = (
        -(-np.arange(cells) * size // cells) for size, cells in zip(masks.shape[1:], grid, strict=True)
    )  # rounded up: a pixel belongs to the cell of its upper left corner
    pixels: Values = np.stack([
        np.add.reduceat(np.add.reduceat(mask.astype(np.float64), first_row, axis=0), first_column, axis=1)
        for mask in masks
    ])  # fmt: skip
    return pixels


def pixel_roc(cells: Values, inside: Values, cell_pixels: Values) -> Roc | None:
    """Return the curve of all pixels of all frames: a pixel has the score of its cell.

    cells: [T, Gh, Gw]; inside: anomalous pixels in each cell, [T, Gh, Gw]; cell_pixels: pixels in a cell, [T, Gh, Gw].
    """
    return weighted_roc(cells.ravel(), inside.ravel(), (cell_pixels - inside).ravel())


def pixel_level_roc(cells: Values, inside: Values) -> Roc | None:
    """Return the pixel-level curve of Mahadevan (2010); shapes as in `pixel_roc`.

    An anomalous frame is found at a limit where the cells above it cover 40 % of its anomalous pixels; a normal
    frame is false where any cell is above it.
    """
    flat, pixels = cells.reshape(len(cells), -1), inside.reshape(len(inside), -1)
    is_anomalous = pixels.sum(axis=1) > 0
    order = np.argsort(-flat, axis=1)
    covered = np.cumsum(np.take_along_axis(pixels, order, axis=1), axis=1)
    needed = np.argmax(covered >= COVERED_SHARE * pixels.sum(axis=1, keepdims=True), axis=1)
    found_at = np.take_along_axis(flat, np.take_along_axis(order, needed[:, None], axis=1), axis=1)[:, 0]
    return roc(np.where(is_anomalous, found_at, flat.max(axis=1)), is_anomalous)
