"""What must not be lost: a daemon that is killed again and again, what it put on disk, and what a consumer holds."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.brokers import Mosquitto
from tests.films import write_clip
from tests.holding import child_environment
from tests.tiny import normal_images, with_accident, write_tiny_bundle

FRAMES = 140
START_SECONDS = 120.0
DRAIN_SECONDS = 60.0

# The daemon as users run it; beside it a list of what `put` returned, written before anything else happens.
DAEMON = """
import os, sys
from edge.outbox import Outbox
ledger = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
put = Outbox.put
def noted(self, event, **how):
    stored = put(self, event, **how)
    os.write(ledger, f"{stored.boot_id} {stored.seq} {stored.event_id} {stored.type}\\n".encode())
    return stored
Outbox.put = noted
from edge.cli import main
sys.exit(main(["run", "--config", sys.argv[2]]))
"""


@dataclass(frozen=True)
class Account:
    """What became of the messages: `lost` are (boot, seq) that no consumer holds and no gap names."""

    put: int
    received: int
    duplicates: int
    told_lost: int
    boots: int
    lost: list[tuple[str, int]]
    never_ended: list[str]


def account_of(put: Sequence[tuple[str, int]], received: Sequence[dict[str, Any]]) -> Account:
    """Hold what was put against what a consumer received; within a boot the numbers must also have no hole."""
    held = {(one["boot_id"], one["seq"]) for one in received}
    told = {
        (gap["lost_boot_id"], seq)
        for gap in received
        if gap["type"] == "gap" and "from_seq" in gap
        for seq in range(gap["from_seq"], gap["to_seq"] + 1)
    }
    last: dict[str, int] = {}
    for boot, seq in [*put, *held]:
        last[boot] = max(last.get(boot, 0), seq)
    wanted = {(boot, seq) for boot, most in last.items() for seq in range(1, most + 1)}
    begun = {one["event_id"] for one in received if one["type"] in ("new", "update")}
    ended = {one["event_id"] for one in received if one["type"] == "end"}
    return Account(
        put=len(put),
        received=len(received),
        duplicates=len(received) - len(held),
        told_lost=len(told),
        boots=len(last),
        lost=sorted(wanted - held - told),
        never_ended=sorted(begun - ended),
    )


def write_lively_config(folder: Path, port: int) -> Path:
    """A camera whose events come and go every second or two, with updates, for ever."""
    write_tiny_bundle(folder / "tiny.prednet")
    images = normal_images(FRAMES, seed=5)
    for start in range(8, FRAMES - 15, 20):
        images = with_accident(images, start, start + 12, seed=start)
    write_clip(folder / "busy.mkv", images)
    path = folder / "config.yaml"
    path.write_text(
        f"site: plant7\ndevice: edge1\nbundle: tiny.prednet\nstate_directory: state\nthreads: 1\nmqtt: {{port: {port}}}\n"
        "cameras: {busy: {source: busy.mkv, loop: true}}\n"
        "detection: {hold_seconds: 0.2, release_seconds: 0.1, refractory_seconds: 0.1, update_seconds: 0.1}\n"
    )
    return path


class Daemon:
    """A daemon that can be killed and started again; `put` is what its `put` ever returned."""

    def __init__(self, config: Path) -> None:
        self._config, self._ledger = config, config.with_name("ledger")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait for its first message of this start."""
        before = len(self.put())
        command = [sys.executable, "-c", DAEMON, str(self._ledger), str(self._config)]
        with self._config.with_name("daemon.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, env=child_environment())
        deadline = time.monotonic() + START_SECONDS
        while len(self.put()) == before:
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(
                    f"the daemon does not run: {self._config.with_name('daemon.log').read_text()[-2000:]}"
                )
            time.sleep(0.02)

    def kill(self) -> None:
        """End it as a power cut would."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def stop(self) -> int:
        """End it as systemd would; return its exit code."""
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(20.0)

    def put(self) -> list[tuple[str, int]]:
        """Return boot and number of every message whose `put` returned; a torn last line did not return."""
        if not self._ledger.exists():
            return []
        lines = [line.split() for line in self._ledger.read_text().split("\n")[:-1]]
        return [(line[0], int(line[1])) for line in lines]


def kill_again_and_again(
    daemon: Daemon,
    broker: Mosquitto,
    lines: Callable[[], list[str]],
    kills: int,
    chance: random.Random,
    *,
    most_seconds: float = 3.0,
    progress: Callable[[int], None] = lambda _: None,
) -> Account:
    """Kill the daemon at random moments, every fifth time the broker too; then let all drain and return the account."""
    for number in range(kills):
        daemon.start()
        if number % 5 == 2:
            broker.kill()
        time.sleep(chance.uniform(0.0, most_seconds))
        daemon.kill()
        if number % 5 == 2:
            broker.start()
        progress(number + 1)
    daemon.start()
    wait_for_all(daemon, lines)
    if daemon.stop() != 0:
        raise RuntimeError("the daemon did not stop cleanly")
    return wait_for_all(daemon, lines)


def wait_for_all(daemon: Daemon, lines: Callable[[], list[str]]) -> Account:
    """Return the account once nothing is missing, or after a minute."""
    deadline = time.monotonic() + DRAIN_SECONDS
    while True:
        account = account_of(daemon.put(), [json.loads(line) for line in lines()])
        if (not account.lost and not account.never_ended) or time.monotonic() > deadline:
            return account
        time.sleep(0.2)
