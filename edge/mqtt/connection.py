"""One MQTT connection: its settings, a paho client that only reports, and when to try again."""

from __future__ import annotations

import contextlib
import errno
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Literal, NamedTuple

from paho.mqtt.client import Client, MQTTv5, MQTTv311
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

Protocol = Literal["5", "3.1.1"]

WINDOW = 20  # messages in flight at once, at most
# A broker sends us nothing larger: commands have 4 kB, pictures that others watch 100 kB.
MOST_PACKET_BYTES = 256 * 1024
_TAKEN_OVER = 142
_WRONG_PROTOCOL = 132
_LOGIN_REFUSED = frozenset({133, 134, 135, 138, 140})  # client id, password, authorisation, ban, method


@dataclass(frozen=True)
class TlsFiles:
    """The files of a TLS connection, read anew at each connection; without `ca` the system's store."""

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None


@dataclass(frozen=True)
class BrokerSettings:
    """Where the broker is and how to log in; `protocol` 5 falls back to 3.1.1 where it must."""

    host: str
    port: int = 1883
    client_id: str = ""
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: TlsFiles | None = None
    keepalive_seconds: int = 30
    protocol: Protocol = "5"
    connect_timeout_seconds: float = 5.0
    session_expiry_seconds: int = 3600
    will_delay_seconds: int = 15


class Connected(NamedTuple):
    """The broker's answer to CONNECT: connected means reason 0."""

    conn_seq: int
    reason: int
    receive_maximum: int


class Acknowledged(NamedTuple):
    """A message was taken (reason < 128) or refused by the broker."""

    conn_seq: int
    mid: int
    reason: int


class Disconnected(NamedTuple):
    """The connection ended; the reason is the broker's if it gave one."""

    conn_seq: int
    reason: int


class Heard(NamedTuple):
    """A message arrived on a topic that the wire listens to."""

    conn_seq: int
    topic: str
    payload: bytes
    retained: bool


class Woken(NamedTuple):
    """There is something to publish, or it is time to stop."""


Signal = Connected | Acknowledged | Disconnected | Heard | Woken


class Outcome(Enum):
    """How an attempt to connect, or a connection, ended."""

    LOST = "lost"
    UNTRUSTED = "untrusted"
    WRONG_PROTOCOL = "wrong_protocol"
    REFUSED = "refused"
    TAKEN_OVER = "taken_over"
    STOPPED = "stopped"


def outcome_from_reason(reason: int) -> Outcome:
    """Return what a CONNACK's or DISCONNECT's reason code means for the next attempt."""
    if reason in _LOGIN_REFUSED:
        return Outcome.REFUSED
    special = {_WRONG_PROTOCOL: Outcome.WRONG_PROTOCOL, _TAKEN_OVER: Outcome.TAKEN_OVER}
    return special.get(reason, Outcome.LOST)


def outcome_from_error(error: Exception) -> Outcome:
    """Return what a failed connect means: a certificate that fails its check is a refusal to look at."""
    return Outcome.UNTRUSTED if isinstance(error, ssl.SSLError) else Outcome.LOST


@dataclass(frozen=True)
class RetryPolicy:
    """Seconds to wait before connecting again; a connection that lasted `settled` starts the count anew."""

    first_seconds: float = 1.0
    longest_seconds: float = 60.0
    taken_over_floor_seconds: float = 60.0
    refused_floor_seconds: float = 300.0
    settled_seconds: float = 30.0

    def delay_seconds(self, outcome: Outcome, failures: int, random: float) -> float:
        """Return the wait after `failures` in a row; full jitter by `random` in [0, 1)."""
        ceiling = min(self.longest_seconds, self.first_seconds * 2.0 ** min(failures, 30))
        floors = {
            Outcome.TAKEN_OVER: self.taken_over_floor_seconds,
            Outcome.REFUSED: self.refused_floor_seconds,
        }
        return floors.get(outcome, 0.0) + random * ceiling


@dataclass(frozen=True)
class Will:
    """What the broker says in the device's name when the device is gone; `labels` are user properties."""

    topic: str
    payload: bytes
    labels: tuple[tuple[str, str], ...]


def new_client(settings: BrokerSettings, protocol: Protocol, will: Will | None = None) -> Client:
    """Return a client for one connection; raises OSError where a TLS file cannot be read."""
    client = Client(
        CallbackAPIVersion.VERSION2,
        client_id=settings.client_id,
        clean_session=None if protocol == "5" else True,
        protocol=MQTTv5 if protocol == "5" else MQTTv311,
        reconnect_on_failure=False,
    )
    client.connect_timeout = settings.connect_timeout_seconds
    client.max_inflight_messages = WINDOW
    if settings.username is not None:
        client.username_pw_set(settings.username, settings.password)
    if settings.tls is not None:
        _set_tls(client, settings.tls)
    if will is not None:
        _set_will(client, will, settings, protocol)
    return client


def _properties(packet_type: int) -> Properties:
    return Properties(packet_type)  # type: ignore[no-untyped-call]


