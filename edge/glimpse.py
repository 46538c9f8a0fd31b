"""What a frame shows without its prediction, found in a thread of its own while the step is computed."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.appearance import Thumbnail
from edge.conditions import Watched, returned, watched
from edge.frames import Frame, Image
from edge.normality import Map
from edge.pixels import quarter_means
from edge.runners import open_speed
from edge.senses import speed_blocks


@dataclass(frozen=True)
class Glimpse:
    """What one frame shows, and what is known of the camera's picture after it.

    `speed`: float32 [Gh, Gw], the highest mean of a block in each cell, in pixels a frame; `thumbnail`: uint8
    [4 Gh, 4 Gw, C], the frame's quarters.
    """

    speed: Map
    thumbnail: Thumbnail
    look: Watched


class Glimpses:
    """Looks at the frames of all cameras, on a grid of (Gh, Gw) cells; used by one thread, and works in another."""

    def __init__(self, grid: tuple[int, int]) -> None:
        self._grid = grid
        self._speed_between = open_speed()
        self._looks: dict[str, Watched] = {}
        self._pending: dict[str, Future[Glimpse]] = {}
        self._beside = ThreadPoolExecutor(1, thread_name_prefix="glimpse")

    def close(self) -> None:
        """End the thread; what was begun is finished first."""
        self._beside.shutdown()

    def begin(
        self, camera: str, frame: Frame, last: Image | None, ignored: NDArray[np.bool_] | None, *, is_gap: bool
    ) -> None:
        """Begin to look at a frame.

        `last` is the image before it, None for a camera's first; `ignored`, bool [Gh, Gw], says which cells are not
        looked at, None where all are; `is_gap` that frames are missing before it.
        """
        before = self._looks.get(camera, Watched())
        image = frame.image if last is None else last
        self._pending[camera] = self._beside.submit(self._glimpse, frame, image, before, ignored, is_gap)

    def take(self, camera: str) -> Glimpse:
        """Return what was seen in the frame that was begun last, as soon as it is known."""
        glimpse = self._pending.pop(camera).result()
        self._looks[camera] = glimpse.look
        return glimpse

    def lose(self, camera: str) -> None:
        """A camera was lost: what its picture looks like stays known, and nothing that lasts."""
        self._pending.pop(camera, None)
        if camera in self._looks:
            self._looks[camera] = returned(self._looks[camera])

    def forget(self, camera: str) -> None:
        """A camera is gone, and with it all that was known of its picture."""
        self._pending.pop(camera, None)
        self._looks.pop(camera, None)

    def _glimpse(
        self, frame: Frame, last: Image, before: Watched, ignored: NDArray[np.bool_] | None, is_gap: bool
    ) -> Glimpse:
        speed = speed_blocks(self._speed_between(last, frame.image), self._grid, ignored)
        return Glimpse(speed, quarter_means(frame.image, self._grid), watched(before, frame, is_gap=is_gap))
