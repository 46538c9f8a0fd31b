"""Replies that were given, on disk: a command that comes twice is answered twice and carried out once."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

from edge.small_database import open_or_begin_anew

REPLIES_LIMIT = 10_000
KEPT_SECONDS = 86400.0  # beyond the command's expiry

_TABLE = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
CREATE TABLE IF NOT EXISTS replies (request_id TEXT PRIMARY KEY, forget_at REAL NOT NULL, payload BLOB);
"""


class CommandStore:
    """Request ids and their replies, for one thread, closed by `with`; a damaged file is begun anew."""

    def __init__(self, path: Path) -> None:
        self._database = open_or_begin_anew(path, _TABLE)

    def __enter__(self) -> CommandStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database.close()

    def begin(self, request_id: str, expires_seconds: float, wall_seconds: float) -> bool:
        """Note that a command is about to be carried out; False where the store is full. Raises sqlite3.Error."""
        with self._database:
            self._database.execute("DELETE FROM replies WHERE forget_at < ?", (wall_seconds,))
            if self._database.execute("SELECT count(*) FROM replies").fetchone()[0] >= REPLIES_LIMIT:
                return False
            forget_at = expires_seconds + KEPT_SECONDS
            self._database.execute("INSERT INTO replies VALUES (?, ?, NULL)", (request_id, forget_at))
        return True

    def finish(self, request_id: str, reply: bytes) -> None:
        """Keep the reply. Raises sqlite3.Error."""
        with self._database:
            self._database.execute("UPDATE replies SET payload = ? WHERE request_id = ?", (reply, request_id))

    def find(self, request_id: str) -> tuple[bool, bytes | None]:
        """Return whether the id is known, and its reply: None where the device died in between."""
        row = self._database.execute("SELECT payload FROM replies WHERE request_id = ?", (request_id,)).fetchone()
        return (row is not None, None if row is None else row[0])
