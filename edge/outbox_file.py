"""The outbox's SQLite file: its tables, and one function per thing that is done to them.

The caller holds the lock and the transaction.
"""

from __future__ import annotations

import logging
import shutil
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from edge.errors import DeviceUnavailable
from edge.files import write_whole
from edge.messages import Event

log = logging.getLogger(__name__)

FORMAT = 2  # the user_version that `_TABLES` writes
BOOTS_KEPT = 100
RESERVED_BYTES = 2 * 2**20  # of the file system, so that a full disk does not stop events
GROWTH_ROOM = 3  # times RESERVED_BYTES must be free before the file grows: it and its log take two

_SETTINGS = """
PRAGMA locking_mode = EXCLUSIVE;
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
PRAGMA wal_autocheckpoint = 256;
"""
_TABLES = """
BEGIN;
CREATE TABLE messages (id INTEGER PRIMARY KEY AUTOINCREMENT, boot_id TEXT NOT NULL, seq INTEGER NOT NULL,
  type TEXT NOT NULL, lived REAL NOT NULL, payload BLOB NOT NULL);
CREATE INDEX updates ON messages (id) WHERE type = 'update';
CREATE TABLE open_events (event_id TEXT PRIMARY KEY, payload BLOB NOT NULL);
CREATE TABLE losses (boot_id TEXT, from_seq INTEGER, to_seq INTEGER, reason TEXT NOT NULL);
CREATE INDEX loss_ends ON losses (boot_id, to_seq);
CREATE INDEX loss_begins ON losses (boot_id, from_seq);
CREATE TABLE boots (number INTEGER PRIMARY KEY AUTOINCREMENT, boot_id TEXT NOT NULL);
CREATE TABLE numbers (name TEXT PRIMARY KEY, value REAL NOT NULL);
INSERT INTO numbers VALUES ('bytes', 0), ('messages', 0), ('lived', 0), ('connections', 0);
CREATE TRIGGER counted AFTER INSERT ON messages BEGIN
  UPDATE numbers SET value = value + 1 WHERE name = 'messages';
  UPDATE numbers SET value = value + length(NEW.payload) WHERE name = 'bytes'; END;
CREATE TRIGGER discounted AFTER DELETE ON messages BEGIN
  UPDATE numbers SET value = value - 1 WHERE name = 'messages';
  UPDATE numbers SET value = value - length(OLD.payload) WHERE name = 'bytes'; END;
PRAGMA user_version = 2;
COMMIT;
"""


@dataclass(frozen=True)
class Row:
    """A message on disk: `id` rises for ever; `payload` is its JSON as it was put."""

    id: int
    payload: bytes
    age_seconds: float


@dataclass(frozen=True)
class Loss:
    """Messages `from_seq` to `to_seq` of a boot that no consumer will get; all None where unknown."""

    reason: str
    boot_id: str | None = None
    from_seq: int | None = None
    to_seq: int | None = None


@dataclass(frozen=True)
class Candidate:
    """A message that may be dropped, with what its `gap` will say."""

    id: int
    boot_id: str
    seq: int
    type: str
    lived: float
    payload: bytes


def open_or_rebuild(path: Path) -> tuple[sqlite3.Connection, Path | None]:
    """Return the open database, and where a damaged one was moved (None if it was sound).

    Raises DeviceUnavailable where the file cannot be opened or another process uses it.
    """
    _release(path)
    try:
        return _opened(path), None
    except sqlite3.OperationalError as error:
        raise DeviceUnavailable(
            f"The outbox {path} cannot be opened: {error}. Give a folder that this user can write and "
            "that has space left, and let one process use it."
        ) from error
    except sqlite3.DatabaseError as error:
        aside = _set_aside(path)
        log.error("outbox_damaged path=%s set_aside=%s error=%s", path, aside, error)  # noqa: TRY400
        return _opened(path), aside


