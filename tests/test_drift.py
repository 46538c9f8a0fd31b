"""Drift: said when live work has left the footage for hours, and not for chance, an hour, an event or a pause."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from calibration.drift import sketch_of
from calibration.fit import fit_calibration, observe
from calibration.footage import Clip, read_footage
from edge.builtin import bundle_from_predictor
from edge.calibrated import limits_from_bytes
from edge.detection import Rules
from edge.drift import DriftRules, DriftWatch, Monitor, new_monitor, watched_on
from edge.frames import FrameFormat
from edge.hints import HINTS
from edge.model import judge_from_calibration, runner_of
from edge.moments import Moment
from edge.pipeline import rounds_from_frames, watch
from edge.sketch import SHARES, Sketch
from tests.telling import telling
from tests.tiny import clip_from, normal_images, tiny_calibration, tiny_runner, with_accident

Values = NDArray[np.float64]
tiny = cache(tiny_calibration)
STEP_SECONDS = 10.0
HOUR = round(3600 / STEP_SECONDS)


def swaying(hours: float, minutes: float, seed: int) -> Values:
    """A surprise that is like itself for so many minutes (an autoregression), with noise of its own."""
    rng, count = np.random.default_rng(seed), round(hours * HOUR)
    keep = np.exp(-STEP_SECONDS / (60.0 * minutes))
    values, now = np.empty(count), float(rng.normal())
    for index in range(count):
        values[index] = now
        now = keep * now + np.sqrt(1.0 - keep**2) * float(rng.normal())
    return values + rng.normal(0.0, 0.7, count)


def sketched(footage: Values) -> Sketch:
    """The sketch of one stretch of footage."""
    return sketch_of([(np.arange(len(footage)) * STEP_SECONDS, footage)], 1.0 / STEP_SECONDS)


def followed(values: Values, sketch: Sketch, monitor: Monitor | None = None) -> tuple[Monitor, list[float]]:
    """The monitor after some hours, and the hours at which drift was being said."""
    monitor, said = monitor or new_monitor(), []
    for index, value in enumerate(values.tolist()):
        monitor = watched_on(monitor, sketch, value, STEP_SECONDS, DriftRules())
        if monitor.is_drifting:
            said.append(index / HOUR)
    return monitor, said


def test_a_sketch_is_what_the_footage_has_below_each_level() -> None:
    """Counted: the share below each level is SHARES, and a file brings it back; an earlier file has none."""
    footage = swaying(8.0, 5.0, 1)
    sketch = sketched(footage)
    below = [float((footage <= level).mean()) for level in sketch.levels]
    np.testing.assert_allclose(below, SHARES, atol=1e-3)  # of 2,880 values
    assert sketch.hours == pytest.approx(8.0)
    limits = msgspec.structs.replace(tiny().limits, sketch=sketch)
    assert limits_from_bytes(msgspec.json.encode(limits), "x").sketch == sketch
    earlier = msgspec.to_builtins(limits)
    del earlier["sketch"]
    assert limits_from_bytes(msgspec.json.encode(earlier), "x").sketch is None


def test_normal_work_that_sways_for_a_quarter_of_an_hour_never_drifts() -> None:
    """Ten days, each against eight hours of footage of its own: frames of the same minutes count as one."""
    for seed in range(10):
        _, said = followed(swaying(24.0, 15.0, 100 + seed), sketched(swaying(8.0, 15.0, seed)))
        assert said == []


def test_an_hour_in_which_everything_is_different_is_no_drift() -> None:
    """However wild: it is a sixth of what is looked back on."""
    sketch = sketched(swaying(8.0, 5.0, 1))
    for wild in (-100.0, 100.0):
        day = swaying(16.0, 5.0, 2)
        day[5 * HOUR : 6 * HOUR] = wild
        assert followed(day, sketch)[1] == []


def test_a_change_that_stays_is_said_within_eight_hours_and_taken_back_when_it_goes() -> None:
    """Half as much again as the spread of normal work; up and down alike; silent before the change."""
    sketch = sketched(swaying(8.0, 5.0, 1))
    for shift in (1.8, -1.8):
        before, said = followed(swaying(8.0, 5.0, 2), sketch)
        assert said == []
        drifting, said = followed(swaying(8.0, 5.0, 3) + shift, sketch, before)
        assert 2.0 < said[0] < 8.0
        assert drifting.is_drifting
        after, _ = followed(swaying(9.0, 5.0, 4), sketch, drifting)
        assert not after.is_drifting


def test_a_light_that_stays_another_is_a_drift_though_the_surprise_is_levelled() -> None:
    """A quarter brighter or darker for some hours is said, a tenth is not; it ends with the light."""
    sketch = sketched(swaying(8.0, 5.0, 1))
    for gain, is_said in ((1.25, True), (0.8, True), (1.1, False)):
        monitor, said = new_monitor(), []
        for value in swaying(8.0, 5.0, 2).tolist():
            monitor = watched_on(monitor, sketch, value, STEP_SECONDS, DriftRules(), gain)
            said.append(monitor.is_drifting)
        assert said[-1] == is_said
        assert monitor.gain == pytest.approx(gain)
        assert not any(said[: round(2 * 3600 / STEP_SECONDS)])
        for value in swaying(8.0, 5.0, 3).tolist():
            monitor = watched_on(monitor, sketch, value, STEP_SECONDS, DriftRules())
        assert not monitor.is_drifting


SHORT = DriftRules(block_seconds=1.0, blocks=8, least_blocks=4, unit_blocks=1)


def seen_by(drift: DriftWatch, images: np.ndarray) -> list[Moment]:
    """Every moment of a stretch before the tiny network, shown to the watch."""
    fitted = tiny()
    judge = judge_from_calibration(fitted, Rules(hold_seconds=0.3))
    moments = list(watch(rounds_from_frames("a", clip_from(images).frames()), tiny_runner(), {"a": judge}))
    for moment in moments:
        drift.see(moment, fitted)
    return moments


def test_frames_of_an_event_and_of_a_condition_are_not_counted() -> None:
    """What was counted are the scored frames outside of announced events, and an event that has stayed for a block."""
    images = with_accident(normal_images(200, seed=7), 100, 106)
    images[150:170] = 0  # covered
    drift = DriftWatch(replace(SHORT, block_seconds=1e6))
    moments = seen_by(drift, images)
    known = drift.of("a", tiny())
    assert known is not None
    free = [one for one in moments if one.surprise is not None and not (one.episode and one.episode.announced_seconds)]
    assert known.frames == len(free) < len([one for one in moments if one.surprise is not None]) < 200
    open_for_long = next(one for one in moments if one.episode and one.episode.announced_seconds)
    drift.see(replace(open_for_long, seconds=open_for_long.seconds + 1e6), tiny())
    after = drift.of("a", tiny())
    assert after is not None
    assert after.frames == known.frames + 1
    earlier = replace(tiny(), limits=msgspec.structs.replace(tiny().limits, sketch=None))
    drift.see(moments[50], earlier)
    assert drift.of("a", earlier) is None


FORM = FrameFormat(64, 80, 1, 10.0)


def test_the_factory_drifts_when_its_camera_changes_and_not_on_another_day() -> None:
    """On the real river, in short form: 70 s of another day say nothing; a noisier camera is said within its window."""
    rules = replace(DriftRules(), block_seconds=1.25)  # the window is a minute, and half of it must be there
    runner = runner_of(bundle_from_predictor("flow-light", FORM), "flow-light", 1)
    footage, day = (
        read_footage([f"test://factory?seed={seed}&seconds={seconds}"], FORM)[0]
        for seed, seconds in ((5, 100), (6, 140))
    )
    fitted = fit_calibration([footage], observe([footage], runner), FORM.rate_hz)
    images = day.images.copy()
    noise = np.random.default_rng(0).normal(0, 10, images[700:].shape)
    images[700:] = np.clip(images[700:] + noise, 0, 255)
    drift, said = DriftWatch(rules), []
    judge = judge_from_calibration(fitted, Rules())
    for moment in watch(rounds_from_frames("f", Clip("f", images, day.seconds).frames()), runner, {"f": judge}):
        drift.see(moment, fitted)
        known = drift.of("f", fitted)
        if known is not None and known.is_drifting:
            said.append(moment.seconds)
    assert 70.0 < said[0] < 130.0


def test_drift_is_a_fault_with_the_command_and_a_number_in_health(tmp_path: Path) -> None:
    """The announcer says it, with the camera's name in the command, and takes it back with another calibration."""
    with telling(tmp_path) as (announcer, _, states):
        announcer._drift = DriftWatch(SHORT)
        model = announcer._device.models["quiet"]
        sketch = model.calibration.limits.sketch
        assert sketch is not None
        low = replace(_moment(), surprise=sketch.levels[0] - 1.0)
        for _ in range(60):
            announcer._drift.see(low, model.calibration)
        announcer.tick()
        (fault,) = [one for one in json.loads(states()["faults"]) if one["code"] == "drift"]
        assert fault["camera"] == "quiet"
        assert fault["hint"].endswith("prednet-calibrate site --config CONFIG --camera quiet")
        announcer._health_due = 0.0
        announcer.tick()
        assert json.loads(states()["health"])["cameras"]["quiet"]["drift"] > 0.9
        limits = msgspec.structs.replace(model.calibration.limits, sketch=replace_hours(sketch))
        announcer._device.models["quiet"] = replace(model, calibration=replace(model.calibration, limits=limits))  # type: ignore[index]
        announcer.tick()
        assert [one for one in json.loads(states()["faults"]) if one["code"] == "drift"] == []
    assert "drift" in HINTS


def replace_hours(sketch: Sketch) -> Sketch:
    """Another calibration's sketch."""
    return Sketch(levels=sketch.levels, deviations=sketch.deviations, hours=sketch.hours + 1.0)


def _moment() -> Moment:
    """A scored moment of normal work."""
    fitted = tiny()
    judge = judge_from_calibration(fitted, Rules())
    frames = clip_from(normal_images(20)).frames()
    moments = list(watch(rounds_from_frames("quiet", frames), tiny_runner(), {"quiet": judge}))
    return next(moment for moment in reversed(moments) if moment.surprise is not None)
