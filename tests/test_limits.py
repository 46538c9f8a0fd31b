"""Limits that keep a promise: events counted as the device makes them, their tail, and what footage supports."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.stats import genpareto

import calibration.cli
import edge.rates
from calibration.heights import NOWHERE, Heights, Run, announcements, count_events, event_heights, middle_of
from calibration.limits import deviation_of, fit_limit, levels_from_track, quiet_limit
from calibration.tail import (
    LIKELIHOOD_DROP,
    LOW_LIKELIHOOD_DROP,
    SHAPE_DEVIATION,
    dispersion_of,
    fit_tail,
    rate_at,
    survival,
)
from edge.bundle import read_bundle
from edge.calibrated import Limits, limits_for
from edge.config import Detection
from edge.detection import Detector, Reading, Rules, decide, limit_from_on, middle_of_limit
from edge.level import Noise
from edge.model import read_model
from edge.promise import told_promise, told_rate
from edge.setup import limited
from tests.films import write_clip
from tests.processes import PROCESSES, PULSES_PER_HOUR, correlated, pulses, track_of
from tests.tiny import normal_images, write_tiny_bundle

RULES = Rules()


def announced_one_by_one(run: Run, on: float, middle: float, rules: Rules) -> list[float]:
    """Every reading through `decide`, as the river does it."""
    detector, told = Detector(), []
    for at, level in zip(run[0].tolist(), run[1].tolist(), strict=True):
        detector, detection = decide(detector, Reading(at, level, 0.0, NOWHERE), limit_from_on(on, middle), rules)
        if detection is not None and detection.type == "new":
            told.append(at)
    return told


@pytest.mark.parametrize("on", [0.3, 1.0, 2.0, 3.0])
@pytest.mark.parametrize("rules", [Rules(), Rules(0.0, 0.0, 0.0), Rules(3.0, 4.0, 30.0)])
def test_passing_over_quiet_frames_changes_no_event(on: float, rules: Rules) -> None:
    """The events that are counted are those of the device's `decide`, reading by reading."""
    run = track_of(correlated(np.random.default_rng(0), 1.0))
    expected = announced_one_by_one(run, on, 0.0, rules)
    assert announcements(run, limit_from_on(on, 0.0), rules) == expected
    assert expected


def test_the_middle_of_normal_work_is_told_by_the_limit() -> None:
    """Both ways between a limit and the middle that it was laid from agree."""
    for on, middle in ((3.0, 0.5), (-1.0, -2.0), (4.0, 4.0)):
        assert middle_of_limit(limit_from_on(on, middle)) == pytest.approx(middle)


def test_heights_say_how_many_events_any_limit_above_the_threshold_makes() -> None:
    """The heights above a limit are as many as the events that `decide` announces there, or at a higher limit."""
    runs = [track_of(correlated(np.random.default_rng(seed), 2.0)) for seed in range(3)]
    heights = event_heights(runs, RULES, 50)
    assert heights is not None
    assert heights.watched_hours == pytest.approx(6.0, abs=0.01)  # less a hold a run
    assert len(heights.above) == len(heights.hours) >= 50
    limits = np.linspace(heights.threshold, heights.threshold + heights.above[-1], 7)
    counted = [count_events(runs, limit_from_on(float(on), middle_of(runs)), RULES) for on in limits]
    reached = [(heights.threshold + heights.above > on).sum() for on in limits]
    for number, found in enumerate(reached):
        assert abs(found - max(counted[number:])) <= 2  # heights are told apart in steps of a fortieth


def test_the_likelihood_and_its_tail_are_those_of_scipy() -> None:
    """The most likely shape and scale are those that scipy's density finds on a grid, and S(x) is scipy's."""
    above = genpareto.rvs(0.1, scale=0.7, size=300, random_state=1)
    fit = fit_tail(Heights(2.0, np.sort(above), np.linspace(0.0, 10.0, 300), 10.0))
    shape, scale = float(fit.shapes[fit.best]), float(fit.scales[fit.best])

    def cost(shape: float, scale: float) -> float:
        return float(-genpareto.logpdf(above, shape, scale=scale).sum() + 0.5 * (shape / SHAPE_DEVIATION) ** 2)

    best = min(
        minimize_scalar(lambda scale, shape=shape: cost(shape, scale), bounds=(0.2, 2.0), method="bounded").fun
        for shape in np.linspace(-0.3, 0.5, 33)
    )
    assert cost(shape, scale) - best < 0.3  # a step of the grid of scales is 5 %, of shapes 0.025
    for x in (0.0, 0.5, 3.0):
        assert float(survival(x, np.array(shape), np.array(scale))) == pytest.approx(
            genpareto.sf(x, shape, scale=scale)
        )


