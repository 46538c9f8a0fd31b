"""Conditions as they are told: events of their own kind, and the retained state of the camera."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from edge.condition_events import ToldConditions, event_from_conditions
from edge.events import Teller
from edge.frames import Frame
from edge.messages import Condition, ConditionName, Event, EventModel, encode
from edge.moments import Moment, Sensed
from edge.mqtt import BrokerSettings, Subscriber
from edge.senses import Senses
from tests.brokers import Mosquitto
from tests.daemons import R, receive, start

ROOT = Path(__file__).parents[1]
TELLER = Teller(
    site="plant7", device="edge1", camera="press3", model=EventModel(bundle="b", name="n", variant="float", fps=10.0),
    rates={}, calibrated=True, wall_offset_seconds=1_000_000.0, clock="synced", media_offset_seconds=None,
    new_id=lambda seconds: f"id-{seconds:g}",
)  # fmt: skip


def moment(seconds: float, *names: ConditionName) -> Moment:
    """A frame with conditions."""
    empty = np.zeros((1, 1, 1), np.float32)
    frame = Frame(np.zeros((1, 1, 1), np.uint8), seconds)
    conditions = tuple(Condition(name=name, confidence=0.9) for name in names)
    senses = Senses(empty[0], empty[0], np.zeros((2, 2, 1), np.float32))
    sensed = Sensed("press3", frame, "degraded", 0.1, empty, empty, frame.image, senses, None, conditions, bool(names))
    return Moment("press3", seconds, "degraded", sensed)


def told(moments: list[Moment]) -> list[Event]:
    """Return the events that a run of moments makes."""
    events: list[Event] = []
    state: ToldConditions | None = None
    for one in moments:
        state, event = event_from_conditions(TELLER, state, one, 1_000_100.0)
        events += [event] if event is not None else []
    return events


def test_conditions_run_from_new_over_update_to_end_under_one_id() -> None:
    """Only changes are told; the end keeps the last names, and each message is one of the contract."""
    events = told([moment(1.0), moment(2.0, "moved"), moment(2.1, "moved"), moment(3.0, "moved", "frame_gap"),
                   moment(9.0)])  # fmt: skip
    assert [(event.type, event.rev, event.conditions, event.end_reason) for event in events] == [
        ("new", 1, ("moved",), None),
        ("update", 2, ("frame_gap", "moved"), None),
        ("end", 3, ("frame_gap", "moved"), "cleared"),
    ]
    assert {(event.kind, event.event_id, event.camera) for event in events} == {("condition", "id-1e+06", "press3")}
    assert events[-1].time.start == "1970-01-12T13:46:42.000Z"
    assert events[-1].time.end == "1970-01-12T13:46:49.000Z"
    assert all(json.loads(encode(event))["schema"] == "prednet.event" for event in events)


def test_a_lost_camera_ends_its_conditions() -> None:
    """What nobody sees has no condition any more; the reason is that of the loss."""
    events = told([moment(2.0, "blocked"), Moment("press3", 5.0, "blind", lost="camera_lost")])
    assert [(event.type, event.end_reason) for event in events] == [("new", None), ("end", "camera_lost")]


def test_a_covered_camera_reaches_a_subscriber_and_no_anomaly_does(tmp_path: Path, broker: Mosquitto) -> None:
    """`condition` is retained as [] and as blocked, one event of the kind `condition` opens and ends, none else."""
    config = tmp_path / "config.yaml"
    config.write_text(
        f"site: plant7\ndevice: edge1\nbundle: {ROOT}/edge/data/demo.prednet\nstate_directory: state\n"
        f"cameras:\n  press3: {{source: 'test://factory?seed=2&conditions=covered&first=5&seconds=14', playback: fast}}\n"
        f"mqtt: {{port: {broker.port}}}\n"
    )
    with Subscriber(BrokerSettings("127.0.0.1", broker.port, client_id="test"), "prednet/v1/#") as subscriber:
        daemon = start(config)
        received = receive(subscriber, f"{R}/status offline")
        assert daemon.wait(15) == 0
    topic = f"{R}/cam/press3/condition"
    states = [[one["name"] for one in json.loads(m.payload)] for m in received if m.topic == topic]
    assert states == [[], ["blocked"], []]
    events = [json.loads(message.payload) for message in received if message.topic == f"{R}/events"]
    assert [(event["kind"], event["type"]) for event in events] == [
        ("condition", "new"), ("condition", "end"), ("condition", "evidence")]  # fmt: skip
    assert "degraded" in [m.payload.decode() for m in received if m.topic == f"{R}/cam/press3/state"]
