"""Frames on disk, exactly as the network saw them: lossless FFV1 in Matroska. A door of `av`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.error
import numpy as np

from edge.frames import Image

FilmError = (av.error.FFmpegError, OSError, ValueError)

_PIXELS = {1: ("gray", "gray"), 3: ("rgb24", "bgr0")}


class Film:
    """A video that grows frame by frame, and is there under its name once it is finished."""

    def __init__(self, path: Path, shape: tuple[int, ...], rate_hz: float) -> None:
        """Open it for frames of `shape` [H, W, C]. Raises one of `FilmError` where the disk refuses, as all does."""
        self.path, self.bytes = path, 0
        self._aside = path.with_name(f".{path.name}.{os.getpid()}.part")
        height, width, channels = shape
        self._ours, stored = _PIXELS[channels]
        self._container = av.open(str(self._aside), "w", format="matroska")
        self._stream: Any = self._container.add_stream("ffv1", rate=Fraction(rate_hz).limit_denominator(1001))
        self._stream.height, self._stream.width, self._stream.pix_fmt = height, width, stored
        self._stream.codec_context.thread_count = 1  # a frame is small: threads cost more than they give

    def write(self, image: Image) -> int:
        """Add a frame, and return the bytes that it took."""
        pixels = image[:, :, 0] if image.shape[2] == 1 else image
        taken = self._mux(self._stream.encode(av.VideoFrame.from_ndarray(pixels, format=self._ours)))
        self.bytes += taken
        return taken

    def finish(self) -> int:
        """Put the whole film under its name, and return its bytes."""
        try:
            self._mux(self._stream.encode(None))
            self._container.close()
            with self._aside.open("rb+") as file:
                os.fsync(file.fileno())
            self._aside.replace(self.path)
        finally:
            self._aside.unlink(missing_ok=True)
        return self.path.stat().st_size

    def drop(self) -> None:
        """Leave nothing behind."""
        try:
            self._container.close()
        finally:
            self._aside.unlink(missing_ok=True)

    def _mux(self, packets: Sequence[Any]) -> int:
        taken: int = sum(packet.size for packet in packets)
        self._container.mux(packets)
        return taken


def write_clip(path: Path, images: Sequence[Image], rate_hz: float) -> int:
    """Write images uint8 [H, W, C] whole or not at all, and return the bytes that they take."""
    film = Film(path, images[0].shape, rate_hz)
    try:
        for image in images:
            film.write(image)
    except BaseException:
        film.drop()
        raise
    return film.finish()


def read_film(path: Path, channels: int, first: int = 0) -> Iterator[Image]:
    """Yield a film's frames [H, W, C] from one of them on. Raises one of `FilmError` where it is gone or damaged."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        rate = float(stream.average_rate or stream.guessed_rate or 1)
        if first:
            container.seek(round(first / rate * av.time_base))  # to the key frame at or before it
        for frame in container.decode(video=0):
            if round((frame.time or 0.0) * rate) >= first:
                image: Image = frame.to_ndarray(format=_PIXELS[channels][0])
                yield np.ascontiguousarray(image.reshape(*image.shape[:2], channels))
