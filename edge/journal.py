"""How a log line is laid out: with its time for a person, with its priority for systemd's journal."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping

# syslog(3); `error` means that a person must act: journalctl -p err
_PRIORITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))


class JournalFormatter(logging.Formatter):
    """Puts `<PRIORITY>` before every line, so that a stack belongs to its error."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record's lines, each with its priority."""
        priority = next((number for level, number in _PRIORITIES if record.levelno >= level), 7)
        return "\n".join(f"<{priority}>{line}" for line in super().format(record).splitlines())


def formatter_for(descriptor: int, environment: Mapping[str, str] = os.environ) -> logging.Formatter:
    """Return the layout for a file descriptor: the journal's where systemd says that it is the journal's."""
    try:
        found = os.fstat(descriptor)
    except OSError:  # it is closed
        return logging.Formatter("%(asctime)s %(levelname)s %(message)s")
    if environment.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}":
        return JournalFormatter("%(message)s")
    return logging.Formatter("%(asctime)s %(levelname)s %(message)s")
