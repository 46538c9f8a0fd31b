"""A state that has grown old gives way to a young one: when, of whom, from which frames, and at what cost."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from calibration.fit import fit_calibration, observe
from edge import daemon, pipeline, renewal
from edge.frames import Frame
from edge.judgement import Memory, is_calm
from edge.level import Level
from edge.moments import Judge, Lost, Moment, Round
from edge.pipeline import WARMUP_FRAMES, rounds_from_frames, sense, watch
from edge.runner import Runner, Step, StepFailed
from edge.runners import open_predictor
from edge.setup import read_device
from tests.daemons import write_config
from tests.tiny import RATE_HZ, clip_from, normal_images, tiny_runner, with_accident

OLD, YOUNG = 0, 1


@pytest.fixture(scope="module")
def judge() -> Judge:
    """What 300 frames of normal work say is normal."""
    clips = [clip_from(normal_images(300))]
    calibration = fit_calibration(clips, observe(clips, tiny_runner()), RATE_HZ)
    return Judge(calibration.normality, calibration.limits.noise, calibration.limit)


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """States are old after 30 frames, and too old after 90."""
    monkeypatch.setattr(pipeline, "RENEW_FRAMES", 30)
    monkeypatch.setattr(pipeline, "WITH_FRAMES", 15)
    monkeypatch.setattr(pipeline, "MOST_FRAMES", 90)


class Told:
    """A runner that keeps what it was asked: frames, advance and reset of every step; `works` is done in each."""

    def __init__(self, runner: Runner, works: Callable[[], None] = lambda: None) -> None:
        self._runner, self._works = runner, works
        self.steps: list[tuple[NDArray[np.uint8], NDArray[np.bool_], NDArray[np.bool_]]] = []
        self.name, self.slots, self.spec = runner.name, runner.slots, runner.spec

    def step(self, frames: NDArray[np.uint8], advance: NDArray[np.bool_], reset: NDArray[np.bool_]) -> Step:
        """Compute the step as the runner does."""
        self.steps.append((frames.copy(), advance.copy(), reset.copy()))
        self._works()
        return self._runner.step(frames, advance, reset)

    def close(self) -> None:
        """Close as the runner does."""
        self._runner.close()

    def resets(self, slot: int = 0) -> list[int]:
        """The numbers of the steps in which a slot began anew."""
        return [number for number, (_, _, reset) in enumerate(self.steps) if reset[slot]]


def rounds_of(images: dict[str, NDArray[np.uint8]], begins: Sequence[int], count: int) -> list[Round]:
    """Rounds of cameras that begin with the frames of those numbers."""
    return [
        Round(
            {
                camera: Frame(one[number], number / RATE_HZ)
                for (camera, one), begin in zip(images.items(), begins, strict=True)
                if number >= begin
            }
        )
        for number in range(count)
    ]


def test_an_old_state_begins_anew_from_the_last_five_frames_and_no_frame_goes_unscored(judge: Judge) -> None:
    """The frames that are shown once more, in their order; what follows is what a fresh camera would see after them."""
    images, runner = normal_images(60, seed=3), Told(tiny_runner())
    moments = list(watch(rounds_from_frames("a", clip_from(images).frames()), runner, {"a": judge}))[:60]
    assert [one.state for one in moments] == ["warming_up"] * WARMUP_FRAMES + ["watching"] * (60 - WARMUP_FRAMES)
    assert all(one.surprise is not None for one in moments[WARMUP_FRAMES:])
    assert runner.resets() == [0, 30, 30 + WARMUP_FRAMES + 25]  # a state that has seen five frames is 25 from being old
    again = np.concatenate([frames for frames, _, _ in runner.steps[30 : 30 + WARMUP_FRAMES]])
    np.testing.assert_array_equal(again, images[30 - WARMUP_FRAMES : 30])
    fresh = watch([Round({"a": Frame(images[n], n / RATE_HZ)}) for n in range(25, 40)], tiny_runner(), {"a": judge})
    for one, other in zip(moments[30:40], list(fresh)[5:], strict=True):
        assert one.sensed is not None
        assert other.sensed is not None
        np.testing.assert_allclose(one.sensed.errors, other.sensed.errors, atol=1e-6)


def test_cameras_that_are_renewed_together_see_their_own_frames_and_others_none(judge: Judge) -> None:
    """Half as old is old enough to go along; a camera that has just begun is left alone, to the bit."""
    images = {name: normal_images(60, seed) for seed, name in enumerate(("one", "other", "late"))}
    runner = Told(tiny_runner(3))
    list(watch(rounds_of(images, (0, 10, 25), 40), runner, dict.fromkeys(images, judge)))
    steps = runner.steps[30 : 30 + WARMUP_FRAMES]
    assert [advance.tolist() for _, advance, _ in steps] == [[True, True, False]] * WARMUP_FRAMES
    assert [reset.tolist() for _, _, reset in steps] == [[True, True, False]] + [[False] * 3] * (WARMUP_FRAMES - 1)
    for slot, name in enumerate(("one", "other")):
        np.testing.assert_array_equal(np.stack([frames[slot] for frames, _, _ in steps]), images[name][25:30])
    assert runner.resets(2) == [25]
    assert len(runner.steps) == 40 + WARMUP_FRAMES  # once for both, and not for each by itself


def test_a_state_is_not_renewed_while_something_is_going_on(judge: Judge) -> None:
    """What is being judged is judged by one state to its end; then the next frame begins with a young one."""
    runner = Told(tiny_runner())
    accident = clip_from(with_accident(normal_images(120), 25, 70)).frames()
    moments = list(watch(rounds_from_frames("a", accident), runner, {"a": judge}))
    ended = next(number for number, one in enumerate(moments) if one.detection and one.detection.type == "end")
    assert 70 < ended < runner.resets()[1] <= ended + 2


def test_what_never_ends_is_no_reason_to_grow_old_for_ever(judge: Judge) -> None:
    """An event that lasts is renewed as well when its state is too old: what the state holds may be what keeps it open."""
    runner = Told(tiny_runner())
    accident = clip_from(with_accident(normal_images(200), 25, 200)).frames()
    list(watch(rounds_from_frames("a", accident), runner, {"a": judge}))
    assert runner.resets()[:2] == [0, 90]


@pytest.mark.parametrize("kind", ["surprise", "stall"])
def test_calm_is_neither_an_episode_nor_a_level_above_what_ends_one(judge: Judge, kind: str) -> None:
    """Of both kinds; where nothing has been measured yet, or no limit is set, nothing is going on."""
    assert judge.limit is not None
    judge = replace(judge, stall_limit=judge.limit)
    name = "level" if kind == "surprise" else "stall_level"
    low, high = (Level(judge.limit.off + by, 0.0, 1.0, 0.0, 1.0) for by in (-0.01, 0.01))
    assert is_calm(Memory(), judge)
    assert is_calm(replace(Memory(), **{name: low}), judge)
    assert not is_calm(replace(Memory(), **{name: high}), judge)
    assert is_calm(replace(Memory(), **{name: high}), replace(judge, limit=None, stall_limit=None))


def test_the_frames_that_are_shown_again_followed_one_another(judge: Judge) -> None:
    """After a gap a state is not renewed until five frames have come; they are those that are shown."""
    runner, frames = Told(tiny_runner()), list(clip_from(normal_images(60)).frames())
    list(watch(rounds_from_frames("a", frames[:27] + frames[29:]), runner, {"a": judge}))
    second = runner.resets()[1]
    assert second >= 27 + WARMUP_FRAMES
    shown = np.concatenate([images for images, _, _ in runner.steps[second : second + WARMUP_FRAMES]])
    after = [one.image for one in frames[second - WARMUP_FRAMES + 2 : second + 2]]
    np.testing.assert_array_equal(shown, np.stack(after))


def test_a_live_frame_is_not_lost_for_a_renewal_and_that_is_said_once(
    judge: Judge, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Where five steps take longer than may be, the state grows old; where they do not, it is renewed."""
    now = [0.0]
    monkeypatch.setattr(renewal.time, "perf_counter", lambda: now[0])
    for pause_seconds, resets in ((0.1, 1), (0.2, 2)):
        runner = Told(tiny_runner(), lambda: now.__setitem__(0, now[0] + 0.03))
        with caplog.at_level(logging.WARNING):
            frames = clip_from(normal_images(50)).frames()
            list(watch(rounds_from_frames("a", frames), runner, {"a": judge}, pause_seconds))
        assert len(runner.resets()) == resets
    assert [record.message[:15] for record in caplog.records] == ["states_grow_old"]


