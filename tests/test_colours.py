"""Colours and greys as cameras send them: both libraries show what was filmed, whatever the video says of itself."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from av.video.reformatter import ColorRange, Colorspace

from edge.frames import FrameFormat
from edge.sources import Capture, open_source
from tests.rtsp_cameras import LIBRARIES, need_gstreamer

LEFT, RIGHT = (30, 180, 90), (200, 40, 60)
# Whole numbers of YUV and the two scalers' arithmetic: 3 was the most that was measured. A wrong range is 8 and a
# wrong matrix 25 levels off.
MOST_OFF = 5
VIDEO, FULL = ColorRange.MPEG, ColorRange.JPEG
# A matrix as H.264 names it.
UNSAID, BT709 = 2, 1
FILMS = [
    ((320, 240), VIDEO, UNSAID),
    ((320, 240), FULL, UNSAID),
    ((1280, 720), VIDEO, UNSAID),
    ((1280, 720), FULL, UNSAID),
    ((1280, 720), VIDEO, BT709),
    ((1280, 720), FULL, BT709),
]


def film(path: Path, codec: str, pixel: str, size: tuple[int, int], spread: ColorRange, matrix: int) -> Path:
    """Write three frames, the left half of one colour and the right half of another."""
    image = np.empty((size[1], size[0], 3), np.uint8)
    image[:, : size[0] // 2], image[:, size[0] // 2 :] = LEFT, RIGHT
    meant = Colorspace.ITU709 if matrix == BT709 else Colorspace.ITU601  # the latter where a camera says nothing
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=10)
        stream.width, stream.height, stream.pix_fmt = *size, pixel
        stream.codec_context.color_range, stream.codec_context.colorspace = spread, matrix
        for _ in range(3):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            made = frame.reformat(format=pixel, dst_colorspace=meant, dst_color_range=spread)
            container.mux(stream.encode(made))
        container.mux(stream.encode())
    return path


def halves(path: Path, channels: int, library: Capture) -> list[list[int]]:
    """Return the colour in the middle of each half, as a library shows it."""
    need_gstreamer()
    source = open_source(str(path), FrameFormat(128, 160, channels, 10.0), library)
    try:
        image = next(iter(source.frames())).image
    finally:
        source.close()
    return [image[64, column].tolist() for column in (40, 120)]


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize(("size", "spread", "matrix"), FILMS, ids=lambda value: getattr(value, "name", None))
def test_colours_are_those_that_were_filmed(
    size: tuple[int, int], spread: ColorRange, matrix: int, library: Capture, tmp_path: Path
) -> None:
    """Limited and full range, BT.709 and a matrix that is not said, small and large; grey is the luma of the same."""
    path = film(tmp_path / "film.mp4", "libx264", "yuv420p", size, spread, matrix)
    assert np.abs(np.array(halves(path, 3, library)) - np.array([LEFT, RIGHT])).max() <= MOST_OFF
    red, blue = (0.2126, 0.0722) if matrix == BT709 else (0.299, 0.114)
    luma = [one[0] * red + one[1] * (1 - red - blue) + one[2] * blue for one in (LEFT, RIGHT)]
    assert np.abs(np.array(halves(path, 1, library))[:, 0] - luma).max() <= MOST_OFF


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_camera_that_sends_grey_alone_keeps_its_range(library: Capture, tmp_path: Path) -> None:
    """What a thermal or an industrial camera calls 0 and 255 is black and white."""
    path = film(tmp_path / "grey.mkv", "ffv1", "gray", (320, 240), FULL, UNSAID)
    luma = [[round(0.299 * red + 0.587 * green + 0.114 * blue)] for red, green, blue in (LEFT, RIGHT)]
    assert np.abs(np.array(halves(path, 1, library)) - np.array(luma)).max() <= 2  # it is copied, and scaled
