"""The publisher against real brokers: order, retained states, the backlog and its pace."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from edge.errors import BrokerUnreachable, ConfigInvalid
from edge.messages import EventLatency
from edge.mqtt import BrokerSettings, Subscriber, TlsFiles
from edge.mqtt.connection import Outcome, RetryPolicy
from edge.outbox import Outbox
from tests.brokers import Mosquitto, free_port, mosquitto
from tests.publishing import (
    HEALTH,
    SCORE,
    TOPICS,
    Address,
    embedded,
    event,
    events,
    heard_until,
    publishing,
    retained,
    settings_of,
    statuses,
    subtopic,
    wait_until,
    watching,
)


@pytest.fixture(params=["mosquitto", "embedded"])
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Mosquitto | Address]:
    """Run each broker that the package is used with."""
    if request.param == "mosquitto":
        with mosquitto(tmp_path) as real:
            yield real
        return
    with embedded("v5") as address:
        yield address


@pytest.fixture
def real(tmp_path: Path) -> Iterator[Mosquitto]:
    """Run a Mosquitto that a test may stop and kill."""
    with mosquitto(tmp_path) as real:
        yield real


def test_order_on_connect_and_on_close(broker: Mosquitto | Address, tmp_path: Path) -> None:
    """A connect says info, states, and online last; a close says stopping, what is live, offline."""
    with watching(broker) as watcher:
        with publishing(tmp_path, settings_of(broker)) as (publisher, outbox):
            for number in range(30):
                publisher.set_state(f"cam/press{number}/state", "watching")
            messages = heard_until(watcher, b"online")
            first = publisher.publish_event(event(1))
            wait_until(lambda: outbox.depth().messages == 0)
            last = publisher.publish_event(event(2))
        messages += heard_until(watcher, b"offline")
    names = [subtopic(message) for message in messages]
    assert names[0] == "info"
    assert {name for name in names[1 : names.index("status")] if name != "events"} == {
        f"cam/press{number}/state" for number in range(30)
    }
    assert statuses(messages) == ["online", "stopping", "offline"]
    assert names[-1] == "status"
    assert [one["seq"] for one in events(messages)] == [first.seq, last.seq] == [1, 2]
    assert not any(message.retained for message in messages), "all of it came live"


def test_states_are_retained_and_events_are_not(broker: Mosquitto | Address, tmp_path: Path) -> None:
    """A late subscriber finds the last value of every state, and no event and no score."""
    with publishing(tmp_path, settings_of(broker)) as (publisher, outbox):
        publisher.set_state("cam/press3/anomaly", "ON")
        publisher.set_state("health", HEALTH, qos=0)
        wait_until(lambda: publisher.is_connected)
        publisher.publish_event(event(1))
        publisher.send("cam/press3/score", SCORE)
        publisher.set_state("cam/press3/anomaly", "OFF")
        wait_until(lambda: outbox.depth().messages == 0)
        states = {"cam/press3/anomaly": b"OFF", "health": HEALTH, "status": b"online"}
        wait_until(lambda: states.items() <= retained(broker).items())
        found = retained(broker)
    info = json.loads(found.pop("info"))
    assert found == states
    assert (info["boot_id"], info["conn_seq"]) == ("boot1", 1)


def test_every_live_event_arrives_in_order(broker: Mosquitto | Address, tmp_path: Path) -> None:
    """A burst larger than the window arrives whole, in order, unflagged, and leaves the outbox."""
    with watching(broker) as watcher, publishing(tmp_path, settings_of(broker)) as (publisher, outbox):
        wait_until(lambda: publisher.is_connected)
        for number in range(200):
            publisher.publish_event(event(number))
        wait_until(lambda: outbox.depth().messages == 0)
        arrived = events(list(watcher.messages(0.3)))
    assert [one["seq"] for one in arrived] == list(range(1, 201))
    assert not any(one["historical"] for one in arrived)
    assert all(one["time"]["published"].endswith("Z") for one in arrived)


def test_backlog_is_historical_and_paced(broker: Mosquitto | Address, tmp_path: Path) -> None:
    """What was put before the connection comes after live events, at 20 a second or fewer, flagged."""
    with Outbox(tmp_path / "outbox.db", "plant7", "edge1", "boot0") as outbox:
        for number in range(12):
            outbox.put(event(number))
    with watching(broker) as watcher, publishing(tmp_path, settings_of(broker)) as (publisher, outbox):
        wait_until(lambda: publisher.is_connected)
        began = time.monotonic()
        publisher.publish_event(event(99))
        wait_until(lambda: outbox.depth().messages == 0)
        took = time.monotonic() - began
        arrived = events(list(watcher.messages(0.3)))
    flags = {one["event_id"]: one["historical"] for one in arrived}
    assert flags == {**{f"E{number}": True for number in range(12)}, "E99": False}
    assert [one["event_id"] for one in arrived].index("E99") <= 2, "the live lane goes first"
    assert took >= 9 / 20, "12 messages take 11 intervals; two of them may pass before the clock starts"


def test_losses_are_announced(real: Mosquitto, tmp_path: Path) -> None:
    """What the outbox had to drop while the broker was away arrives as a gap."""
    with Outbox(tmp_path / "outbox.db", "plant7", "edge1", "boot0", bytes_limit=2000) as outbox:
        for number in range(30):
            outbox.put(event(number))
        kept = outbox.depth().messages
    with watching(real) as watcher, publishing(tmp_path, settings_of(real)) as (publisher, outbox):
        wait_until(lambda: publisher.is_connected and outbox.depth().messages == 0)
        arrived = events(list(watcher.messages(0.3)))
    gaps = [one for one in arrived if one["type"] == "gap"]
    assert [(gap["from_seq"], gap["to_seq"], gap["lost_boot_id"]) for gap in gaps] == [(1, 30 - kept, "boot0")]
    assert len(arrived) == kept + 1


def test_an_event_tells_how_long_it_took_to_be_published(real: Mosquitto, tmp_path: Path) -> None:
    """Capture to publication is capture to score and the time on disk: short when live, long after an outage."""
    timed = msgspec.structs.replace(event(1), latency_ms=EventLatency(capture_to_score=40.0))
    with Outbox(tmp_path / "outbox.db", "plant7", "edge1", "boot0") as outbox:
        outbox.put(timed)
        time.sleep(0.5)
    with watching(real) as watcher, publishing(tmp_path, settings_of(real)) as (publisher, outbox):
        wait_until(lambda: publisher.is_connected and outbox.depth().messages == 0)
        publisher.publish_event(msgspec.structs.replace(timed, event_id="E2"))
        wait_until(lambda: outbox.depth().messages == 0)
        told = {one["event_id"]: one["latency_ms"] for one in events(list(watcher.messages(0.3)))}
    assert {latency["capture_to_score"] for latency in told.values()} == {40.0}
    assert told["E1"]["capture_to_publish"] >= 540.0
    assert 40.0 <= told["E2"]["capture_to_publish"] < told["E1"]["capture_to_publish"]


def test_older_broker(tmp_path: Path) -> None:
    """A broker that only speaks 3.1.1 is served with it: same order, same clean end."""
    with embedded("v4") as old:
        watcher_settings = settings_of(old, "watcher", protocol="3.1.1")
        with Subscriber(watcher_settings, TOPICS.full("#")) as watcher:
            with publishing(tmp_path, settings_of(old)) as (publisher, _):
                messages = heard_until(watcher, b"online")
                publisher.publish_event(event(1))
            messages += heard_until(watcher, b"offline")
    assert subtopic(messages[0]) == "info"
    assert statuses(messages) == ["online", "stopping", "offline"]
    assert len(events(messages)) == 1


def test_scores_are_dropped_and_counted_without_a_connection(tmp_path: Path) -> None:
    """Fleeting messages have a bound; the oldest go and are counted."""
    with publishing(tmp_path, settings_of(Address("127.0.0.1", free_port()))) as (publisher, _):
        for _number in range(100):
            publisher.send("cam/press3/score", b"{}")
        assert publisher.drops["scores"] == 36, "64 wait"


def test_subscriber_without_a_broker() -> None:
    """A subscriber says at once that there is no broker."""
    with pytest.raises(BrokerUnreachable, match=r"127\.0\.0\.1:\d+ cannot be used"):
        watching(Address("127.0.0.1", free_port())).__enter__()


def test_missing_tls_file(tmp_path: Path) -> None:
    """A TLS file that is not there is refused at the start."""
    settings = settings_of(Address("127.0.0.1", 1), tls=TlsFiles(ca=tmp_path / "ca.pem"))
    with pytest.raises(ConfigInvalid, match="TLS file"), publishing(tmp_path, settings):
        pass


def test_password_is_not_shown() -> None:
    """Settings in a log do not carry the password."""
    assert "secret" not in repr(BrokerSettings("h", password="secret"))  # noqa: S106


@pytest.mark.parametrize(
    ("outcome", "failures", "least", "most"),
    [
        (Outcome.LOST, 0, 0.0, 1.0),
        (Outcome.LOST, 3, 0.0, 8.0),
        (Outcome.LOST, 1000, 0.0, 60.0),
        (Outcome.TAKEN_OVER, 0, 60.0, 61.0),
        (Outcome.REFUSED, 1000, 300.0, 360.0),
    ],
)
def test_retry_delays(outcome: Outcome, failures: int, least: float, most: float) -> None:
    """Delays have full jitter from 1 s doubling to 60 s, above the floors of the contract."""
    policy = RetryPolicy()
    assert policy.delay_seconds(outcome, failures, 0.0) == least
    assert policy.delay_seconds(outcome, failures, 1.0) == most
