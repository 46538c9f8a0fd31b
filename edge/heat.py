"""Pictures of an event's peak, drawn with numpy alone: the error, the heat map, and the strip of three."""

from __future__ import annotations

import numpy as np

from edge.frames import Image
from edge.normality import Map

_RED = np.array([220.0, 40.0, 20.0], np.float32)
# An error of so many grey levels is drawn white.
_BRIGHTEST = 128.0
_GAP_PIXELS = 3


def in_colour(image: Image) -> Image:
    """Return an image [H, W, 1 or 3] as RGB [H, W, 3]."""
    return np.broadcast_to(image, (*image.shape[:2], 3))


def error_picture(frame: Image, prediction: Image) -> Image:
    """Return the error of a prediction as grey [H, W, 1]: twice as bright as it is, and never scaled to its maximum."""
    error = np.abs(frame.astype(np.float32) - prediction).mean(axis=2, keepdims=True)
    bright: Image = np.clip(error * (255.0 / _BRIGHTEST), 0.0, 255.0).astype(np.uint8)
    return bright


def heat_map(frame: Image, cells: Map) -> Image:
    """Return the frame in grey with the cells [Gh, Gw] that stand out laid over it in red; RGB [H, W, 3]."""
    grey = frame.mean(axis=2, keepdims=True).astype(np.float32)
    share = np.clip(cells / max(float(cells.max()), 1e-6), 0, 1) ** 1.5
    height, width = frame.shape[:2]
    rows = np.arange(height) * share.shape[0] // height
    columns = np.arange(width) * share.shape[1] // width
    heat = 0.75 * share[rows][:, columns, None]
    mixed: Image = ((1 - heat) * grey + heat * _RED).astype(np.uint8)
    return mixed


def strip(frame: Image, prediction: Image) -> Image:
    """Return frame, prediction and error side by side, RGB [H, 3 W + gaps, 3]."""
    return beside(frame, prediction, error_picture(frame, prediction))


def beside(*pictures: Image) -> Image:
    """Return pictures [H, W, 1 or 3] side by side with white gaps, RGB."""
    gap = np.full((pictures[0].shape[0], _GAP_PIXELS, 3), 255, np.uint8)
    parts = [part for picture in pictures for part in (gap, in_colour(picture))]
    return np.hstack(parts[1:])
