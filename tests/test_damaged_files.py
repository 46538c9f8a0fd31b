"""Damaged and missing files of the state directory: the daemon watches all the same, and says what it could not read."""

from __future__ import annotations

import logging
import random
import shutil
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from edge.audit import AuditLog, Entry
from edge.command_store import CommandStore
from edge.coverage_ledger import Ledger
from edge.daemon import watch_device
from edge.event_ledger import EventLedger
from edge.messages import Event
from edge.moments import Moment
from edge.outbox import Outbox
from edge.setup import read_device
from edge.small_database import open_or_begin_anew
from edge.switches import Switch, Switches
from tests.brokers import free_port
from tests.films import write_clip
from tests.publishing import event
from tests.tiny import normal_images, write_tiny_bundle

Damage = Callable[[bytes], bytes | None]


def cut(data: bytes) -> bytes:
    """The first half, as a disk leaves it that was full."""
    return data[: len(data) // 2]


def noise(data: bytes) -> bytes:
    """A hundred bytes turned to something else."""
    chance, changed = random.Random(7), bytearray(data)
    for _ in range(100 if changed else 0):
        changed[chance.randrange(len(changed))] = chance.randrange(256)
    return bytes(changed)


def torn_page(data: bytes) -> bytes:
    """Another kilobyte than was written, behind a sound beginning."""
    return data[:1024] + random.Random(8).randbytes(min(1024, max(len(data) - 1024, 0))) + data[2048:]


def turned_bit(data: bytes) -> bytes:
    """The high bit of letters in JSON turned over: no UTF-8 any more, and nothing that SQLite notices."""
    if data.startswith(b"SQLite"):
        return data.replace(b'"plant7"', b'"pl\xe1nt7"')
    return data.replace(b"a", b"\xe1")


DAMAGES: dict[str, Damage] = {
    "missing": lambda _: None,
    "empty": lambda _: b"",
    "cut": cut,
    "zeros": lambda data: bytes(len(data)),
    "noise": noise,
    "torn page": torn_page,
    "turned bit": turned_bit,
    "of another kind": lambda _: b"PK\x03\x04" + bytes(3000),
}


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A device's folder with everything that a daemon keeps, after some days of work."""
    folder = tmp_path_factory.mktemp("device")
    write_tiny_bundle(folder / "tiny.prednet")
    write_clip(folder / "film.mkv", normal_images(25, seed=5))
    (folder / "config.yaml").write_text(
        "site: plant7\ndevice: edge1\nbundle: tiny.prednet\nstate_directory: state\nthreads: 1\n"
        f"mqtt: {{port: {free_port()}, home_assistant: true}}\ncameras: {{cam: {{source: film.mkv, playback: fast}}}}\n"
    )
    device = read_device(folder / "config.yaml")
    watch_device(device, threading.Event())
    state = folder / "state"
    limit = device.models["cam"].calibration.limit
    assert limit is not None
    Switches({"cam": limit}, state / "switches.json", wall_clock=lambda: 0.0).set("cam", Switch(limit_on=limit.on))
    AuditLog(state / "audit.jsonl").write(
        Entry(time="2026-11-22T14:03:11.480Z", verb="x", request_id=None, status="ok", code="done", bytes=0, payload="")
    )
    with EventLedger(state / "events.sqlite") as events, CommandStore(state / "commands.sqlite") as store:
        for number in range(300):
            events.note(event(number))
            store.begin(f"c{number}", 1e12, 0.0)
            store.finish(f"c{number}", b"x" * 100)
    with Ledger(state / "coverage.sqlite") as ledger:
        for hour in range(200):
            ledger.add("cam", 1.79e9 + 3600.0 * hour, {"watched_seconds": 1800.0}, is_clock_synced=True)
    with Outbox(state / "outbox.sqlite", "plant7", "edge1", "old") as outbox:
        for number in range(100):
            outbox.put(event(number))
    return folder


def damaged(lived: Path, folder: Path, damage: Damage) -> list[Path]:
    """Copy a device and damage every file of its state; return the files."""
    shutil.copytree(lived, folder)
    files = [path for path in (folder / "state").rglob("*") if path.is_file() and path.stat().st_size]
    for path in files:
        changed = damage(path.read_bytes())
        if changed is None:
            path.unlink()
        else:
            path.write_bytes(changed)
    return files


@pytest.mark.parametrize("name", DAMAGES)
def test_a_device_watches_whatever_became_of_its_files(name: str, lived: Path, tmp_path: Path) -> None:
    """All files of the state directory at once: every frame of the film is watched, and a second start finds them mended."""
    files = damaged(lived, tmp_path / "device", DAMAGES[name])
    assert {"outbox.sqlite", "events.sqlite", "commands.sqlite", "coverage.sqlite", "switches.json"} <= {
        path.name for path in files
    }
    device = read_device(tmp_path / "device" / "config.yaml")
    for _ in range(2):
        moments: list[Moment] = []
        watch_device(device, threading.Event(), see=lambda moment, _, seen=moments: seen.append(moment))
        assert sum(moment.sensed is not None for moment in moments) == 25
    for database in (tmp_path / "device" / "state").glob("*.sqlite"):
        with closing(sqlite3.connect(database)) as opened:
            assert opened.execute("PRAGMA quick_check").fetchone() == ("ok",), database.name


def test_a_message_that_cannot_be_read_is_a_gap_and_the_others_go_on(tmp_path: Path) -> None:
    """Bytes of one message turned over, which SQLite does not notice: it is told lost, and the rest is as it was."""
    path = tmp_path / "outbox.sqlite"
    with Outbox(path, "plant7", "edge1", "old") as outbox:
        for number in range(5):
            outbox.put(event(number))
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE messages SET payload = ? WHERE seq = 3", (b"\xff" * 40,))
        database.execute("UPDATE open_events SET payload = 'x' WHERE rowid = 1")
    with Outbox(path, "plant7", "edge1", "new") as outbox:
        outbox.announce_losses(10)
        kept = [msgspec.json.decode(row.payload, type=Event) for row in outbox.pending(0, 100)]
        assert outbox.set_aside is None
        assert isinstance(outbox.closing_events(), tuple)
    assert [one.seq for one in kept if one.boot_id == "old"] == [1, 2, 4, 5]
    told = [(one.lost_boot_id, one.from_seq, one.to_seq) for one in kept if one.type == "gap"]
    assert ("old", 3, 3) in told


def test_a_small_database_whose_pages_are_torn_is_begun_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Found when it is opened, not when a row is read; the damaged one is kept beside it, and it is said."""
    path = tmp_path / "small.sqlite"
    with closing(open_or_begin_anew(path, "CREATE TABLE IF NOT EXISTS t (x)")) as held, held:
        held.executemany("INSERT INTO t VALUES (?)", [("x" * 100,)] * 1000)
    torn = bytearray(path.read_bytes())
    torn[8192:12288] = bytes([255]) * 4096
    path.write_bytes(torn)
    with caplog.at_level(logging.ERROR), closing(open_or_begin_anew(path, "CREATE TABLE IF NOT EXISTS t (x)")) as anew:
        assert anew.execute("SELECT count(*) FROM t").fetchone() == (0,)
    assert "database_damaged" in caplog.text
    assert (tmp_path / "small.sqlite.damaged").read_bytes() == torn
