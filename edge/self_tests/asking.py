"""A self-test asked for over the broker, from the device's own login, and its events received by a subscriber."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from edge.command_messages import Command, Reply
from edge.config_file import read_config
from edge.errors import DeviceUnavailable, JsonError
from edge.messages import encode, utc_from_seconds
from edge.mqtt import Received, Subscriber
from edge.self_tests.results import CameraTest, SelfTest, Station
from edge.setup import broker_of
from edge.topics import EVENTS, Topics, default_device, reply_subtopic

ANSWER_SECONDS = 10.0
MOST_SECONDS = 180.0
ASK_AGAIN_SECONDS = 2.0


class _Said(msgspec.Struct):
    """What is read of an event."""

    event_id: str
    test: bool = False


@dataclass
class Talk:
    """One conversation with a daemon: its topics, and the test events that arrived, by id."""

    subscriber: Subscriber
    topics: Topics
    arrived: set[str] = field(default_factory=set)
    replies: dict[str, Reply] = field(default_factory=dict)

    def ask(self, verb: str) -> Reply:
        """Return the daemon's answer. Raises DeviceUnavailable where none comes."""
        request_id = f"self-test-{secrets.token_hex(6)}"
        command = Command(request_id=request_id, expires=utc_from_seconds(time.time() + 60.0))
        self.subscriber.send(self.topics.full(f"cmd/{verb}"), encode(command))
        began = time.monotonic()
        while time.monotonic() - began < ANSWER_SECONDS:
            self.listen(0.1)
            if request_id in self.replies:
                return self.replies[request_id]
        raise DeviceUnavailable(
            f"{self.topics.root}: no daemon answers within {ANSWER_SECONDS:g} s; is it running, and may this login "
            f"write {self.topics.full('cmd/' + verb)} (docs/mosquitto/acl)?"
        )

    def listen(self, seconds: float) -> None:
        """Take in what has come, and wait so long for more; what is no event and no answer is somebody else's."""
        for message in self.subscriber.messages(seconds):
            with suppress(*JsonError):
                self._take(message)

    def _take(self, message: Received) -> None:
        if message.topic == self.topics.full(EVENTS):
            event = msgspec.json.decode(message.payload, type=_Said)
            if event.test:
                self.arrived.add(event.event_id)
        else:
            reply = msgspec.json.decode(message.payload, type=Reply)
            self.replies[reply.request_id] = reply


def asked(config_path: Path, progress: Callable[[float], None] = lambda _: None) -> SelfTest:
    """Return the result of a self-test that the running daemon makes now; its broker station says what arrived here.

    Raises BrokerUnreachable, or DeviceUnavailable where no daemon answers or it does not come to an end.
    """
    config = read_config(config_path)
    topics = Topics(config.site, config.device or default_device())
    settings = broker_of(config, topics)
    settings = replace(settings, client_id=f"{settings.client_id}-self-test-{secrets.token_hex(3)}")
    filters = topics.full(EVENTS), topics.full(reply_subtopic("+"))
    with Subscriber(settings, *filters) as subscriber:
        talk = Talk(subscriber, topics)
        test = _awaited(talk, progress)
        return _with_arrivals(test, talk)


def _awaited(talk: Talk, progress: Callable[[float], None]) -> SelfTest:
    reply = talk.ask("self_test")
    test_id = (reply.result or {}).get("injection")
    began = time.monotonic()
    while time.monotonic() - began < MOST_SECONDS:
        progress(time.monotonic() - began)
        found = (talk.ask("diagnostics").result or {}).get("self_test")
        if found is not None and found["id"] == test_id:
            return msgspec.convert(found, SelfTest)
        talk.listen(ASK_AGAIN_SECONDS)
    raise DeviceUnavailable(f"{talk.topics.root}: the self-test has no end after {MOST_SECONDS:g} s; see the log.")


def _with_arrivals(test: SelfTest, talk: Talk) -> SelfTest:
    """The result with what a subscriber saw: the event must have arrived, not only been acknowledged."""
    began = time.monotonic()
    wanted = {one.event_id for one in test.cameras if one.passed}
    while not wanted <= talk.arrived and time.monotonic() - began < ANSWER_SECONDS:
        talk.listen(0.1)
    cameras = tuple(_seen(test, talk.arrived))
    passed = test.passed and all(one.passed for one in cameras)
    return msgspec.structs.replace(test, cameras=cameras, passed=passed)


def _seen(test: SelfTest, arrived: set[str]) -> Iterator[CameraTest]:
    for one in test.cameras:
        if not one.passed:
            yield one
            continue
        has_come = one.event_id in arrived
        told = "acknowledged, and received by a subscriber" if has_come else "acknowledged, and never delivered"
        broker = one.stations[-1]
        last = Station(name=broker.name, passed=has_come, told=told, milliseconds=broker.milliseconds)
        yield msgspec.structs.replace(one, stations=(*one.stations[:-1], last))
