"""What is published while a connection lasts: states, then live events, then the backlog at a pace."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from edge.messages import utc_from_seconds
from edge.mqtt.connection import WINDOW, Acknowledged, Wire
from edge.mqtt.handover import Handover, Message
from edge.outbox import Outbox
from edge.outbox_file import Row
from edge.topics import EVENTS, STATUS, Topics

log = logging.getLogger(__name__)

BACKLOG_RATE_HZ = 20.0
SILENCE_SECONDS = 30.0  # without an acknowledgement, after which the connection is given up
REFUSED_RETRY_SECONDS = 300.0
LONGEST_WAIT_SECONDS = 1.0
_FAILED = 128  # reason codes from here on are refusals


@dataclass(frozen=True)
class Sent:
    """A message in flight: its row in the outbox or its subtopic, and when it went (monotonic)."""

    what: int | str
    at_seconds: float


class Session:
    """One live connection. It is used by the publisher's thread alone.

    Rows up to `boundary` were put before this connection: they are the backlog, sent as `historical`.
    """

    def __init__(
        self,
        wire: Wire,
        receive_maximum: int,
        topics: Topics,
        outbox: Outbox,
        handover: Handover,
        *,
        monotonic: Callable[[], float],
        wall_clock: Callable[[], float],
    ) -> None:
        self._wire, self._topics, self._outbox, self._handover = wire, topics, outbox, handover
        self._monotonic, self._wall_clock = monotonic, wall_clock
        self._window = min(WINDOW, receive_maximum)
        self._in_flight: dict[int, Sent] = {}
        self._refused: set[int | str] = set()
        self._retry_refused_at = 0.0
        self._next_backlog_at = monotonic()
        self._boundary = outbox.last_id()
        self._backlog_after = 0
        self._live_after = self._boundary

    @property
    def is_refused(self) -> bool:
        """Whether the broker refused an event or a state that waits to be tried again."""
        return bool(self._refused)

    def acknowledge(self, signals: list[Acknowledged]) -> None:
        """Remove from the outbox what the broker took; what it refused stays there."""
        taken: list[int] = []
        for signal in signals:
            sent = self._in_flight.pop(signal.mid, None)
            if sent is not None and signal.reason >= _FAILED:
                self._note_refused(sent.what, signal.reason)
            elif sent is not None:
                self._refused.discard(sent.what)
                taken += [sent.what] if isinstance(sent.what, int) else []
        if taken:
            self._outbox.remove(*taken)

    def _note_refused(self, what: int | str, reason: int) -> None:
        if not self._refused:
            topic = what if isinstance(what, str) else EVENTS
            log.error("message_refused topic=%s reason=%d retry_seconds=%g", topic, reason, REFUSED_RETRY_SECONDS)
            self._retry_refused_at = self._monotonic() + REFUSED_RETRY_SECONDS
        self._refused.add(what)

    def is_silent(self) -> bool:
        """Return whether the broker has left a message unacknowledged for too long."""
        oldest = min((sent.at_seconds for sent in self._in_flight.values()), default=None)
        return oldest is not None and self._monotonic() - oldest > SILENCE_SECONDS

    def pump(self) -> float:
        """Send what may go now; return the seconds after which to look again without a signal."""
        self._send_states_and_live()
        if self._refused and self._monotonic() >= self._retry_refused_at:
            self._refused = {what for what in self._refused if isinstance(what, str)}
            self._retry_refused_at = self._monotonic() + REFUSED_RETRY_SECONDS
            self._boundary, self._backlog_after = self._live_after, 0
        return self._send_backlog()

    def drain(self) -> bool:
        """Send states, replies and live events; return whether all of them are acknowledged."""
        self._send_states_and_live()
        return not self._in_flight and not self._handover.has_waiting()

    def is_empty(self) -> bool:
        """Return whether every message that was sent is acknowledged."""
        return not self._in_flight

    def say(self, status: str) -> None:
        """Publish a last status past every queue."""
        self._publish_message(Message(STATUS, status.encode(), retain=True, qos=1))

    def _room(self) -> int:
        return self._window - len(self._in_flight)

    def _send_states_and_live(self) -> None:
        while self._room() > 0 and (state := self._handover.next_state()) is not None:
            self._publish_message(state)
        while self._room() > 0 and (reply := self._handover.next_reply()) is not None:
            self._publish_message(reply)
        while (fleeting := self._handover.next_fleeting()) is not None:
            self._publish_message(fleeting)
        if self._room() > 0:
            for row in self._outbox.pending(self._live_after, self._room()):
                self._publish_row(row, historical=False)
                self._live_after = row.id

    def _send_backlog(self) -> float:
        """Send one message of the backlog if it is due; a loss that must be told comes before it."""
        wait = self._next_backlog_at - self._monotonic()
        if wait > 0:
            return min(wait, LONGEST_WAIT_SECONDS)
        if self._room() <= 0:
            return LONGEST_WAIT_SECONDS
        if self._outbox.announce_losses(1) == 0 and not self._send_next_of_backlog():
            return LONGEST_WAIT_SECONDS
        self._next_backlog_at = self._monotonic() + 1.0 / BACKLOG_RATE_HZ
        return 1.0 / BACKLOG_RATE_HZ

    def _send_next_of_backlog(self) -> bool:
        rows = self._outbox.pending(self._backlog_after, 1, upto=self._boundary)
        for row in rows:
            self._backlog_after = row.id
            if row.id not in {sent.what for sent in self._in_flight.values()}:
                self._publish_row(row, historical=True)
        return bool(rows)

    def _publish_message(self, message: Message) -> None:
        mid = self._wire.publish(
            self._topics.full(message.subtopic),
            message.payload,
            qos=message.qos,
            retain=message.retain,
            expiry_seconds=message.expiry_seconds,
        )
        if message.qos > 0:
            self._in_flight[mid] = Sent(message.subtopic, self._monotonic())

    def _publish_row(self, row: Row, *, historical: bool) -> None:
        published = utc_from_seconds(self._wall_clock())
        payload = _as_sent(row, historical=historical, published=published)
        mid = self._wire.publish(self._topics.full(EVENTS), payload, qos=1, retain=False)
        self._in_flight[mid] = Sent(row.id, self._monotonic())


def _as_sent(row: Row, *, historical: bool, published: str) -> bytes:
    """Label an event for this sending; fields that this version does not know stay as they are."""
    event = msgspec.json.decode(row.payload)
    event["historical"] = historical
    event["time"]["published"] = published
    if "latency_ms" in event:
        latency = event["latency_ms"]
        latency["capture_to_publish"] = round(latency["capture_to_score"] + 1000.0 * row.age_seconds, 1)
    return msgspec.json.encode(event)
