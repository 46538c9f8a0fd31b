"""Events held against known accidents, coverage, and the rates of files of an earlier form."""

from __future__ import annotations

import pytest

from edge.coverage import CoverageMeter
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
