"""A small SQLite file that a device can do without: set aside when damaged, in memory when the disk refuses.

The daemon alone opens it so. Whoever asks beside it opens it to read, or to write into what is there, and is told in a
sentence where that is refused: what cannot be read must not look like what never was.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from edge.errors import UsageError

log = logging.getLogger(__name__)

# How a file is opened, given where it lies and what makes its tables.
Opener = Callable[[Path, str], sqlite3.Connection]
TIMEOUT_SECONDS = 2.0


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


def open_to_read(path: Path, tables: str) -> sqlite3.Connection:
    """Return the database at `path`, which is only read, beside whoever writes it; an empty one where there is none.

    Raises UsageError where it cannot be read, or is damaged.
    """
    if not is_there(path):
        return _opened(":memory:", tables)
    try:
        database = _read(path)
    except sqlite3.OperationalError as error:
        raise _refused(path, str(error)) from error
    except sqlite3.DatabaseError as error:
        raise UsageError(f"{path}: it is damaged ({error}); the daemon begins a new one when it starts.") from error
    if database.execute("SELECT count(*) FROM sqlite_master").fetchone() != (0,):
        return database
    database.close()  # made, and nothing written yet
    return _opened(":memory:", tables)


def open_to_add(path: Path, _: str) -> sqlite3.Connection:
    """Return the database at `path`, to write into beside the daemon. Raises sqlite3.Error where it is not there."""
    return _connected(path, "mode=rw")


def is_there(path: Path) -> bool:
    """Return whether a file is there. Raises UsageError where its folder does not let itself be looked into."""
    try:
        path.stat()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise _refused(path, str(error.strerror)) from error
    return True


def _refused(path: Path, why: str) -> UsageError:
    return UsageError(f"{path}: it cannot be read ({why}); call it with sudo, or as the daemon's user.")


def _read(path: Path) -> sqlite3.Connection:
    """Without a log beside it nobody has it open: then it is read as it lies, where SQLite would have to make one."""
    is_open = path.with_name(f"{path.name}-wal").exists()
    database = _connected(path, "mode=ro" if is_open else "mode=ro&immutable=1")
    try:
        _check(database)
    except sqlite3.Error:
        database.close()
        raise
    return database


def _connected(path: Path, options: str) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{quote(str(path))}?{options}", uri=True, timeout=TIMEOUT_SECONDS)


def _check(database: sqlite3.Connection) -> None:
    if (verdict := database.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
        raise sqlite3.DatabaseError(str(verdict))


def _opened(path: Path | str, tables: str) -> sqlite3.Connection:
    database = sqlite3.connect(path, timeout=1.0, check_same_thread=False)
    try:
        database.executescript(tables)
        _check(database)
    except sqlite3.Error:
        database.close()
        raise
    return database
