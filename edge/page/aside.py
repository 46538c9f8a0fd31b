"""The process beside the device in which limits are tried, at low priority; it ends when nothing is asked of it.

Within the daemon's interpreter that would take turns with the river, however low its thread's priority.
"""

from __future__ import annotations

import select
import subprocess
import sys
import threading
import time
from typing import Any

import msgspec

from edge.errors import PrednetError
from edge.page.trying import Question

COMMAND = (sys.executable, "-c", "from edge.page.trying import main; main()")
ANSWER_SECONDS = 30.0
IDLE_SECONDS = 60.0
# One is answered and one waits: the other threads of the page are left to pictures and numbers.
SEATS = 2


class NoSeat(PrednetError):
    """Others ask already: ask again."""


class Aside:
    """Asks the process one question at a time, for any thread; it is begun at the first one.

    When the device ends, by whatever means, so does its standard input, and with that the process.
    """

    def __init__(self, idle_seconds: float = IDLE_SECONDS) -> None:
        self._lock, self._idle_seconds = threading.Lock(), idle_seconds
        self._seats = threading.BoundedSemaphore(SEATS)
        self._process: subprocess.Popen[bytes] | None = None
        self._asked_seconds = 0.0

    @property
    def process_id(self) -> int | None:
        """The process that runs, None while none does."""
        process = self._process
        return None if process is None else process.pid

    def ask(self, question: Question) -> dict[str, Any]:
        """Return the answer. Raises NoSeat where others wait, PrednetError where the process ends or takes too long."""
        if not self._seats.acquire(blocking=False):
            raise NoSeat("Other limits are being tried; ask again.")
        try:
            return self._asked(question)
        finally:
            self._seats.release()

    def _asked(self, question: Question) -> dict[str, Any]:
        with self._lock:
            self._process = process = self._process or _begun()
            self._asked_seconds = time.monotonic()
            try:
                return _answered(process, question)
            except (OSError, ValueError) as error:
                self.close()
                raise PrednetError(
                    "No answer came: the device was too busy, or failed, and its log says how; ask again."
                ) from error

    def rest(self) -> None:
        """End the process where nothing was asked for a while. Call it often; it is cheap, and does not wait."""
        if self._process is not None and self._lock.acquire(blocking=False):
            try:
                if time.monotonic() - self._asked_seconds > self._idle_seconds:
                    self.close()
            finally:
                self._lock.release()

    def close(self) -> None:
        """End the process at once; who waits for its answer gets none."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()


def _begun() -> subprocess.Popen[bytes]:
    return subprocess.Popen(COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)  # noqa: S603


def _answered(process: subprocess.Popen[bytes], question: Question) -> dict[str, Any]:
    """Write a line, and read one. Raises OSError or ValueError where none comes."""
    if process.stdin is None or process.stdout is None:
        raise OSError("the process has no pipes")
    process.stdin.write(msgspec.json.encode(question) + b"\n")
    ready, _, _ = select.select([process.stdout], [], [], ANSWER_SECONDS)
    line = process.stdout.readline() if ready else b""
    return msgspec.json.decode(line, type=dict[str, Any])
