"""Messages of the outbox that a bad disk made unreadable: found at the start, given up one by one, and told as lost.

SQLite notices what damage does to its own pages, not what it does to the bytes of a message. One that cannot be read
would otherwise stop the publisher, or every start, for good.
"""

from __future__ import annotations

import logging
import sqlite3

import msgspec

from edge import outbox_file
from edge.errors import JsonError
from edge.messages import Event
from edge.outbox_file import Candidate, Loss

log = logging.getLogger(__name__)

REASON = "outbox_damaged"


def give_up_unreadable(database: sqlite3.Connection) -> int:
    """Remove what cannot be read, note the losses, and return how many there were. The caller holds the transaction."""
    rows = database.execute("SELECT id, boot_id, seq, type, lived, payload FROM messages")
    damaged = [Candidate(*row) for row in rows if not _is_readable(row[5], is_ours=row[3] == "gap")]
    for message in damaged:
        outbox_file.delete(database, [message.id])
        outbox_file.add_loss(database, Loss(REASON, message.boot_id, message.seq, message.seq))
    events = database.execute("SELECT event_id, payload FROM open_events").fetchall()
    never_ended = [(event_id,) for event_id, payload in events if not _is_readable(payload, is_ours=True)]
    database.executemany("DELETE FROM open_events WHERE event_id = ?", never_ended)
    if never_ended:
        outbox_file.add_loss(database, Loss(REASON))
    if damaged or never_ended:
        log.error("outbox_unreadable messages=%d open_events=%d", len(damaged), len(never_ended))
    return len(damaged) + len(never_ended)


def _is_readable(payload: bytes, *, is_ours: bool) -> bool:
    """Return whether a payload can be sent, or (is_ours) made into an event again.

    What is only sent may be of a newer version: it needs a time to be labelled with, and no more.
    """
    try:
        if is_ours:
            msgspec.json.decode(payload, type=Event)
            return True
        return isinstance(msgspec.json.decode(payload, type=dict[str, object]).get("time"), dict)
    except (TypeError, *JsonError):
        return False
