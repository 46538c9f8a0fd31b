"""A camera's picture as a JPEG that a broker can carry, with the private parts blackened (OpenCV's door)."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from edge.frames import Image

BYTES_LIMIT = 100_000
_QUALITIES = (90, 75, 60, 40, 20, 10)

Box = tuple[float, float, float, float]


def jpeg_from_image(image: Image, private: Sequence[Box] = ()) -> bytes | None:
    """Return the JPEG of an image [H, W, C], grey or RGB, of 100 kB or less; None where no quality is small enough."""
    shown = without_private(image, private)
    turned = shown if shown.shape[-1] == 1 else cv2.cvtColor(shown, cv2.COLOR_RGB2BGR)
    for quality in _QUALITIES:
        good, encoded = cv2.imencode(".jpg", turned, [cv2.IMWRITE_JPEG_QUALITY, quality])
        if good and encoded.size <= BYTES_LIMIT:
            return bytes(encoded.tobytes())
    return None


def without_private(image: Image, private: Sequence[Box]) -> Image:
    """Return a copy with boxes (x0, y0, x1, y1 in 0–1) black; a pixel that a box touches is black."""
    shown: Image = image.copy()
    height, width = image.shape[:2]
    for x0, y0, x1, y1 in private:
        rows = slice(int(np.floor(y0 * height)), int(np.ceil(y1 * height)))
        shown[rows, int(np.floor(x0 * width)) : int(np.ceil(x1 * width))] = 0
    return shown
