"""The door to PyAV: frames into an H.264 file."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av

from edge.errors import UsageError
from edge.frames import Image

_QUALITY = "20"  # x264's constant rate factor


def encode_video(path: Path, images: Iterable[Image], height: int, width: int, rate_hz: float) -> None:
    """Write images uint8 [H, W, C] (grey or RGB) to an MP4 file; both sides must be even (4:2:0)."""
    if height % 2 or width % 2:
        raise UsageError(f"{path}: the size is {width}x{height}; H.264 needs an even width and height")
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(rate_hz).limit_denominator(1001))
        stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
        stream.options = {"crf": _QUALITY}
        for image in images:
            container.mux(stream.encode(_video_frame(image)))
        container.mux(stream.encode(None))


def _video_frame(image: Image) -> av.VideoFrame:
    if image.shape[2] == 1:
        return av.VideoFrame.from_ndarray(image[:, :, 0], format="gray")
    return av.VideoFrame.from_ndarray(image, format="rgb24")
