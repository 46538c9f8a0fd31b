"""The live picture of a camera: frame, prediction and error of one moment, one below the other, as one JPEG."""

from __future__ import annotations

import threading

import numpy as np

from edge.frames import Image
from edge.heat import error_picture, in_colour
from edge.moments import Sensed
from edge.page.board import Board
from edge.snapshot import jpeg_from_image


def stacked(sensed: Sensed) -> Image:
    """Return frame, prediction and error [3 H, W, 3], RGB; they are what the network saw, so masks are black in it."""
    image, prediction = sensed.frame.image, sensed.prediction
    return np.vstack([in_colour(one) for one in (image, prediction, error_picture(image, prediction))])


class Pictures:
    """Draws the pictures that are asked for, each moment's once however many look at it; for any thread."""

    def __init__(self, board: Board) -> None:
        self._board, self._lock = board, threading.Lock()
        self._drawn: dict[str, tuple[int, bytes | None]] = {}

    def newest(self, camera: str) -> tuple[int, bytes | None]:
        """Return the number of the camera's last frame and its JPEG; 0 and None before the first."""
        with self._lock:
            seen = self._board.seen(camera)
            number, jpeg = self._drawn.get(camera, (0, None))
            if seen is not None and seen.number != number and seen.moment.sensed is not None:
                number, jpeg = seen.number, jpeg_from_image(stacked(seen.moment.sensed))
                self._drawn[camera] = number, jpeg
            return number, jpeg
