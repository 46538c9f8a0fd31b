"""Too hot or too slow for the frame rate: down to a rate that was calibrated too, with its limits, and up again."""

from __future__ import annotations

import shutil
import threading
import time
from functools import partial
from pathlib import Path

import pytest

from calibration.cli import main
from edge import daemon
from edge.capture import CameraStatus
from edge.chosen import open_chosen
from edge.config_file import read_config
from edge.errors import ConfigInvalid
from edge.hardware import is_throttled
from edge.setup import read_device
from edge.site_calibration import manifest_of_site
from edge.throttle import LOOK_SECONDS, WINDOW_LOOKS, Throttle
from tests.brokers import Mosquitto
from tests.commanding import Operator, running
from tests.films import write_clip
from tests.test_inference import Faulty
from tests.tiny import normal_images, with_accident, write_tiny_bundle

SLOW_HZ = 5.0
WHOLE_WINDOW = WINDOW_LOOKS + 1


class Seen:
    """A throttle on a clock of its own, shown so many looks of a camera at 10 frames a second."""

    def __init__(self, is_hot: partial[bool | None] | None = None) -> None:
        self.now, self.status = 0.0, CameraStatus()
        self.throttle = Throttle(lambda: self.now, is_hot or (lambda: None))

    def look(self, looks: int, dropped: float = 0.0, *, has_slower: bool = True) -> int:
        """Let time pass, and return at which look the rate changed; 0 where it did not."""
        for number in range(1, looks + 1):
            self.now += LOOK_SECONDS
            frames = self.status.frames + round(10 * LOOK_SECONDS)
            lost = self.status.dropped + round(10 * LOOK_SECONDS * dropped)
            self.status = CameraStatus(frames=frames, dropped=lost)
            if self.throttle.changes({"cam": self.status}, has_slower=has_slower):
                self.throttle.begin()
                return number
        return 0


def test_a_busy_moment_changes_nothing_and_half_a_minute_does() -> None:
    """A tenth of the frames may go; a third for a whole window may not, and the window is not cut short."""
    seen = Seen()
    assert seen.look(3 * WHOLE_WINDOW, dropped=0.04) == 0
    assert seen.look(1, dropped=0.4) == 0
    assert seen.look(WHOLE_WINDOW, dropped=0.0) == 0
    assert 1 < seen.look(2 * WHOLE_WINDOW, dropped=0.34) <= WHOLE_WINDOW
    assert seen.throttle.is_slow
    assert seen.throttle.is_told


def test_without_a_slower_calibration_it_is_a_fault_and_no_change() -> None:
    """Nothing is left out in silence: the rate stays, the fault is there, and it goes when the load does."""
    seen = Seen()
    assert seen.look(2 * WHOLE_WINDOW, dropped=0.34, has_slower=False) == 0
    assert seen.throttle.is_told
    assert not seen.throttle.is_slow
    assert seen.look(2 * WHOLE_WINDOW, has_slower=False) == 0
    assert not seen.throttle.is_told


def test_the_full_rate_is_tried_again_after_ten_minutes_and_more_seldom_when_it_fails() -> None:
    """600 s, then 1,200 s where the first try was too much; after a good spell 600 s again."""
    seen = Seen()
    seen.look(2 * WHOLE_WINDOW, dropped=0.5)
    assert seen.look(10_000) * LOOK_SECONDS == pytest.approx(600, abs=LOOK_SECONDS)  # it looks so often
    seen.look(2 * WHOLE_WINDOW, dropped=0.5)
    assert seen.look(10_000) * LOOK_SECONDS == pytest.approx(1200, abs=LOOK_SECONDS)
    assert seen.look(200) == 0
    seen.look(2 * WHOLE_WINDOW, dropped=0.5)
    assert seen.look(10_000) * LOOK_SECONDS == pytest.approx(600, abs=LOOK_SECONDS)


