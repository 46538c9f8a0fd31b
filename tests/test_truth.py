"""Events held against known accidents, coverage, limits and event messages."""

from __future__ import annotations

import math

import numpy as np
import pytest

from calibration.limits import fit_tail, quiet_limit
from edge.calibrated import Tail, rate_per_hour
from edge.coverage import CoverageMeter
from edge.detection import Rules
from edge.level import Level
from edge.scene import Incident
from edge.truth import Seen, account_for


def test_events_are_of_the_accident_in_which_they_begin() -> None:
    """Found, missed and false; an event that lasts into an accident has found nothing."""
    incidents = {
        "a": [Incident("fire", 10, 15), Incident("jam", 30, 35), Incident("frozen", 50, 55)],
        "b": [Incident("fall", 10, 15)],
    }
    events = [Seen("a", 10.5, 16, 12.0), Seen("a", 20, 40, 21.5), Seen("a", 51, 53, 52.5), Seen("b", 80, 81, 81)]
    account = account_for(events, incidents)
    assert [(finding.incident.kind, finding.delay_seconds) for finding in account.findings] == [
        ("fire", 2.0),
        ("jam", None),
        ("fall", None),
    ]
    assert account.found == 1
    assert account.false_events == (events[1], events[3])  # the third belongs to a condition, which is no accident


def test_coverage_sums_the_seconds_of_each_state() -> None:
    """An hour and a day back, on a clock of our own."""
    now = [0.0]
    meter = CoverageMeter(lambda: now[0])
    for seconds, state in ((30.0, "warming_up"), (31.0, "watching"), (3631.0, "degraded"), (3641.0, "watching")):
        now[0] = seconds
        meter.enter(state)
    now[0] = 7241.0
    coverage = meter.coverage()
    assert (coverage.day.blind_seconds, coverage.day.warming_seconds) == (30.0, 1.0)
    assert (coverage.day.watched_seconds, coverage.day.degraded_seconds) == (7200.0, 10.0)
    assert coverage.hour.watched_seconds == pytest.approx(3600.0, abs=60.0)  # summed in steps of a minute
    now[0] = 200000.0
    assert meter.coverage().day.watched_seconds == pytest.approx(86400.0, abs=200000.0)


def test_a_limit_without_promise_is_the_lowest_that_stays_quiet() -> None:
    """A spike shorter than the hold does not raise it, a crossing that lasts does; three deviations are added."""
    level = np.zeros(900)
    level[50:55] = 20.0
    level[150:180] = 4.0
    levels = [Level(float(mean), 0.0, 0.25, 0.0, 0.0) for mean in level]
    on, off = quiet_limit([(np.arange(900) / 10.0, levels)], Rules())
    assert on == pytest.approx(4.0 + 1.5, abs=0.01)
    assert off == pytest.approx(on / 2, abs=0.01)


def test_little_footage_gives_the_highest_level_as_the_limit() -> None:
    """Half a minute cannot tell a spike from a crossing that lasts: the spike counts."""
    level = np.zeros(300)
    level[50:55] = 20.0
    levels = [Level(float(mean), 0.0, 0.25, 0.0, 0.0) for mean in level]
    assert quiet_limit([(np.arange(300) / 10.0, levels)], Rules())[0] == pytest.approx(20.0 + 1.5)


def test_the_tail_tells_how_often_a_level_is_seen() -> None:
    """On ten hours with an exponential tail, rates come out within a factor of two."""
    rng = np.random.default_rng(0)
    level = np.zeros(360_000)
    peaks = rng.integers(0, len(level), 400)
    level[peaks] = 1.0 + rng.exponential(0.5, 400)
    level += rng.uniform(0, 0.5, len(level))
    tail = fit_tail([(np.arange(len(level)) * 0.1, level)])
    assert tail is not None
    counted = float((level > 2.5).sum()) / 10.0
    rate = rate_per_hour(2.5, tail)
    assert rate is not None
    assert counted / 2 < rate < counted * 2
    assert fit_tail([(np.arange(50) * 0.1, rng.normal(0, 1, 50))]) is None


def test_rates_fall_by_e_with_every_scale() -> None:
    """Below the tail's beginning the rate is that of the beginning; without a tail nothing is claimed."""
    tail = Tail(2.0, 6.0, 0.5)
    assert rate_per_hour(1.0, tail) == 6.0
    assert rate_per_hour(2.5, tail) == pytest.approx(6.0 / math.e)
    assert rate_per_hour(2.5, None) is None
