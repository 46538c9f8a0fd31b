"""A camera's picture as a JPEG that a broker can carry (OpenCV's door); masked places are black in it already."""

from __future__ import annotations

import cv2

from edge.frames import Image

BYTES_LIMIT = 100_000
_QUALITIES = (90, 75, 60, 40, 20, 10)


def jpeg_from_image(image: Image) -> bytes | None:
    """Return the JPEG of an image [H, W, C], grey or RGB, of 100 kB or less; None where no quality is small enough."""
    turned = image if image.shape[-1] == 1 else cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    for quality in _QUALITIES:
        good, encoded = cv2.imencode(".jpg", turned, [cv2.IMWRITE_JPEG_QUALITY, quality])
        if good and encoded.size <= BYTES_LIMIT:
            return bytes(encoded.tobytes())
    return None
