"""A daemon whose changes of its disk are written down, and what a power cut at any instant would leave of them."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.disk_states import Disk, fates, lay_out
from tests.disk_trace import Op, ops_of, strace
from tests.holding import child_environment
from tests.loss import DAEMON, write_lively_config
from tests.needs import need_program

RECORD_SECONDS = 90.0  # a traced daemon on a busy machine starts slowly
KINDS = ("lost", "whole", "mixed")


@dataclass(frozen=True)
class Put:
    """A message whose `put` had returned, so that it may not be lost."""

    boot_id: str
    seq: int
    event_id: str
    type: str


@dataclass(frozen=True)
class Cut:
    """A power cut: what had returned until then, and the folder as the next start finds it."""

    puts: list[Put]
    folder: Path


@dataclass(frozen=True)
class Recording:
    """What a program asked of the disk below `root`."""

    root: Path
    ops: list[Op]


def traced(program: str, arguments: list[str], root: Path, log: Path) -> subprocess.Popen[bytes]:
    """Start a Python program whose changes of its disk are written down."""
    need_program("strace")
    root.mkdir()
    command = [*strace(log), sys.executable, "-c", program, *arguments]
    return subprocess.Popen(command, env=child_environment(), stderr=log.with_suffix(".err").open("wb"))


def recorded(folder: Path, messages: int) -> Recording:
    """Trace a daemon whose events come and go, without a broker, and kill it after so many messages."""
    config, root, log = write_lively_config(folder, 1), folder / "state", folder / "trace"
    with config.open("a") as file:
        file.write("evidence: {pre_roll_seconds: 0.5, post_roll_seconds: 0.2}\n")
    ledger = root / "ledger"
    process = traced(DAEMON, [str(ledger), str(config)], root, log)
    deadline = time.monotonic() + RECORD_SECONDS
    while not ledger.exists() or ledger.read_text().count("\n") < messages:
        assert process.poll() is None, log.with_suffix(".err").read_text()[-2000:]
        assert time.monotonic() < deadline
        time.sleep(0.05)
    for child in psutil.Process(process.pid).children(recursive=True):
        child.kill()
    process.wait()
    return Recording(root, ops_of(log, root, Path.cwd()))


def cuts(recording: Recording, place: Path, count: int, seed: int = 1) -> Iterator[Cut]:
    """Yield cuts at random instants of a recording, two thirds of them among its messages; every kind of loss in turn."""
    chance, every = random.Random(seed), range(1, len(recording.ops) + 1)
    first = next(number for number, op in enumerate(recording.ops) if _is_note(op))
    instants = sorted(chance.choice(every[first:] if number % 3 else every) for number in range(count))
    disk, puts, done = Disk(), list[Put](), 0
    for number, instant in enumerate(instants):
        for op in recording.ops[done:instant]:
            disk.do(op)
            if _is_note(op):
                puts += [put_from_line(line) for line in op.data.decode().splitlines()]
        done = instant
        names = {"lost": 0, "whole": len(disk.waiting_names)}
        kind = KINDS[number % len(KINDS)]
        taken = names.get(kind, chance.randint(0, len(disk.waiting_names)))
        folder = place / str(number)
        lay_out(disk.after_a_cut(taken, fates(kind, chance)), recording.root, folder)
        yield Cut(list(puts), folder)


def _is_note(op: Op) -> bool:
    return op.what == "write" and Path(op.path).name == "ledger"


def put_from_line(line: str) -> Put:
    """Return what a line of the daemon's own list says."""
    boot_id, seq, event_id, kind = line.split()
    return Put(boot_id, int(seq), event_id, kind)
