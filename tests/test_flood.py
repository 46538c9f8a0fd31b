"""A flood of events: a cap for each camera and hour, whole events held back, and one summary with their number."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec

from edge.flood import HOUR_SECONDS, Flood, Floods, passed
from edge.labels import seconds_from_utc
from edge.messages import Event
from tests.brokers import mosquitto
from tests.commanding import Operator, running
from tests.daemons import write_config
from tests.publishing import event


def message(number: int, type_: str) -> Event:
    """A message of an event."""
    return msgspec.structs.replace(event(number), type=type_)


def test_what_exceeds_the_cap_is_held_back_whole_until_the_hour_has_passed() -> None:
    """Two an hour: the third is held back with its update and its end; the fourth comes when the first is an hour old."""
    flood, told = Flood(), []
    for seconds, number, type_ in (
        (0.0, 1, "new"), (5.0, 1, "end"), (10.0, 2, "new"), (20.0, 3, "new"), (25.0, 3, "update"), (26.0, 2, "end"),
        (30.0, 3, "end"), (40.0, 4, "new"), (HOUR_SECONDS + 1.0, 5, "new"),
    ):  # fmt: skip
        flood, may_pass = passed(flood, message(number, type_), seconds, 2)
        told += [(number, type_)] if may_pass else []
    assert told == [(1, "new"), (1, "end"), (2, "new"), (2, "end"), (5, "new")]
    assert (flood.suppressed, flood.since_seconds, flood.held) == (2, 20.0, {"E4"})


def test_each_camera_is_told_of_once_an_hour_after_its_first_was_held_back() -> None:
    """One camera's flood says nothing of another's, and a told one begins anew."""
    floods = Floods(1)
    for number in range(4):
        floods.admits("press3", message(number, "new"), 100.0 + number)
    assert floods.admits("saw", message(9, "new"), 104.0)
    assert list(floods.due(101.0 + HOUR_SECONDS - 1.0)) == []
    ((camera, flood),) = floods.due(101.0 + HOUR_SECONDS)
    assert (camera, flood.suppressed, flood.since_seconds) == ("press3", 3, 101.0)
    assert list(floods.due(1e9)) == []


def test_a_device_tells_the_cap_s_events_and_one_summary(tmp_path: Path) -> None:
    """Over a real broker: one event of the camera an hour, and at the stop how many more there were."""
    with mosquitto(tmp_path) as broker, Operator(broker.port) as operator:
        config = write_config(tmp_path, broker.port, loop=True)
        config.write_text(config.read_text() + "detection: {most_events_per_hour: 1, hold_seconds: 0.5}\n")
        with running(config):
            operator.wait("events", holding=b'"end"')
            for _ in range(2):  # the clip begins again: another accident
                operator.wait("cam/busy/anomaly", after=len(operator.heard), holding=b"ON")
        operator.wait("events", holding=b'"flood"')
        (summary,) = operator.events("flood")
        begun = [one for kind in ("surprise", "stall") for one in operator.events(kind) if one["type"] == "new"]
    assert len([one for one in begun if one["camera"] == "busy"]) == 1
    assert summary["suppressed"] >= 1
    assert abs(time.time() - seconds_from_utc(summary["time"]["start"])) < 120.0, "of this minute, by the wall clock"
    assert (summary["camera"], summary["type"]) == ("busy", "end")
