"""GStreamer launch lines: what a place becomes on a machine that has certain elements. Pure text, no library."""

from __future__ import annotations

from dataclasses import dataclass

from edge.errors import DeviceUnavailable
from edge.frames import FrameFormat
from edge.places import Place

SINK, SCALER = "prednet", "scaler"
# What the lines below are made of; a machine is described by those of them that it has.
ELEMENTS = (
    "appsink", "decodebin", "filesrc", "nvarguscamerasrc", "nvv4l2decoder", "nvvidconv", "rtspsrc", "v4l2src",
    "videoconvert", "videoscale",
)  # fmt: skip
HARDWARE = ("nvarguscamerasrc", "nvv4l2decoder", "nvvidconv")
SOFTWARE = frozenset(ELEMENTS) - set(HARDWARE)
JETSON = frozenset(ELEMENTS)
# Sensor mode that Argus is asked for; it is scaled in hardware.
CSI_CAPS = "video/x-raw(memory:NVMM),width=1920,height=1080,framerate=30/1"
RTSP_TIMEOUT_MICROSECONDS = 3_000_000
# Left alone, v4l2src takes the largest picture that a camera has, at two to five a second where its bus is narrow. It
# prefers what is named first: the smallest picture from that on. Every USB camera gives this one at full rate.
V4L2_WIDTH, V4L2_HEIGHT, V4L2_RATE = 640, 480, "30/1"


@dataclass(frozen=True)
class Launch:
    """A launch line with a scaler named SCALER and at its end an appsink named SINK, which gives the format `pixel`.

    Of `I420` the first plane alone is wanted: grey, in the range of the camera; one that sends grey alone gives that,
    which is all there is of it. `hardware` names the elements of the line that are NVIDIA's; what decodebin chooses is
    known once it runs.
    """

    text: str
    pixel: str
    hardware: tuple[str, ...]

    @property
    def bytes_per_pixel(self) -> int:
        """Bytes of one pixel in a row of the first plane."""
        return {"GRAY8": 1, "I420": 1, "RGB": 3, "BGRx": 4}[self.pixel]


def launch_from_place(place: Place, form: FrameFormat, elements: frozenset[str]) -> Launch:
    """Return the launch line of a place. Raises DeviceUnavailable where the machine lacks what it takes."""
    source = _source(place, form, elements)
    needed = {word for word in source.split() if word in ELEMENTS} | {"appsink"}
    is_jetson = "nvvidconv" in elements and place.kind != "launch"
    needed |= {"nvvidconv"} if is_jetson else {"videoscale", "videoconvert"}
    if needed - elements:
        raise DeviceUnavailable(
            f"{place.name}: GStreamer lacks {', '.join(sorted(needed - elements))}; {_remedy(needed - elements)}"
        )
    grey, colour = ("GRAY8", "BGRx") if is_jetson else ("I420", "RGB")
    pixel = grey if form.channels == 1 else colour
    drop = "max-buffers=1 drop=true" if place.is_live else "max-buffers=2"
    sink = f"appsink name={SINK} sync=false {drop}"
    text = f"{source} ! {_scaled(form, pixel, is_jetson)} ! {sink}"
    return Launch(text, pixel, tuple(name for name in HARDWARE if name in text.split()))


def _scaled(form: FrameFormat, pixel: str, is_jetson: bool) -> str:
    size = f"width={form.width},height={form.height}"
    if is_jetson:
        return f"nvvidconv name={SCALER} ! video/x-raw,{size},format={pixel}"
    # Scaled before it is converted: fewer pixels to convert. «bilinear2» weighs every pixel that falls into one.
    scale = f"videoscale name={SCALER} method=bilinear2 add-borders=false ! video/x-raw,{size}"
    taken = "{I420,GRAY8}" if pixel == "I420" else pixel
    return f"{scale} ! videoconvert ! video/x-raw,format={taken}"


def _v4l2_caps(form: FrameFormat) -> str:
    """Return what is preferred of a camera, and behind it all else that it may give."""
    width, height = max(V4L2_WIDTH, form.width), max(V4L2_HEIGHT, form.height)
    preferred = f"video/x-raw,width={width},height={height},framerate={V4L2_RATE}"
    return f'capsfilter caps="{preferred};video/x-raw;image/jpeg;video/x-h264"'


def _source(place: Place, form: FrameFormat, elements: frozenset[str]) -> str:
    # Elsewhere than on a Jetson hardware decoders differ from driver to driver; software gives the same everywhere.
    decoded = "decodebin" if "nvv4l2decoder" in elements else "decodebin force-sw-decoders=true"
    if place.kind == "csi":
        return f"nvarguscamerasrc sensor-id={place.where} ! {CSI_CAPS}"
    if place.kind == "v4l2":
        return f"v4l2src device={quoted(place.where)} ! {_v4l2_caps(form)} ! {decoded}"
    if place.kind == "rtsp":
        return (
            f"rtspsrc location={quoted(place.where)} protocols=tcp latency=0 drop-on-latency=true "
            f"tcp-timeout={RTSP_TIMEOUT_MICROSECONDS} ! application/x-rtp,media=video ! {decoded}"
        )
    if place.kind == "launch":
        return place.where
    return f"filesrc location={quoted(place.where)} ! {decoded}"


def _remedy(missing: set[str]) -> str:
    if any(name.startswith("nv") for name in missing):
        return "it comes with JetPack's nvidia-l4t-gstreamer, and csi:// works on a Jetson alone."
    return "install gstreamer1.0-plugins-base, gstreamer1.0-plugins-good and gstreamer1.0-libav."


def quoted(text: str) -> str:
    """Return a value as a launch line takes it, whatever characters stand in it."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
