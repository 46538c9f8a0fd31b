"""Privacy masks: which pixels they blank, what is said of wrong ones, and that the daemon never sees beneath."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge.capture import CameraStatus
from edge.config_file import read_config
from edge.daemon import watch_device
from edge.errors import ConfigInvalid
from edge.moments import Moment
from edge.privacy import mask_from_shapes
from edge.recording import read_film
from edge.setup import read_device
from edge.snapshot import jpeg_from_image
from tests.brokers import free_port
from tests.films import write_clip
from tests.picture_search import FILMS, pictures_below
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


MASKED = np.s_[8:24, 8:32]
# JPEG rings at the edge of its 8×8 blocks; the secret is 30 and 255 in turn.
RINGING = 25


def watched(folder: Path, secret: NDArray[np.uint8]) -> list[Moment]:
    """Let a device watch 120 frames [32, 40] that show a secret [120] beneath its mask, and return what it saw."""
    folder.mkdir()
    images = np.random.default_rng(0).integers(80, 100, (120, 32, 40, 1), np.uint8)
    images[:, 8:24, 8:32] = secret[:, None, None, None]
    write_tiny_bundle(folder / "tiny.prednet")
    write_clip(folder / "secret.mkv", images)
    path = folder / "config.yaml"
    path.write_text(
        f"site: plant7\nbundle: tiny.prednet\nstate_directory: state\nthreads: 1\nmqtt: {{port: {free_port()}}}\n"
        "cameras:\n  cam:\n    source: secret.mkv\n    playback: fast\n    privacy_masks: [[[0.2, 0.25], [0.8, 0.75]]]\n"
    )
    seen: list[Moment] = []

    def see(moment: Moment, _: CameraStatus) -> None:
        seen.append(moment)

    watch_device(read_device(path), threading.Event(), see)
    return [moment for moment in seen if moment.sensed]


def revealing(folder: Path) -> list[Path]:
    """Return the files below a folder that hold a picture of the camera which is not black beneath the mask."""
    found = []
    for path, picture in pictures_below(folder):
        height, width = picture.shape
        if picture[height // 4 : height * 3 // 4, width // 5 : width * 4 // 5].max(initial=0) > RINGING:
            found.append(path)
    return found


def test_nothing_beneath_a_mask_reaches_the_river_or_the_disk(tmp_path: Path) -> None:
    """A flashing secret and none at all: the same frames, predictions, errors and scores, no event, no picture kept."""
    flashing = np.where(np.arange(120) % 2, 255, 30).astype(np.uint8)
    seen, other = watched(tmp_path / "flash", flashing), watched(tmp_path / "none", np.zeros(120, np.uint8))
    assert len(seen) == len(other) == 120
    for one, two in zip(seen, other, strict=True):
        assert one.sensed is not None
        assert two.sensed is not None
        assert int(one.sensed.frame.image[MASKED].max()) == 0
        assert int(one.sensed.frame.image[:6].max()) > 50
        for name in ("prediction", "errors", "peaks"):
            assert np.array_equal(getattr(one.sensed, name), getattr(two.sensed, name), equal_nan=True)
        assert (one.surprise, one.z, one.detection) == (two.surprise, two.z, None)
    assert any(moment.surprise is not None for moment in seen)
    state = tmp_path / "flash" / "state"
    assert any(state.iterdir())
    films = [path for path in state.rglob("*") if path.suffix in FILMS]  # the search below does not decode films
    assert [path.parent.parent.name for path in films] == ["ring"]
    kept = list(read_film(films[0], 1))
    assert len(kept) == 120
    assert not any(image[MASKED].any() for image in kept)
    assert revealing(state) == []


def test_the_search_finds_a_picture_that_reveals(tmp_path: Path) -> None:
    """In a file of any name, and in a database over many pages; what is black beneath the mask is let through."""
    image = np.random.default_rng(0).integers(80, 100, (320, 400, 1), np.uint8)
    secret, masked = image.copy(), image.copy()
    secret[80:240, 80:320], masked[80:240, 80:320] = 255, 0
    kept = {name: jpeg_from_image(picture) for name, picture in (("secret", secret), ("masked", masked))}
    for name, jpeg in kept.items():
        assert jpeg is not None
        assert len(jpeg) > 8192
        (tmp_path / f"{name}.bin").write_bytes(b"head" + jpeg)
        with closing(sqlite3.connect(tmp_path / f"{name}.db")) as database, database:
            database.execute("CREATE TABLE kept (picture BLOB)")
            database.execute("INSERT INTO kept VALUES (?)", (jpeg,))
    assert {path.name for path in revealing(tmp_path)} == {"secret.bin", "secret.db"}
    assert {path.name for path, _ in pictures_below(tmp_path)} >= {"masked.bin", "masked.db"}