def _set_tls(client: Client, files: TlsFiles) -> None:
    ca, certificate, key = (str(f) if f is not None else None for f in (files.ca, files.certificate, files.key))
    client.tls_set(ca_certs=ca, certfile=certificate, keyfile=key)


def _set_will(client: Client, will: Will, settings: BrokerSettings, protocol: Protocol) -> None:
    properties = None
    if protocol == "5":
        properties = _properties(PacketTypes.WILLMESSAGE)
        properties.WillDelayInterval = settings.will_delay_seconds
        properties.UserProperty = list(will.labels)
    client.will_set(will.topic, will.payload, qos=1, retain=True, properties=properties)


class Wire:
    """One connection through one fresh paho client, so that nothing of an earlier one is in it.

    `is_alerted` says that the other side ended the TLS connection with an alert.
    `report` is called by paho's thread while paho holds locks: it may only queue.
    Raises OSError where a TLS file cannot be read.
    """

    def __init__(
        self,
        settings: BrokerSettings,
        protocol: Protocol,
        will: Will,
        conn_seq: int,
        report: Callable[[Signal], None],
    ) -> None:
        self.conn_seq = conn_seq
        self._settings, self._protocol, self._will = settings, protocol, will
        self.is_alerted = False
        self._client = new_client(settings, protocol, will)
        self._client.on_log = self._note_alert
        self._client.on_connect = lambda _c, _u, _f, reason, properties: report(
            Connected(conn_seq, reason.value, getattr(properties, "ReceiveMaximum", 65535))
        )
        self._client.on_publish = lambda _c, _u, mid, reason, _p: report(Acknowledged(conn_seq, mid, reason.value))
        self._client.on_disconnect = lambda _c, _u, _f, reason, _p: report(Disconnected(conn_seq, reason.value))

        self._client.on_message = lambda _c, _u, message: report(
            Heard(conn_seq, message.topic, bytes(message.payload), message.retain)
        )

    def _note_alert(self, _: object, __: object, ___: int, text: str) -> None:
        """Note that the broker refused our certificate: with TLS 1.3 only paho's log tells of it."""
        self.is_alerted = self.is_alerted or ("[SSL:" in text and "ALERT" in text)

    def open(self) -> None:
        """Resolve the name, connect, and send CONNECT; raises OSError or UnicodeError."""
        connect(self._client, self._settings, self._protocol)
        try:
            self._client.loop_start()
        except RuntimeError as error:
            self._unplug()
            raise OSError(errno.ENOMEM, f"no thread for the connection: {error}") from error

    def listen(self, topic: str) -> None:
        """Subscribe to a topic; what arrives is reported."""
        self._client.subscribe(topic, 1)

    def listen_to_commands(self, topic_filter: str) -> None:
        """The same; with MQTT 5 a live message also says whether its sender had it retained."""
        if self._protocol == "3.1.1":
            return self.listen(topic_filter)
        as_published = SubscribeOptions(qos=1, retainAsPublished=True)
        self._client.subscribe(topic_filter, options=as_published)
        return None

    def publish(self, topic: str, payload: bytes, *, qos: int, retain: bool, expiry_seconds: int | None = None) -> int:
        """Hand a message to paho and return its number, by which it is acknowledged."""
        properties = None
        if self._protocol == "5":
            properties = _properties(PacketTypes.PUBLISH)
            if expiry_seconds is not None:
                properties.MessageExpiryInterval = expiry_seconds
            if topic == self._will.topic:
                properties.UserProperty = list(self._will.labels)
        return self._client.publish(topic, payload, qos=qos, retain=retain, properties=properties).mid

    def say_goodbye(self) -> None:
        """Send a clean DISCONNECT that ends the session at once, so that no will is sent."""
        properties = None
        if self._protocol == "5":
            properties = _properties(PacketTypes.DISCONNECT)
            properties.SessionExpiryInterval = 0
        self._client.disconnect(properties=properties)

    def drop(self) -> None:
        """End without a word, forget what paho holds (the outbox has it), and stop paho's thread."""
        self._client.drop_out_messages()
        self._unplug()
        self._client.loop_stop()

    def _unplug(self) -> None:
        plug = self._client.socket()
        if isinstance(plug, socket.socket):
            with contextlib.suppress(OSError):
                plug.shutdown(socket.SHUT_RDWR)


def connect(client: Client, settings: BrokerSettings, protocol: Protocol) -> None:
    """Connect with a clean start and send CONNECT; raises OSError or UnicodeError."""
    if protocol == "3.1.1":
        client.connect(settings.host, settings.port, settings.keepalive_seconds)
        return
    properties = _properties(PacketTypes.CONNECT)
    properties.SessionExpiryInterval = settings.session_expiry_seconds
    properties.MaximumPacketSize = MOST_PACKET_BYTES
    client.connect(settings.host, settings.port, settings.keepalive_seconds, clean_start=True, properties=properties)
