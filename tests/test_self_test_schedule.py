"""When a device tests itself, and what becomes of a self-test that breaks, hangs or is cut off."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

from edge.labels import seconds_from_utc
from edge.self_tests.desk import FIRST_SECONDS, HOUR_SECONDS, SelfTests
from edge.self_tests.results import MOST_KEPT, OrderedTests, SelfTest, keep_tests, read_tests
from edge.setup import read_device
from tests.bundles import write_device


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a device is configured, whose daemon does not run."""
    folder = tmp_path_factory.mktemp("schedule")
    write_device(folder, 1883)
    return folder


class Bench:
    """Self-tests on clocks of their own, every 24 hours; `is_off` says that the camera is switched off."""

    def __init__(self, folder: Path, state: Path, *, is_off: bool = False, wall_seconds: float = 1e9) -> None:
        state.mkdir(exist_ok=True)
        device = read_device(folder / "config.yaml")
        schedule = msgspec.structs.replace(device.config.self_test, every_hours=24.0)
        self.config = msgspec.structs.replace(device.config, state_directory=str(state), self_test=schedule)
        self.now, self.faults, self.tests = 0.0, {}, OrderedTests()  # type: ignore[var-annotated]
        judges = {camera: model.judge(self.config.detection.rules) for camera, model in device.models.items()}
        announcer = SimpleNamespace(set_fault=lambda code, is_active: self.faults.update({code: is_active}))
        switches = SimpleNamespace(is_off=lambda _: is_off)
        self.desk = SelfTests(
            replace(device, config=self.config), judges, switches, announcer, None, self.tests,  # type: ignore[arg-type]
            monotonic=lambda: self.now, wall_clock=lambda: wall_seconds,
        )  # fmt: skip

    def pass_time(self, seconds: float) -> None:
        """Let so much time pass, and look after everything."""
        self.now += seconds
        self.desk.tick()


def test_restarts_neither_repeat_a_scheduled_self_test_nor_put_it_off(folder: Path, tmp_path: Path) -> None:
    """It comes a day after the last one, however often the device is started; ten minutes after a start at first."""
    first = Bench(folder, tmp_path)
    first.pass_time(FIRST_SECONDS - 1.0)
    assert not first.tests.running
    first.pass_time(1.0)
    assert first.tests.running
    made = SelfTest(id="t", time="2026-11-20T06:00:00.000Z", asked_by="schedule", passed=True, cameras=())
    keep_tests(tmp_path, [made])
    wall_seconds = seconds_from_utc(made.time) + 20.0 * HOUR_SECONDS
    for _ in range(3):
        again = Bench(folder, tmp_path, wall_seconds=wall_seconds)
        again.pass_time(4.0 * HOUR_SECONDS - 1.0)
        assert not again.tests.running
    again.pass_time(1.0)
    assert again.tests.running


def test_a_device_that_is_switched_off_does_not_test_itself(folder: Path, tmp_path: Path) -> None:
    """At night nothing is to be proved, and nothing is a fault; once somebody asks, the answer is no pass."""
    bench = Bench(folder, tmp_path, is_off=True)
    bench.pass_time(FIRST_SECONDS)
    assert not bench.tests.running
    assert bench.tests.kept == []
    bench.tests.ask(1.0, os.urandom(10))
    bench.pass_time(1.0)
    assert bench.tests.running


def ended(bench: Bench) -> SelfTest:
    """Wait for the result."""
    deadline = time.monotonic() + 20.0
    while bench.tests.last is None or bench.tests.running:
        assert time.monotonic() < deadline
        bench.pass_time(0.0)
        time.sleep(0.01)
    return bench.tests.last


def test_inference_that_raises_in_a_self_test_is_its_result(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever a library raises, the model is where the anomaly was lost: told, kept, and a fault."""

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("out of device memory")

    monkeypatch.setattr("edge.self_tests.desk.open_chosen", broken)
    bench = Bench(folder, tmp_path)
    bench.pass_time(FIRST_SECONDS)
    bench.pass_time(FIRST_SECONDS)
    (camera,) = ended(bench).cameras
    assert [(one.name, one.passed) for one in camera.stations] == [("model", False)]
    assert "out of device memory" in camera.stations[0].told
    assert bench.faults == {"self_test_failed": True}


def test_a_daemon_that_runs_for_years_keeps_the_last_results(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In memory as on disk: the oldest goes for the newest."""
    monkeypatch.setattr("edge.self_tests.desk.open_chosen", lambda *_, **__: None)
    made = SelfTest(id="t", time="2026-11-20T06:00:00.000Z", asked_by="schedule", passed=True, cameras=())
    keep_tests(tmp_path, [msgspec.structs.replace(made, id=str(number)) for number in range(MOST_KEPT)])
    bench = Bench(folder, tmp_path, wall_seconds=seconds_from_utc(made.time))
    asked = bench.tests.ask(1.0, os.urandom(10))
    bench.pass_time(0.0)
    bench.pass_time(FIRST_SECONDS)
    assert ended_at(bench, asked) == [*map(str, range(1, MOST_KEPT)), asked]
    assert [one.id for one in read_tests(tmp_path)] == [one.id for one in bench.tests.kept]


def ended_at(bench: Bench, test_id: str) -> list[str]:
    """Wait until a self-test has its result, and return the ids of all that are kept."""
    deadline = time.monotonic() + 20.0
    while bench.tests.running or test_id not in [one.id for one in bench.tests.kept]:
        assert time.monotonic() < deadline
        bench.pass_time(0.0)
        time.sleep(0.01)
    return [one.id for one in bench.tests.kept]


def test_a_self_test_that_the_end_cuts_off_is_no_result_and_holds_nothing_up(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that hangs is left behind after a while, and neither a failure nor a pass is kept of it."""
    release = threading.Event()

    def hanging(*_: object, **__: object) -> SimpleNamespace:
        release.wait(20.0)
        return SimpleNamespace(close=lambda: None)

    monkeypatch.setattr("edge.self_tests.desk.open_chosen", hanging)
    monkeypatch.setattr("edge.self_tests.desk.CLOSE_SECONDS", 0.1)
    bench = Bench(folder, tmp_path)
    bench.pass_time(FIRST_SECONDS)
    bench.pass_time(FIRST_SECONDS)
    (thread,) = [one for one in threading.enumerate() if one.name == "self-test"]
    began = time.monotonic()
    bench.desk.close()
    assert time.monotonic() - began < 5.0
    release.set()
    thread.join(20.0)
    assert not thread.is_alive()
    assert read_tests(tmp_path) == []