def _release(path: Path) -> None:
    """Give the space that was kept for this moment back to a full disk: the database's log has to be made anew."""
    if _free_bytes(path) < GROWTH_ROOM * RESERVED_BYTES:
        path.with_name(f"{path.name}.reserve").unlink(missing_ok=True)


def _keep(path: Path) -> None:
    """Keep space for a start on a full disk, while there is plenty."""
    reserve = path.with_name(f"{path.name}.reserve")
    if reserve.exists() or _free_bytes(path) < 2 * GROWTH_ROOM * RESERVED_BYTES:
        return
    try:
        write_whole(reserve, bytes(RESERVED_BYTES))
    except OSError as error:
        log.warning("outbox_reserve_failed bytes=%d error=%s", RESERVED_BYTES, error)


def _opened(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, timeout=1.0, check_same_thread=False)
    try:
        database.executescript(_SETTINGS)
        if database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0:
            database.executescript(_TABLES)
        _check(database)
        _empty(database)  # a power cut while the file grew left it
        if not grow(database, path):
            log.warning("outbox_reserve_failed bytes=%d; the disk is nearly full", RESERVED_BYTES)
            _bound(database)
        _keep(path)
    except BaseException:
        database.close()
        raise
    return database


def _check(database: sqlite3.Connection) -> None:
    found = database.execute("PRAGMA user_version").fetchone()[0]
    if found != FORMAT:
        raise sqlite3.DatabaseError(f"format {found} found, {FORMAT} expected")
    verdict = database.execute("PRAGMA quick_check(1)").fetchone()[0]
    if verdict != "ok":
        raise sqlite3.DatabaseError(str(verdict))


def grow(database: sqlite3.Connection, path: Path) -> bool:
    """Give the file RESERVED_BYTES more, on disk at once; False where the disk has too little left.

    The file never grows otherwise: a database that runs into a full disk could not even delete, because
    its log would have to grow; one that runs into its own bound drops the oldest and goes on.
    """
    if _free_bytes(path) < GROWTH_ROOM * RESERVED_BYTES:
        return False
    try:
        database.execute(f"PRAGMA max_page_count = {_pages(database) + RESERVED_BYTES // 1024}")
        with database:
            database.execute("INSERT OR REPLACE INTO open_events VALUES ('reserve', zeroblob(?))", (RESERVED_BYTES,))
        _empty(database)
        database.execute("PRAGMA wal_checkpoint(FULL)").fetchone()
    except sqlite3.OperationalError as error:
        log.warning("outbox_growth_refused bytes=%d error=%s", RESERVED_BYTES, error)
        database.rollback()
        return False
    finally:
        _bound(database)
    return True


def _empty(database: sqlite3.Connection) -> None:
    """Take out what made the file grow: its pages are free, and stay in the file."""
    with database:
        database.execute("DELETE FROM open_events WHERE event_id = 'reserve'")


def _bound(database: sqlite3.Connection) -> None:
    """Hold the file to the size that it has."""
    database.execute(f"PRAGMA max_page_count = {_pages(database)}")


def _pages(database: sqlite3.Connection) -> int:
    return int(database.execute("PRAGMA page_count").fetchone()[0])


def _free_bytes(path: Path) -> int:
    try:
        return shutil.disk_usage(path.parent).free
    except OSError:
        return 0


def _set_aside(path: Path) -> Path:
    """Rename the database and its log, beside itself, under the first free name."""
    number = 1
    while path.with_name(f"{path.name}.damaged-{number}").exists():
        number += 1
    aside = path.with_name(f"{path.name}.damaged-{number}")
    for ending in ("-wal", "-shm", "-journal"):
        part = path.with_name(path.name + ending)
        if part.exists():
            part.rename(aside.with_name(aside.name + ending))
    path.rename(aside)
    return aside


def number(database: sqlite3.Connection, name: str) -> float:
    """Return a stored number: `bytes`, `messages`, `lived` (seconds), `connections`."""
    row = database.execute("SELECT value FROM numbers WHERE name = ?", (name,)).fetchone()
    return float(row[0])


