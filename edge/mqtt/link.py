"""The link to the broker: the publisher's thread, which connects for ever and serves what it gets."""

from __future__ import annotations

import contextlib
import logging
import queue
from collections.abc import Callable

import msgspec

from edge.errors import JsonError
from edge.messages import Info
from edge.mqtt.connection import (
    Acknowledged,
    BrokerSettings,
    Connected,
    Disconnected,
    Heard,
    Outcome,
    Protocol,
    RetryPolicy,
    Signal,
    Will,
    Wire,
    Woken,
    outcome_from_error,
    outcome_from_reason,
)
from edge.mqtt.handover import Handover, HeardCommand
from edge.mqtt.session import Session
from edge.outbox import Outbox
from edge.seldom import Seldom
from edge.topics import COMMANDS, DISCOVERY, HOME_ASSISTANT_BIRTH, INFO, STATUS, Topics

log = logging.getLogger(__name__)

ANSWER_SECONDS = 10.0  # from CONNECT to the broker's answer
GOODBYE_SECONDS = 1.0
SWEEP_SECONDS = 60.0

BROKER_REFUSED = "broker_refused"
DUPLICATE_CLIENT_ID = "duplicate_client_id"
_FAULTS = {
    Outcome.REFUSED: BROKER_REFUSED,
    Outcome.UNTRUSTED: BROKER_REFUSED,
    Outcome.TAKEN_OVER: DUPLICATE_CLIENT_ID,
}


