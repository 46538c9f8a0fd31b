"""The publisher: what the daemon calls to have events, states and scores published."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType

import msgspec

from edge.messages import Event, Info, encode, utc_from_seconds
from edge.mqtt.connection import BrokerSettings, RetryPolicy
from edge.mqtt.handover import Handover, HeardCommand, Message
from edge.mqtt.link import GOODBYE_SECONDS, Link
from edge.mqtt.tls_check import check_tls
from edge.outbox import Outbox
from edge.topics import INFO, STATUS, Topics, reply_subtopic

log = logging.getLogger(__name__)

SCORE_EXPIRY_SECONDS = 30
REPLY_EXPIRY_SECONDS = 3600


class Publisher:
    """Publishes one device, opened and closed by `with`; no call but `close` waits for the network.

    Its calls come from one thread of the daemon; a thread of its own connects and sends. Of the whole topics `listen`,
    beside the device's own, the last payload is kept.
    Raises ConfigInvalid on entry where a TLS file cannot be read.
    """

    def __init__(
        self,
        settings: BrokerSettings,
        topics: Topics,
        outbox: Outbox,
        info: Info,
        *,
        retry: RetryPolicy | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        random_fraction: Callable[[], float] = random.random,
        listen: Sequence[str] = (),
    ) -> None:
        self._settings, self._outbox, self._wall_clock = settings, outbox, wall_clock
        self._info, self._conn_seq = info, 0
        self._info_lock = threading.Lock()
        self._handover = Handover(listen)
        self._link = Link(
            settings,
            topics,
            outbox,
            self._handover,
            retry=retry or RetryPolicy(),
            on_connecting=self._number_info,
            monotonic=monotonic,
            wall_clock=wall_clock,
            random_fraction=random_fraction,
        )
        self._thread = threading.Thread(target=self._link.run, name="mqtt-publisher", daemon=True)
        self._is_open = False
        self.set_state(STATUS, "online")

    def __enter__(self) -> Publisher:
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def open(self) -> None:
        """Begin to connect: what was set before is sent in the contract's order. Raises ConfigInvalid."""
        check_tls(self._settings)
        self._is_open = True
        self._thread.start()

    @property
    def is_connected(self) -> bool:
        """Whether the broker has accepted the login and the connection lasts."""
        return self._link.is_connected

    @property
    def fault(self) -> str | None:
        """`broker_refused` or `duplicate_client_id`, None while neither is known."""
        return self._link.fault

    @property
    def conn_seq(self) -> int:
        """The number of the present or last connection, as in the birth and the will; 0 before the first."""
        return self._conn_seq

    @property
    def drops(self) -> dict[str, int]:
        """What was never sent or looked at: scores without a connection, commands that came too fast."""
        return {"scores": self._handover.dropped, "commands": self._handover.commands_dropped}

    def take_commands(self, limit: int) -> list[HeardCommand]:
        """Return at most `limit` commands that have come, the oldest first, unread."""
        return self._handover.take_commands(limit)

    def put_command(self, command: HeardCommand) -> None:
        """Lay down a command that came another way, as if the broker had brought it. Any thread may."""
        self._handover.put_command(command)

    @property
    def states(self) -> dict[str, bytes]:
        """The last value of every retained state, by subtopic. Any thread may read it."""
        return self._handover.states()

    def value_of(self, topic: str) -> tuple[bytes, float] | None:
        """Return the last payload of a topic of `listen`, and when it came (monotonic); None where nothing has."""
        return self._handover.value_of(topic)

    def forget_value(self, topic: str) -> None:
        """Forget the last payload of a topic: it is not believed any more."""
        self._handover.forget_value(topic)

    def reply(self, request_id: str, payload: bytes) -> None:
        """Answer a command with QoS 1; without a connection the last 64 replies wait."""
        message = Message(reply_subtopic(request_id), payload, retain=False, qos=1, expiry_seconds=REPLY_EXPIRY_SECONDS)
        self._handover.reply(message)

    def publish_event(self, event: Event, *, is_hooked: bool = True) -> Event:
        """Put the event on disk and have it sent; return it with `seq` and `boot_id`. See `Outbox.put`."""
        moment = msgspec.structs.replace(event.time, published=utc_from_seconds(self._wall_clock()))
        stored = self._outbox.put(msgspec.structs.replace(event, time=moment), is_hooked=is_hooked)
        self._handover.wake()
        return stored

    def set_state(self, subtopic: str, payload: str | bytes, *, retain: bool = True, qos: int = 1) -> None:
        """Keep the last value of a state and have it sent, now and on each connect."""
        self._handover.set_state(Message(subtopic, _bytes(payload), retain, qos))

    def last(self) -> dict[str, bytes]:
        """Return the last payload of every state and score, by subtopic, sent or not; from any thread."""
        return self._handover.last()

    def set_info(self, info: Info) -> None:
        """Replace the birth; the number of the connection is filled in."""
        with self._info_lock:
            self._info = info
            self._set_numbered_info()

    def send(
        self,
        subtopic: str,
        payload: str | bytes,
        *,
        retain: bool = False,
        expiry_seconds: int | None = SCORE_EXPIRY_SECONDS,
    ) -> None:
        """Send once with QoS 0, or never: dropped and counted while there is no connection."""
        message = Message(subtopic, _bytes(payload), retain=retain, qos=0, expiry_seconds=expiry_seconds)
        self._handover.send(message)

    def close(self, drain_seconds: float = 5.0) -> None:
        """Say `stopping`, send what is live within `drain_seconds`, say `offline`, disconnect cleanly."""
        if not self._is_open:
            return
        self._is_open = False
        self.set_state(STATUS, "stopping")
        self._link.stop(drain_seconds)
        self._thread.join(drain_seconds + 3 * GOODBYE_SECONDS + self._settings.connect_timeout_seconds)
        if self._thread.is_alive():
            log.warning("mqtt_close_unfinished host=%s", self._settings.host)

    def _number_info(self, conn_seq: int) -> None:
        with self._info_lock:
            self._conn_seq = conn_seq
            self._set_numbered_info()

    def _set_numbered_info(self) -> None:
        self.set_state(INFO, encode(msgspec.structs.replace(self._info, conn_seq=self._conn_seq)))


def _bytes(payload: str | bytes) -> bytes:
    return payload.encode() if isinstance(payload, str) else payload
