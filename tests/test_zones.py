"""Zones and ignore masks: the cells they cover, what a sensitivity means, and what is named, silent and promised."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from calibration.fit import fit_calibration, observe
from calibration.footage import Clip, read_footage
from calibration.normality import scored
from calibration.parts import Seen
from edge.builtin import bundle_from_predictor
from edge.calibrated import Calibration, normality_from_bytes, normality_to_bytes
from edge.detection import Limit, Rules
from edge.errors import PrednetError, UsageError
from edge.frames import FrameFormat
from edge.model import judge_from_calibration, runner_of
from edge.moments import Judge, Moment, open_zones_of
from edge.normality import NEVER, Map, cell_scores, ignored_of
from edge.pipeline import rounds_from_frames, watch
from edge.runner import Runner
from edge.scene import scene_from_url
from edge.senses import error_blocks, speed_blocks
from edge.zones import (
    Zone,
    Zones,
    cells_of,
    covers_of,
    is_alike,
    named_zones,
    sensitivity_of,
    shares_of,
    tallied,
    zones_of,
)
from tests.tiny import RATE_HZ, clip_from, normal_images, tiny_runner, with_accident

GRID = (8, 10)
FORM = FrameFormat(64, 80, 1, RATE_HZ)
DAY = "test://factory?seed=31&accidents=fall&first=14&seconds=20"


def rectangle(x0: float, y0: float, x1: float, y1: float, sensitivity: float = 1.0) -> Zone:
    """A zone between two corners."""
    return Zone(polygon=((x0, y0), (x1, y1)), sensitivity=sensitivity)


def test_a_cell_belongs_to_a_shape_that_covers_half_of_it() -> None:
    """Shares are areas; a shape smaller than any cell has the one of which it covers most."""
    cover = covers_of([((0.0, 0.0), (0.25, 1.0))], (2, 2))[0]
    assert cover.tolist() == [[0.5, 0.0], [0.5, 0.0]]
    triangle = covers_of([((0.0, 0.0), (1.0, 0.0), (0.0, 1.0))], (1, 1))[0]
    assert triangle[0, 0] == pytest.approx(0.5, abs=1 / 32)  # the diagonal's points, of 16 × 16
    small = cells_of(covers_of([((0.55, 0.55), (0.62, 0.6))], (2, 2))[0])
    assert small.tolist() == [[False, False], [False, True]]
    assert cells_of(cover).tolist() == [[True, False], [True, False]]


def test_the_zone_that_covers_most_of_a_cell_says_how_much_it_counts_and_a_mask_takes_all() -> None:
    """Of equal ones the first; zones that count as all else change nothing."""
    zones = {"wide": rectangle(0, 0, 1, 0.5, 2.0), "left": rectangle(0, 0, 0.5, 1, 0.5)}
    sensitivity = sensitivity_of(zones, [((0.5, 0.5), (1.0, 1.0))], (2, 2))
    assert sensitivity is not None
    assert sensitivity.tolist() == [[2.0, 2.0], [0.5, 0.0]]
    assert sensitivity_of({"a": rectangle(0, 0, 1, 1)}, (), (2, 2)) is None


@pytest.fixture(scope="module")
def tiny() -> Calibration:
    """What 300 frames of normal work say is normal for the tiny network."""
    clips = [clip_from(normal_images(300))]
    return fit_calibration(clips, observe(clips, tiny_runner()), RATE_HZ)


def test_a_sensitivity_is_a_factor_on_what_is_said_of_a_cell(tiny: Calibration) -> None:
    """With 2 a cell stands out as far as one that says twice as much (and its floor); with 0 it says nothing."""
    normality = tiny.normality
    maps = np.abs(np.random.default_rng(1).normal(1, 0.3, normality.high.shape)).astype(np.float32)
    grid = normality.high.shape[1:]
    weights = np.ones(grid, np.float32)
    weights[0], weights[1] = 2.0, 0.0
    floor = normality.floor[:, None, None]
    twice = cell_scores(2.0 * (maps + floor) - floor, normality)
    scores = cell_scores(maps, replace(normality, sensitivity=weights))
    np.testing.assert_allclose(scores[:, 0], twice[:, 0], atol=1e-5)  # float32 logarithms
    assert (scores[:, 1] == NEVER).all()
    np.testing.assert_array_equal(scores[:, 2:], cell_scores(maps, normality)[:, 2:])


def test_a_calibration_keeps_what_it_was_fitted_with(tiny: Calibration) -> None:
    """The sensitivity comes back from the file; a file of an earlier form has none; one below 0 is refused."""
    form, grid = FrameFormat(32, 40, 1, RATE_HZ), tiny.normality.high.shape[1:]
    weights = np.linspace(0, 3, grid[0] * grid[1], dtype=np.float32).reshape(grid)
    for kept in (weights, None):
        data = normality_to_bytes(replace(tiny.normality, sensitivity=kept))
        found = normality_from_bytes(data, form, grid, "x")
        assert is_alike(found.sensitivity, kept)
        np.testing.assert_array_equal(found.appearance.shares, tiny.normality.appearance.shares)
    damaged = normality_to_bytes(replace(tiny.normality, sensitivity=-weights))
    with pytest.raises(PrednetError, match=r"x: a sensitivity is below 0; make it anew"):
        normality_from_bytes(damaged, form, grid, "x")


def watched(judge: Judge, images: np.ndarray) -> list[Moment]:
    """Every moment of a stretch before the tiny network."""
    return list(watch(rounds_from_frames("a", clip_from(images).frames()), tiny_runner(), {"a": judge}))


def test_all_counting_twice_is_as_all_counting_once() -> None:
    """The limit is fitted on the scores as the zones make them, so that one sensitivity everywhere changes nothing."""
    clips = [clip_from(normal_images(200))]
    grid = tiny_runner().spec.grid
    surprises = []
    for sensitivity in (None, np.full(grid, 2.0, np.float32)):
        fitted = fit_calibration(
            clips, observe(clips, tiny_runner(), sensitivity=sensitivity), RATE_HZ, sensitivity=sensitivity
        )
        moments = watched(judge_from_calibration(fitted, Rules()), with_accident(normal_images(120, seed=7), 60, 90))
        surprises.append([moment.surprise for moment in moments if moment.surprise is not None])
        assert [one.type for moment in moments if (one := moment.detection)] == ["new", "end"]
    np.testing.assert_allclose(*surprises, rtol=1e-3, atol=1e-3)  # float32 logarithms over a spread of about 0.1


def test_a_camera_that_ignores_everything_is_not_fitted() -> None:
    """There is no score to fit a limit on; one sentence says so."""
    clips = [clip_from(normal_images(60))]
    nothing = np.zeros(tiny_runner().spec.grid, np.float32)
    observed = observe(clips, tiny_runner(), sensitivity=nothing)
    with pytest.raises(UsageError, match="nothing in this footage is judged"):
        fit_calibration(clips, observed, RATE_HZ, sensitivity=nothing)


def test_nothing_under_a_mask_reaches_the_cells_beside_it() -> None:
    """Blocks of error and speed beside a mask are those of a picture in which nothing happens under it."""
    rng = np.random.default_rng(0)
    calm = rng.integers(0, 256, (32, 40, 1), np.uint8)
    ignored = ignored_of(sensitivity_of({}, [((0.5, 0.5), (1.0, 1.0))], (4, 5)))
    assert ignored is not None
    wild, speed = calm.copy(), np.zeros((32, 40), np.float32)
    inside = ignored.repeat(8, axis=0).repeat(8, axis=1)
    wild[inside] = 255 - wild[inside]
    speed[inside] = 9.0
    grid = (4, 5)
    for beside in (ignored, None):
        error, fast = error_blocks(wild, calm, grid, beside), speed_blocks(speed, grid, beside)
        is_silent = not error.any() and not fast.any()
        assert is_silent == (beside is not None)


def test_an_accident_under_an_ignore_mask_is_none_and_outside_it_is(tiny: Calibration) -> None:
    """The same flicker, in a cell that is judged and in one that is not; the picture itself is not blanked."""
    images = with_accident(normal_images(160, seed=7), 60, 110)
    grid = tiny_runner().spec.grid
    for mask, kinds in (((0.5, 0.5), (1.0, 1.0)), []), (((0.0, 0.0), (0.4, 0.4)), ["new", "end"]):
        normality = replace(tiny.normality, sensitivity=sensitivity_of({}, [mask], grid))
        moments = watched(judge_from_calibration(replace(tiny, normality=normality), Rules()), images)
        assert [finding.detection.type for moment in moments for finding in moment.findings] == kinds
        seen = moments[80].sensed
        assert seen is not None
        np.testing.assert_array_equal(seen.frame.image, images[80])


def test_shares_are_counted_over_the_cells_that_carry_it() -> None:
    """Half the score of an anomaly of two cells lies in the zone that covers one of them; overlaps count for both."""
    cells = np.zeros((2, 4), np.float32)
    cells[0, 1] = cells[0, 2] = 3.0
    cells[1, 0] = 1.0  # less than half as high: no part of it
    zones = zones_of(
        {"left": rectangle(0, 0, 0.5, 1), "top": rectangle(0, 0, 1, 0.5), "low": rectangle(0, 0.5, 1, 1)}, (2, 4)
    )
    assert shares_of(zones, cells) == {"left": 0.5, "top": 1.0}
    quiet = np.full((2, 4), -3.0, np.float32)
    quiet[1] = -1.0  # nothing exceeds what is normal there: the four cells that the score is drawn from
    assert shares_of(zones, quiet) == {"left": 0.5, "low": 1.0}
    assert shares_of(zones, np.full((2, 4), NEVER, np.float32)) == {}


def test_an_event_names_where_it_was_the_heaviest_first() -> None:
    """Shares are means over its frames; a zone of a single noisy frame in a long event is not named."""
    tallies = tallied({}, {"belt": 0.4}, 2.0)
    for _ in range(99):
        tallies = tallied(tallies, {"arm": 1.0}, 5.0)
    assert named_zones(tallies, 100) == [("arm", 5.0, 0.99)]
    for _ in range(2):
        tallies = tallied(tallies, {"belt": 1.0}, 3.0)
    assert named_zones(tallies, 102)[1][:2] == ("belt", 3.0)


def read(url: str) -> Clip:
    """A stretch of the factory, at the size that the tests can afford."""
    return read_footage([url], FORM)[0]


def factory_judge(sensitivity: Map | None, zones: Zones, runner: Runner, clip: Clip) -> Judge:
    """The factory's fitted judge, its limit six units of normal work's tail: half a minute promises none."""
    observed = observe([clip], runner, sensitivity=sensitivity)
    fitted = fit_calibration([clip], observed, RATE_HZ, sensitivity=sensitivity)
    judge = judge_from_calibration(fitted, Rules(hold_seconds=0.5), zones)
    (_, surprise), _ = scored(Seen(observed[0].seconds, observed[0].senses), fitted.normality)
    moments = watch(rounds_from_frames("f", clip.frames()), runner, {"f": judge})
    seen = [moment.surprise for moment in moments if moment.surprise is not None]
    np.testing.assert_allclose(seen, surprise, atol=1e-4)  # one is of a batch: float32 sums in another order
    return replace(judge, limit=Limit(6.0, 3.0))


def test_a_fall_is_told_in_its_zone_and_not_where_it_is_ignored() -> None:
    """On the factory: the event names the floor's zone first; the same day with the floor ignored has none.

    The mask is a cell wider than the fall, because cells that it covers less than half are judged. What the limit is fitted on is what the device computes, zones and masks included.
    """
    runner = runner_of(bundle_from_predictor("flow-light", FORM), "flow-light", 1)
    assert runner.spec.grid == GRID
    normal, day = read("test://factory?seed=31&seconds=30"), read(DAY)
    (incident,) = scene_from_url(DAY)[0].incidents
    x0, y0, x1, y1 = incident.box
    zones = {"above": rectangle(0, 0, 1, y0), "floor": rectangle(x0, y0, x1, y1, 1.5)}
    told = {}
    for name, masks in (("seen", ()), ("ignored", [((x0 - 0.1, y0 - 0.1), (min(x1 + 0.1, 1.0), 1.0))])):
        judge = factory_judge(sensitivity_of(zones, masks, GRID), zones_of(zones, GRID), runner, normal)
        told[name] = [
            (moment, finding.detection)
            for moment in watch(rounds_from_frames("f", day.frames()), runner, {"f": judge})
            for finding in moment.findings
            if finding.detection.type == "new"
            and incident.start_seconds - 1.0 <= finding.detection.episode.start_seconds <= incident.end_seconds
        ]
    assert told["ignored"] == []
    moment, detection = told["seen"][0]
    name, peak, share = named_zones(detection.episode.zones, detection.episode.frames)[0]
    assert (name, peak) == ("floor", detection.episode.peak)
    assert share > 0.5
    assert "floor" in open_zones_of(moment)


CLIPS = Path(__file__).parents[2] / "shared" / "data" / "clips"


@pytest.mark.skipif(not CLIPS.is_dir(), reason=f"real video is not at {CLIPS}; see shared/data/README.md")
def test_on_real_video_the_zone_is_named_in_which_the_picture_changed() -> None:
    """Hands at a bench: where three quarters of what changed in the pixels is in one half, that half is named first."""
    runner = runner_of(bundle_from_predictor("flow-light", FORM), "flow-light", 1)
    bench = str(CLIPS / "bottle-detection.mp4")
    (normal,) = read_footage([f"{bench}#t=0,5.5"], FORM)  # the first hand comes at 5.7 s
    fitted = fit_calibration([normal], observe([normal], runner), RATE_HZ)
    zones = zones_of({"left": rectangle(0, 0, 0.5, 1), "right": rectangle(0.5, 0, 1, 1)}, GRID)
    (clip,) = read_footage([bench], FORM)
    changed = np.abs(clip.images.astype(np.int16) - np.median(normal.images, axis=0))[..., 0] > 25
    judge, decisive = judge_from_calibration(fitted, Rules(hold_seconds=0.5), zones), 0
    for moment in watch(rounds_from_frames("b", clip.frames()), runner, {"b": judge}):
        for finding in (one for one in moment.findings if one.detection.type == "end" and one.kind == "surprise"):
            episode = finding.detection.episode
            during = changed[(clip.seconds >= episode.start_seconds) & (clip.seconds <= episode.last_above_seconds)]
            left = float(during[:, :, :40].sum() / max(during.sum(), 1))
            if not 0.25 < left < 0.75:
                decisive += 1
                name = named_zones(episode.zones, episode.frames)[0][0]
                assert name == ("left" if left > 0.5 else "right"), (episode.start_seconds, left)
    assert decisive >= 2
