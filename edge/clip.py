"""Clips of events: encoded video copied as it came, or small frames encoded in software. A door of `av`."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.error
import numpy as np

from edge.frames import Image
from edge.matroska_file import matroska_file
from edge.tape import Encoding, Packet, parameter_sets

# Every browser and player shows these in MP4; what else a camera sends lies in Matroska.
_MP4 = frozenset({"h264", "hevc"})
_TICKS = 90_000
_MILLISECONDS = 1000
# The least work for a picture that is good to look at; Orin Nano has no encoder of its own.
_X264 = {"preset": "ultrafast", "crf": "23", "threads": "1"}
_PIXELS = {1: "gray", 3: "rgb24"}

ClipError = (av.error.FFmpegError, OSError, ValueError)


class CopiedClip:
    """A clip of a camera's own packets, untouched. `first` is the key frame that it begins with."""

    def __init__(self, folder: Path, encoding: Encoding, first: Packet) -> None:
        """Open it. Raises one of `ClipError` where the disk or the format refuses."""
        codec = encoding.codec
        self.path = folder / ("clip.mp4" if codec in _MP4 else "clip.mkv")
        self._first_seconds = first.shown_seconds
        known = encoding if encoding.extradata else replace(encoding, extradata=parameter_sets(first.data, codec))
        with av.open(io.BytesIO(matroska_file(known, first.data)), format="matroska") as template:
            self._container = av.open(str(self.path), "w", format="mp4" if codec in _MP4 else "matroska")
            self._stream: Any = self._container.add_stream_from_template(template.streams.video[0], opaque=True)
        self._last = -(2**62)

    def write(self, packets: Iterable[Packet]) -> None:
        """Add packets in the order in which they came. Raises one of `ClipError`."""
        for packet in packets:
            copied = av.Packet(packet.data)
            shown, decoded = (
                round((seconds - self._first_seconds) * _TICKS)
                for seconds in (packet.shown_seconds, packet.decoded_seconds)
            )
            decoded = max(decoded, self._last + 1)  # muxers refuse a decoding time that stands still
            copied.duration = min(decoded - self._last, _TICKS)  # without one the last picture would last no time
            self._last = decoded
            copied.pts, copied.dts = max(shown, decoded), decoded
            copied.time_base, copied.stream = Fraction(1, _TICKS), self._stream
            copied.is_keyframe = packet.is_key
            self._container.mux(copied)

    def close(self) -> None:
        """Finish the file. Raises one of `ClipError`."""
        self._container.close()


class EncodedClip:
    """A clip of the frames that the network sees, black under the privacy masks, encoded as H.264."""

    def __init__(self, folder: Path, image: Image, seconds: float) -> None:
        """Open it for frames of the size of `image` [H, W, C]. Raises one of `ClipError`."""
        self.path, self._first_seconds = folder / "clip.mp4", seconds
        self._container = av.open(str(self.path), "w", format="mp4")
        self._stream: Any = self._container.add_stream("libx264", options=_X264)
        height, width = (size + size % 2 for size in image.shape[:2])  # H.264 takes even sizes
        self._stream.width, self._stream.height, self._stream.pix_fmt = width, height, "yuv420p"
        self._stream.codec_context.time_base = Fraction(1, _MILLISECONDS)
        self._last = -1

    def write(self, image: Image, seconds: float) -> None:
        """Add the frame of a time. Raises one of `ClipError`."""
        odd = [(0, size % 2) for size in image.shape[:2]]
        even = np.ascontiguousarray(np.pad(image, [*odd, (0, 0)], mode="edge"))
        channels = even.shape[2]
        frame = av.VideoFrame.from_ndarray(even[..., 0] if channels == 1 else even, format=_PIXELS[channels])
        self._last = max(round((seconds - self._first_seconds) * _MILLISECONDS), self._last + 1)
        frame.pts, frame.time_base = self._last, Fraction(1, _MILLISECONDS)
        self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        """Finish the file. Raises one of `ClipError`."""
        try:
            self._container.mux(self._stream.encode(None))
        finally:
            self._container.close()
