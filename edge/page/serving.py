"""What the page's answers are made of, and commands that a person gives on it."""

from __future__ import annotations

import queue
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from edge.command_messages import Command, Reply
from edge.messages import utc_from_seconds
from edge.mqtt import HeardCommand
from edge.page.aside import Aside
from edge.page.board import Board
from edge.setup import Device
from edge.switches import Switches

EXPIRY_SECONDS = 30.0
ANSWER_SECONDS = 5.0


class Orders:
    """Commands from the page, on the way of every command: the same checks, bounds, replies and audit log.

    `ask` is for the page's threads, `hear` for the river's.
    """

    def __init__(self, put: Callable[[HeardCommand], None], wall_clock: Callable[[], float]) -> None:
        self._put, self._wall_clock = put, wall_clock
        self._lock = threading.Lock()
        self._waiting: dict[str, queue.SimpleQueue[Reply]] = {}

    def ask(self, verb: str, args: dict[str, Any], timeout_seconds: float = ANSWER_SECONDS) -> Reply | None:
        """Return the device's reply; None where none came in time."""
        request_id, answer = f"page-{secrets.token_hex(8)}", queue.SimpleQueue[Reply]()
        expires = utc_from_seconds(self._wall_clock() + EXPIRY_SECONDS)
        payload = msgspec.json.encode(Command(request_id=request_id, expires=expires, args=args))
        with self._lock:
            self._waiting[request_id] = answer
        try:
            self._put(HeardCommand(verb, payload, retained=False))
            return answer.get(timeout=timeout_seconds)
        except queue.Empty:
            return None
        finally:
            with self._lock:
                self._waiting.pop(request_id, None)

    def hear(self, reply: Reply) -> None:
        """Hand a reply to the thread that waits for it."""
        with self._lock:
            answer = self._waiting.get(reply.request_id)
        if answer is not None:
            answer.put(reply)


@dataclass(frozen=True)
class Serving:
    """All that answers read; none of it is changed by them. `states` are the retained ones of the MQTT contract."""

    device: Device
    token: str
    board: Board
    switches: Switches
    orders: Orders
    aside: Aside
    states: Callable[[], dict[str, bytes]]
    boot_id: str
    cookie: str
    monotonic: Callable[[], float]
    wall_clock: Callable[[], float]

    @property
    def state_directory(self) -> Path:
        """Where evidence and ledgers lie."""
        return Path(self.device.config.state_directory)
