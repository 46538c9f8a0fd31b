"""The door of iotcore: a broker inside the demo's process tree, on the loopback address only."""

from __future__ import annotations

import socket
import tempfile
from pathlib import Path
from types import TracebackType

import iotcore

HOST = "127.0.0.1"
_ATTEMPTS = 5

_CONFIGURATION = """\
id = 0

[router]
id = 0
max_connections = 100
max_outgoing_packet_count = 200
max_segment_size = 4194304
max_segment_count = 10

[{version}.1]
name = "demo"
listen = "{host}:{port}"
next_connection_delay_ms = 1

[{version}.1.connections]
connection_timeout_ms = 5000
max_payload_size = 262144
max_inflight_count = 100
dynamic_filters = true
"""


class EmbeddedBroker:
    """A broker for the demo and quick tests, MQTT 5 on a free loopback port, opened and closed by `with`.

    It has no persistence, no login and one listener. Raises RuntimeError or OSError if it does not start.
    """

    def __init__(self, version: str = "v5") -> None:
        self.host = HOST
        self.port = 0
        self._version = version
        self._broker: iotcore.Broker | None = None

    def __enter__(self) -> EmbeddedBroker:
        for attempts_left in reversed(range(_ATTEMPTS)):
            self.port = _free_port()
            try:
                self._broker = _started(self._version, self.port)
            except OSError:  # another process took the port in between
                if attempts_left == 0:
                    raise
            else:
                break
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop the broker and free its port."""
        if self._broker is not None:
            self._broker.stop()
            self._broker = None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _started(version: str, port: int) -> iotcore.Broker:
    """Return a running broker; it has read its configuration file when it listens."""
    with tempfile.TemporaryDirectory(prefix="prednet-broker-") as folder:
        path = Path(folder) / "broker.toml"
        path.write_text(_CONFIGURATION.format(version=version, host=HOST, port=port), encoding="utf-8")
        return iotcore.Broker(config_path=str(path)).start()
