"""GStreamer launch lines: every source on every kind of machine, as text."""

from __future__ import annotations

import pytest

from edge.errors import DeviceUnavailable
from edge.frames import FrameFormat
from edge.launch import JETSON, SOFTWARE, launch_from_place, quoted
from edge.places import Place, place_from_spec

GREY, COLOUR = FrameFormat(128, 160, 1, 10.0), FrameFormat(128, 160, 3, 10.0)
LIVE = "appsink name=prednet sync=false max-buffers=1 drop=true"
FILE = "appsink name=prednet sync=false max-buffers=2"
SOFT_GREY = (
    "videoscale name=scaler method=bilinear2 add-borders=false ! video/x-raw,width=160,height=128 ! videoconvert "
    "! video/x-raw,format={I420,GRAY8}"
)
SOFT_COLOUR = SOFT_GREY.replace("{I420,GRAY8}", "RGB")
JETSON_GREY = "nvvidconv name=scaler ! video/x-raw,width=160,height=128,format=GRAY8"
JETSON_COLOUR = JETSON_GREY.replace("GRAY8", "BGRx")
RTSP = (
    'rtspsrc location="rtsp://me:pw@10.0.0.9/s" protocols=tcp latency=0 drop-on-latency=true tcp-timeout=3000000 '
    "! application/x-rtp,media=video"
)
CSI = "nvarguscamerasrc sensor-id=0 ! video/x-raw(memory:NVMM),width=1920,height=1080,framerate=30/1"
BY_PATH = "/dev/v4l/by-path/pci-0000:00:14.0-usb-0:1:1.0-video-index0"
CAMERA = (
    f'v4l2src device="{BY_PATH}" '
    '! capsfilter caps="video/x-raw,width=640,height=480,framerate=30/1;video/x-raw;image/jpeg;video/x-h264"'
)
FILM = Place("video", "/a/b.mp4")
LINE = "videotestsrc is-live=true ! video/x-raw,width=64,height=48"
SOFT_DECODER = "decodebin force-sw-decoders=true"

LINES = [
    (Place("rtsp", "rtsp://me:pw@10.0.0.9/s"), SOFTWARE, GREY, f"{RTSP} ! {SOFT_DECODER} ! {SOFT_GREY} ! {LIVE}"),
    (Place("rtsp", "rtsp://me:pw@10.0.0.9/s"), JETSON, GREY, f"{RTSP} ! decodebin ! {JETSON_GREY} ! {LIVE}"),
    (Place("rtsp", "rtsp://me:pw@10.0.0.9/s"), JETSON, COLOUR, f"{RTSP} ! decodebin ! {JETSON_COLOUR} ! {LIVE}"),
    (place_from_spec(f"v4l2://{BY_PATH}"), SOFTWARE, COLOUR, f"{CAMERA} ! {SOFT_DECODER} ! {SOFT_COLOUR} ! {LIVE}"),
    (place_from_spec(f"v4l2://{BY_PATH}"), JETSON, GREY, f"{CAMERA} ! decodebin ! {JETSON_GREY} ! {LIVE}"),
    (place_from_spec("csi://0"), JETSON, COLOUR, f"{CSI} ! {JETSON_COLOUR} ! {LIVE}"),
    (FILM, SOFTWARE, GREY, f'filesrc location="/a/b.mp4" ! {SOFT_DECODER} ! {SOFT_GREY} ! {FILE}'),
    (FILM, JETSON, GREY, f'filesrc location="/a/b.mp4" ! decodebin ! {JETSON_GREY} ! {FILE}'),
    (place_from_spec(f"gst://{LINE}"), SOFTWARE, GREY, f"{LINE} ! {SOFT_GREY} ! {LIVE}"),
    (place_from_spec(f"gst://{LINE}"), JETSON, COLOUR, f"{LINE} ! {SOFT_COLOUR} ! {LIVE}"),
]  # fmt: skip


@pytest.mark.parametrize(("place", "elements", "form", "line"), LINES, ids=lambda value: getattr(value, "kind", None))
def test_a_place_becomes_its_line(place: Place, elements: frozenset[str], form: FrameFormat, line: str) -> None:
    """Hardware where the machine has it, scaling before conversion, the newest frame alone of a camera."""
    assert launch_from_place(place, form, elements).text == line


def test_a_camera_is_asked_for_no_less_than_the_network_sees() -> None:
    """A network larger than the preferred picture prefers its own size."""
    line = launch_from_place(place_from_spec("/dev/video0"), FrameFormat(480, 800, 1, 10.0), SOFTWARE).text
    assert 'caps="video/x-raw,width=800,height=480,framerate=30/1;video/x-raw;' in line


NVIDIA_LINE = "gst://filesrc location=/a.h264 ! h264parse ! nvv4l2decoder ! nvvidconv ! video/x-raw"
IN_USE = [
    (FILM, JETSON, ("nvvidconv",)),
    (Place("rtsp", "rtsp://x/y"), JETSON, ("nvvidconv",)),
    (place_from_spec("/dev/video0"), JETSON, ("nvvidconv",)),
    (place_from_spec("csi://0"), JETSON, ("nvarguscamerasrc", "nvvidconv")),
    (place_from_spec(f"gst://{LINE}"), JETSON, ()),
    (place_from_spec(NVIDIA_LINE), JETSON, ("nvv4l2decoder", "nvvidconv")),
    (FILM, SOFTWARE, ()),
]  # fmt: skip


@pytest.mark.parametrize(("place", "elements", "hardware"), IN_USE, ids=lambda value: getattr(value, "kind", None))
def test_the_hardware_in_use_is_named(place: Place, elements: frozenset[str], hardware: tuple[str, ...]) -> None:
    """The status names what stands in the line, and nothing that the machine merely has."""
    assert launch_from_place(place, GREY, elements).hardware == hardware


def test_what_a_machine_lacks_is_said() -> None:
    """A CSI camera off a Jetson, and a GStreamer without its plug-ins."""
    with pytest.raises(
        DeviceUnavailable, match=r"csi://0: GStreamer lacks nvarguscamerasrc; .* works on a Jetson alone"
    ):
        launch_from_place(place_from_spec("csi://0"), GREY, SOFTWARE)
    with pytest.raises(DeviceUnavailable, match=r"lacks rtspsrc; install gstreamer1\.0-plugins-base"):
        launch_from_place(Place("rtsp", "rtsp://x/y"), GREY, SOFTWARE - {"rtspsrc"})


def test_a_value_cannot_leave_its_quotes() -> None:
    """An address with quotes and backslashes stays one value of one property."""
    assert quoted('a" ! filesink location="b\\') == '"a\\" ! filesink location=\\"b\\\\"'