def set_number(database: sqlite3.Connection, name: str, value: float) -> None:
    """Store a number."""
    database.execute("UPDATE numbers SET value = ? WHERE name = ?", (value, name))


def remember_boot(database: sqlite3.Connection, boot_id: str) -> None:
    """Note a start of the process; the last `BOOTS_KEPT` are known."""
    database.execute("INSERT INTO boots (boot_id) VALUES (?)", (boot_id,))
    database.execute("DELETE FROM boots WHERE number <= (SELECT max(number) FROM boots) - ?", (BOOTS_KEPT,))


def is_known_boot(database: sqlite3.Connection, boot_id: str) -> bool:
    """Return whether the boot was noted here."""
    row = database.execute("SELECT 1 FROM boots WHERE boot_id = ?", (boot_id,)).fetchone()
    return row is not None


def insert(database: sqlite3.Connection, event: Event, payload: bytes, lived: float) -> None:
    """Add a message, and keep the record of events that have begun and not ended."""
    database.execute(
        "INSERT INTO messages (boot_id, seq, type, lived, payload) VALUES (?, ?, ?, ?, ?)",
        (event.boot_id, event.seq, event.type, lived, payload),
    )
    if event.type in ("new", "update"):
        database.execute("INSERT OR REPLACE INTO open_events VALUES (?, ?)", (event.event_id, payload))
    elif event.type == "end":
        database.execute("DELETE FROM open_events WHERE event_id = ?", (event.event_id,))


def delete(database: sqlite3.Connection, ids: Iterable[int]) -> None:
    """Remove messages by id."""
    database.executemany("DELETE FROM messages WHERE id = ?", [(row_id,) for row_id in ids])


def candidates(database: sqlite3.Connection, limit: int, where: str = "TRUE") -> list[Candidate]:
    """Return the oldest messages, or the oldest of a fixed condition."""
    rows = database.execute(
        f"SELECT id, boot_id, seq, type, lived, payload FROM messages WHERE {where} ORDER BY id LIMIT ?",  # noqa: S608
        (limit,),
    )
    return [Candidate(*row) for row in rows]


def drop(database: sqlite3.Connection, dropped: Iterable[Candidate], reason: str) -> None:
    """Remove messages for ever and note the losses; a dropped `gap` gives its own range back."""
    for message in dropped:
        if message.type == "gap":
            gap = msgspec.json.decode(message.payload, type=Event)
            add_loss(database, Loss(gap.reason or reason, gap.lost_boot_id, gap.from_seq, gap.to_seq))
        add_loss(database, Loss(reason, message.boot_id, message.seq, message.seq))
        database.execute("DELETE FROM messages WHERE id = ?", (message.id,))


def add_loss(database: sqlite3.Connection, loss: Loss) -> None:
    """Note a loss, joined with those that it touches."""
    first, last = loss.from_seq, loss.to_seq
    if first is not None and last is not None:
        touching = database.execute(
            "SELECT rowid, from_seq, to_seq FROM losses "
            "WHERE boot_id = ? AND reason = ? AND (to_seq = ? OR from_seq = ?)",
            (loss.boot_id, loss.reason, first - 1, last + 1),
        ).fetchall()
        first = min([first, *(row[1] for row in touching)])
        last = max([last, *(row[2] for row in touching)])
        database.executemany("DELETE FROM losses WHERE rowid = ?", [(row[0],) for row in touching])
    database.execute("INSERT INTO losses VALUES (?, ?, ?, ?)", (loss.boot_id, first, last, loss.reason))


def take_losses(database: sqlite3.Connection, limit: int) -> list[Loss]:
    """Remove and return the losses that were noted first."""
    rows = database.execute(
        "SELECT rowid, reason, boot_id, from_seq, to_seq FROM losses ORDER BY rowid LIMIT ?", (limit,)
    ).fetchall()
    database.executemany("DELETE FROM losses WHERE rowid = ?", [(row[0],) for row in rows])
    return [Loss(*row[1:]) for row in rows]
