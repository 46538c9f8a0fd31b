"""What the river hands to the publisher without waiting: last states and fleeting messages."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from queue import SimpleQueue

from edge.mqtt.connection import Signal, Woken
from edge.topics import DISCOVERY, INFO, STATUS

FLEETING_LIMIT = 64  # scores and the like; the oldest is dropped and counted
COMMAND_LIMIT = 64  # commands that the river has not taken yet; more are refused and counted
REPLY_LIMIT = 64


@dataclass(frozen=True)
class Message:
    """What to publish under a subtopic of the device; `expiry_seconds` None keeps it for ever."""

    subtopic: str
    payload: bytes
    retain: bool
    qos: int
    expiry_seconds: int | None = None


@dataclass(frozen=True)
class HeardCommand:
    """A command as it came: the verb of its topic, and its payload, unread."""

    verb: str
    payload: bytes
    retained: bool


class Handover:
    """States (the last value of each) and fleeting messages, between the river and the publisher.

    `mailbox` is where the publisher waits: paho's callbacks and `wake` put into it. Of the topics `listened` to, whole
    ones beside the device's own, the last payload is kept.
    """

    def __init__(self, listened: Sequence[str] = ()) -> None:
        self.listened = tuple(listened)
        self.mailbox: SimpleQueue[Signal] = SimpleQueue()
        self._lock = threading.Lock()
        self._states: dict[str, Message] = {}
        self._changed: dict[str, None] = {}
        self._fleeting: deque[Message] = deque()
        self._sent: dict[str, bytes] = {}
        self._replies: deque[Message] = deque(maxlen=REPLY_LIMIT)
        self._commands: deque[HeardCommand] = deque()
        self._dropped = 0
        self._commands_dropped = 0
        self._wake_waits = False
        self._values: dict[str, tuple[bytes, float]] = {}

    def put_value(self, topic: str, payload: bytes, seconds: float) -> None:
        """Keep the last payload of a topic that is listened to, and when it came."""
        self._values[topic] = payload, seconds

    def value_of(self, topic: str) -> tuple[bytes, float] | None:
        """Return the last payload of a topic, and when it came; None where nothing has."""
        return self._values.get(topic)

    def forget_value(self, topic: str) -> None:
        """Forget the last payload of a topic."""
        self._values.pop(topic, None)

    @property
    def dropped(self) -> int:
        """Fleeting messages that were never sent."""
        return self._dropped

    @property
    def commands_dropped(self) -> int:
        """Commands that came faster than the river takes them, and were never looked at."""
        return self._commands_dropped

    def put_command(self, command: HeardCommand) -> None:
        """Keep a command for the river; beyond the limit it is dropped and counted."""
        with self._lock:
            if len(self._commands) >= COMMAND_LIMIT:
                self._commands_dropped += 1
            else:
                self._commands.append(command)

    def take_commands(self, limit: int) -> list[HeardCommand]:
        """Return at most `limit` commands, the oldest first."""
        with self._lock:
            return [self._commands.popleft() for _ in range(min(limit, len(self._commands)))]

    def reply(self, message: Message) -> None:
        """Queue a reply; it waits for a connection."""
        with self._lock:
            self._replies.append(message)
        self.wake()

    def next_reply(self) -> Message | None:
        """Return the oldest reply."""
        with self._lock:
            return self._replies.popleft() if self._replies else None

    def wake(self) -> None:
        """Make the publisher look; many calls before it looks are one."""
        with self._lock:
            if not self._wake_waits:
                self._wake_waits = True
                self.mailbox.put(Woken())

    def woken(self) -> None:
        """Note that the publisher is looking now."""
        with self._lock:
            self._wake_waits = False

    def set_state(self, message: Message) -> None:
        """Keep the last value of a state; an equal one is not sent again."""
        with self._lock:
            if self._states.get(message.subtopic) == message:
                return
            self._states[message.subtopic] = message
            self._changed[message.subtopic] = None
        self.wake()

    def last(self) -> dict[str, bytes]:
        """Return the last payload of every state and fleeting message, by subtopic."""
        with self._lock:
            return self._sent | {subtopic: message.payload for subtopic, message in self._states.items()}

    def send(self, message: Message) -> None:
        """Queue a fleeting message; the oldest goes when the queue is full."""
        with self._lock:
            if len(self._fleeting) >= FLEETING_LIMIT:
                self._fleeting.popleft()
                self._dropped += 1
            self._fleeting.append(message)
            self._sent[message.subtopic] = message.payload
        self.wake()

    def start_over(self) -> None:
        """For a new connection: send every state, discovery and info first, status last; scores are dropped."""
        with self._lock:
            first = [subtopic for subtopic in (DISCOVERY, INFO) if subtopic in self._states]
            between = [subtopic for subtopic in self._states if subtopic not in {DISCOVERY, INFO, STATUS}]
            self._changed = dict.fromkeys([*first, *between, STATUS])
            self._dropped += len(self._fleeting)
            self._fleeting.clear()

    def next_state(self) -> Message | None:
        """Return a state that has changed and was not taken yet, the longest waiting first."""
        with self._lock:
            if not self._changed:
                return None
            subtopic = next(iter(self._changed))
            del self._changed[subtopic]
            return self._states[subtopic]

    def states(self) -> dict[str, bytes]:
        """Return the last value of every state, by subtopic."""
        with self._lock:
            return {subtopic: message.payload for subtopic, message in self._states.items()}

    def next_fleeting(self) -> Message | None:
        """Return the oldest fleeting message."""
        with self._lock:
            return self._fleeting.popleft() if self._fleeting else None

    def has_waiting(self) -> bool:
        """Return whether a changed state or a reply waits."""
        return bool(self._changed or self._replies)

    def send_again(self, subtopic: str) -> None:
        """Have a state sent once more, though it has not changed."""
        with self._lock:
            if subtopic in self._states:
                self._changed[subtopic] = None
        self.wake()
