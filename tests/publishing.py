"""A publisher over a real outbox, and what tests of it look at."""

from __future__ import annotations

import importlib
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from edge.messages import Event, EventTime, Health, Info, OutboxHealth, Score, encode
from edge.mqtt import BrokerSettings, Publisher, Received, RetryPolicy, Subscriber
from edge.outbox import Outbox
from edge.topics import Topics
from tests.brokers import Mosquitto, TakingOver
from tests.needs import need

TOPICS = Topics("plant7", "edge1")
QUICK = RetryPolicy(first_seconds=0.1, longest_seconds=0.3, taken_over_floor_seconds=0.5, refused_floor_seconds=0.5)
WAIT_SECONDS = 10.0
TIME = "2026-11-22T14:03:11.480Z"
HEALTH = encode(Health(time=TIME, uptime_seconds=1.0, outbox=OutboxHealth(depth=0, bytes=0), drops={}, cameras={}))
SCORE = encode(Score(time=TIME, valid=False))


class Address(NamedTuple):
    """Where a broker listens."""

    host: str
    port: int


def settings_of(broker: Mosquitto | TakingOver | Address, client_id: str = "edge1", **options: Any) -> BrokerSettings:
    """Return settings for a test broker."""
    return BrokerSettings(broker.host, broker.port, client_id=client_id, **options)


@contextmanager
def publishing(folder: Path, settings: BrokerSettings, boot_id: str = "boot1") -> Iterator[tuple[Publisher, Outbox]]:
    """Run a publisher over an outbox in the folder."""
    info = Info(boot_id=boot_id, versions={}, cameras=("press3",), capabilities=(), config_hash="h", engine="ready")
    with (
        Outbox(folder / "outbox.db", TOPICS.site, TOPICS.device, boot_id) as outbox,
        Publisher(settings, TOPICS, outbox, info, retry=QUICK) as publisher,
    ):
        yield publisher, outbox


def watching(broker: Mosquitto | Address, client_id: str = "watcher") -> Subscriber:
    """Return a subscriber to everything of the device."""
    return Subscriber(settings_of(broker, client_id), TOPICS.full("#"))


def event(number: int) -> Event:
    """Return a small event."""
    return Event(
        type="new",
        event_id=f"E{number}",
        site=TOPICS.site,
        device=TOPICS.device,
        camera="press3",
        kind="surprise",
        time=EventTime(clock="synced", start=TIME),
    )


def wait_until(condition: Callable[[], bool], seconds: float = 2 * WAIT_SECONDS) -> None:
    """Wait until a condition holds; fail after twenty seconds, or as many as are given."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition never held"
        time.sleep(0.01)


def subtopic(message: Received) -> str:
    """Return the part of the topic below the device's root."""
    return message.topic.removeprefix(TOPICS.root + "/")


def statuses(messages: list[Received]) -> list[str]:
    """Return the values of `status`, in order."""
    return [message.payload.decode() for message in messages if subtopic(message) == "status"]


def heard_until(watcher: Subscriber, status: bytes) -> list[Received]:
    """Return what the watcher hears until `status` says this; fail where nothing comes for ten seconds."""
    heard = []
    for message in watcher.messages(WAIT_SECONDS):
        heard.append(message)
        if subtopic(message) == "status" and message.payload == status:
            return heard
    raise AssertionError(f"status never said {status!r}; heard {heard[-3:]}")


def events(messages: list[Received]) -> list[dict[str, Any]]:
    """Return the events, in order."""
    return [json.loads(message.payload) for message in messages if subtopic(message) == "events"]


def retained(broker: Mosquitto | Address) -> dict[str, bytes]:
    """Return what the broker retains of the device."""
    with watching(broker, "late") as late:
        return {subtopic(message): message.payload for message in late.messages(0.3) if message.retained}


@contextmanager
def embedded(version: str) -> Iterator[Address]:
    """Run the embedded broker with one version of the protocol, where its library is installed."""
    need("iotcore")
    door = importlib.import_module("edge.broker")
    with door.EmbeddedBroker(version) as running:
        yield Address(running.host, running.port)
