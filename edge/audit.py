"""The audit log: one JSON line for every command that reached the device, whatever became of it."""

from __future__ import annotations

import logging
import os
import pwd
from pathlib import Path

import msgspec

log = logging.getLogger(__name__)

AUDIT_FILE = "audit.jsonl"
BYTES_LIMIT = 4 * 2**20  # then it becomes NAME.1, and the one before is gone
EXCERPT_LENGTH = 300


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was asked and what became of it; `payload` is its beginning, with all but ASCII escaped."""

    time: str
    verb: str
    request_id: str | None
    status: str
    code: str
    bytes: int
    payload: str
    repeated: bool = False


def excerpt(payload: bytes) -> str:
    """Return the beginning of a payload, without characters that a terminal would obey."""
    return payload[:EXCERPT_LENGTH].decode("ascii", "backslashreplace").encode("unicode_escape").decode("ascii")


def asking_user() -> str:
    """Return who runs this program: the user that the kernel knows, whatever USER says; behind sudo also who called."""
    user = os.getuid()
    try:
        name = pwd.getpwuid(user).pw_name
    except KeyError:  # a container's user of no name
        name = str(user)
    caller = os.environ.get("SUDO_USER") if user == 0 else None
    return name if caller is None else f"{name} for {caller}"


class AuditLog:
    """Appends to one file, of which one older part is kept."""

    def __init__(self, path: Path, bytes_limit: int = BYTES_LIMIT) -> None:
        self._path, self._bytes_limit = path, bytes_limit

    def write(self, entry: Entry) -> None:
        """Append an entry; where the disk refuses, the service's own log has it."""
        line = msgspec.json.encode(entry) + b"\n"
        try:
            if self._path.exists() and self._path.stat().st_size + len(line) > self._bytes_limit:
                self._path.replace(self._path.with_name(f"{self._path.name}.1"))
            with self._path.open("ab") as file:
                file.write(line)
        except OSError as error:
            log.error("audit_refused error=%s entry=%s", error, line.decode())  # noqa: TRY400