class Link:
    """Connects, serves, waits, and begins anew until it is stopped; `run` is the body of one thread.

    `on_connecting` is called with the number of each connection before it is made.
    """

    def __init__(
        self,
        settings: BrokerSettings,
        topics: Topics,
        outbox: Outbox,
        handover: Handover,
        *,
        retry: RetryPolicy,
        on_connecting: Callable[[int], None],
        monotonic: Callable[[], float],
        wall_clock: Callable[[], float],
        random_fraction: Callable[[], float],
    ) -> None:
        self._settings, self._topics, self._outbox, self._handover = settings, topics, outbox, handover
        self._retry, self._on_connecting = retry, on_connecting
        self._monotonic, self._wall_clock, self._random_fraction = monotonic, wall_clock, random_fraction
        self._stop_at: float | None = None
        self._connected_since: float | None = None
        self._lasted_seconds = 0.0
        self._fault: str | None = None
        self._rival_heard_at: float | None = None
        self._failures = self._unanswered = 0
        self._unforeseen = Seldom()
        self._broker_is_old = settings.protocol == "3.1.1"
        self._next_sweep_at = monotonic() + SWEEP_SECONDS

    @property
    def is_connected(self) -> bool:
        """Whether the broker has accepted the login and the connection lasts."""
        return self._connected_since is not None

    @property
    def fault(self) -> str | None:
        """`broker_refused` or `duplicate_client_id`, None while neither is known."""
        return self._fault

    def stop(self, drain_seconds: float) -> None:
        """Have `run` end: at once while there is no connection, else after the drain."""
        self._stop_at = self._monotonic() + drain_seconds
        self._handover.wake()

    def run(self) -> None:
        """Connect and serve until stopped."""
        while self._stop_at is None:
            try:
                outcome = self._connect_and_serve()
            except Exception:  # the outbox's file, or no memory: another attempt may go better
                if (count := self._unforeseen.count()) is not None:
                    log.exception("mqtt_failed host=%s count=%d", self._settings.host, count)
                outcome = Outcome.LOST
            if outcome is Outcome.STOPPED:
                return
            if self._lasted_seconds > self._retry.settled_seconds:
                self._failures = 0
            self._fault = _FAULTS.get(outcome, self._fault)
            delay = self._retry.delay_seconds(outcome, self._failures, self._random_fraction())
            self._failures += 1
            self._log_end(outcome, delay)
            self._rest(delay)

    def _log_end(self, outcome: Outcome, delay: float) -> None:
        level = logging.ERROR if outcome in _FAULTS else logging.INFO
        host, port = self._settings.host, self._settings.port
        log.log(level, "mqtt_retry outcome=%s host=%s port=%d retry_seconds=%.1f", outcome.value, host, port, delay)

    def _connect_and_serve(self) -> Outcome:
        """Return how one attempt, or the connection that it made, ended; nothing of it is left open."""
        self._lasted_seconds = 0.0
        protocol: Protocol = "3.1.1" if self._broker_is_old or self._unanswered % 3 == 2 else "5"
        conn_seq = self._outbox.next_conn_seq()
        self._on_connecting(conn_seq)
        labels = (("boot_id", self._outbox.boot_id), ("conn_seq", str(conn_seq)))
        will = Will(self._topics.full(STATUS), b"offline", labels)
        try:
            wire = Wire(self._settings, protocol, will, conn_seq, self._handover.mailbox.put)
            wire.open()
        except (OSError, ValueError) as error:
            log.info("mqtt_unreachable host=%s error=%s", self._settings.host, error)
            return outcome_from_error(error)
        try:
            return self._greet_and_serve(wire, protocol)
        finally:
            self._connected_since = None
            wire.drop()

    def _greet_and_serve(self, wire: Wire, protocol: Protocol) -> Outcome:
        answer = self._answer(wire)
        if answer is None:
            self._unanswered += 1
            lost = Outcome.UNTRUSTED if wire.is_alerted else Outcome.LOST
            return Outcome.STOPPED if self._stop_at is not None else lost
        if answer.reason != 0:
            outcome = outcome_from_reason(answer.reason)
            self._broker_is_old = self._broker_is_old or outcome is Outcome.WRONG_PROTOCOL
            return outcome
        log.info("mqtt_connected host=%s protocol=%s conn_seq=%d", self._settings.host, protocol, wire.conn_seq)
        self._unanswered = 0
        began = self._connected_since = self._monotonic()
        outcome = self._serve(wire, answer)
        self._lasted_seconds = self._monotonic() - began
        return outcome

    def _answer(self, wire: Wire) -> Connected | None:
        """Return the broker's answer to CONNECT, None if it hung up, stayed silent, or we must stop."""
        deadline = self._monotonic() + ANSWER_SECONDS
        while (left := self._earliest(deadline) - self._monotonic()) > 0:
            for signal in self._signals(left, most=1):
                if isinstance(signal, Connected) and signal.conn_seq == wire.conn_seq:
                    return signal
                if isinstance(signal, Disconnected) and signal.conn_seq == wire.conn_seq:
                    return None
        return None

    def _earliest(self, deadline: float) -> float:
        return deadline if self._stop_at is None else min(deadline, self._stop_at)

    def _serve(self, wire: Wire, answer: Connected) -> Outcome:
        self._rival_heard_at = None
        wire.listen_to_commands(self._topics.full(f"{COMMANDS}+"))
        for topic in (HOME_ASSISTANT_BIRTH, self._topics.full(INFO), *self._handover.listened):
            wire.listen(topic)
        self._handover.start_over()
        session = Session(
            wire,
            answer.receive_maximum,
            self._topics,
            self._outbox,
            self._handover,
            monotonic=self._monotonic,
            wall_clock=self._wall_clock,
        )
        while self._stop_at is None:
            wait = session.pump()
            ended = self._take_signals(wire, session, wait)
            if ended is not None:
                return self._explained(ended, session)
            self._look_after(session)
            if session.is_silent():
                log.warning("mqtt_silent host=%s", self._settings.host)
                return Outcome.LOST
        return self._finish(wire, session, self._stop_at)

    def _explained(self, ended: Outcome, session: Session) -> Outcome:
        """Return why the connection ended: some brokers hang up without a reason."""
        if ended is Outcome.LOST and self._has_rival():
            return Outcome.TAKEN_OVER
        return Outcome.REFUSED if ended is Outcome.LOST and session.is_refused else ended

    def _look_after(self, session: Session) -> None:
        """Do what is due now and then: say and take back faults, sweep the outbox."""
        now = self._monotonic()
        if self._has_rival():
            self._fault = DUPLICATE_CLIENT_ID
        elif session.is_refused:
            self._fault = BROKER_REFUSED
        elif self._fault == BROKER_REFUSED and session.is_empty():
            self._fault = None
        elif self._fault == DUPLICATE_CLIENT_ID and self._connected_since is not None:
            self._fault = None if now - self._connected_since > self._rival_seconds() else self._fault
        if now >= self._next_sweep_at:
            self._next_sweep_at = now + SWEEP_SECONDS
            self._outbox.sweep()

    def _finish(self, wire: Wire, session: Session, stop_at: float) -> Outcome:
        """Drain until `stop_at`, say `offline` last, and disconnect cleanly."""
        while not session.drain() and self._monotonic() < stop_at:
            if self._take_signals(wire, session, stop_at - self._monotonic()) is not None:
                return Outcome.STOPPED
        session.say("offline")
        goodbye_at = self._monotonic() + GOODBYE_SECONDS
        while not session.is_empty() and self._monotonic() < goodbye_at:
            if self._take_signals(wire, session, goodbye_at - self._monotonic()) is not None:
                return Outcome.STOPPED
        wire.say_goodbye()
        while self._monotonic() < goodbye_at + GOODBYE_SECONDS:
            if self._take_signals(wire, session, GOODBYE_SECONDS) is not None:
                break
        return Outcome.STOPPED

    def _take_signals(self, wire: Wire, session: Session, wait: float) -> Outcome | None:
        """Wait for signals and act on them; return how the connection ended, None while it lasts."""
        acknowledged: list[Acknowledged] = []
        ended = None
        for signal in self._signals(wait):
            if isinstance(signal, Woken) or signal.conn_seq != wire.conn_seq:
                continue
            if isinstance(signal, Acknowledged):
                acknowledged.append(signal)
            elif isinstance(signal, Disconnected):
                ended = outcome_from_reason(signal.reason)
            elif isinstance(signal, Heard):
                self._hear(signal)
        session.acknowledge(acknowledged)
        return ended

    def _hear(self, heard: Heard) -> None:
        """Take a command, a value of the line, another's birth on our own topic, or Home Assistant's birth."""
        if heard.topic.startswith(commands := self._topics.full(COMMANDS)):
            self._handover.put_command(HeardCommand(heard.topic[len(commands) :], heard.payload, heard.retained))
        elif heard.topic == HOME_ASSISTANT_BIRTH:
            if heard.payload == b"online" and not heard.retained:
                self._handover.send_again(DISCOVERY)
        elif heard.topic in self._handover.listened:
            self._handover.put_value(heard.topic, heard.payload, self._monotonic())
        elif self._is_rival(heard):
            self._rival_heard_at = self._monotonic()

    def _rival_seconds(self) -> float:
        """Return for how long silence does not prove that a rival is gone: it waits like us."""
        return 2 * self._retry.taken_over_floor_seconds

    def _has_rival(self) -> bool:
        heard_at = self._rival_heard_at
        return heard_at is not None and self._monotonic() - heard_at <= self._rival_seconds()

    def _is_rival(self, heard: Heard) -> bool:
        """Return whether a birth on our own topic is that of another device with our name.

        A birth retained before the very first connection is that of the device we replace.
        """
        try:
            boot_id = msgspec.json.decode(heard.payload, type=Info).boot_id
        except JsonError:
            return False
        return not (heard.retained and heard.conn_seq == 1) and not self._outbox.is_own_boot(boot_id)

    def _signals(self, wait: float, most: int = 1000) -> list[Signal]:
        """Return what waits in the mailbox, after at most `wait` seconds."""
        mailbox = self._handover.mailbox
        try:
            signals = [mailbox.get(timeout=max(0.0, wait))]
        except queue.Empty:
            return []
        self._handover.woken()  # before the rest is taken: a later wake must put its own signal
        with contextlib.suppress(queue.Empty):
            while len(signals) < most:
                signals.append(mailbox.get_nowait())
        return signals

    def _rest(self, seconds: float) -> None:
        """Wait for the next attempt; the mailbox is emptied meanwhile, and a stop ends it."""
        until = self._monotonic() + seconds
        while self._stop_at is None and (left := until - self._monotonic()) > 0:
            self._signals(left)