def test_what_fails_while_a_state_is_renewed_blinds_the_camera_like_any_step() -> None:
    """The camera is lost for a restart and begins anew with the next frame; nothing is raised."""
    frames = list(clip_from(normal_images(40)).frames())
    steps = iter(range(100))

    def failing() -> None:
        if next(steps) == 32:  # the third of the five
            raise StepFailed("inference failed")

    runner = Told(tiny_runner(), failing)
    seen = list(sense(rounds_from_frames("a", frames), runner, ["a"]))
    assert [one for one in seen if isinstance(one, Lost)] == [Lost("a", "restart"), Lost("a", "stopped")]
    assert runner.resets() == [0, 30, 33]


def test_a_predictor_without_memory_is_never_renewed() -> None:
    """Repeating the last frame holds nothing that grows old, and the flow's steps are dear."""
    frames = clip_from(normal_images(50)).frames()
    runner = Told(open_predictor("last-frame", tiny_runner().spec.form, 1))
    list(sense(rounds_from_frames("a", frames), runner, ["a"]))
    assert len(runner.steps) == 50


def test_the_daemon_lets_no_frame_wait_for_longer_than_its_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What `watch` is given for live cameras: one period of the bundle's rate."""
    pauses = []

    def watched(*river: object) -> Iterator[Moment]:
        pauses.append(river[3])
        return iter(())

    monkeypatch.setattr(daemon, "watch", watched)
    device = read_device(write_config(tmp_path, 1))
    daemon.watch_device(device, threading.Event())
    assert pauses == [1.0 / device.bundle.spec.form.rate_hz]
