"""A daemon in a thread before a real broker, and someone who sends it commands and reads the replies."""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from paho.mqtt.client import Client, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion

from edge.daemon import watch_device
from edge.messages import utc_from_seconds
from edge.mqtt import BrokerSettings, Received, Subscriber
from edge.setup import Device, read_device
from edge.throttle import Throttle
from tests.brokers import Mosquitto

R = "prednet/v1/plant7/edge1"
WAIT_SECONDS = 20.0


class Operator:
    """Sends commands and keeps all that the device says; opened and closed by `with`."""

    def __init__(self, port: int, name: str = "op") -> None:
        self._ears = Subscriber(BrokerSettings("127.0.0.1", port, client_id=f"{name}-ears"), f"{R}/#")
        self._client = Client(CallbackAPIVersion.VERSION2, client_id=f"{name}-mouth", protocol=MQTTv5)
        self._port = port
        self.heard: list[Received] = []

    def __enter__(self) -> Operator:
        self._ears.__enter__()
        self._client.connect("127.0.0.1", self._port)
        self._client.loop_start()
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()
        self._ears.close()

    def send(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Publish with QoS 1 and wait until the broker has it."""
        self._client.publish(topic, payload, qos=1, retain=retain).wait_for_publish(5.0)

    def order(self, verb: str, args: dict[str, Any] | None = None, *, retain: bool = False, **fields: Any) -> str:
        """Send a command and return its request id; `fields` replace parts of it."""
        command = {
            "request_id": secrets.token_hex(8),
            "expires": utc_from_seconds(time.time() + 60),
            "args": args or {},
        }
        command |= fields
        self.send(f"{R}/cmd/{verb}", json.dumps(command).encode(), retain=retain)
        return str(command["request_id"])

    def ask(self, verb: str, args: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
        """Send a command and return the reply."""
        before = len(self.heard)
        return self.reply(self.order(verb, args, **fields), before)

    def reply(self, request_id: str, after: int = 0) -> dict[str, Any]:
        """Return the first reply to a command after so many messages."""
        return json.loads(self.wait(f"reply/{request_id}", after).payload)

    def wait(self, subtopic: str, after: int = 0, holding: bytes = b"", wait_seconds: float = WAIT_SECONDS) -> Received:
        """Return the first message under a subtopic, after so many messages, that holds some bytes."""
        deadline = time.monotonic() + wait_seconds
        while True:
            for message in self.heard[after:]:
                if message.topic == f"{R}/{subtopic}" and holding in message.payload:
                    return message
            assert time.monotonic() < deadline, f"{subtopic} was not heard; last: {self.heard[-3:]}"
            self.listen(0.05)

    def listen(self, seconds: float) -> None:
        """Take in what has come, until nothing came for a while."""
        for message in self._ears.messages(seconds):
            self.heard.append(message)
            if message.topic.startswith(f"{R}/cam/"):  # scores never end: look up
                return

    def events(self, kind: str, after: int = 0) -> list[dict[str, Any]]:
        """Return the events of a kind that were heard; evidence comes when it does."""
        found = [json.loads(one.payload) for one in self.heard[after:] if one.topic == f"{R}/events"]
        return [event for event in found if event.get("kind") == kind and event["type"] != "evidence"]


@contextmanager
def running(config: Path, throttle: Throttle | None = None) -> Iterator[threading.Thread]:
    """Run the daemon of a configuration in a thread, as `prednet-edge run` does in a process."""
    stopping, throttle = threading.Event(), throttle or Throttle()

    def read_again() -> Device:
        return read_device(config, slower=throttle.is_slow)

    def run() -> None:
        device: Device | None = read_again()
        while device is not None:
            device = watch_device(device, stopping, read_again=read_again, throttle=throttle)

    thread = threading.Thread(target=run, name="daemon-under-test")
    thread.start()
    try:
        yield thread
    finally:
        stopping.set()
        thread.join(30.0)
        assert not thread.is_alive()


@contextmanager
def served(folder: Path, config: Path, broker: Mosquitto) -> Iterator[Operator]:
    """Run a daemon and an operator beside it, from the first frame that is watched."""
    with Operator(broker.port) as operator, running(config):
        operator.wait("cam/busy/state", holding=b"watching")
        operator.wait("cam/quiet/state", holding=b"watching")
        yield operator
