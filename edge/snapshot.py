"""A camera's picture as a JPEG that a broker can carry (OpenCV's door); masked places are black in it already."""

from __future__ import annotations

import cv2
import numpy as np

from edge.frames import Image

BYTES_LIMIT = 100_000
_QUALITIES = (90, 75, 60, 40, 20, 10)


def jpeg_from_image(image: Image) -> bytes | None:
    """Return the JPEG of an image [H, W, C], grey or RGB, of 100 kB or less; None where no quality is small enough."""
    turned = _as_opencv_takes_it(image)
    for quality in _QUALITIES:
        good, encoded = cv2.imencode(".jpg", turned, [cv2.IMWRITE_JPEG_QUALITY, quality])
        if good and encoded.size <= BYTES_LIMIT:
            return bytes(encoded.tobytes())
    return None


def png_from_image(image: Image) -> bytes:
    """Return the PNG of an image [H, W, C], grey or RGB."""
    good, encoded = cv2.imencode(".png", _as_opencv_takes_it(image))
    if not good:
        raise ValueError(f"no PNG comes of a picture of {image.shape}.")
    return bytes(encoded.tobytes())


def _as_opencv_takes_it(image: Image) -> Image:
    return image if image.shape[-1] == 1 else np.ascontiguousarray(image[..., ::-1])
