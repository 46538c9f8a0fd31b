"""Supervision: who feeds systemd's watchdog, and who does not; the protocol over a real socket."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import edge.daemon
import edge.supervision
from edge.daemon import watch_device
from edge.moments import Moment
from edge.notify import Notifier, notifier_from
from edge.pipeline import watch
from edge.setup import read_device
from edge.supervision import ACCOUNT_SECONDS, Account, Supervisor
from tests.brokers import Mosquitto
from tests.daemons import write_config
from tests.holding import child_environment

WAIT_SECONDS = 30.0


class Manager:
    """The service manager's end of the protocol: a datagram socket, and all that was said with its time."""

    def __init__(self, address: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address)
        self.heard: list[tuple[float, str]] = []

    def listen(self, seconds: float) -> None:
        """Take in what is said within so many seconds, one datagram at least where one comes."""
        self.socket.settimeout(seconds)
        try:
            self.heard.append((time.monotonic(), self.socket.recv(4096).decode()))
        except TimeoutError:
            return

    def wait(self, word: str, after: int = 0) -> int:
        """Return how much was heard up to a datagram that has a line of these words, beyond the first `after`."""
        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            for number, (_, told) in enumerate(self.heard[after:], after + 1):
                if word in told.split("\n"):
                    return number
            assert time.monotonic() < deadline, f"{word} was not heard; last: {self.heard[-3:]}"
            self.listen(0.2)

    def fed(self, after: int) -> list[float]:
        """Return when the watchdog was fed, beyond the first `after` datagrams."""
        return [seconds for seconds, told in self.heard[after:] if "WATCHDOG=1" in told.split("\n")]


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    """A manager that listens at `notify` in the test's folder."""
    made = Manager(str(tmp_path / "notify"))
    yield made
    made.socket.close()


@pytest.mark.parametrize(
    ("account", "is_good"),
    [
        (Account("watching", ACCOUNT_SECONDS - 0.1, 0.1), True),
        (Account("watching", ACCOUNT_SECONDS + 0.1, 0.1), False),  # frames come and are not judged
        (Account("watching", ACCOUNT_SECONDS + 0.1, 60.0), False),  # gone, and not declared blind
        (Account("degraded", ACCOUNT_SECONDS + 0.1, 0.1), False),
        (Account("warming_up", ACCOUNT_SECONDS + 0.1, 0.1), False),
        (Account("blind", 3600.0, 3600.0), True),
        (Account("blind", 3600.0, None), True),  # never gave a frame
        (Account("blind", 3600.0, 0.1), False),  # called blind while it sends
        (Account("disabled", 3600.0, 0.1), True),
        (Account("rebuilding", 3600.0, None), True),
    ],
)
def test_a_camera_is_accounted_for_where_it_is_judged_or_declared(account: Account, is_good: bool) -> None:
    """Scored or warming up lately; or blind and silent, disabled, rebuilding."""
    assert account.is_good is is_good


def test_the_protocol_from_start_to_stop(tmp_path: Path, broker: Mosquitto, manager: Manager) -> None:
    """Ready once it watches, fed while it does, reloading and ready again on SIGHUP, stopping on SIGTERM."""
    config = write_config(tmp_path, broker.port, loop=True)
    environment = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "30000000"}
    command = [sys.executable, "-c", "import sys; from edge.cli import main; sys.exit(main())", "run", "--config"]
    with subprocess.Popen([*command, str(config)], env=child_environment() | environment) as daemon:
        ready = manager.wait("READY=1")
        assert manager.heard[:-1] == []  # nothing before
        fed = manager.wait("STATUS=watching 2 of 2 cameras", ready)
        while len(manager.fed(ready)) < 4:
            fed = manager.wait("WATCHDOG=1", fed)
        gaps = [later - earlier for earlier, later in zip(manager.fed(ready), manager.fed(ready)[1:], strict=False)]
        assert max(gaps) < 30.0 / 2  # systemd advises to feed it twice as often as it bites
        config.write_text(config.read_text() + "detection: {hold_seconds: 2}\n")
        daemon.send_signal(signal.SIGHUP)
        swapping = manager.wait("RELOADING=1", fed)
        assert "WATCHDOG_USEC=180000000" in manager.heard[swapping - 1][1].split("\n")
        again = manager.wait("READY=1", swapping)
        assert "WATCHDOG_USEC=30000000" in manager.heard[again - 1][1].split("\n")
        daemon.send_signal(signal.SIGTERM)
        manager.wait("STOPPING=1", again)
        assert daemon.wait(10) == 0


