"""What holds for every test: each message that a device publishes in it keeps the contract."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from edge.mqtt.connection import Wire
from edge.mqtt.subscriber import Subscriber
from tests.holding import violations


@pytest.fixture(autouse=True)
def every_message_keeps_the_contract(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Look at what is published in this process, and at what other processes let a subscriber receive."""
    found: list[str] = []
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
    assert not found, f"{len(found)} messages break the contract: {found[:5]}"
