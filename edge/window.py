"""A window onto the running daemon for programs of the same machine: its last messages, over a socket on disk.

No broker is needed. Only the service's user and root can open it; nothing can be asked or changed through it.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import msgspec

from edge.errors import DeviceUnavailable
from edge.messages import Event, encode
from edge.mqtt import Received
from edge.topics import EVENTS, Topics

log = logging.getLogger(__name__)

WINDOW_FILE = "window.sock"
MOST_EVENTS = 50
TIMEOUT_SECONDS = 2.0
MOST_BYTES = 16 * 2**20


class Seen(msgspec.Struct, frozen=True):
    """What the window shows: the device's topics, the last payload by subtopic, and its last events' messages."""

    root: str
    last: dict[str, bytes]
    events: list[bytes]


class Window:
    """Answers everybody who connects with what there is, in a thread of its own, until closed."""

    def __init__(self, folder: Path, topics: Topics, last: Callable[[], Mapping[str, bytes]]) -> None:
        self._topics, self._last = topics, last
        self._events: deque[bytes] = deque(maxlen=MOST_EVENTS)
        self._folder, self._listener = folder, _listening(folder)
        self._thread = threading.Thread(target=self._run, name="window", daemon=True)
        self._thread.start()

    def hear(self, event: Event) -> None:
        """Take in an event as it was published; called by the river, and never waits."""
        self._events.append(encode(event))

    def close(self) -> None:
        """Stop answering."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(TIMEOUT_SECONDS)
        (self._folder / WINDOW_FILE).unlink(missing_ok=True)

    def _run(self) -> None:
        with suppress(OSError):  # closed
            while True:
                connection, _ = self._listener.accept()
                with connection, suppress(OSError):
                    connection.settimeout(TIMEOUT_SECONDS)
                    seen = Seen(self._topics.root, dict(self._last()), list(self._events))
                    connection.sendall(msgspec.msgpack.encode(seen))


@contextmanager
def open_window(folder: Path, topics: Topics, last: Callable[[], Mapping[str, bytes]]) -> Iterator[Window | None]:
    """Open a device's window in its state directory until the end; None, and a word in the log, where that fails."""
    try:
        window = Window(folder, topics, last)
    except OSError as error:
        log.warning("window_refused folder=%s error=%s", folder, error)
        yield None
        return
    with closing(window):
        yield window


def seen_through(folder: Path) -> list[Received]:
    """Return the last messages of the daemon whose state directory this is. Raises DeviceUnavailable."""
    try:
        with _short_path(folder) as path, socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(TIMEOUT_SECONDS)
            connection.connect(path)
            seen = msgspec.msgpack.decode(_all_of(connection), type=Seen)
    except PermissionError as error:
        raise DeviceUnavailable(
            f"{folder / WINDOW_FILE}: only the daemon's user and root may look; use sudo, or --host for its broker."
        ) from error
    except (OSError, ValueError) as error:
        raise DeviceUnavailable(
            f"{folder / WINDOW_FILE}: no daemon answers here ({error}); is 'prednet-edge run' running?"
        ) from error
    states = [Received(f"{seen.root}/{subtopic}", payload, True) for subtopic, payload in seen.last.items()]
    return states + [Received(f"{seen.root}/{EVENTS}", payload, False) for payload in seen.events]


def _all_of(connection: socket.socket) -> bytes:
    data = bytearray()
    while len(data) < MOST_BYTES and (part := connection.recv(65536)):
        data += part
    return bytes(data)


def _listening(folder: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    try:
        with _short_path(folder) as path:
            Path(path).unlink(missing_ok=True)  # an earlier start's
            listener.bind(path)
            Path(path).chmod(0o600)
        listener.listen(8)
    except OSError:
        listener.close()
        raise
    return listener


@contextmanager
def _short_path(folder: Path) -> Iterator[str]:
    """A socket's path has 107 bytes at most; through the open folder it is short, wherever that lies."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{handle}/{WINDOW_FILE}"
    finally:
        os.close(handle)
