"""Frames and the sources that they come from: the first two words of the river."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]


@dataclass(frozen=True)
class FrameFormat:
    """What the network wants to see: `channels` is 1 (grey) or 3 (RGB); `rate_hz` frames a second."""

    height: int
    width: int
    channels: int
    rate_hz: float


@dataclass(frozen=True)
class Frame:
    """One image [H, W, C] of a camera, owned by the frame and never written again.

    `seconds` is the time of capture on the source's own monotonic clock: media time for a file,
    the machine's monotonic clock for a live camera. Differences mean something, values do not.
    `discarded` counts the frames that the capture library gave up since the frame before, because nobody took them.
    """

    image: Image
    seconds: float
    discarded: int = 0


class Source(Protocol):
    """A camera, opened: an iterator over frames in a `FrameFormat`, paced to its rate.

    `backend` names what captures and decodes, such as `pyav` or `gstreamer (avdec_h264)`.
    """

    name: str
    is_live: bool
    backend: str

    def frames(self) -> Iterator[Frame]:
        """Yield the frames in order; ends with the file, raises DeviceUnavailable when a camera fails."""

    def close(self) -> None:
        """Give the device or the file back; the iterator ends."""
