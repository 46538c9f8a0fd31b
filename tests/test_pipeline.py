"""The river on a tiny network: warm-up, gaps, losses, several cameras, and an event where it belongs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from calibration.fit import error_ratio, fit_calibration, observe
from calibration.limits import levels_from_track
from edge.errors import UsageError
from edge.frames import Frame
from edge.level import Level
from edge.moments import Judge, Round
from edge.normality import WITNESSES, box_from_cells, scores_from_maps
from edge.pipeline import WARMUP_FRAMES, rounds_from_frames, watch
from tests.tiny import RATE_HZ, clip_from, normal_images, plain_normality, tiny_runner, with_accident


@pytest.fixture(scope="module")
def judge() -> Judge:
    """What 300 frames of normal work say is normal."""
    clips = [clip_from(normal_images(300))]
    calibration = fit_calibration(clips, observe(clips, tiny_runner()), RATE_HZ)
    return Judge(calibration.normality, calibration.limits.noise, calibration.limit)


def test_an_accident_is_found_where_and_when_it_is_and_normal_work_is_silent(judge: Judge) -> None:
    """One event, begun within a second of the accident, in its corner; none on unseen normal work."""
    images = with_accident(normal_images(200, seed=7), 100, 140)
    moments = list(watch(rounds_from_frames("a", clip_from(images).frames()), tiny_runner(), {"a": judge}))
    told = [moment.detection for moment in moments if moment.detection]
    assert [detection.type for detection in told] == ["new", "end"]
    assert 10.0 <= told[0].episode.start_seconds <= 11.0
    x0, y0, x1, y1 = told[-1].episode.box
    assert x1 > 0.7
    assert y1 > 0.7
    assert x0 >= 0.4
    normal = clip_from(normal_images(400, seed=8)).frames()
    assert not any(moment.detection for moment in watch(rounds_from_frames("a", normal), tiny_runner(), {"a": judge}))


def test_the_first_frames_are_warm_up_and_not_scored(judge: Judge) -> None:
    """The state needs some frames; until then there is no surprise."""
    frames = clip_from(normal_images(10)).frames()
    moments = list(watch(rounds_from_frames("a", frames), tiny_runner(), {"a": judge}))[:10]
    assert [moment.state for moment in moments] == ["warming_up"] * WARMUP_FRAMES + ["watching"] * (10 - WARMUP_FRAMES)
    assert all((moment.surprise is None) == (moment.state == "warming_up") for moment in moments)


def test_a_gap_in_time_marks_frames_instead_of_scoring_them(judge: Judge) -> None:
    """After a missing second the frame is degraded and the next one warms up; then scoring goes on."""
    images = normal_images(30)
    frames = [Frame(image, number / RATE_HZ + (1.0 if number >= 20 else 0.0)) for number, image in enumerate(images)]
    states = [m.state for m in watch(rounds_from_frames("a", frames), tiny_runner(), {"a": judge})][:30]
    assert states[19:23] == ["watching", "degraded", "warming_up", "watching"]


def test_a_gap_in_time_lengthens_the_step_of_the_filter(judge: Judge) -> None:
    """The level after a gap is what calibration's filter makes of the same surprises at the same seconds."""
    images = normal_images(40)
    frames = [Frame(image, number / RATE_HZ + (3.0 if number >= 20 else 0.0)) for number, image in enumerate(images)]
    moments = [m for m in watch(rounds_from_frames("a", frames), tiny_runner(), {"a": judge}) if m.level is not None]
    scored = [(m.seconds, m.surprise, m.level) for m in moments if m.surprise is not None]
    seconds, surprises = np.array([one[0] for one in scored]), np.array([one[1] for one in scored])
    assert np.diff(seconds).max() == pytest.approx(3.3)
    by_calibration = levels_from_track((seconds, surprises), judge.noise)
    assert [one[2].mean for one in scored] == pytest.approx([level.mean for level in by_calibration])
    assert [one[2].var for one in scored] == pytest.approx([level.var for level in by_calibration])


@pytest.mark.parametrize("factor", [1.0, 1.2])
def test_a_moment_tells_how_bright_the_picture_is(judge: Judge, factor: float) -> None:
    """Against the background of normal work, though scores are levelled: drift looks at it (edge/drift.py)."""
    images = (normal_images(20, seed=5) * factor).clip(0, 255).astype(np.uint8)
    moments = watch(rounds_from_frames("a", clip_from(images).frames()), tiny_runner(), {"a": judge})
    gains = [moment.gain for moment in moments if moment.surprise is not None]
    assert len(gains) == 20 - WARMUP_FRAMES
    assert gains == pytest.approx([factor] * len(gains), rel=0.05)


def test_a_lost_camera_ends_its_event_and_starts_anew(judge: Judge) -> None:
    """The open event ends with its reason, and the camera warms up again when it is back."""
    images = with_accident(normal_images(100), 40, 100)
    frames = list(clip_from(images).frames())
    rounds = [Round({"a": frame}) for frame in frames[:80]] + [Round({}, {"a": "camera_lost"})]
    rounds += [Round({"a": frame}) for frame in frames[90:]]
    moments = list(watch(rounds, tiny_runner(), {"a": judge}))
    told = [moment.detection for moment in moments if moment.detection]
    assert [(one.type, one.end_reason) for one in told] == [("new", None), ("end", "camera_lost")]
    assert moments[81].state == "warming_up"
    assert moments[80].state == "blind"


