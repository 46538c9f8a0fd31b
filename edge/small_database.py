"""A small SQLite file that a device can do without: set aside when damaged, in memory when the disk refuses."""

from __future__ import annotations

import logging
import sqlite3
from pathlib import Path

log = logging.getLogger(__name__)


def open_or_begin_anew(path: Path, tables: str) -> sqlite3.Connection:
    """Return the database at `path` with its tables; a damaged file becomes NAME.damaged.

    A disk that is full or refuses must not keep cameras from being watched: until the next start it is then in memory.
    """
    try:
        return _opened(path, tables)
    except sqlite3.OperationalError as error:
        log.error("database_in_memory path=%s error=%s", path, error)  # noqa: TRY400
        return _opened(":memory:", tables)
    except sqlite3.DatabaseError as error:
        log.error("database_damaged path=%s error=%s", path, error)  # noqa: TRY400
        path.replace(path.with_name(f"{path.name}.damaged"))
        return _opened(path, tables)


def _opened(path: Path | str, tables: str) -> sqlite3.Connection:
    database = sqlite3.connect(path, timeout=1.0, check_same_thread=False)
    try:
        database.executescript(tables)
        if (verdict := database.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
            raise sqlite3.DatabaseError(str(verdict))
    except sqlite3.Error:
        database.close()
        raise
    return database