def test_at_the_threshold_the_interval_is_that_of_a_poisson_count() -> None:
    """There the shape says nothing: the ends are where the likelihood of the count alone has fallen so far."""
    above = np.sort(np.random.default_rng(0).exponential(0.5, 64))
    heights = Heights(1.0, above, np.linspace(0.1, 7.9, 64), 8.0)
    fit = fit_tail(heights)
    assert fit.dispersion == 1.0  # evenly spread events vary less than independent ones
    found = rate_at(fit, 1.0)
    assert found.rate == 8.0
    for end, drop in ((found.low, LOW_LIKELIHOOD_DROP), (found.high, LIKELIHOOD_DROP)):
        fallen = 64 * math.log(8.0 / end) - 64 + 8.0 * end
        assert fallen == pytest.approx(drop, rel=1e-6)  # the same equation, solved by Lambert's W there
    assert found.low < 8.0 < found.high


def test_events_in_swarms_widen_the_interval() -> None:
    """Ten swarms of six say less than sixty events that came one by one."""
    above = np.sort(np.random.default_rng(0).exponential(0.5, 60))
    alone = Heights(1.0, above, np.sort(np.random.default_rng(1).uniform(0.0, 24.0, 60)), 24.0)
    swarms = Heights(1.0, above, np.repeat(np.random.default_rng(1).uniform(0.0, 24.0, 10), 6), 24.0)
    assert dispersion_of(swarms) > 2.0 * dispersion_of(alone)
    wide, narrow = rate_at(fit_tail(swarms), 3.0), rate_at(fit_tail(alone), 3.0)
    assert wide.high > narrow.high
    assert wide.low < narrow.low


@pytest.mark.parametrize("shape", [0.0, 0.2, -0.25])
def test_the_true_rate_lies_in_the_stated_interval_in_nine_of_ten_runs(shape: float) -> None:
    """Pulses of a height distribution that is known give a rate that is known at any limit, by a formula."""
    right = kept = told = 0
    for seed in range(12):
        found = fit_limit([track_of(pulses(np.random.default_rng(seed), 8.0, shape))], RULES)
        promise = found.promise
        if promise.given_per_day is None or promise.low_per_day is None or promise.high_per_day is None:
            continue
        true = 24.0 * PULSES_PER_HOUR * float(genpareto.sf(found.on - 1.0, shape, scale=0.5))
        told += 1
        right += promise.low_per_day <= true <= promise.high_per_day
        kept += true <= promise.given_per_day == 1.0
    assert told >= 10
    assert right >= 0.8 * told  # nine of ten, less one standard deviation of so few runs: 9 %
    assert kept >= 0.8 * told


@pytest.mark.parametrize("name", ["correlated, heavy tail", "busy and quiet hours", "swarms"])
def test_intervals_hold_for_work_that_is_correlated_heterogeneous_or_swarming(name: str) -> None:
    """The true rate is counted on 200 hours; 8 fits on four hours each give what four hours support."""
    truth = [track_of(PROCESSES[name](np.random.default_rng(7), 200.0))]
    right = 0
    for seed in range(8):
        found = fit_limit([track_of(PROCESSES[name](np.random.default_rng(100 + seed), 4.0))], RULES, 24.0)
        assert found.promise.high_per_day is not None
        assert found.promise.low_per_day is not None
        true = count_events(truth, limit_from_on(found.on, middle_of(truth)), RULES) * 24.0 / 200.0
        right += found.promise.low_per_day <= true <= found.promise.high_per_day
        assert found.is_promise
    assert right >= 7  # nine of ten of 8 runs, rounded down


def test_enough_footage_promises_and_too_little_says_how_much_more() -> None:
    """One a day needs eight hours; on two hours the limit is that of the lowest rate that two hours support."""
    long = fit_limit([track_of(correlated(np.random.default_rng(0), 8.0))], RULES, 1.0)
    short = fit_limit([track_of(correlated(np.random.default_rng(0), 2.0))], RULES, 1.0)
    assert long.is_promise
    assert long.promise.hours_needed == 0.0
    assert long.promise.given_per_day == 1.0
    assert not short.is_promise
    assert short.promise.hours_needed == pytest.approx(6.0, abs=0.01)
    assert short.promise.given_per_day == pytest.approx(4.0, rel=0.01)
    for found in (long, short):
        assert found.promise.high_per_day is not None
        assert found.promise.given_per_day is not None
        assert found.promise.high_per_day <= found.promise.given_per_day


