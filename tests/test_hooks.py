"""Webhook and local program: every event of the outbox, in order, at least once, and nothing is held up by them."""

from __future__ import annotations

import json
import socket
import sqlite3
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil
import pytest

from edge.config import Hooks
from edge.hooks import COMMAND, WEBHOOK, HookThread, Outcome, hooks_of, post, run_program, running_hooks
from edge.outbox import Outbox
from edge.outbox_hooks import ROWS_LIMIT, Waiting
from tests.brokers import free_port
from tests.publishing import event, wait_until


class Receiver:
    """A real HTTP server that answers with a list of statuses, the last one for ever."""

    def __init__(self, *statuses: int, delay_seconds: float = 0.0) -> None:
        self.received: list[dict[str, object]] = []
        self.headers: list[dict[str, str]] = []
        left = list(statuses)
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                time.sleep(delay_seconds)
                status = left.pop(0) if len(left) > 1 else left[0]
                receiver.headers.append(dict(self.headers))
                if status < 300:
                    receiver.received.append(json.loads(body))
                self.send_response(status)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}/events"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def receiving(*statuses: int, delay_seconds: float = 0.0) -> Iterator[Receiver]:
    """Run a receiver."""
    receiver = Receiver(*statuses, delay_seconds=delay_seconds)
    try:
        yield receiver
    finally:
        receiver.close()


def opened(folder: Path, *hooks: str, boot_id: str = "boot1") -> Outbox:
    """Return an outbox with hooks."""
    return Outbox(folder / "outbox.db", "plant7", "edge1", boot_id, hooks=hooks)


@contextmanager
def hooked(outbox: Outbox, hook: str, deliver, attempts: int | None = None) -> Iterator[None]:  # type: ignore[no-untyped-def]
    """Run one hook with short delays."""
    thread = HookThread(hook, outbox, deliver, attempts, first_delay_seconds=0.02)
    thread.start()
    try:
        yield
    finally:
        thread.stop(5.0)
        assert not thread.is_alive()


def test_a_webhook_gets_every_event_in_order_though_it_fails(tmp_path: Path) -> None:
    """A receiver that is away, broken or busy is tried again; each event comes once, and no broker is needed."""
    with receiving(503, 500, 429, 200) as receiver, opened(tmp_path, WEBHOOK) as outbox:
        for number in range(5):
            outbox.put(event(number))
        with hooked(outbox, WEBHOOK, lambda payload: post(receiver.address, payload, 2.0)):
            wait_until(lambda: len(receiver.received) == 5 and outbox.waiting_for(WEBHOOK) is None)
        assert [one["seq"] for one in receiver.received] == [1, 2, 3, 4, 5]
        assert outbox.depth().messages == 5, "the broker's lane is its own"
        assert outbox.hook_drops == {WEBHOOK: 0}


def test_what_was_not_taken_waits_for_the_next_start(tmp_path: Path) -> None:
    """A restart, even after a kill, loses nothing of a hook; a hook that is configured no more is forgotten."""
    outbox = opened(tmp_path, WEBHOOK, COMMAND)
    for number in range(3):
        outbox.put(event(number))
    outbox._database.close()  # as a power cut leaves it
    with receiving(200) as receiver, opened(tmp_path, WEBHOOK, boot_id="boot2") as again:
        assert again.waiting_for(COMMAND) is None
        with running_hooks(Hooks(webhook=receiver.address), again):
            wait_until(lambda: len(receiver.received) == 3)
    assert [one["event_id"] for one in receiver.received] == ["E0", "E1", "E2"]


def test_a_final_refusal_is_counted_and_does_not_block(tmp_path: Path) -> None:
    """A 400 gives that event up; the next ones go on."""
    with receiving(400, 200) as receiver, opened(tmp_path, WEBHOOK) as outbox:
        for number in range(3):
            outbox.put(event(number))
        with hooked(outbox, WEBHOOK, lambda payload: post(receiver.address, payload, 2.0)):
            wait_until(lambda: len(receiver.received) == 2)
        assert outbox.hook_drops == {WEBHOOK: 1}


def test_the_token_travels_in_a_header_and_stands_in_a_file(tmp_path: Path) -> None:
    """The receiver can tell who posts; the file is read at each delivery."""
    token = tmp_path / "token"
    token.write_text("s3cret\n")
    with receiving(200) as receiver:
        assert post(receiver.address, b"{}", 2.0, str(token)) is Outcome.TAKEN
        assert receiver.headers[0]["Authorization"] == "Bearer s3cret"
        assert receiver.headers[0]["Content-Type"] == "application/json"
        assert post(receiver.address, b"{}", 2.0, str(tmp_path / "none")) is Outcome.FAILED


def test_a_hanging_receiver_costs_its_time_limit() -> None:
    """A server that does not answer, or is not there, is a failure in time."""
    began = time.monotonic()
    with receiving(200, delay_seconds=1.5) as receiver:
        assert post(receiver.address, b"{}", 0.3) is Outcome.FAILED
    assert post(f"http://127.0.0.1:{free_port()}/", b"{}", 0.3) is Outcome.FAILED
    assert time.monotonic() - began < 5.0


