"""Short clips on disk, exactly as the network saw them: lossless FFV1 in Matroska. A door of `av`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av

from edge.frames import Image

_PIXELS = {1: ("gray", "gray"), 3: ("rgb24", "bgr0")}


def write_clip(path: Path, images: Sequence[Image], rate_hz: float) -> int:
    """Write images uint8 [H, W, C] whole or not at all, and return the bytes that they take."""
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    height, width, channels = images[0].shape
    ours, stored = _PIXELS[channels]
    try:
        with av.open(str(aside), "w", format="matroska") as container:
            stream = container.add_stream("ffv1", rate=Fraction(rate_hz).limit_denominator(1001))
            stream.height, stream.width, stream.pix_fmt = height, width, stored
            for image in images:
                pixels = image[:, :, 0] if channels == 1 else image
                container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format=ours)))
            container.mux(stream.encode(None))
        with aside.open("rb+") as file:
            os.fsync(file.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
    return path.stat().st_size
