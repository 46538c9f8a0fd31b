"""What every test has: each message that a device publishes in it is held to the contract; a broker for who asks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge.mqtt.connection import Wire
from edge.mqtt.subscriber import Subscriber
from tests.brokers import Mosquitto, mosquitto
from tests.holding import violations


@pytest.fixture(autouse=True)
def every_message_keeps_the_contract(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """Look at what is published in this process and its children, and at what a subscriber receives."""
    found: list[str] = []
    of_children = tmp_path_factory.getbasetemp() / "held"
    monkeypatch.setenv("PREDNET_HELD_TO", str(of_children))
    publish, receive = Wire.publish, Subscriber._on_message

    def held_publish(self: Wire, topic: str, payload: bytes, **options: Any) -> int:
        found.extend(violations(topic, payload, qos=options["qos"], retain=options["retain"]))
        return publish(self, topic, payload, **options)

    def held_receive(self: Subscriber, client: Any, data: Any, message: Any) -> None:
        found.extend(violations(message.topic, bytes(message.payload)))
        receive(self, client, data, message)

    monkeypatch.setattr(Wire, "publish", held_publish)
    monkeypatch.setattr(Subscriber, "_on_message", held_receive)
    yield
    if of_children.exists():
        found.extend(of_children.read_text(encoding="utf-8").splitlines())
        of_children.unlink()
    assert not found, f"{len(found)} messages break the contract: {found[:5]}"


@pytest.fixture(scope="module")
def module_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    """Run one Mosquitto for a module."""
    with mosquitto(tmp_path_factory.mktemp("broker")) as real:
        yield real


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """Run a Mosquitto of the test's own."""
    folder = tmp_path / "broker"
    folder.mkdir()
    with mosquitto(folder) as real:
        yield real