def test_a_camera_with_more_limits_gives_each_an_equal_part() -> None:
    """Two kinds of detector in two zones are four limits: a quarter of the events each, four times the hours."""
    runs = [track_of(correlated(np.random.default_rng(0), 8.0))]
    alone, one_of_four = fit_limit(runs, RULES, 1.0), fit_limit(runs, RULES, 4.0, limits=4)
    assert one_of_four.on == alone.on
    assert one_of_four.promise.share_per_day == 1.0
    strict = fit_limit(runs, RULES, 1.0, limits=4)
    assert strict.promise.hours_needed == pytest.approx(24.0, abs=0.01)


def test_fewer_false_events_ask_for_a_higher_limit() -> None:
    """The limit rises as the rate falls, and never below the tail's beginning."""
    runs = [track_of(correlated(np.random.default_rng(0), 8.0))]
    limits = [fit_limit(runs, RULES, per_day).on for per_day in (1e4, 100.0, 10.0, 1.0)]
    assert limits == sorted(limits)
    assert limits[0] < limits[-1]


def test_what_is_shorter_than_the_hold_raises_no_limit() -> None:
    """It is the rate of the device's events that is promised: flashes of half a second are none, unless the hold is 0."""
    levels = correlated(np.random.default_rng(0), 2.0)
    for start in range(100, len(levels), 300):
        levels[start : start + 2] = 9.0 + 0.001 * (start % 7)
    assert fit_limit([track_of(levels)], Rules(), 24.0).on < 9.0
    assert fit_limit([track_of(levels)], Rules(hold_seconds=0.0), 24.0).on >= 9.0


def test_footage_without_events_states_no_rate() -> None:
    """A still scene promises nothing after an hour, and once three days have shown nothing it promises one a day."""
    still = np.zeros(7200)
    hour = fit_limit([track_of(still)], RULES, 1.0, deviation=0.1)
    assert hour.rates is None
    assert not hour.is_promise
    assert hour.promise.hours_needed == pytest.approx(7.0, abs=0.01)
    assert hour.on == pytest.approx(0.3)
    days = fit_limit([track_of(np.zeros(74 * 7200))], RULES, 1.0, deviation=0.1)
    assert days.is_promise


def test_a_limit_without_promise_is_the_lowest_that_stays_quiet() -> None:
    """A spike shorter than the hold does not raise it, a crossing that lasts does; three deviations are added."""
    level = np.zeros(900)
    level[50:55] = 20.0
    level[150:180] = 4.0
    assert quiet_limit([(np.arange(900) / 10.0, level)], RULES, 0.5) == pytest.approx(4.0 + 1.5, abs=0.01)


def test_a_level_that_follows_every_surprise_is_not_certain_of_the_next() -> None:
    """Without noise of an observation the level itself has no deviation; a frame ahead it has that of its walk."""
    noise = Noise(q_level=2.5, q_trend=0.0, r=1e-6)
    track = (np.arange(300) / 10.0, np.zeros(300))
    levels = [levels_from_track(track, noise)]
    assert levels[0][-1].sd < 0.01
    assert deviation_of(levels, noise, 0.1) == pytest.approx(np.sqrt(2.5 * 0.1), rel=0.01)


def test_little_footage_gives_the_highest_level_as_the_limit() -> None:
    """Half a minute cannot tell a spike from a crossing that lasts: the spike counts."""
    level = np.zeros(300)
    level[50:55] = 20.0
    assert quiet_limit([(np.arange(300) / 10.0, level)], RULES, 0.5) == pytest.approx(20.0 + 1.5)


@pytest.fixture(scope="module")
def limits() -> Limits:
    """Limits of eight hours, as a file holds them."""
    found = fit_limit([track_of(correlated(np.random.default_rng(0), 8.0))], RULES, 1.0)
    return Limits(
        noise=Noise(1.0, 0.0, 1.0),
        on=found.on,
        off=found.off,
        is_promise=found.is_promise,
        highest_level=4.0,
        footage_seconds=28800.0,
        frames=57600,
        footage_digest="",
        rates=found.rates,
        promise=found.promise,
    )


def test_limits_survive_their_file_and_give_another_rate_on_the_device(limits: Limits) -> None:
    """A device that asks for five a day gets the limit that a fit for five a day gives, from the file alone."""
    read = msgspec.json.decode(msgspec.json.encode(limits), type=Limits)
    assert read == limits
    found = fit_limit([track_of(correlated(np.random.default_rng(0), 8.0))], RULES, 5.0)
    asked = limits_for(read, RULES, 5.0)
    assert (asked.on, asked.promise) == (found.on, found.promise)
    assert asked.off == pytest.approx(found.off)
    tenth = limits_for(read, RULES, 0.1)
    assert not tenth.is_promise
    assert tenth.on == limits.on  # eight hours support no less than one a day


