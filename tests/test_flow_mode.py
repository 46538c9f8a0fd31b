"""`predictor: flow`: a camera watched without a network, from its own normal stretch to an event at a subscriber."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import calibration.cli
import edge.cli
from calibration.live import recorded
from edge.builtin import bundle_from_predictor, predictor_of
from edge.config_file import read_config
from edge.daemon import watch_device
from edge.errors import ConfigInvalid, PrednetError, UsageError
from edge.frames import Frame, FrameFormat
from edge.moments import Moment
from edge.setup import read_device
from tests.films import write_clip
from tests.tiny import normal_images, with_accident

ACCIDENT = (60, 100)
CONFIG = """\
site: plant7
device: edge1
predictor: flow
frame: {width: 80, height: 64}
state_directory: state
cameras:
  press3: {source: busy.mkv, normal: press3.normal, playback: fast}
mqtt: {port: 1}
"""


def large(images: np.ndarray) -> np.ndarray:
    """Twice the size, so that a spot is as large as what flow can follow."""
    return images.repeat(2, axis=1).repeat(2, axis=2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Footage of normal work, a file with an accident, and the camera's normality learned by `site`."""
    path = tmp_path_factory.mktemp("flow")
    normal = write_clip(path / "normal.mkv", large(normal_images(300)))
    write_clip(path / "busy.mkv", large(with_accident(normal_images(140, seed=5), *ACCIDENT)))
    site = ["site", str(normal), "--predictor", "flow", "--size", "80x64", "--camera", "press3"]
    assert calibration.cli.main([*site, "-o", str(path / "press3.normal")]) == 0
    return path


def write(folder: Path, wrong: str = "", right: str = "") -> Path:
    """The configuration beside the footage, with one thing changed."""
    assert wrong in CONFIG
    path = folder / "config.yaml"
    path.write_text(CONFIG.replace(wrong, right, 1) if wrong else CONFIG)
    return path


def test_the_daemon_finds_an_accident_without_a_network(folder: Path) -> None:
    """One event, begun within a second of the flicker; the model is named as what it is. No broker is needed."""
    device = read_device(write(folder))
    seen: list[Moment] = []
    watch_device(device, threading.Event(), lambda moment, _: seen.append(moment))
    told = [moment.detection for moment in seen if moment.detection]
    assert [detection.type for detection in told] == ["new", "end"]
    assert 6.0 <= told[0].episode.start_seconds - seen[0].seconds <= 7.0
    assert seen[20].sensed is not None
    assert seen[20].sensed.errors.shape == (2, 8, 10)
    assert device.models["press3"].event_model().name == "flow"
    assert device.models["press3"].event_model().bundle == "builtin:flow-1:80x64-grey"


def test_check_tells_of_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As of a bundle, before a camera is opened."""
    assert edge.cli.main(["check", "--config", str(write(folder))]) == 0
    told = capsys.readouterr().out
    assert "press3: " in told
    assert "its own normality" in told
    assert "1 cameras on flow" in told


def test_a_frame_has_a_default_size_and_rate(folder: Path) -> None:
    """160×128 grey, ten a second: what flow can do on a small processor."""
    config = read_config(write(folder, "frame: {width: 80, height: 64}\n"))
    assert config.frame.form == FrameFormat(128, 160, 1, 10.0)


MISTAKES = [
    ("predictor: flow", "predictor: flow\nbundle: press.prednet", "3: predictor: flow beside a bundle; leave one"),
    ("predictor: flow\n", "", "1: the file: object missing required field `bundle`. To watch without a network: predictor: flow"),
    ("predictor: flow\n", "bundle: press.prednet\n", "4: frame: a bundle says itself what its frames are"),
    ("predictor: flow", "predictor: flaw", "3: predictor: invalid enum value 'flaw'; known here: '', flow, flow-light."),
    ("normal: press3.normal, ", "", "7: cameras.press3: has no 'normal', and flow brings none; make one"),
    ("width: 80", "width: 8", "4: frame: its size is not within 16 to 4096 pixels"),
    ("width: 80", "wide: 80", "4: unknown key 'frame.wide'; did you mean 'width'?"),
]  # fmt: skip


@pytest.mark.parametrize(("wrong", "right", "message"), MISTAKES, ids=[message[:30] for *_, message in MISTAKES])
def test_a_mistake_is_named_with_its_line_and_remedy(folder: Path, wrong: str, right: str, message: str) -> None:
    """Before a camera is opened."""
    with pytest.raises(ConfigInvalid) as refused:
        read_config(write(folder, wrong, right))
    assert message in str(refused.value)


def test_a_calibration_of_another_size_is_refused(folder: Path) -> None:
    """Speeds are in pixels: they mean something at one size alone."""
    with pytest.raises(
        PrednetError, match=r"made for the bundle builtin:flow-1:80x64-grey, and flow has builtin:flow-1:96"
    ):
        read_device(write(folder, "width: 80", "width: 96"))


def test_a_bundle_of_a_network_is_no_predictor() -> None:
    """Only what stands in no file is."""
    bundle = bundle_from_predictor("flow", FrameFormat(64, 80, 1, 10.0))
    assert predictor_of(bundle) == "flow"
    assert bundle.spec.maps == (2, 8, 10)


class Endless:
    """A camera that never stops: one black frame after the other."""

    name, is_live = "endless", True

    def __init__(self, rate_hz: float = 10.0, count: int | None = None) -> None:
        self._rate_hz, self._count = rate_hz, count

    def frames(self) -> Iterator[Frame]:
        """Yield frames on a clock that began long ago."""
        number = 0
        while self._count is None or number < self._count:
            yield Frame(np.zeros((4, 4, 1), np.uint8), 500.0 + number / self._rate_hz)
            number += 1

    def close(self) -> None:
        """Nothing is held."""


def test_a_live_camera_is_looked_at_for_so_many_seconds() -> None:
    """From its first frame on, by its own clock; a camera that gives nothing is said to."""
    assert len(recorded(Endless(), 2.0).images) == 21
    with pytest.raises(UsageError, match="endless: gave no frame"):
        recorded(Endless(count=0), 2.0)
