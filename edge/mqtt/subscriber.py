"""A small subscriber: for the demo, for commands that watch a device, and for tests."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, NamedTuple

from paho.mqtt.client import Client, MQTTMessage

from edge.errors import BrokerUnreachable
from edge.mqtt.connection import BrokerSettings, connect, new_client

QUEUE_LIMIT = 10_000


class Received(NamedTuple):
    """A message as it came; `retained` tells an old state from a live message."""

    topic: str
    payload: bytes
    retained: bool


class Subscriber:
    """Receives what matches `topic_filters` (QoS 1), from `with` to `with`; one connection, no retry.

    Raises BrokerUnreachable on entry if the broker does not grant the subscription in time.
    """

    def __init__(
        self,
        settings: BrokerSettings,
        *topic_filters: str,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings, self._filters, self._monotonic = settings, topic_filters, monotonic
        self._received: queue.Queue[Received] = queue.Queue(QUEUE_LIMIT)
        self._granted = threading.Event()
        self._client: Client | None = None
        self.dropped = 0

    def __enter__(self) -> Subscriber:
        client = new_client(self._settings, self._settings.protocol)
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        self._client = client
        try:
            connect(client, self._settings, self._settings.protocol)
        except (OSError, UnicodeError) as error:
            raise self.unreachable(str(error)) from error
        client.loop_start()
        if not self._granted.wait(self._settings.connect_timeout_seconds):
            self.close()
            raise self.unreachable("it did not grant the subscription")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Disconnect; messages already received can still be read."""
        if self._client is not None:
            self._client.disconnect()
            self._client.loop_stop()
            self._client = None

    def send(self, topic: str, payload: bytes) -> None:
        """Publish one message, not retained, with QoS 1."""
        if self._client is not None:
            self._client.publish(topic, payload, qos=1)

    def messages(self, timeout_seconds: float) -> Iterator[Received]:
        """Yield messages in order of arrival until none came for `timeout_seconds`."""
        while True:
            try:
                yield self._received.get(timeout=timeout_seconds)
            except queue.Empty:
                return

    @property
    def is_connected(self) -> bool:
        """Whether the connection still lasts."""
        return self._client is not None and self._client.is_connected()

    def unreachable(self, reason: str) -> BrokerUnreachable:
        """Return the error of a broker that cannot be used, for a reason."""
        where = f"{self._settings.host}:{self._settings.port}"
        return BrokerUnreachable(
            f"The MQTT broker {where} cannot be used: {reason}. Is it running, and the login right?"
        )

    def _on_connect(self, client: Client, _: Any, __: Any, reason: Any, ___: Any) -> None:
        if reason.value == 0:
            client.subscribe([(topic_filter, 1) for topic_filter in self._filters])

    def _on_subscribe(self, _: Client, __: Any, ___: int, ____: Any, _____: Any) -> None:
        self._granted.set()

    def _on_message(self, _: Client, __: Any, message: MQTTMessage) -> None:
        try:
            self._received.put_nowait(Received(message.topic, bytes(message.payload), message.retain))
        except queue.Full:
            self.dropped += 1