def test_other_rules_than_those_of_the_fit_void_the_promise(limits: Limits) -> None:
    """A shorter hold makes more events than were counted; a longer one makes fewer."""
    assert limits_for(limits, Rules(hold_seconds=3.0), None).is_promise
    shorter = limits_for(limits, Rules(hold_seconds=0.5), None)
    assert not shorter.is_promise
    assert shorter.promise is not None
    assert "other rules" in told_promise(shorter.promise, shorter.is_promise)


def test_a_level_is_as_rare_as_the_events_that_reach_it(limits: Limits) -> None:
    """The rate that messages tell falls with the level, and at a limit lies within the interval stated there."""
    assert limits.rates is not None
    rates = [edge.rates.rate_at(limits.rates, level) for level in (0.0, 3.0, limits.on, 50.0)]
    assert rates == sorted(rates, reverse=True)
    assert limits.promise is not None
    assert limits.promise.rate_per_day == pytest.approx(24.0 * rates[2])
    assert (limits.promise.low_per_day or 0.0) <= 24.0 * rates[2] <= (limits.promise.high_per_day or 0.0)


def test_the_promise_is_told_in_plain_sentences(limits: Limits) -> None:
    """What was asked, what is kept with which interval, and what is lacking."""
    assert limits.promise is not None
    told = told_promise(limits.promise, limits.is_promise)
    assert told.startswith("promise: at most 1 false event a day on this camera. Work like this footage makes ")
    assert "(90 % interval " in told
    lacking = limits_for(limits, RULES, 0.5)
    assert lacking.promise is not None
    assert (
        "no promise of a rate: for at most 0.5 false events a day on this camera, 8.0 hours more of normal footage"
        in (told_promise(lacking.promise, lacking.is_promise))
    )


@pytest.mark.parametrize(
    ("per_day", "told"), [(0.0347, "0.035"), (1.24, "1.2"), (66.2, "66"), (120.0, "120"), (1234.5, "1200")]
)
def test_rates_are_told_without_powers_of_ten(per_day: float, told: str) -> None:
    """Two digits count; nobody in a plant reads 1.2e+02."""
    assert told_rate(per_day) == told


def test_the_demo_bundle_is_read_whatever_form_its_limits_have() -> None:
    """The shipped file keeps working."""
    limits = read_bundle(Path("edge/data/demo.prednet")).calibration("float").limits
    assert limits.on > limits.off
    assert limits.rates is not None


def test_site_prints_what_is_promised_as_text_and_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Twelve seconds support no rate; the hours that one and that four a day need are said.

    They are those of both limits: with as much more footage stalls are judged too, and get half of the events.
    """
    video = write_clip(tmp_path / "normal.mkv", normal_images(120))
    call = ["site", str(video), "--predictor", "flow-light", "--size", "40x32", "-o", str(tmp_path / "a.normal")]
    assert calibration.cli.main(call) == 0
    told = capsys.readouterr().out
    assert "at most 1 false event a day on this camera, 0.5 of them at this limit, one of 2, 16.0 hours more" in told
    assert calibration.cli.main([*call, "--false-per-day", "4", "--json"]) == 0
    limits = json.loads(capsys.readouterr().out)
    promise = limits["promise"]
    assert limits.get("stall") is None
    assert promise["asked_per_day"] == 4.0
    assert promise["hours_needed"] == pytest.approx(4.0, abs=0.01)
    assert promise["rules"]["hold_seconds"] == Rules.hold_seconds
    assert calibration.cli.main([*call, "--hold", "0.5", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["promise"]["rules"]["hold_seconds"] == 0.5


@pytest.mark.parametrize("given", ["0", "-1", "many", "nan"])
def test_a_number_of_events_that_is_none_is_refused(given: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One sentence, and the exit code of a wrong call."""
    with pytest.raises(SystemExit) as left:
        calibration.cli.main(["site", "a.mp4", "--predictor", "flow", "-o", "a.normal", "--false-per-day", given])
    assert left.value.code == 2
    assert (
        f"{given} is no number of events a day above 0 and at most 10000; give one such as 1 or 0.5"
        in capsys.readouterr().err
    )


def test_the_device_watches_by_the_limit_that_its_configuration_asks_for(tmp_path: Path, limits: Limits) -> None:
    """The number in the configuration reaches the judge of every camera."""
    model = read_model(write_tiny_bundle(tmp_path / "tiny.prednet"), "float", None)
    model = replace(model, calibration=replace(model.calibration, limits=limits))
    asked = limited(model, Detection(false_events_per_day=5.0)).judge(Rules()).limit
    assert asked is not None
    assert asked.on == limits_for(limits, Rules(), 5.0).on < limits.on
    assert asked.is_promise
