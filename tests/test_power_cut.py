"""A power cut at any instant, on a disk that loses what was not synced: what was promised is there at the next start.

The daemon is traced as it runs, and every change that it asks of its disk is kept in order. From that come the states
that a cut may leave (`tests/disk_states.py`); on each the next start must find everything that it ought to.
"""

from __future__ import annotations

import random
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from edge.messages import Event
from edge.outbox import Outbox
from edge.switches import Switch
from tests.disk_states import Disk, fates
from tests.disk_trace import Op, ops_of
from tests.loss import Daemon, write_lively_config
from tests.power_cuts import RECORD_SECONDS, Put, Recording, cuts, put_from_line, recorded, traced

MESSAGES = 24
CUTS = 42
DATABASES = ("events.sqlite", "commands.sqlite", "coverage.sqlite")


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    """What a daemon asks of its disk while its events come and go."""
    return recorded(tmp_path_factory.mktemp("recording"), MESSAGES)


def test_no_message_whose_put_returned_is_lost_by_a_power_cut(recording: Recording, tmp_path: Path) -> None:
    """Nor is the outbox ever damaged, and every event that had begun and not ended is closed by the next start."""
    found = 0
    for cut in cuts(recording, tmp_path, CUTS):
        with Outbox(cut.folder / "outbox.sqlite", "plant7", "edge1", "next") as outbox:
            assert outbox.set_aside is None
            kept = [msgspec.json.decode(row.payload, type=Event) for row in outbox.pending(0, 1000)]
            closed = {event.event_id for event in outbox.closing_events()}
        held = {(event.boot_id, event.seq) for event in kept}
        assert {(one.boot_id, one.seq) for one in cut.puts} <= held
        ended = {event.event_id for event in kept if event.type == "end"}
        assert {one.event_id for one in cut.puts if one.type in ("new", "update")} - ended <= closed
        found += len(cut.puts)
    assert found > CUTS, "the cuts lie among messages"


def test_no_database_is_damaged_by_a_power_cut(recording: Recording, tmp_path: Path) -> None:
    """The ledgers of events, of hours and of commands open, whole by SQLite's own check."""
    opened = 0
    for cut in cuts(recording, tmp_path, CUTS, seed=2):
        for name in DATABASES:
            if (cut.folder / name).exists():
                with closing(sqlite3.connect(cut.folder / name)) as database:
                    assert database.execute("PRAGMA quick_check").fetchone() == ("ok",)
                opened += 1
    assert opened > CUTS


def test_evidence_is_in_its_place_whole_or_not_at_all(recording: Recording, tmp_path: Path) -> None:
    """Files below a finished name have the bytes that they have in the end; what a message has promised is there."""
    last = {path.relative_to(recording.root): path.read_bytes() for path in _finished(recording.root)}
    ready = {path.parent.name for path in last}
    assert ready
    seen = 0
    for cut in cuts(recording, tmp_path, CUTS, seed=3):
        for path in _finished(cut.folder):
            assert path.read_bytes() == last[path.relative_to(cut.folder)], path
            seen += 1
        told = {one.event_id for one in cut.puts if one.type == "evidence"} & ready
        assert told <= {path.parent.name for path in _finished(cut.folder)}
    assert seen


def _finished(root: Path) -> list[Path]:
    return [
        path
        for path in (root / "evidence").rglob("*")
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(root).parts)
    ]


def test_the_daemon_starts_and_watches_after_a_power_cut(recording: Recording, tmp_path: Path) -> None:
    """On a state in which the disk lost what it may lose: the first message of the next start comes from a seen frame."""
    *_, cut = cuts(recording, tmp_path / "cuts", 30, seed=4)
    folder = tmp_path / "device"
    folder.mkdir()
    config = write_lively_config(folder, 1)
    cut.folder.rename(folder / "state")
    daemon = Daemon(config)
    daemon.start()
    deadline = time.monotonic() + RECORD_SECONDS
    while not [one for one in _lines(folder) if one.boot_id != cut.puts[0].boot_id and one.type == "new"]:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert daemon.stop() == 0
    open_before = {one.event_id for one in cut.puts} - {one.event_id for one in cut.puts if one.type == "end"}
    assert open_before <= {one.event_id for one in _lines(folder) if one.type == "end"}


def _lines(folder: Path) -> list[Put]:
    return [put_from_line(line) for line in (folder / "ledger").read_text().splitlines()]


SMALL = """
import os, sys
from pathlib import Path
from edge.command_store import CommandStore
from edge.detection import Limit
from edge.switches import Switch, Switches
root = Path(sys.argv[1])
ledger = os.open(root / "ledger", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
switches = Switches({"cam": Limit(2.0, 1.0)}, root / "switches.json", wall_clock=lambda: 0.0)
with CommandStore(root / "commands.sqlite") as store:
    for number in range(12):
        switches.set("cam", Switch(limit_on=float(number)))
        store.begin(f"c{number}", 1e12, 0.0)
        store.finish(f"c{number}", b"reply")
        os.write(ledger, f"b {number} c{number} end\\n".encode())
"""


def test_what_people_have_switched_and_asked_for_survives_a_power_cut(tmp_path: Path) -> None:
    """A limit that was set and replied to is in force at the next start, and the command is known."""
    root, log = tmp_path / "state", tmp_path / "trace"
    assert traced(SMALL, [str(root)], root, log).wait(RECORD_SECONDS) == 0, log.with_suffix(".err").read_text()
    for cut in cuts(Recording(root, ops_of(log, root, Path.cwd())), tmp_path / "cuts", 2 * CUTS):
        if not cut.puts:
            continue
        last = cut.puts[-1].seq
        held = msgspec.json.decode((cut.folder / "switches.json").read_bytes(), type=dict[str, Switch])
        assert held["cam"].limit_on in (last, last + 1)
        with closing(sqlite3.connect(cut.folder / "commands.sqlite")) as database:
            known = dict(database.execute("SELECT request_id, payload FROM replies").fetchall())
        assert all(known[one.event_id] == b"reply" for one in cut.puts)


def test_a_disk_that_keeps_its_promises_less_well_is_noticed(tmp_path: Path) -> None:
    """The test of the tests: a file that is written in its place, and one renamed without a sync, lose their contents."""
    write = Op("write", "/r/a", inode=1, data=b"new" * 1000)
    for last in (Op("sync", "/r/a", inode=1), None):
        disk = Disk()
        for op in (Op("create", "/r/a", inode=1), write, last, Op("rename", "/r/a", "/r/b"), Op("sync_folder", "/r")):
            if op is not None:
                disk.do(op)
        lost = disk.after_a_cut(0, fates("lost", random.Random(1)))
        assert lost == {"/r/b": b"" if last is None else write.data}
        torn = disk.after_a_cut(0, fates("torn", random.Random(1)))["/r/b"]
        assert (torn == write.data) == (last is not None)
    assert tmp_path.exists()
