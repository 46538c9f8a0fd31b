"""The coverage of every hour, on disk for a year: what was watched can be proved long after.

A row is one camera and one hour of UTC. What of its 3,600 seconds no state accounts for, the device was off.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType

import msgspec

from edge.coverage import DAY_SECONDS, FIELDS, Step
from edge.errors import UsageError
from edge.small_database import Opener, is_there, open_or_begin_anew, open_to_read

log = logging.getLogger(__name__)

ROWS_KEPT = 400 * 24 * 16  # by number, not by date: a clock that steps must not throw proof away
HOURS_LIMIT = 400 * 24
HOUR_FORMAT = "%Y-%m-%dT%H"
COLUMNS = tuple(dict.fromkeys(FIELDS.values()))

_TABLE = """
PRAGMA journal_mode = WAL;
CREATE TABLE IF NOT EXISTS hours (hour TEXT NOT NULL, camera TEXT NOT NULL,
  watched_seconds REAL NOT NULL DEFAULT 0, warming_seconds REAL NOT NULL DEFAULT 0,
  degraded_seconds REAL NOT NULL DEFAULT 0, blind_seconds REAL NOT NULL DEFAULT 0,
  disabled_seconds REAL NOT NULL DEFAULT 0, is_clock_synced INTEGER NOT NULL DEFAULT 1, PRIMARY KEY (hour, camera));
"""


class CoveredHour(msgspec.Struct, frozen=True, kw_only=True):
    """One hour (`2026-11-22T14`, UTC) of one camera; `is_clock_synced` says whether the label can be trusted."""

    hour: str
    camera: str
    watched_seconds: float
    warming_seconds: float
    degraded_seconds: float
    blind_seconds: float
    disabled_seconds: float
    off_seconds: float
    is_clock_synced: bool


def hour_of(wall_seconds: float) -> str:
    """Return the hour of UTC that a moment (seconds since 1970) lies in."""
    return datetime.fromtimestamp(wall_seconds, timezone.utc).strftime(HOUR_FORMAT)


class Ledger:
    """The ledger of one device, for one thread, closed by `with`; the daemon sets a damaged file aside.

    `opened` says how its file is opened: for the daemon, or `open_to_read`.
    """

    def __init__(self, path: Path, opened: Opener = open_or_begin_anew) -> None:
        self._database = opened(path, _TABLE)

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database.close()

    def add(self, camera: str, wall_seconds: float, seconds: Mapping[str, float], *, is_clock_synced: bool) -> None:
        """Add seconds by column that ended at `wall_seconds`; what an hour's turn divides is divided.

        A disk that refuses costs these seconds: they count as off.
        """
        total = sum(seconds.values())
        turn = wall_seconds - wall_seconds % 3600.0
        before = min(max(total - (wall_seconds - turn), 0.0), total) / total if total > 0.0 else 0.0
        try:
            with self._database:
                for share, at in ((before, turn - 1.0), (1.0 - before, wall_seconds)):
                    if share > 0.0:
                        parts = {column: value * share for column, value in seconds.items()}
                        self._add(camera, hour_of(at), parts, is_clock_synced)
        except sqlite3.Error as error:
            log.error("ledger_refused error=%s", error)  # noqa: TRY400

    def _add(self, camera: str, hour: str, seconds: Mapping[str, float], is_clock_synced: bool) -> None:
        self._database.execute("INSERT OR IGNORE INTO hours (hour, camera) VALUES (?, ?)", (hour, camera))
        sums = ", ".join(f"{column} = {column} + ?" for column in COLUMNS)
        values = [seconds.get(column, 0.0) for column in COLUMNS]
        self._database.execute(
            f"UPDATE hours SET {sums}, is_clock_synced = min(is_clock_synced, ?) "  # noqa: S608 - our own columns
            "WHERE hour = ? AND camera = ?",
            (*values, int(is_clock_synced), hour, camera),
        )
        self._database.execute("DELETE FROM hours WHERE rowid <= (SELECT max(rowid) FROM hours) - ?", (ROWS_KEPT,))

    def first_hours(self) -> dict[str, str]:
        """Return each camera's first hour of which anything is known."""
        return dict(self._database.execute("SELECT camera, min(hour) FROM hours GROUP BY camera").fetchall())

    def hours(self, first: str, last: str) -> list[CoveredHour]:
        """Return what is known of the hours from `first` to `last`, both included, by hour and camera."""
        rows = self._database.execute(
            f"SELECT hour, camera, {', '.join(COLUMNS)}, is_clock_synced FROM hours "  # noqa: S608 - our own columns
            "WHERE hour BETWEEN ? AND ? ORDER BY hour, camera",
            (first, last),
        ).fetchall()
        return [_covered(row) for row in rows]


