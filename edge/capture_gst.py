"""Capture through GStreamer: CSI, V4L2, RTSP, files and launch lines. The door of `gi`.

Decoding, scaling and colour happen in the pipeline; Python sees the small frames that pacing keeps, each copied once.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import gi
import numpy as np

gi.require_version("Gst", "1.0")
gi.require_version("GstApp", "1.0")
gi.require_version("GstVideo", "1.0")
from gi.repository import GLib, Gst, GstApp, GstVideo  # noqa: E402, F401 - GstApp gives appsink its methods

from edge.errors import DeviceUnavailable, UsageError  # noqa: E402
from edge.frames import Frame, FrameFormat, Image  # noqa: E402
from edge.launch import ELEMENTS, SCALER, SINK, launch_from_place  # noqa: E402
from edge.live_clock import LiveClock  # noqa: E402
from edge.pacing import Pacer  # noqa: E402
from edge.places import Place  # noqa: E402
from edge.refusals import refusal  # noqa: E402
from edge.tape import Encoding, Packet, Reel, Tape  # noqa: E402

# A camera that has answered sends its first picture within so long, or with its next key frame.
FIRST_FRAME_SECONDS = 8.0
# rtspsrc says nothing when a server stalls, whatever its time-outs: the absence of frames is noticed here.
SILENCE_SECONDS = 2.0
# A file may have much before the stretch that is wanted of it.
FILE_SECONDS = 600.0
_SLICE_NANOSECONDS = 50_000_000
_SECOND = 1_000_000_000
# Video's black and white are 16 and 235 unless its caps say otherwise; the network's are 0 and 255, as PyAV gives them.
_FULL_FROM_VIDEO = np.clip(np.rint((np.arange(256) - 16.0) * 255.0 / 219.0), 0, 255).astype(np.uint8)

# Of a colorimetry in caps: limited range, and the matrix that FFmpeg takes where a video names none.
_VIDEO_RANGE, _BT601 = "2", "4"

Gst.init(None)


def elements_here() -> frozenset[str]:
    """Return which of the elements that launch lines are made of this machine has."""
    return frozenset(name for name in ELEMENTS if Gst.ElementFactory.find(name) is not None)


class GstSource:
    """A place that GStreamer plays; opened when its first frame has come."""

    def __init__(
        self,
        place: Place,
        form: FrameFormat,
        clock: Callable[[], float] = time.monotonic,
        tape: Tape | None = None,
    ) -> None:
        """Open it. Raises DeviceUnavailable for a camera, UsageError for a file or a line that cannot be played."""
        self.name, self.is_live = place.name, place.is_live
        self._place, self._form, self._clock = place, form, clock
        self._launch = launch_from_place(place, form, elements_here())
        self._decoders: list[str] = []
        self._tape = tape
        self._reel: Reel | None = None
        self._pacer = Pacer(form.rate_hz)
        self._arrived, self._first_seconds = 0, 0.0
        self._laid: deque[int] = deque()  # the times of what lies in the sink, or was discarded there
        self._pipeline = self._parsed()
        self._sink = self._pipeline.get_by_name(SINK)
        self._pipeline.connect("deep-element-added", self._added)
        scaler = self._pipeline.get_by_name(SCALER).get_static_pad("sink")
        scaler.add_probe(Gst.PadProbeType.BUFFER, self._gate)
        if self._launch.pixel in ("I420", "RGB"):  # in software
            scaler.add_probe(Gst.PadProbeType.EVENT_DOWNSTREAM, _with_matrix)
        self._sink.get_static_pad("sink").add_probe(Gst.PadProbeType.BUFFER, self._lay)
        try:
            self._pipeline.set_state(Gst.State.PLAYING)  # a failure is told on the bus
            self._first = self._pulled(FIRST_FRAME_SECONDS if self.is_live else FILE_SECONDS, 0)
        except BaseException:
            self.close()
            raise
        if self._first is None:
            self.close()
            raise self._refusal("it ended without a frame", 0)
        self.backend = f"gstreamer ({', '.join([*self._decoders, *self._launch.hardware]) or 'raw'})"

    def frames(self) -> Iterator[Frame]:
        """Yield the paced frames; raises DeviceUnavailable where a camera stops or falls silent."""
        clock, place, count, sample = LiveClock(self._clock), self._place, 0, self._first
        while sample is not None:
            media_seconds = self._media_seconds(sample.get_buffer(), count)
            if place.end_seconds is not None and media_seconds >= place.end_seconds - 1e-6:
                return
            seconds = clock.seconds_from_media(media_seconds) if self.is_live else media_seconds
            if self._reel is not None:
                self._reel.lay(seconds - media_seconds - self._first_seconds)
            yield Frame(self._image(sample), seconds, self._discarded_before(sample.get_buffer()))
            count += 1
            sample = self._pulled(SILENCE_SECONDS if self.is_live else FILE_SECONDS, count)
        if self.is_live:
            raise DeviceUnavailable(f"{self.name}: the camera ended its stream.")

    def close(self) -> None:
        """Stop the pipeline and give the device back."""
        self._pipeline.set_state(Gst.State.NULL)

    def _gate(self, _: Any, probe: Any) -> Any:
        """Let the frames that pacing keeps to the scaler, and no others: scaling costs more than decoding."""
        seconds = self._media_seconds(probe.get_buffer(), self._arrived)
        self._arrived += 1
        is_wanted = seconds >= self._place.start_seconds - 1e-6 and self._pacer.keeps(seconds)
        return Gst.PadProbeReturn.OK if is_wanted else Gst.PadProbeReturn.DROP

    def _lay(self, _: Any, probe: Any) -> Any:
        self._laid.append(probe.get_buffer().pts)
        return Gst.PadProbeReturn.OK

    def _discarded_before(self, buffer: Any) -> int:
        """Return how many frames the sink gave up for this one: they went in before it and never came out."""
        count = 0
        while self._laid and self._laid.popleft() != buffer.pts:
            count += 1
        return count

    def _media_seconds(self, buffer: Any, count: int) -> float:
        """Return a buffer's time since the first one; by counting where the pipeline stamps none."""
        if buffer.pts == Gst.CLOCK_TIME_NONE:
            return count / self._form.rate_hz
        if self._arrived == 0:
            self._first_seconds = buffer.pts / _SECOND
        return float(buffer.pts / _SECOND - self._first_seconds)

    def _pulled(self, timeout_seconds: float, count: int) -> Any:
        """Return the next sample, None at the end; raises where none comes in time or the pipeline fails."""
        deadline = time.monotonic() + timeout_seconds
        while True:
            sample = self._sink.try_pull_sample(_SLICE_NANOSECONDS)
            if sample is not None:
                return sample
            message = self._pipeline.get_bus().pop_filtered(Gst.MessageType.ERROR)
            if message is not None:
                raise self._refusal(message.parse_error()[0], count)
            if self._sink.is_eos():
                return None
            if time.monotonic() > deadline:
                raise self._refusal(f"no frame for {timeout_seconds:g} s", count)

    def _image(self, sample: Any) -> Image:
        form, launch, buffer = self._form, self._launch, sample.get_buffer()
        row_bytes = -(-form.width * launch.bytes_per_pixel // 4) * 4  # rows begin at multiples of four bytes
        mapped, memory = buffer.map(Gst.MapFlags.READ)
        if not mapped:
            raise self._refusal("a frame's memory cannot be read", 1)
        try:
            rows = np.frombuffer(memory.data, np.uint8)[: row_bytes * form.height].reshape(form.height, row_bytes)
            pixels = rows[:, : form.width * launch.bytes_per_pixel].reshape(form.height, form.width, -1)
            if form.channels == 1 and not _is_full_range(sample, launch.pixel):
                return np.take(_FULL_FROM_VIDEO, pixels)
            return np.array(pixels[..., 2::-1] if launch.pixel == "BGRx" else pixels, np.uint8, order="C")
        finally:
            buffer.unmap(memory)

    def _parsed(self) -> Any:
        try:
            return Gst.parse_launch(self._launch.text)
        except GLib.Error as error:
            raise UsageError(f"{self.name}: GStreamer does not understand the line ({error.message}).") from error

    def _added(self, _: Any, __: Any, element: Any) -> None:
        """A decoder was chosen: it is named, and one thread is enough for it."""
        factory = element.get_factory()
        if factory is not None and "Decoder" in (factory.get_metadata("klass") or ""):
            self._decoders.append(factory.get_name())
            if element.find_property("max-threads") is not None:
                element.set_property("max-threads", 1)
            pad = element.get_static_pad("sink")
            if self._tape is not None and pad is not None and "Audio" not in factory.get_metadata("klass"):
                pad.add_probe(Gst.PadProbeType.BUFFER, self._taped)

    def _taped(self, pad: Any, probe: Any) -> Any:
        """Put what goes into the decoder on the tape, as the camera sent it."""
        if self._reel is None and self._tape is not None:
            self._reel = self._tape.begin(_encoding_of(pad.get_current_caps().get_structure(0)))
        buffer = probe.get_buffer()
        if self._reel is not None and buffer.pts != Gst.CLOCK_TIME_NONE:
            shown = buffer.pts / _SECOND
            decoded = shown if buffer.dts == Gst.CLOCK_TIME_NONE else buffer.dts / _SECOND
            is_key = not buffer.has_flags(Gst.BufferFlags.DELTA_UNIT)
            self._reel.put(Packet(buffer.extract_dup(0, buffer.get_size()), shown, decoded, is_key))
        return Gst.PadProbeReturn.OK

    def _refusal(self, error: Any, frames_read: int) -> DeviceUnavailable | UsageError:
        reason = getattr(error, "message", None) or error
        is_login = isinstance(error, GLib.Error) and error.matches(
            Gst.ResourceError.quark(), Gst.ResourceError.NOT_AUTHORIZED
        )
        return refusal(self._place, str(reason), frames_read, is_login=is_login)


def _encoding_of(caps: Any) -> Encoding:
    """Return what the caps before a decoder say; formats are named as FFmpeg names them."""
    name = str(caps.get_name())
    codec = {"video/x-h264": "h264", "video/x-h265": "hevc", "image/jpeg": "mjpeg"}.get(
        name, name.rsplit("/x-", maxsplit=1)[-1]
    )
    width, height = (int(caps.get_value(key) or 0) for key in ("width", "height"))
    data = caps.get_value("codec_data")
    return Encoding(codec, b"" if data is None else data.extract_dup(0, data.get_size()), width, height)


def _with_matrix(pad: Any, probe: Any) -> Any:
    """Let no caps of a YUV video pass whose colour matrix is unknown: give them FFmpeg's, so that both libraries agree.

    GStreamer forgets the range too where it must guess the matrix, and guesses that from the picture's height.
    """
    event = probe.get_event()
    caps = event.parse_caps().copy() if event.type == Gst.EventType.CAPS else None
    known = None if caps is None else _colorimetry_with_matrix(caps.get_structure(0))
    if caps is None or known is None:
        return Gst.PadProbeReturn.OK
    caps.set_value("colorimetry", known)
    return Gst.PadProbeReturn.HANDLED if pad.send_event(Gst.Event.new_caps(caps)) else Gst.PadProbeReturn.OK


def _colorimetry_with_matrix(caps: Any) -> str | None:
    """Return the colorimetry of caps with BT.601 in the place of an unknown matrix; None where nothing is unknown."""
    kind = GstVideo.VideoFormat.from_string(caps.get_string("format") or "")
    if not GstVideo.VideoFormat.get_info(kind).flags & GstVideo.VideoFormatFlags.YUV:
        return None
    said = (caps.get_string("colorimetry") or "0:0:0:0").split(":")  # range, matrix, transfer, primaries; or a name
    if len(said) != 4 or said[1] != "0":
        return None
    return ":".join([said[0] if said[0] != "0" else _VIDEO_RANGE, _BT601, *said[2:]])


def _is_full_range(sample: Any, pixel: str) -> bool:
    """Return whether black is 0: a colorimetry that begins with 1 or that of sRGB says so, or a camera's own grey."""
    caps = sample.get_caps().get_structure(0)
    colorimetry = caps.get_string("colorimetry") or ""
    is_own_grey = pixel == "I420" and caps.get_string("format") == "GRAY8"
    return is_own_grey or colorimetry.startswith("1:") or colorimetry == "sRGB"