def test_an_answer_that_is_no_http_is_a_failure() -> None:
    """A port on which something else listens, an answer without a number, and none: each is tried again."""
    for answer in (b"220 mail.example ESMTP\r\n", b"HTTP/1.1 two hundred\r\n", b""):
        with socket.create_server(("127.0.0.1", 0)) as server:
            threading.Thread(target=_answer_once, args=(server, answer), daemon=True).start()
            assert post(f"http://127.0.0.1:{server.getsockname()[1]}/", b"{}", 2.0) is Outcome.FAILED, answer


def _answer_once(server: socket.socket, answer: bytes) -> None:
    connection, _ = server.accept()
    with connection:
        connection.recv(65536)
        connection.sendall(answer)


def test_a_hook_outlives_an_outbox_that_cannot_be_read_and_what_nobody_foresaw(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An I/O error of the disk, then no memory while it delivers: the event comes all the same."""
    troubles: list[Exception] = [sqlite3.OperationalError("disk I/O error"), MemoryError()]
    taken: list[bytes] = []
    read = Outbox.waiting_for

    def waiting_for(outbox: Outbox, hook: str) -> Waiting | None:
        if len(troubles) > 1:
            raise troubles.pop(0)
        return read(outbox, hook)

    def deliver(payload: bytes) -> Outcome:
        if troubles:
            raise troubles.pop(0)
        taken.append(payload)
        return Outcome.TAKEN

    monkeypatch.setattr(Outbox, "waiting_for", waiting_for)
    with opened(tmp_path, COMMAND) as outbox:
        outbox.put(event(1))
        with hooked(outbox, COMMAND, deliver, attempts=5):
            wait_until(lambda: len(taken) == 1)
    assert "outbox_unreadable hook=command error=disk I/O error" in caplog.text
    assert "hook_failed hook=command count=1" in caplog.text


def test_a_program_reads_each_event(tmp_path: Path) -> None:
    """Its standard input is the event; no shell interprets anything."""
    script = "import sys, json; open(sys.argv[1], 'a').write(json.load(sys.stdin)['event_id'] + sys.argv[2] + '\\n')"
    command = (sys.executable, "-c", script, str(tmp_path / "out"), "$(reboot);")
    with opened(tmp_path, COMMAND) as outbox:
        for number in range(2):
            outbox.put(event(number))
        with running_hooks(Hooks(command=command), outbox):
            wait_until(lambda: outbox.waiting_for(COMMAND) is None)
    assert (tmp_path / "out").read_text() == "E0$(reboot);\nE1$(reboot);\n"


def test_a_program_that_hangs_is_ended_with_its_children(tmp_path: Path) -> None:
    """After the time limit nothing that it started is left, and the event is given up after five tries."""
    script = "import subprocess, sys, time; p = subprocess.Popen(['sleep', '60']); open(sys.argv[1], 'w').write(str(p.pid)); time.sleep(60)"
    pid_file = tmp_path / "pid"
    began = time.monotonic()
    assert run_program((sys.executable, "-c", script, str(pid_file)), b"{}", 2.0) is Outcome.FAILED
    assert time.monotonic() - began < 10.0
    child = int(pid_file.read_text())
    wait_until(lambda: not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE)


@pytest.mark.parametrize("command", [("false",), ("/none/program",)])
def test_a_failing_program_gives_up_after_its_attempts(tmp_path: Path, command: tuple[str, ...]) -> None:
    """Five failures give one event up, counted; the outbox is not blocked by it."""
    tried = []

    def deliver(payload: bytes) -> Outcome:
        tried.append(payload)
        return run_program(command, payload, 5.0)

    with opened(tmp_path, COMMAND) as outbox:
        outbox.put(event(1))
        with hooked(outbox, COMMAND, deliver, attempts=5):
            wait_until(lambda: outbox.waiting_for(COMMAND) is None)
        assert (len(tried), outbox.hook_drops) == (5, {COMMAND: 1})


def test_a_hook_has_a_bound(tmp_path: Path) -> None:
    """A receiver that is away for long costs the oldest of its own lane alone, counted."""
    with opened(tmp_path, WEBHOOK) as outbox:
        with outbox._database:
            rows = [(WEBHOOK, 1e9, b"{}")] * (ROWS_LIMIT + 5)
            outbox._database.executemany("INSERT INTO hooked (hook, lived, payload) VALUES (?, ?, ?)", rows)
        outbox.put(event(1))
        assert outbox.hook_drops == {WEBHOOK: 6}
        assert outbox.depth().messages == 1


def test_hooks_are_off_by_default() -> None:
    """Nothing is called that nobody asked for."""
    assert hooks_of(Hooks()) == []
    assert hooks_of(Hooks(webhook="http://a/", command=("b",))) == [WEBHOOK, COMMAND]
