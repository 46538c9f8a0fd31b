"""Capture through PyAV, the embedded default: files, folders of images, RTSP, V4L2. The door of `av`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import av
import av.error
import numpy as np
from av.video.reformatter import Colorspace, Interpolation

from edge.errors import DeviceUnavailable, UsageError
from edge.frames import Frame, FrameFormat, Image
from edge.live_clock import LiveClock
from edge.pacing import Pacer
from edge.places import Place, image_paths
from edge.refusals import refusal
from edge.tape import Encoding, Packet, Reel, Tape

OPEN_TIMEOUT_SECONDS = 3.0
READ_TIMEOUT_SECONDS = 2.0
# Four times the pixels of a camera of today; a picture of a few megabytes can claim two thousand million.
MOST_PIXELS = 36_000_000
# Streams that carry no times: FFmpeg makes them up at 25 frames a second, whatever the camera does.
_UNTIMED = frozenset({"mpjpeg", "mjpeg", "jpeg_pipe"})
_AV_FORMATS = {1: "gray", 3: "rgb24"}


class VideoSource:
    """A video file or a camera that PyAV opens; scaled by area to the format, paced by timestamps."""

    def __init__(
        self,
        place: Place,
        form: FrameFormat,
        clock: Callable[[], float] = time.monotonic,
        tape: Tape | None = None,
    ) -> None:
        self.name, self.is_live, self.backend = place.name, place.is_live, "pyav"
        self._place, self._form, self._clock = place, form, clock
        self._container = _open(place)
        if not self._container.streams.video:
            self._container.close()
            raise UsageError(f"{place.name}: holds no video stream; give a file that ffplay can show.")
        self._stream = _bounded(self._container.streams.video[0])
        self._stream.thread_type = "SLICE" if place.is_live else "AUTO"
        self._reel = None if tape is None else _reel_of(tape, self._stream)

    def frames(self) -> Iterator[Frame]:
        """Yield the paced frames. Raises DeviceUnavailable where a camera stops, UsageError on a broken file."""
        pacer, clock = Pacer(self._form.rate_hz), LiveClock(self._clock)
        for decoded, media_seconds in self._decoded():
            if media_seconds < self._place.start_seconds - 1e-6:
                continue
            if self._place.end_seconds is not None and media_seconds >= self._place.end_seconds - 1e-6:
                return
            seconds = clock.seconds_from_media(media_seconds) if self.is_live else media_seconds
            if pacer.keeps(seconds):
                if self._reel is not None and decoded.time is not None:
                    self._reel.lay(seconds - float(decoded.time))
                yield Frame(_image_from(decoded, self._form), seconds)
        if self.is_live:
            raise DeviceUnavailable(f"{self.name}: the camera ended its stream.")

    def _decoded(self) -> Iterator[tuple[Any, float]]:
        rate = float(self._stream.average_rate or self._form.rate_hz)
        first = None
        count = 0
        try:
            for decoded in self._pictures():
                media_seconds = count / rate if decoded.time is None else float(decoded.time)
                if self.is_live and self._container.format.name in _UNTIMED:
                    media_seconds = self._clock()
                first = media_seconds if first is None else first
                yield decoded, media_seconds - first
                count += 1
        except av.error.FFmpegError as error:
            raise _refusal(self._place, error, count) from error
        if not count and not self.is_live:
            raise UsageError(f"{self.name}: no frame could be decoded; the file is empty or damaged.")

    def _pictures(self) -> Iterator[Any]:
        for packet in self._container.demux(self._stream):
            if self._reel is not None:
                _tape(self._reel, packet)
            yield from packet.decode()

    def close(self) -> None:
        """Close the file or the connection."""
        self._container.close()


class ImageFolderSource:
    """Images in the order of their names, as frames at the place's rate, or at the format's."""

    is_live = False
    backend = "pyav"

    def __init__(self, place: Place, form: FrameFormat) -> None:
        self.name = place.name
        self._place, self._form = place, form
        self._paths = image_paths(place)
        if not self._paths:
            raise UsageError(f"{place.name}: the folder holds no images.")

    def frames(self) -> Iterator[Frame]:
        """Yield the paced images; UsageError names the first that cannot be read."""
        rate_hz = self._place.rate_hz or self._form.rate_hz
        pacer = Pacer(self._form.rate_hz)
        for number, path in enumerate(self._paths):
            seconds = number / rate_hz
            if self._place.end_seconds is not None and seconds >= self._place.end_seconds - 1e-6:
                return
            if seconds >= self._place.start_seconds - 1e-6 and pacer.keeps(seconds):
                yield Frame(_read_image(str(path), self._form), seconds)

    def close(self) -> None:
        """Nothing is held open between two images."""


def _bounded(stream: Any) -> Any:
    """Return the stream, whose decoder refuses pictures of more than MOST_PIXELS before it takes memory for them."""
    stream.codec_context.options = {"max_pixels": str(MOST_PIXELS)}
    return stream


def _reel_of(tape: Tape, stream: Any) -> Reel | None:
    """Return the reel of a connection; raw video, which a USB camera may send, has none."""
    context = stream.codec_context
    if context.name == "rawvideo":
        return None
    return tape.begin(Encoding(context.name, bytes(context.extradata or b""), context.width, context.height))


def _tape(reel: Reel, packet: Any) -> None:
    if packet.pts is None or not packet.size:  # the last one, which is empty, or one that has no time
        return
    shown = float(packet.pts * packet.time_base)
    decoded = shown if packet.dts is None else float(packet.dts * packet.time_base)
    reel.put(Packet(bytes(packet), shown, decoded, bool(packet.is_keyframe)))


def _open(place: Place) -> Any:
    options: dict[str, str] = {}
    container_format = None
    if place.where.startswith(("rtsp://", "rtsps://")):
        options = {"rtsp_transport": "tcp", "fflags": "nobuffer", "flags": "low_delay"}
    if place.kind == "v4l2":
        container_format = "v4l2"
    timeout = (OPEN_TIMEOUT_SECONDS, READ_TIMEOUT_SECONDS) if place.is_live else None
    try:
        return av.open(place.where, format=container_format, options=options, timeout=timeout)
    except (av.error.FFmpegError, OSError) as error:
        raise _refusal(place, error, 0) from error


def _refusal(place: Place, error: Exception, frames_read: int) -> DeviceUnavailable | UsageError:
    is_login = isinstance(error, (av.error.HTTPUnauthorizedError, av.error.HTTPForbiddenError))
    return refusal(place, getattr(error, "strerror", None) or str(error), frames_read, is_login=is_login)


def _image_from(decoded: Any, form: FrameFormat) -> Image:
    # Grey is the video's own luma, as GStreamer gives it: one matrix on both sides leaves it as it is.
    matrix = Colorspace.ITU601 if form.channels == 1 else None
    scaled = decoded.reformat(
        width=form.width,
        height=form.height,
        format=_AV_FORMATS[form.channels],
        interpolation=Interpolation.AREA,
        src_colorspace=matrix,
        dst_colorspace=matrix,
    )
    image: Image = scaled.to_ndarray()
    return np.ascontiguousarray(image).reshape(form.height, form.width, form.channels)


def _read_image(path: str, form: FrameFormat) -> Image:
    try:
        with av.open(path) as container:
            return _image_from(next(container.decode(_bounded(container.streams.video[0]))), form)
    except (av.error.FFmpegError, StopIteration, IndexError) as error:
        raise UsageError(f"{path}: not an image that can be read; remove it from the folder or replace it.") from error
