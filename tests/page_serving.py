"""A page without a daemon, on a real socket: what the river would lay down, a test lays down."""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from edge.command_messages import Command, Reply
from edge.detection import Limit
from edge.evidence_store import FOLDER
from edge.frames import Frame
from edge.level import Level
from edge.messages import utc_from_seconds
from edge.moments import Moment, Sensed
from edge.mqtt import HeardCommand
from edge.page.app import application
from edge.page.aside import Aside
from edge.page.board import Board
from edge.page.page_desk import Place, read_place
from edge.page.server import PageServer
from edge.page.serving import Orders, Serving
from edge.setup import read_device
from edge.switches import Switches
from tests.brokers import free_port
from tests.daemons import write_config

TOKEN = "correct-horse-battery-staple"
EVENT_ID = "01JDA6Q3R8W5Z0M7T9K4C2B1XE"
CLIP = bytes(range(256)) * 40


@dataclass
class Served:
    """A page that is served: its port, what lies below it, and the commands that it has laid down."""

    port: int
    serving: Serving
    commands: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    @property
    def board(self) -> Board:
        """Where a test lays down moments and events."""
        return self.serving.board

    def ask(
        self, path: str, method: str = "GET", headers: Mapping[str, str] | None = None, body: bytes | str | None = None
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        """Return status, headers and body of an answer; the path goes out as it is written, nothing is tidied."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=40)
        try:
            connection.request(method, path, body, dict(headers or {}))
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def ask_in(self, path: str) -> Any:
        """Return the JSON of an answer to who has the token."""
        status, _, body = self.ask(path, headers=bearer())
        assert status == 200, body
        return json.loads(body)

    def session(self) -> str:
        """Return the cookie that a browser gets for the token."""
        status, headers, _ = self.ask(
            "/login", "POST", {"Content-Type": "application/x-www-form-urlencoded"}, f"token={TOKEN}"
        )
        assert status == 303
        return headers["Set-Cookie"].split(";")[0]


def bearer(token: str = TOKEN) -> dict[str, str]:
    """The header of who has the token."""
    return {"Authorization": f"Bearer {token}"}


@contextmanager
def served(folder: Path, token: str = TOKEN) -> Iterator[Served]:
    """Serve a page of two cameras with the evidence of one event, and stop at the end."""
    device = read_device(write_config(folder, free_port()))
    state = Path(device.config.state_directory)
    kept = state / FOLDER / "busy" / EVENT_ID
    kept.mkdir(parents=True)
    (kept / "clip.mp4").write_bytes(CLIP)
    (state / "page.token").write_text(TOKEN)
    commands: list[tuple[str, dict[str, Any]]] = []

    def put(heard: HeardCommand) -> None:
        command = json.loads(heard.payload)
        commands.append((heard.verb, command["args"]))
        is_good = command["args"].get("verdict") != "refuse"
        reply = Reply(
            request_id=Command(**command).request_id, verb=heard.verb, status="ok" if is_good else "error",
            code="done" if is_good else "bad_arguments", time=utc_from_seconds(0.0),
            hint=None if is_good else "That is none.", result={"is_known": True},
        )  # fmt: skip
        orders.hear(reply)

    orders, aside = Orders(put, time.time), Aside()
    limits = {camera: model.calibration.limit for camera, model in device.models.items()}
    switches = Switches(limits, None, wall_clock=time.time)
    states = {"status": b"online", "cam/busy/state": b"watching", "cam/quiet/state": b"watching"}
    listening = socket.create_server(("127.0.0.1", 0))
    serving = Serving(
        device, token, Board(device.models), switches, orders, aside, lambda: states, "boot1", "prednet_test",
        time.monotonic, time.time,
    )  # fmt: skip
    server = PageServer(application(serving), listening)
    try:
        yield Served(server.port, serving, commands)
    finally:
        server.close()
        aside.close()


def moment_of(camera: str, seconds: float, level: float = 1.0, grey: int = 90) -> Moment:
    """A scored moment of a grey frame that was predicted ten grey levels too dark."""
    image, prediction = np.full((32, 40, 1), grey, np.uint8), np.full((32, 40, 1), grey - 10, np.uint8)
    maps = np.full((3, 4, 5), 5.0 / 255.0, np.float32)
    sensed = Sensed(camera, Frame(image, seconds), "watching", 0.1, maps, maps, prediction, None, None)  # type: ignore[arg-type]
    return Moment(
        camera, seconds, "watching", sensed, surprise=level, level=Level(level, 0.0, 0.01, 0.0, 0.01), z=0.0,
        cells=maps[0], limit=Limit(3.0, 2.0),
    )  # fmt: skip


def wait_for_place(state: Path, runs: Callable[[], bool] = lambda: True) -> Place:
    """Return where a daemon serves its page, once it does; fail after half a minute, or where it does not run."""
    deadline = time.monotonic() + 30.0
    while (place := read_place(state)) is None:
        assert time.monotonic() < deadline, "the page was not served"
        assert runs(), "the daemon has ended"
        time.sleep(0.02)
    return place
