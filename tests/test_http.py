"""Cameras over HTTP: captured through PyAV wherever they are, timed by arrival, and refused as other cameras are."""

from __future__ import annotations

import itertools
import time
from pathlib import Path

import numpy as np
import pytest

from edge.errors import CameraRefused, ConfigInvalid, DeviceUnavailable, UsageError
from edge.frames import FrameFormat
from edge.setup import read_device
from edge.sources import open_source
from tests.http_camera import http_camera
from tests.tiny import write_tiny_bundle

FORM = FrameFormat(32, 40, 1, 10.0)
GREY = [np.full((64, 80, 3), level, np.uint8) for level in (50, 200)]


def test_a_camera_that_sends_no_times_is_timed_by_arrival() -> None:
    """All of ten JPEGs a second are kept, a tenth of a second apart and of now, though FFmpeg takes them for 25."""
    with http_camera(GREY, 10.0) as url:
        source = open_source(url, FORM)
        frames, ages = [], []
        for frame in itertools.islice(source.frames(), 25):
            frames.append(frame)
            ages.append(time.monotonic() - frame.seconds)
        source.close()
    assert source.backend == "pyav"
    assert max(ages) < 0.05  # stamped when decoded; scaling one such frame takes under a millisecond
    levels = [int(frame.image.mean().round()) for frame in frames[8:]]  # before: what FFmpeg probed, in one burst
    assert all(abs(after - before) > 140 for before, after in itertools.pairwise(levels)), levels  # none left out
    steps = [after.seconds - before.seconds for before, after in itertools.pairwise(frames[8:])]
    assert np.median(steps) == pytest.approx(0.1, abs=0.02)  # the jitter of a busy machine


def test_a_login_that_is_not_accepted_and_a_server_that_is_not_there_are_told() -> None:
    """`camera_refused`, so that it is asked seldom; the right login gets frames; nobody there is a lost camera."""
    with http_camera(GREY, 10.0, "me:secret") as url:
        with pytest.raises(CameraRefused, match="refuses the login"):
            open_source(url.replace("//", "//me:wrong@"), FORM)
        source = open_source(url.replace("//", "//me:secret@"), FORM)
        assert next(source.frames()).image.shape == (32, 40, 1)
        source.close()
    with pytest.raises(DeviceUnavailable, match="the camera cannot be opened"):
        open_source(url, FORM)


def test_gstreamer_for_http_is_refused_with_what_to_write(tmp_path: Path) -> None:
    """One sentence, when it is opened and already when the configuration is checked."""
    sentence = r"http://cam/v\.mjpg: http is captured through PyAV alone; write 'capture: auto' or 'pyav'"
    with pytest.raises(UsageError, match=sentence):
        open_source("http://me:secret@cam/v.mjpg", FORM, "gstreamer")
    write_tiny_bundle(tmp_path / "tiny.prednet")
    path = tmp_path / "config.yaml"
    path.write_text(
        "site: a\nbundle: tiny.prednet\nstate_directory: state\n"
        "cameras:\n  cam:\n    source: http://cam/v.mjpg\n    capture: gstreamer\n"
    )
    with pytest.raises(ConfigInvalid, match=sentence):
        read_device(path)