def proven_hours(
    path: Path, cameras: Sequence[str], first: str | None, last: str | None, wall_seconds: float
) -> list[CoveredHour]:
    """Return every hour of cameras from `first` to `last` (None: a day ago, now); one unknown was off.

    Raises UsageError where an hour or the ledger cannot be read, there are more than a year of them, or no ledger.
    """
    begin = _checked(first) if first else wall_seconds - DAY_SECONDS
    end = _checked(last) if last else wall_seconds
    count = int(end // 3600 - begin // 3600) + 1
    if not 0 < count <= HOURS_LIMIT:
        raise UsageError(f"from {hour_of(begin)} to {hour_of(end)} are {count} hours; ask for 1 to {HOURS_LIMIT}.")
    if not is_there(path):
        raise UsageError(f"{path}: there is no ledger; it is written by 'prednet-edge run'.")
    with Ledger(path, open_to_read) as ledger:
        known = {(hour.hour, hour.camera): hour for hour in ledger.hours(hour_of(begin), hour_of(end))}
    hours = [hour_of(begin + 3600.0 * number) for number in range(count)]
    return [known.get((hour, camera)) or _off(hour, camera) for hour in hours for camera in cameras]


def line_of_hour(hour: CoveredHour) -> str:
    """Return one line for people: the hour, the camera, and its seconds."""
    parts = {"watched": hour.watched_seconds, "warming up": hour.warming_seconds, "degraded": hour.degraded_seconds}
    parts |= {"blind": hour.blind_seconds, "disabled": hour.disabled_seconds, "off": hour.off_seconds}
    told = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in parts.items() if seconds >= 0.5)
    return f"{hour.hour} {hour.camera}: {told}{'' if hour.is_clock_synced else ', clock unsynced'}"


def _off(hour: str, camera: str) -> CoveredHour:
    nothing = dict.fromkeys(COLUMNS, 0.0)
    return CoveredHour(hour=hour, camera=camera, off_seconds=3600.0, is_clock_synced=True, **nothing)


def _checked(hour: str) -> float:
    try:
        return seconds_of_hour(hour)
    except ValueError as error:
        raise UsageError(f"{hour!r} is no hour; write it as 2026-11-22T06 (UTC).") from error


def steps_of_last_day(ledger: Ledger, camera: str, wall_seconds: float, monotonic_seconds: float) -> list[Step]:
    """Return what the ledger knows of a camera's last day as steps of a monotonic clock, oldest first."""
    steps = []
    for hour in ledger.hours(hour_of(wall_seconds - DAY_SECONDS), hour_of(wall_seconds)):
        if hour.camera == camera:
            begin = seconds_of_hour(hour.hour) - wall_seconds
            end = min(begin + 3600.0, 0.0)
            seconds = {column: getattr(hour, column) for column in COLUMNS}
            steps.append(Step(monotonic_seconds + begin, monotonic_seconds + end, seconds))
    return steps


def seconds_of_hour(hour: str) -> float:
    """Return when an hour begins, in seconds since 1970. Raises ValueError where it is not `2026-11-22T14`."""
    return datetime.strptime(hour, HOUR_FORMAT).replace(tzinfo=timezone.utc).timestamp()


def _covered(row: tuple[object, ...]) -> CoveredHour:
    hour, camera, *numbers, synced = row
    seconds = {column: round(float(str(value)), 1) for column, value in zip(COLUMNS, numbers, strict=True)}
    off = max(0.0, round(3600.0 - sum(seconds.values()), 1))
    return CoveredHour(hour=str(hour), camera=str(camera), off_seconds=off, is_clock_synced=bool(synced), **seconds)