def test_children_of_the_daemon_cannot_speak_for_it(tmp_path: Path, manager: Manager) -> None:
    """Socket and watchdog are taken out of the environment that they inherit; a watchdog of another process is not ours."""
    environment = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "5000000", "WATCHDOG_PID": "1", "A": "b"}
    notifier = notifier_from(environment)
    assert environment == {"A": "b"}
    assert notifier.watchdog_seconds is None
    ours = {"WATCHDOG_USEC": "5000000", "WATCHDOG_PID": str(os.getpid())}
    assert notifier_from(ours).watchdog_seconds == 5.0
    notifier.tell("READY=1", "STATUS=here")
    manager.listen(5.0)
    assert manager.heard[0][1] == "READY=1\nSTATUS=here"


def test_an_abstract_socket_is_reached_and_a_missing_one_is_no_failure(caplog: pytest.LogCaptureFixture) -> None:
    """`@name` is systemd's in containers; a manager that is gone is logged once."""
    name = f"prednet-test-{os.getpid()}"
    manager = Manager(f"\0{name}")
    Notifier(f"@{name}").tell("READY=1")
    manager.listen(5.0)
    assert manager.heard[0][1] == "READY=1"
    manager.socket.close()
    gone = Notifier(f"@{name}")
    gone.tell("READY=1")
    gone.tell("READY=1")
    assert [record.message.split()[0] for record in caplog.records] == ["notify_failed"]


def watched(
    folder: Path, port: int, see: Callable[[Moment, object], None] | None = None
) -> tuple[threading.Thread, threading.Event]:
    """Run the river of two looping cameras in a thread, with a supervisor that tells the folder's `notify`."""
    device = read_device(write_config(folder, port, loop=True))
    stopping = threading.Event()
    supervisor = Supervisor(Notifier(str(folder / "notify"), 30.0))
    thread = threading.Thread(target=watch_device, args=(device, stopping, see), kwargs={"supervisor": supervisor})
    thread.start()
    return thread, stopping


def test_a_river_that_hangs_feeds_no_watchdog(tmp_path: Path, broker: Mosquitto, manager: Manager) -> None:
    """All other threads go on, capture and MQTT among them; nothing is said until the river goes on."""
    hangs, goes_on = threading.Event(), threading.Event()

    def hang(_: Moment, __: object) -> None:
        if hangs.is_set():
            goes_on.wait()

    thread, stopping = watched(tmp_path, broker.port, hang)
    try:
        ready = manager.wait("READY=1")
        manager.wait("WATCHDOG=1", ready)
        hangs.set()
        manager.listen(1.5)  # what was said before it hung
        before = len(manager.heard)
        manager.listen(4.0)  # four times the pace at which it is fed
        assert len(manager.heard) == before
        hangs.clear()
        goes_on.set()
        manager.wait("WATCHDOG=1", before)
    finally:
        goes_on.set()
        stopping.set()
        thread.join(WAIT_SECONDS)


def test_one_camera_that_is_lost_in_the_river_starves_the_watchdog(
    tmp_path: Path,
    broker: Mosquitto,
    manager: Manager,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Its frames come, the other camera is judged, the river turns: and still it is not fed, and the log names the camera."""
    lost = threading.Event()
    monkeypatch.setattr(edge.supervision, "ACCOUNT_SECONDS", 1.0)
    monkeypatch.setattr(
        edge.daemon,
        "watch",
        lambda *river: (moment for moment in watch(*river) if moment.camera != "quiet" or not lost.is_set()),
    )
    thread, stopping = watched(tmp_path, broker.port)
    try:
        ready = manager.wait("STATUS=watching 2 of 2 cameras")
        manager.wait("WATCHDOG=1", ready)
        lost.set()
        deadline = time.monotonic() + WAIT_SECONDS
        while "cameras_unaccounted cameras=quiet" not in caplog.text:
            assert time.monotonic() < deadline
            manager.listen(0.2)
        starved = len(manager.heard)
        manager.wait("STATUS=watching 2 of 2 cameras", starved)  # the river turns
        manager.wait("STATUS=watching 2 of 2 cameras", starved + 1)
        assert manager.fed(starved + 1) == []
        lost.clear()
        manager.wait("WATCHDOG=1", starved + 1)
    finally:
        stopping.set()
        thread.join(WAIT_SECONDS)
