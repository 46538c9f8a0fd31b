"""The ledger of faults: which there were, from when to when. About a year of them, in a small SQLite file."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType

import msgspec

from edge.labels import seconds_from_utc
from edge.messages import Fault
from edge.small_database import open_or_begin_anew, open_to_read

log = logging.getLogger(__name__)

FAULTS_FILE = "faults.sqlite"
ROWS_KEPT = 50_000
_TABLE = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
CREATE TABLE IF NOT EXISTS faults (
    code TEXT NOT NULL, camera TEXT NOT NULL, since REAL NOT NULL, until REAL, is_cut INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS faults_by_time ON faults (since);
"""


class PastFault(msgspec.Struct, frozen=True):
    """A fault; times are seconds since 1970 by the device's clock then, `until_seconds` None while it is active.

    `is_cut`: the daemon ended while it was active, and `until_seconds` is when that was, or when it started again.
    """

    code: str
    camera: str
    since_seconds: float
    until_seconds: float | None
    is_cut: bool


class FaultLedger:
    """Opened and closed by `with`; a disk that refuses costs the entry, never the daemon."""

    def __init__(self, path: Path, wall_clock: Callable[[], float]) -> None:
        self._database, self._wall_clock = open_or_begin_anew(path, _TABLE), wall_clock
        self._last: Sequence[Fault] = ()
        self._cut()  # what a kill left open

    def __enter__(self) -> FaultLedger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._cut()
        self._database.close()

    def note(self, faults: Sequence[Fault]) -> None:
        """Note which faults are active now; call it often, it writes only what has changed."""
        if faults == self._last:
            return
        before, now = ({(one.code, one.camera or ""): one for one in some} for some in (self._last, faults))
        self._last = faults
        begun = [(*key, seconds_from_utc(now[key].since)) for key in now.keys() - before.keys()]
        ended = [(self._wall_clock(), *key) for key in before.keys() - now.keys()]
        self._write("INSERT INTO faults (code, camera, since) VALUES (?, ?, ?)", begun)
        self._write("UPDATE faults SET until = ? WHERE code = ? AND camera = ? AND until IS NULL", ended)
        self._write("DELETE FROM faults WHERE rowid <= (SELECT max(rowid) FROM faults) - ?", [(ROWS_KEPT,)])

    def _cut(self) -> None:
        self._write("UPDATE faults SET until = ?, is_cut = 1 WHERE until IS NULL", [(self._wall_clock(),)])

    def _write(self, statement: str, rows: Sequence[tuple[object, ...]]) -> None:
        try:
            with self._database:
                self._database.executemany(statement, rows)
        except sqlite3.Error as error:
            log.error("fault_ledger_refused error=%s", error)  # noqa: TRY400


def past_faults(path: Path, first_seconds: float, last_seconds: float) -> list[PastFault]:
    """Return the faults that were active at some moment of a time, the oldest first; none where there is no ledger.

    Raises UsageError where it cannot be read.
    """
    database = open_to_read(path, _TABLE)
    try:
        rows = database.execute(
            "SELECT code, camera, since, until, is_cut FROM faults "
            "WHERE since < ? AND (until IS NULL OR until >= ?) ORDER BY since, rowid",
            (last_seconds, first_seconds),
        ).fetchall()
    finally:
        database.close()
    return [PastFault(code, camera, since, until, bool(is_cut)) for code, camera, since, until, is_cut in rows]
