"""Real brokers for tests: a Mosquitto that can be killed and started again, and the embedded one."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from edge.topics import PREFIX
from tests.holding import violations
from tests.needs import need_program

HOST = "127.0.0.1"
START_SECONDS = 5.0


def free_port() -> int:
    """Return a loopback port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


class Mosquitto:
    """A real Mosquitto on a free port; `extra` are more lines of its configuration file.

    It listens on the loopback address, or on `host` within the namespace that the words of `within` enter.
    """

    def __init__(
        self, folder: Path, extra: str = "allow_anonymous true\n", host: str = HOST, within: Sequence[str] = ()
    ) -> None:
        self.host = host
        self.port = free_port()
        self._within = list(within)
        self._program = need_program("mosquitto")
        self._process: subprocess.Popen[bytes] | None = None
        self._log = folder / "mosquitto.log"
        self._configuration = folder / "mosquitto.conf"
        self._configuration.write_text(
            f"listener {self.port} {host}\npersistence true\npersistence_location {folder}/\n"
            f"autosave_interval 1\nautosave_on_changes true\nmax_queued_messages 0\nuser root\n{extra}",
            encoding="utf-8",
        )

    def start(self) -> None:
        """Start it and wait until it accepts connections."""
        with self._log.open("ab") as log:
            command = [*self._within, self._program, "-c", str(self._configuration)]
            begin = log.tell()
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                break
            if self._is_listening(begin):
                return
            time.sleep(0.02)
        raise RuntimeError(f"mosquitto did not start: {self._log.read_text(encoding='utf-8')}")

    @property
    def process_id(self) -> int:
        """The process that runs."""
        if self._process is None:
            raise RuntimeError("mosquitto does not run")
        return self._process.pid

    @property
    def memory_bytes(self) -> int:
        """Its resident memory."""
        status = Path(f"/proc/{self.process_id}/status").read_text(encoding="ascii")
        return 1024 * int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")))

    def _is_listening(self, log_begin: int) -> bool:
        if self._within:  # its network is not ours: its own word must do
            return b" running" in self._log.read_bytes()[log_begin:]
        try:
            socket.create_connection((self.host, self.port), timeout=0.2).close()
        except OSError:
            return False
        return True

    def stop(self) -> None:
        """Stop it as systemd would: it saves what it has."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(5.0)
            self._process = None

    def kill(self) -> None:
        """End it as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(5.0)
            self._process = None


@contextmanager
def mosquitto(folder: Path, extra: str = "allow_anonymous true\n") -> Iterator[Mosquitto]:
    """Run a Mosquitto, and stop it at the end."""
    broker = Mosquitto(folder, extra)
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()


@contextmanager
def consumer(
    broker: Mosquitto, topic_filter: str, folder: Path, within: Sequence[str] = (), name: str = "consumer"
) -> Iterator[Callable[[], list[str]]]:
    """Run Mosquitto's own subscriber with a session that survives outages; yield what reads its payloads so far.

    What it received is held to the contract at the end, as all that this process sends and hears is.
    """
    output = folder / f"{name}.log"
    subscribe = need_program("mosquitto_sub", "mosquitto-clients")
    command = [*within, subscribe, "-h", broker.host, "-p", str(broker.port), "-V", "5"]
    command += ["-i", name, "-c", "-x", "3600", "-q", "1", "-t", topic_filter, "-F", "%t %p", "-d"]
    with output.open("wb") as sink:
        process = subprocess.Popen(["stdbuf", "-oL", *command], stdout=sink, stderr=sink)
    try:
        _wait_for_subscription(output)
        yield lambda: [payload for _, payload in _received(output)]
    finally:
        process.terminate()
        process.wait(5.0)
    broken = [fault for topic, payload in _received(output) for fault in violations(topic, payload.encode())]
    assert not broken, f"{len(broken)} messages break the contract: {broken[:5]}"


def _received(output: Path) -> list[tuple[str, str]]:
    """Topic and payload of each message that the subscriber has written down."""
    lines = output.read_text(encoding="utf-8").splitlines()
    found = [line.partition(" ") for line in lines if line.startswith(f"{PREFIX}/")]
    return [(topic, payload) for topic, _, payload in found]


def _wait_for_subscription(output: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while "Subscribed" not in output.read_text(encoding="utf-8"):
        if time.monotonic() > deadline:
            raise RuntimeError(f"mosquitto_sub did not subscribe: {output.read_text(encoding='utf-8')}")
        time.sleep(0.02)


def make_certificate(folder: Path) -> None:
    """Write `server.pem`, signed by itself for the loopback address, and `server.key`."""
    command = [need_program("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    command += ["-nodes", "-days", "2", "-subj", "/CN=broker", "-addext", f"subjectAltName=IP:{HOST}"]
    command += ["-keyout", str(folder / "server.key"), "-out", str(folder / "server.pem")]
    subprocess.run(command, check=True, capture_output=True)


class TakingOver(threading.Thread):
    """A broker that says «session taken over» to everyone it has accepted, as MQTT 5 asks for.

    Mosquitto says it from 2.0.15 on; Debian 12 has an older one. `accepted` counts the connections.
    """

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._listener = socket.create_server((HOST, 0))
        self.host = HOST
        self.port: int = self._listener.getsockname()[1]
        self.accepted = 0

    def run(self) -> None:
        """Accept, answer, and hang up with reason 0x8E, until closed."""
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                with connection:
                    self.accepted += 1
                    connection.recv(4096)
                    connection.sendall(bytes([0x20, 3, 0, 0, 0]) + bytes([0xE0, 2, 0x8E, 0]))

    def close(self) -> None:
        """Stop listening."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