def test_a_limit_that_is_set_leaves_the_level_and_another_normality_begins_it_anew(judge: Judge) -> None:
    """Levels after a new limit are those that no change would have given; after another normality they are not."""
    frames = list(clip_from(normal_images(60, seed=5)).frames())

    def levels(after: Judge) -> list[Level | None]:
        judges = {"a": judge}
        found = []
        for number, moment in enumerate(watch(rounds_from_frames("a", frames), tiny_runner(), judges)):
            found.append(moment.level)
            judges["a"] = after if number >= 30 else judge
        return found

    assert levels(replace(judge, limit=replace(judge.limit, on=99.0))) == levels(judge)
    assert levels(replace(judge, normality=replace(judge.normality))) != levels(judge)


def test_cameras_do_not_disturb_one_another(judge: Judge) -> None:
    """Two cameras, one of them late and one with an accident, see what each would see alone."""
    quiet, busy = normal_images(120, seed=3), with_accident(normal_images(120, seed=4), 60, 100)
    rounds = []
    for number in range(120):
        frames = {"busy": Frame(busy[number], number / RATE_HZ)}
        if number % 3:
            frames["quiet"] = Frame(quiet[number], number / RATE_HZ)
        rounds.append(Round(frames))
    together = [m for m in watch(rounds, tiny_runner(2), {"quiet": judge, "busy": judge}) if m.camera == "busy"]
    alone = list(watch([Round({"busy": r.frames["busy"]}) for r in rounds], tiny_runner(), {"busy": judge}))
    for one, other in zip(together, alone, strict=True):
        assert (one.surprise is None) == (other.surprise is None)
        if one.surprise is not None and other.surprise is not None:
            assert one.surprise == pytest.approx(other.surprise, abs=1e-3)  # float32 sums in another order
    assert [m.detection.type for m in together if m.detection] == [m.detection.type for m in alone if m.detection]


def test_skill_of_a_network_that_repeats_the_last_frame_is_none(judge: Judge) -> None:
    """1 − error / error of repeating the last frame is 0 for the network that repeats it."""
    moments = list(watch(rounds_from_frames("a", clip_from(normal_images(60)).frames()), tiny_runner(), {"a": judge}))
    sensed = moments[50].sensed
    assert sensed is not None
    assert sensed.skill == pytest.approx(0.0, abs=1e-5)
    assert error_ratio(observe([clip_from(normal_images(60))], tiny_runner())) == pytest.approx(1.0, abs=1e-5)


def test_one_hot_cell_does_not_carry_the_surprise() -> None:
    """A single cell, however high, weighs one of several: a region of the same height is worse."""
    rng = np.random.default_rng(0)
    errors = np.exp(rng.normal(-4, 0.2, (200, 8, 10))).astype(np.float32)
    silent = np.zeros((len(WITNESSES) - 1, 8, 10), np.float32)
    high = np.concatenate([errors.max(axis=0)[None], np.full((len(WITNESSES) - 1, 8, 10), np.inf, np.float32)])
    normality = plain_normality(high, np.zeros((32, 40, 1), np.float32), 0.002)
    spot, region = errors[0].copy(), errors[0].copy()
    spot[3, 3] *= 20
    region[3:5, 3:5] *= 20
    maps = [np.concatenate([one[None], silent]) for one in (errors[0], spot, region)]
    values = [scores_from_maps(one, normality)[0].value for one in maps]
    assert values[0] < values[1]
    assert values[2] - values[0] > 3 * (values[1] - values[0])


def test_box_surrounds_the_cells_that_stand_out() -> None:
    """The box is in 0–1 of the picture, x right and y down."""
    cells = np.zeros((4, 5), np.float32)
    cells[1, 2:4] = [5.0, 9.0]
    assert box_from_cells(cells) == (0.4, 0.25, 0.8, 0.5)


def test_too_little_footage_is_refused_with_its_count() -> None:
    """Nothing is fitted on a handful of frames."""
    clips = [clip_from(normal_images(12))]
    with pytest.raises(UsageError, match=r"the normal footage has 7 scored frames; at least 10 are needed"):
        fit_calibration(clips, observe(clips, tiny_runner()), RATE_HZ)


def test_clips_of_one_scored_frame_each_are_refused() -> None:
    """They say nothing of time, however many they are; one clip with two scored frames does."""
    clips = [clip_from(normal_images(WARMUP_FRAMES + 1, seed=seed)) for seed in range(12)]
    with pytest.raises(UsageError, match="has 12 scored frames; at least 10 are needed, two of them in one clip"):
        fit_calibration(clips, observe(clips, tiny_runner()), RATE_HZ)
    clips.append(clip_from(normal_images(WARMUP_FRAMES + 2, seed=12)))
    assert fit_calibration(clips, observe(clips, tiny_runner()), RATE_HZ).limits.frames == 14


def test_a_light_that_was_never_learned_is_a_condition_and_not_scored(judge: Judge) -> None:
    """Half the light, for good: the camera is degraded and says so, an event that is open ends, and all comes back."""
    images = normal_images(200).copy()
    images[60:140] = (images[60:140] * 0.5).astype(np.uint8)
    moments = list(watch(rounds_from_frames("a", clip_from(images).frames()), tiny_runner(), {"a": judge}))
    dark = moments[75:140]
    assert all(moment.state == "degraded" and moment.surprise is None for moment in dark)
    assert all(moment.sensed and [one.name for one in moment.sensed.conditions] == ["lighting"] for moment in dark)
    assert moments[199].state == "watching"
    assert not any(moment.findings for moment in moments)