def test_a_hot_machine_slows_down_and_waits_until_it_was_cool(tmp_path: Path) -> None:
    """By the kernel's files, as a Jetson has them: a clock that is lowered counts, a fan that turns does not."""
    for number, kind, state in ((0, "pwm-fan", 3), (1, "cpufreq-cpu0", 0)):
        device = tmp_path / "class" / "thermal" / f"cooling_device{number}"
        device.mkdir(parents=True)
        (device / "type").write_text(f"{kind}\n")
        (device / "cur_state").write_text(f"{state}\n")
    clock = tmp_path / "class" / "thermal" / "cooling_device1" / "cur_state"
    seen = Seen(partial(is_throttled, tmp_path))
    assert seen.look(2 * WHOLE_WINDOW) == 0
    clock.write_text("2\n")
    assert 1 < seen.look(2 * WHOLE_WINDOW) <= WHOLE_WINDOW
    assert seen.look(500) == 0, "still hot"
    clock.write_text("0\n")
    assert seen.look(10_000) * LOOK_SECONDS == pytest.approx(600, abs=LOOK_SECONDS)


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle, films, and what is normal at both rates."""
    folder = tmp_path_factory.mktemp("learned")
    bundle = write_tiny_bundle(folder / "tiny.prednet")
    write_clip(folder / "day.mkv", normal_images(240, seed=5))
    write_clip(folder / "busy.mkv", with_accident(normal_images(70, seed=5), 25, 50))
    words = ["site", str(folder / "day.mkv"), "--bundle", str(bundle)]
    for name, more in (("cam", []), ("slow", ["--rate", f"{SLOW_HZ:g}"])):
        assert main([*words, *more, "-o", str(folder / f"{name}.normal")]) == 0
    return folder


def slow_config(learned: Path, folder: Path, port: int) -> Path:
    """A camera with an accident that comes again and again, calibrated at both rates."""
    shutil.copytree(learned, folder, dirs_exist_ok=True)
    path = folder / "config.yaml"
    path.write_text(
        f"site: plant7\ndevice: edge1\nbundle: tiny.prednet\nstate_directory: state\nthreads: 1\nmqtt: {{port: {port}}}\n"
        "cameras:\n  busy: {source: busy.mkv, loop: true, normal: cam.normal, slow_normal: slow.normal}\n"
        "detection: {hold_seconds: 0.5, release_seconds: 0.3, refractory_seconds: 0.3}\n"
    )
    return path


def test_a_slow_device_goes_down_to_its_calibrated_rate_and_comes_back(
    learned: Path,
    tmp_path: Path,
    broker: Mosquitto,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Steps of 130 ms and more at 10 frames a second: `throttled`, then events at 5 by that rate's limit; and up once it is quick."""
    is_slow = threading.Event()
    is_slow.set()

    def load() -> None:
        time.sleep(0.13 if is_slow.is_set() else 0.0)

    monkeypatch.setattr(daemon, "open_chosen", lambda *which: Faulty(open_chosen(*which), load))
    config = slow_config(learned, tmp_path, broker.port)
    limit = read_device(config, slower=True).models["busy"].calibration.limits.on
    assert manifest_of_site(tmp_path / "slow.normal").rate_hz == SLOW_HZ
    throttle = Throttle(is_hot=lambda: False, look_seconds=0.3, first_rest_seconds=5.0)
    with Operator(broker.port) as operator, running(config, throttle):
        operator.wait("faults", holding=b"throttled")
        operator.wait("status", holding=b"degraded")
        event = _event(operator, SLOW_HZ)
        assert event["calibrated"]
        assert event["score"]["threshold_on"] == pytest.approx(limit, abs=0.001)  # events carry three digits
        is_slow.clear()
        before = len(operator.heard)
        operator.wait("faults", before, b"[]")
        assert _event(operator, 10.0, before)["score"]["threshold_on"] != pytest.approx(limit, abs=0.001)


def _event(operator: Operator, rate_hz: float, after: int = 0) -> dict[str, object]:
    """Return the first event of a rate."""
    deadline = time.monotonic() + 30.0
    while time.monotonic() < deadline:
        for event in operator.events("surprise", after):
            if event["model"]["fps"] == rate_hz:
                return event
        operator.listen(0.1)
    pytest.fail(f"no event at {rate_hz:g} frames a second")


@pytest.mark.parametrize(
    ("cameras", "told"),
    [
        ("a: {source: x.mp4, slow_normal: s}, b: {source: x.mp4}", "b has none; the device slows down as a whole"),
        (
            "a: {source: x.mp4, slow_normal: s, profiles: {day: {hours: '06:00-18:00'}}}",
            "a camera with profiles has no slower rate",
        ),
    ],
)
def test_a_slower_rate_that_cannot_be_is_told_with_its_line(tmp_path: Path, cameras: str, told: str) -> None:
    """Before anything runs."""
    path = tmp_path / "config.yaml"
    path.write_text(f"site: plant7\nbundle: b.prednet\ncameras: {{{cameras}}}\n")
    with pytest.raises(ConfigInvalid, match=told):
        read_config(path)


def test_a_calibration_that_is_not_slower_is_refused(learned: Path, tmp_path: Path) -> None:
    """The device says so at the start, not when it is hot."""
    config = slow_config(learned, tmp_path, 1)
    (tmp_path / "slow.normal").write_bytes((tmp_path / "cam.normal").read_bytes())
    with pytest.raises(ConfigInvalid, match="made for 10 frames a second; expected fewer than 10"):
        read_device(config)
    assert main(["site", "x.mp4", "--bundle", str(tmp_path / "tiny.prednet"), "--rate", "20", "-o", "x"]) == 2


def test_a_slower_rate_is_learned_from_the_configuration(
    learned: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--rate` with `--config` writes the camera's `slow_normal`, and says which key is missing where there is none."""
    config = slow_config(learned, tmp_path, 1)
    words = ["site", str(tmp_path / "day.mkv"), "--config", str(config), "--camera", "busy", "--rate", "2.5"]
    assert main(words) == 0
    assert manifest_of_site(tmp_path / "slow.normal").rate_hz == 2.5
    assert manifest_of_site(tmp_path / "cam.normal").rate_hz == 10.0
    config.write_text(config.read_text().replace(", slow_normal: slow.normal", ""))
    capsys.readouterr()
    assert main(words) == 2
    assert "add, for example, 'slow_normal: busy.slow.normal'" in capsys.readouterr().err
