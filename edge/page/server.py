"""The page's server: sockets and threads of its own, within fixed bounds. The door of `waitress`."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable
from typing import Any

from waitress.server import create_server
from waitress.wasyncore import close_all

from edge.page.app import BODY_BYTES, Application

log = logging.getLogger(__name__)
logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # a request that waits for a thread is no news

DEFAULT_PORT, PORTS_TRIED = 8470, 10
THREADS = 4
CONNECTIONS = 64
HEADER_BYTES = 16384
IDLE_SECONDS = 30
CLOSE_SECONDS = 2.0


def open_socket(bind: str, port: int) -> socket.socket:
    """Return a listening socket; of port 0, on the first free one of those from DEFAULT_PORT on, or any other.

    Raises OSError where the port is taken, or the address is none of this machine's.
    """
    family = socket.AF_INET6 if ":" in bind else socket.AF_INET
    for tried in range(DEFAULT_PORT, DEFAULT_PORT + PORTS_TRIED) if port == 0 else ():
        try:
            return socket.create_server((bind, tried), family=family)
        except OSError:
            continue
    return socket.create_server((bind, port), family=family)


class PageServer:
    """Serves an application on a listening socket from when it is made until it is closed."""

    def __init__(self, application: Application, listening: socket.socket) -> None:
        self.port: int = listening.getsockname()[1]
        self._map: dict[int, Any] = {}
        self._server = create_server(
            application,
            map=self._map,
            sockets=[listening],
            threads=THREADS,
            connection_limit=CONNECTIONS,
            channel_timeout=IDLE_SECONDS,
            cleanup_interval=5,
            max_request_header_size=HEADER_BYTES,
            max_request_body_size=BODY_BYTES,
            ident="prednet-edge",
            clear_untrusted_proxy_headers=True,
            asyncore_use_poll=True,
        )
        self._thread = threading.Thread(target=self._server.run, name="page", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening, and end every connection."""
        self._within_its_thread(lambda: close_all(self._map))
        self._thread.join(CLOSE_SECONDS)
        self._server.task_dispatcher.shutdown(timeout=CLOSE_SECONDS)
        if self._thread.is_alive():
            log.warning("page_abandoned")

    def _within_its_thread(self, work: Callable[[], None]) -> None:
        self._server.trigger.pull_trigger(work)
