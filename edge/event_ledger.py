"""The ledger of events: which there were, and what people said of each. About a year of them, in a small SQLite file.

The daemon writes it, and `prednet-edge ack` beside it: in WAL mode neither holds up the other.
"""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Literal
from urllib.parse import quote

import msgspec

from edge.errors import UsageError
from edge.labels import seconds_from_event_id
from edge.messages import Event
from edge.small_database import Opener, is_there, open_or_begin_anew, open_to_add, open_to_read

log = logging.getLogger(__name__)

EVENTS_FILE = "events.sqlite"
ROWS_KEPT = 200_000
Verdict = Literal["real", "false", "unsure"]
# Kinds that a limit promises a rate of.
JUDGED_KINDS = ("surprise", "stall")
_TABLE = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
CREATE TABLE IF NOT EXISTS events (
    event_id TEXT PRIMARY KEY, camera TEXT NOT NULL, kind TEXT NOT NULL, severity TEXT, begun REAL NOT NULL,
    peak REAL, verdict TEXT, told REAL
);
CREATE INDEX IF NOT EXISTS events_by_time ON events (begun);
"""
_COLUMNS = "event_id, camera, kind, begun, peak, verdict, told"


class LedgerEvent(msgspec.Struct, frozen=True):
    """An event; times are seconds since 1970 by the device's clock then, `told_seconds` is that of the verdict."""

    event_id: str
    camera: str
    kind: str
    begun_seconds: float
    peak: float | None
    verdict: Verdict | None
    told_seconds: float | None


class EventLedger:
    """Opened and closed by `with`; a disk that refuses costs the entry, never the event.

    `opened` says how its file is opened: for the daemon, `open_to_read`, or `open_to_add` for a verdict beside it.
    """

    def __init__(self, path: Path, opened: Opener = open_or_begin_anew) -> None:
        self._database = opened(path, _TABLE)

    def __enter__(self) -> EventLedger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database.close()

    def note(self, event: Event) -> None:
        """Note an event when it begins, and its peak when it ends; messages of other types are no events."""
        if event.type not in ("new", "end") or event.camera is None:
            return
        peak = None if event.score is None else event.score.peak
        begun = seconds_from_event_id(event.event_id)
        try:
            with self._database:
                self._database.execute(
                    "INSERT INTO events (event_id, camera, kind, severity, begun, peak) VALUES (?, ?, ?, ?, ?, ?) "
                    "ON CONFLICT (event_id) DO UPDATE SET peak = excluded.peak",
                    (event.event_id, event.camera, event.kind or "", event.severity, begun, peak),
                )
                self._database.execute(
                    "DELETE FROM events WHERE rowid <= (SELECT max(rowid) FROM events) - ?", (ROWS_KEPT,)
                )
        except sqlite3.Error as error:
            log.error("event_ledger_refused error=%s", error)  # noqa: TRY400

    def acknowledge(self, event_id: str, verdict: Verdict, wall_seconds: float) -> LedgerEvent | None:
        """Keep what a person says of an event, in place of what was said before; None of one that is not known.

        Raises sqlite3.Error where the disk refuses.
        """
        with self._database:
            self._database.execute(
                "UPDATE events SET verdict = ?, told = ? WHERE event_id = ?", (verdict, wall_seconds, event_id)
            )
        return self.event(event_id)

    def event(self, event_id: str) -> LedgerEvent | None:
        """Return one event, None of one that is not known."""
        row = self._database.execute(f"SELECT {_COLUMNS} FROM events WHERE event_id = ?", (event_id,)).fetchone()  # noqa: S608 - our own columns
        return None if row is None else LedgerEvent(*row)

    def events(self, first_seconds: float, last_seconds: float) -> list[LedgerEvent]:
        """Return the events that began from one time up to another, the oldest first."""
        rows = self._database.execute(
            f"SELECT {_COLUMNS} FROM events WHERE begun >= ? AND begun < ? ORDER BY begun, event_id",  # noqa: S608
            (first_seconds, last_seconds),
        )
        return [LedgerEvent(*row) for row in rows]


def open_existing(state_directory: Path) -> EventLedger:
    """Return the ledger of a device to read. Raises UsageError where there is none yet, or it cannot be read."""
    return EventLedger(_existing(state_directory), open_to_read)


def open_to_acknowledge(state_directory: Path) -> EventLedger:
    """Return the ledger of a device to write verdicts into. Raises UsageError where there is none yet."""
    return EventLedger(_existing(state_directory), open_to_add)


def _existing(state_directory: Path) -> Path:
    path = state_directory / EVENTS_FILE
    if not is_there(path):
        raise UsageError(f"{path}: there are no events; they are noted by 'prednet-edge run'.")
    return path


def latest_events(
    state_directory: Path, before_id: str, camera: str | None, is_judged: bool | None, limit: int
) -> list[LedgerEvent]:
    """Return the last events before one, the newest first, beside the daemon that writes them; `before_id` may be "~".

    Of a camera (None: all), and of the kinds that a limit promises a rate of, or of the others (None: all). A ledger
    that is not there or cannot be read has none.
    """
    where = f"file:{quote(str(state_directory / EVENTS_FILE))}?mode=ro"
    try:
        with closing(sqlite3.connect(where, uri=True)) as database:
            rows = database.execute(
                f"SELECT {_COLUMNS} FROM events WHERE event_id < ? AND ? IN ('', camera) "  # noqa: S608 - our own columns
                "AND (? IS NULL OR (kind IN (?, ?)) = ?) ORDER BY event_id DESC LIMIT ?",
                (before_id, camera or "", is_judged, *JUDGED_KINDS, is_judged, limit),
            ).fetchall()
    except sqlite3.Error as error:
        log.warning("event_ledger_unread error=%s", error)
        return []
    return [LedgerEvent(*row) for row in rows]
