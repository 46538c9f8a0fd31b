"""Inference that raises, hangs or does not open again: frames are lost, the process is not, and it is said."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from edge import daemon
from edge.chosen import EngineUnfit, open_chosen
from edge.detection import Rules
from edge.errors import PrednetError
from edge.inference import REST_SECONDS, WINDOW_SECONDS, GuardedRunner
from edge.model import judge_from_calibration
from edge.moments import Round
from edge.pipeline import watch
from edge.runner import Runner, Step, StepFailed
from tests.brokers import Mosquitto
from tests.commanding import Operator, running
from tests.loss import write_lively_config
from tests.tiny import clip_from, normal_images, tiny_calibration, tiny_runner

# A restart opens a session of ONNX Runtime; on a busy machine that takes a second or two.
WAIT_SECONDS = 20.0


class Faulty:
    """A real runner whose step does something else where it is told to."""

    def __init__(self, runner: Runner, fault: Callable[[], None]) -> None:
        self.name, self.slots, self.spec = runner.name, runner.slots, runner.spec
        self.close = runner.close
        self._runner, self._fault = runner, fault

    def step(self, frames: np.ndarray, advance: np.ndarray, reset: np.ndarray) -> Step:
        """Do what the fault does, and then step."""
        self._fault()
        return self._runner.step(frames, advance, reset)


def raising() -> None:
    """What a GPU that fell off the bus gives."""
    raise RuntimeError("CUDA error 700")


def guarded(*faults: Callable[[], None], clock: Callable[[], float] = time.monotonic) -> GuardedRunner:
    """A guard whose n-th runner has the n-th fault; those after are sound."""
    left = list(faults)
    return GuardedRunner(
        lambda: Faulty(tiny_runner(), left.pop(0) if left else lambda: None), clock=clock, step_seconds=0.3
    )


def step(guard: GuardedRunner) -> Step:
    """One step with a new frame."""
    one = np.ones(1, np.bool_)
    return guard.step(np.zeros((1, 32, 40, 1), np.uint8), one, one)


def steps_again(guard: GuardedRunner) -> Step:
    """Return the first step that is computed, as a river that goes on asking gets it."""
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        try:
            return step(guard)
        except StepFailed:
            time.sleep(0.01)
    pytest.fail("it was not restarted")


def failure(guard: GuardedRunner) -> str:
    """Return why it fails next, once it has been opened again."""
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        try:
            step(guard)
        except StepFailed as error:
            if "restarted" not in str(error):
                return str(error)
    pytest.fail("it did not fail")


def test_a_step_that_raises_is_told_and_computed_by_another_runner() -> None:
    """The reason is in the error and the log; what comes after is what a sound runner gives."""
    guard = guarded(raising)
    with pytest.raises(StepFailed, match="CUDA error 700"):
        step(guard)
    assert guard.has_failed
    one = np.ones(1, np.bool_)
    expected = tiny_runner().step(np.zeros((1, 32, 40, 1), np.uint8), one, one)
    np.testing.assert_array_equal(steps_again(guard).errors, expected.errors)
    guard.close()


def test_a_step_that_hangs_is_left_behind() -> None:
    """The river waits for the bound and no longer, though the library never comes back."""
    forever = threading.Event()
    guard = guarded(forever.wait)
    began = time.monotonic()
    with pytest.raises(StepFailed, match=r"within 0\.3 s"):
        step(guard)
    assert time.monotonic() - began < 5.0  # the bound is 0.3 s; a busy machine wakes late
    steps_again(guard)
    forever.set()
    guard.close()


def test_the_third_failure_within_ten_minutes_rests_before_it_opens_again() -> None:
    """Two are mended at once; the third opens nothing for a minute, then one; ten minutes later all is forgotten."""
    now, opened = [0.0], []

    def counted() -> Runner:
        opened.append(now[0])
        return Faulty(tiny_runner(), raising if len(opened) <= 3 else lambda: None)

    guard = GuardedRunner(counted, clock=lambda: now[0])
    for failures in (1, 2, 3):
        assert "CUDA" in failure(guard)
        now[0] += 1.0
        assert len(opened) <= failures + 1
    with pytest.raises(StepFailed):
        step(guard)
    assert len(opened) == 3, "at rest"
    now[0] += REST_SECONDS
    steps_again(guard)
    assert len(opened) == 4
    assert guard.has_failed
    now[0] += WINDOW_SECONDS
    assert not guard.has_failed
    guard.close()


def test_what_does_not_open_again_is_tried_again_and_an_unfit_engine_has_the_device_read() -> None:
    """Each opening that fails counts as a failure; that of an engine is told, so that another runner is chosen."""
    openings: list[Runner | PrednetError] = [Faulty(tiny_runner(), raising), EngineUnfit("gone"), tiny_runner()]

    def opening() -> Runner:
        found = openings.pop(0)
        if isinstance(found, PrednetError):
            raise found
        return found

    guard = GuardedRunner(opening)
    steps_again(guard)
    assert openings == []
    assert isinstance(guard.unfit, EngineUnfit)
    guard.close()


def test_what_cannot_be_opened_at_the_start_is_refused_as_ever() -> None:
    """A daemon without a runner does not pretend to have one."""

    def refused() -> Runner:
        raise PrednetError("no such provider.")

    with pytest.raises(PrednetError, match="no such provider"):
        GuardedRunner(refused)


def test_a_device_whose_inference_fails_is_blind_and_watches_again_within_thirty_seconds(
    tmp_path: Path,
    broker: Mosquitto,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It raises, and then it hangs, within an event: that ends with `restart`, `inference_failed` is told, and it goes on."""
    forever, faults = threading.Event(), list[Callable[[], object]]()

    def failed() -> None:
        if faults:
            faults.pop()()

    monkeypatch.setattr(GuardedRunner.__init__, "__defaults__", (time.monotonic, 1.0, REST_SECONDS))
    monkeypatch.setattr(daemon, "open_chosen", lambda *which: Faulty(open_chosen(*which), failed))
    with Operator(broker.port) as operator, running(write_lively_config(tmp_path, broker.port)):
        for fault in (raising, forever.wait):
            before = len(operator.heard)
            operator.wait("cam/busy/anomaly", before, b"ON")
            before, began = len(operator.heard), time.monotonic()
            faults.append(fault)
            operator.wait("cam/busy/state", before, b"blind")
            operator.wait("cam/busy/state", before, b"watching")
            assert time.monotonic() - began < 30.0, "the bound of faults.md"
        told = json.loads(operator.wait("faults", holding=b"inference_failed").payload)
        assert "doctor" in next(one["hint"] for one in told if one["code"] == "inference_failed")
        operator.wait("status", holding=b"degraded")
        assert "restart" in {one.get("end_reason") for one in operator.events("surprise")}
    forever.set()


def test_while_nothing_computes_each_frame_says_that_its_camera_is_blind() -> None:
    """So that the watchdog, which wants every camera accounted for, is fed through a minute's rest."""

    class Away:
        def __init__(self, runner: Runner) -> None:
            self.name, self.slots, self.spec, self._runner, self.is_away = "away", 1, runner.spec, runner, False

        def step(self, *given: np.ndarray) -> Step:
            if self.is_away:
                raise StepFailed("inference is being restarted.")
            return self._runner.step(*given)

    runner, frames = Away(tiny_runner()), list(clip_from(normal_images(20)).frames())

    def rounds() -> Iterator[Round]:
        for number, frame in enumerate(frames):
            runner.is_away = 8 <= number < 13
            yield Round({"cam": frame})

    states = [
        moment.state for moment in watch(rounds(), runner, {"cam": judge_from_calibration(tiny_calibration(), Rules())})
    ]  # type: ignore[arg-type]
    assert states[:8] == ["warming_up"] * 5 + ["watching"] * 3
    assert states[8:13] == ["blind"] * 5
    assert states[13:] == ["warming_up"] * 5 + ["watching"] * 2
