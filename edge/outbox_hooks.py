"""What waits for hooks in the outbox's own file: written in the transaction of the event, gone when a hook has it.

The caller holds the lock and the transaction, as in `outbox_file`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

ROWS_LIMIT = 2000  # a hook; beyond it the oldest go and are counted
SHED_ROWS = 20

_TABLE = """
CREATE TABLE IF NOT EXISTS hooked (id INTEGER PRIMARY KEY AUTOINCREMENT, hook TEXT NOT NULL, lived REAL NOT NULL,
  payload BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS hooked_by ON hooked (hook, id);
"""


@dataclass(frozen=True)
class Waiting:
    """An event that a hook has not taken yet."""

    id: int
    payload: bytes


def prepare(database: sqlite3.Connection, hooks: Sequence[str]) -> None:
    """Make the table, and forget what waits for hooks that are configured no more."""
    database.executescript(_TABLE)
    marks = ", ".join("?" * len(hooks))
    with database:
        database.execute(f"DELETE FROM hooked WHERE hook NOT IN ({marks})", tuple(hooks))  # noqa: S608 - only marks


def insert(database: sqlite3.Connection, hooks: Sequence[str], payload: bytes, lived: float) -> None:
    """Let an event wait for each hook."""
    for hook in hooks:
        database.execute("INSERT INTO hooked (hook, lived, payload) VALUES (?, ?, ?)", (hook, lived, payload))


def shed(database: sqlite3.Connection, hooks: Sequence[str], oldest_lived: float) -> dict[str, int]:
    """Forget what has waited for too long or is beyond the limit; return how many, by hook."""
    return {
        hook: _shed(database, hook, ROWS_LIMIT, oldest_lived)
        for hook in hooks
        if _count(database, hook) > ROWS_LIMIT or _oldest(database, hook) < oldest_lived
    }


def shed_oldest(database: sqlite3.Connection, hooks: Sequence[str]) -> dict[str, int]:
    """Forget the oldest, where the disk has no room; return how many, by hook."""
    return {hook: _shed(database, hook, max(_count(database, hook) - SHED_ROWS, 0), -1e18) for hook in hooks}


def _shed(database: sqlite3.Connection, hook: str, most: int, oldest_lived: float) -> int:
    newest = "SELECT id FROM hooked WHERE hook = ? ORDER BY id DESC LIMIT ?"
    deleted = database.execute(
        f"DELETE FROM hooked WHERE hook = ? AND (lived < ? OR id NOT IN ({newest}))",  # noqa: S608 - our own text
        (hook, oldest_lived, hook, most),
    )
    return deleted.rowcount


def _oldest(database: sqlite3.Connection, hook: str) -> float:
    row = database.execute("SELECT lived FROM hooked WHERE hook = ? ORDER BY id LIMIT 1", (hook,)).fetchone()
    return float(row[0]) if row else 1e18


def _count(database: sqlite3.Connection, hook: str) -> int:
    return int(database.execute("SELECT count(*) FROM hooked WHERE hook = ?", (hook,)).fetchone()[0])


def first(database: sqlite3.Connection, hook: str) -> Waiting | None:
    """Return the oldest event that waits for a hook."""
    row = database.execute("SELECT id, payload FROM hooked WHERE hook = ? ORDER BY id LIMIT 1", (hook,)).fetchone()
    return None if row is None else Waiting(*row)


def delete(database: sqlite3.Connection, row_id: int) -> None:
    """Forget an event that a hook has taken."""
    database.execute("DELETE FROM hooked WHERE id = ?", (row_id,))
