"""What a device notes of itself for its acceptance: how long frames took, and when cameras and broker were away."""

from __future__ import annotations

import logging
import math
import sqlite3
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

import msgspec

from edge.coverage_ledger import hour_of
from edge.small_database import Opener, open_or_begin_anew

log = logging.getLogger(__name__)

FILE = "promises.sqlite"
# The broker's name among the cameras, which no camera can have.
BROKER = ""
# Of each table: about 20 days of 16 cameras' frames. A loss that lasts is kept whatever comes after it.
ROWS_KEPT = 100_000
# A bucket of milliseconds ends a tenth above where it begins.
STEP = 1.1
_TABLES = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
CREATE TABLE IF NOT EXISTS latency (hour TEXT NOT NULL, camera TEXT NOT NULL, bucket INTEGER NOT NULL,
  count INTEGER NOT NULL, PRIMARY KEY (hour, camera, bucket));
CREATE TABLE IF NOT EXISTS losses (id INTEGER PRIMARY KEY, name TEXT NOT NULL, lost REAL NOT NULL, back REAL,
  recovery REAL, restarts INTEGER NOT NULL DEFAULT 0);
CREATE INDEX IF NOT EXISTS losses_that_last ON losses (name) WHERE back IS NULL;
"""


class Loss(msgspec.Struct, frozen=True):
    """A camera, or the BROKER, that was away: seconds since 1970, `back` None while it still is.

    `recovery_seconds`: from the last vain attempt to frames being watched again, which is more than from its return.
    `restarts` counts the starts of the daemon while it was away.
    """

    name: str
    lost: float
    back: float | None
    recovery_seconds: float | None
    restarts: int


def bucket_of(milliseconds: float) -> int:
    """Return the bucket of a time."""
    return math.ceil(math.log(max(milliseconds, 0.1)) / math.log(STEP))


def milliseconds_of(bucket: int) -> float:
    """Return where a bucket ends, in milliseconds."""
    return float(STEP**bucket)


def share_within(counts: Mapping[int, int], share: float) -> float | None:
    """Return the milliseconds that a share (0–1) of all frames took at most, rounded up; None of no frames."""
    needed, seen = share * sum(counts.values()), 0
    for bucket in sorted(counts):
        seen += counts[bucket]
        if seen >= needed:
            return milliseconds_of(bucket)
    return None


class PromiseLedger:
    """Opened and closed by `with`, for one thread; a disk that refuses costs the entry.

    `opened` says how its file is opened: for the daemon, or `open_to_read`.
    """

    def __init__(self, path: Path, opened: Opener = open_or_begin_anew) -> None:
        self._database = opened(path, _TABLES)

    def __enter__(self) -> PromiseLedger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database.close()

    def begin(self) -> None:
        """Note that the daemon starts: what is away still has one more start behind it."""
        self._run("UPDATE losses SET restarts = restarts + 1 WHERE back IS NULL")
        self._forget_losses()

    def add_latency(self, wall_seconds: float, counts: Mapping[tuple[str, int], int]) -> None:
        """Add the frames by camera and bucket to an hour."""
        hour = hour_of(wall_seconds)
        rows = [(hour, camera, bucket, count) for (camera, bucket), count in counts.items()]
        try:
            with self._database:  # one transaction: the river waits for it
                self._database.executemany(
                    "INSERT INTO latency VALUES (?, ?, ?, ?) "
                    "ON CONFLICT (hour, camera, bucket) DO UPDATE SET count = count + excluded.count",
                    rows,
                )
                self._database.execute(
                    "DELETE FROM latency WHERE rowid <= (SELECT max(rowid) FROM latency) - ?", (ROWS_KEPT,)
                )
        except sqlite3.Error as error:
            log.error("promise_ledger_refused error=%s", error)  # noqa: TRY400

    def lose(self, name: str, wall_seconds: float) -> None:
        """Note that a camera or the broker is away; once, until it is back."""
        self._run(
            "INSERT INTO losses (name, lost) SELECT ?, ? "
            "WHERE NOT EXISTS (SELECT 1 FROM losses WHERE name = ? AND back IS NULL)",
            name, wall_seconds, name,
        )  # fmt: skip
        self._forget_losses()

    def find(self, name: str, wall_seconds: float, recovery_seconds: float | None) -> None:
        """Note that it is back."""
        self._run(
            "UPDATE losses SET back = ?, recovery = ? WHERE name = ? AND back IS NULL",
            wall_seconds, recovery_seconds, name,
        )  # fmt: skip

    def away(self) -> set[str]:
        """Return what is away."""
        return {name for (name,) in self._database.execute("SELECT name FROM losses WHERE back IS NULL")}

    def latency(self, first_hour: str, last_hour: str) -> dict[str, Counter[int]]:
        """Return the frames of each camera by bucket, over the hours from one to another."""
        found: dict[str, Counter[int]] = {}
        rows = self._database.execute(
            "SELECT camera, bucket, sum(count) FROM latency WHERE hour BETWEEN ? AND ? GROUP BY camera, bucket",
            (first_hour, last_hour),
        )
        for camera, bucket, count in rows:
            found.setdefault(camera, Counter())[bucket] = count
        return found

    def first_hours(self, first_hour: str, last_hour: str) -> dict[str, str]:
        """Return the first hour of each camera's frames that are kept, of those from one hour to another."""
        rows = self._database.execute(
            "SELECT camera, min(hour) FROM latency WHERE hour BETWEEN ? AND ? GROUP BY camera", (first_hour, last_hour)
        )
        return dict(rows.fetchall())

    def losses(self, first_seconds: float, last_seconds: float) -> list[Loss]:
        """Return what was away at any time between two, the oldest first."""
        rows = self._database.execute(
            "SELECT name, lost, back, recovery, restarts FROM losses "
            "WHERE lost < ? AND (back IS NULL OR back >= ?) ORDER BY lost",
            (last_seconds, first_seconds),
        )
        return [Loss(*row) for row in rows]

    def _forget_losses(self) -> None:
        self._run("DELETE FROM losses WHERE id <= (SELECT max(id) FROM losses) - ? AND back IS NOT NULL", ROWS_KEPT)

    def _run(self, statement: str, *values: object) -> None:
        try:
            with self._database:
                self._database.execute(statement, values)
        except sqlite3.Error as error:
            log.error("promise_ledger_refused error=%s", error)  # noqa: TRY400
