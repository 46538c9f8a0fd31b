"""Privacy masks: which pixels they blank, what is said of wrong ones, and that the daemon never sees beneath."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.capture import CameraStatus
from edge.config import read_config
from edge.daemon import watch_device
from edge.errors import ConfigInvalid
from edge.moments import Moment
from edge.privacy import mask_from_shapes
from edge.setup import read_device
from tests.brokers import free_port
from tests.test_daemon import write_clip
from tests.tiny import write_tiny_bundle

unit = st.floats(0.0, 1.0, allow_nan=False)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(unit, unit), min_size=3, max_size=3), unit, unit)
def test_every_pixel_that_a_triangle_touches_is_blanked(
    corners: list[tuple[float, float]], across: float, along: float
) -> None:
    """Any point of the triangle, drawn by barycentric chance, lies in a blanked pixel."""
    mask = mask_from_shapes([tuple(corners)], 24, 32)
    assert mask is not None
    if across + along > 1.0:
        across, along = 1.0 - across, 1.0 - along
    x, y = (
        corners[0][axis]
        + across * (corners[1][axis] - corners[0][axis])
        + along * (corners[2][axis] - corners[0][axis])
        for axis in (0, 1)
    )
    row, column = min(int(y * 24), 23), min(int(x * 32), 31)
    assert mask[row, column]


def test_a_rectangle_blanks_itself_and_one_pixel_around() -> None:
    """Two corners in any order; everything farther off stays."""
    mask = mask_from_shapes([((0.75, 0.5), (0.25, 0.25))], 40, 80)
    assert mask is not None
    expected = np.zeros((40, 80), bool)
    expected[9:22, 19:62] = True  # rows 10–20, columns 20–60 with their ends touched, and one pixel more
    assert np.array_equal(mask, expected)
    assert mask_from_shapes([], 40, 80) is None


MISTAKES = [
    ("[[[0.1, 0.2]]]", "mask 1 has 1 points; give two opposite corners of a rectangle, or three or more of a polygon."),
    ("[[[0, 0], [1, 1]], [[0, 0], [1, 40]]]", r"mask 2 has the point \(1, 40\); x and y are 0 to 1 of the picture"),
]


@pytest.mark.parametrize(("masks", "sentence"), MISTAKES)
def test_a_wrong_mask_is_said_with_its_line(masks: str, sentence: str, tmp_path: Path) -> None:
    """Which mask, what it has, what is expected."""
    path = tmp_path / "config.yaml"
    path.write_text(f"site: a\nbundle: b\ncameras:\n  press3:\n    source: x.mp4\n    privacy_masks: {masks}\n")
    with pytest.raises(ConfigInvalid, match=rf":6: cameras\.press3\.privacy_masks: {sentence}"):
        read_config(path)


def test_the_daemon_sees_nothing_beneath_a_mask(tmp_path: Path) -> None:
    """A secret that flashes under the mask is in no frame of the river and in no file of the device; no event comes of it."""
    rng = np.random.default_rng(0)
    images = rng.integers(80, 100, (120, 32, 40, 1), np.uint8)
    images[:, 8:24, 8:32] = np.where(np.arange(120)[:, None, None, None] % 2, 255, 30)
    write_tiny_bundle(tmp_path / "tiny.prednet")
    write_clip(tmp_path / "secret.mkv", images)
    path = tmp_path / "config.yaml"
    path.write_text(
        f"site: plant7\nbundle: tiny.prednet\nstate_directory: state\nthreads: 1\nmqtt: {{port: {free_port()}}}\n"
        "cameras:\n  cam:\n    source: secret.mkv\n    playback: fast\n    privacy_masks: [[[0.2, 0.25], [0.8, 0.75]]]\n"
    )
    seen: list[Moment] = []

    def see(moment: Moment, _: CameraStatus) -> None:
        seen.append(moment)

    watch_device(read_device(path), threading.Event(), see)
    frames = [moment.sensed.frame.image for moment in seen if moment.sensed]
    assert len(frames) == 120
    assert max(int(frame[8:24, 8:32].max()) for frame in frames) == 0
    assert min(int(frame[:6].max()) for frame in frames) > 50
    assert not any(moment.detection for moment in seen)
    kept = b"".join(file.read_bytes() for file in (tmp_path / "state").rglob("*") if file.is_file())
    assert bytes(images[1, 10, 8:32]) not in kept
