"""The outbox: every event is on disk before it is published, and leaves on the broker's acknowledgement.

One SQLite file (WAL, `synchronous=FULL`), one lock: the river writes, the publisher reads and removes.
Ages count the seconds that the device ran (monotonic, carried from start to start), so that
a stepped clock neither expires a message nor keeps it for ever.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import msgspec

from edge import outbox_events, outbox_file, outbox_hooks, outbox_repair
from edge.messages import (
    EVENT_BYTES_LIMIT,
    ULID_RANDOM_BYTES,
    ClockState,
    Event,
    encode,
)
from edge.outbox_file import Loss, Row

log = logging.getLogger(__name__)

BYTES_LIMIT = 64 * 2**20
AGE_LIMIT_SECONDS = 7 * 86400.0
SWEEP_ROWS = 500  # at most so many leave in one step: the river waits for it
LOG_SECONDS = 60.0
SPARE_SHARE = 0.01  # freed beyond the limit, so that a full outbox does not sweep at every event


@dataclass(frozen=True)
class Depth:
    """How much waits: messages, their bytes, and the oldest one's age in seconds (None when empty)."""

    messages: int
    bytes: int
    oldest_seconds: float | None


class Outbox:
    """The queue of `R/events`, for one writing and one reading thread, closed by `with`.

    `boot_id` names this start of the process; `seq` begins at 1 with it. `set_aside` is where a
    damaged database was moved at this start, None if it was sound.
    Raises DeviceUnavailable where the file cannot be opened or another process uses it.
    """

    def __init__(
        self,
        path: Path,
        site: str,
        device: str,
        boot_id: str,
        *,
        bytes_limit: int = BYTES_LIMIT,
        age_limit_seconds: float = AGE_LIMIT_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        random_bytes: Callable[[int], bytes] = os.urandom,
        clock_state: Callable[[], ClockState] = lambda: "unsynced",
        hooks: Sequence[str] = (),
    ) -> None:
        self.boot_id, self._path = boot_id, path
        self._site, self._device = site, device
        self._bytes_limit, self._age_limit = bytes_limit, age_limit_seconds
        self._monotonic, self._wall_clock = monotonic, wall_clock
        self._random_bytes, self._clock_state = random_bytes, clock_state
        self._lock = threading.Lock()
        self._seq = 0
        self._refusals, self._next_log_at = 0, monotonic()
        self._unsaved: list[Loss] = []
        self._database, self.set_aside = outbox_file.open_or_rebuild(path)
        outbox_hooks.prepare(self._database, hooks)
        self._hooks, self.hook_drops = tuple(hooks), Counter[str]()
        self._lived_before = outbox_file.number(self._database, "lived") - monotonic()
        if self.set_aside is not None:
            self._unsaved.append(Loss("outbox_damaged"))
        self._transact("repair", lambda: outbox_repair.give_up_unreadable(self._database))
        self._transact("boot", lambda: outbox_file.remember_boot(self._database, boot_id))

    def __enter__(self) -> Outbox:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Sweep a last time and close the file."""
        self.sweep()
        with self._lock:
            self._database.close()

    def put(self, event: Event, *, is_hooked: bool = True) -> Event:
        """Write the event to disk, for hooks too where it `is_hooked`, and return it with `seq` and `boot_id`.

        A disk that refuses costs the oldest messages, or at last this one: logged, then a `gap`.
        Raises MessageError for an event that the contract forbids.
        """
        with self._lock:
            stamped = msgspec.structs.replace(event, seq=self._seq + 1, boot_id=self.boot_id)
            payload = encode(stamped)
            self._seq += 1
            hooks = self._hooks if is_hooked else ()
            if not self._transact("put", lambda: self._store(stamped, payload, hooks)):
                self._transact("make_room", self._drop_oldest)
                if not self._transact("put_again", lambda: self._store(stamped, payload, hooks)):
                    self._note_unsaved(stamped)
            return stamped

    def pending(self, after: int, limit: int, upto: int | None = None) -> list[Row]:
        """Return at most `limit` messages with `after` < id (≤ `upto` if given), oldest first."""
        with self._lock:
            rows = self._database.execute(
                "SELECT id, payload, lived FROM messages WHERE id > ? AND id <= ? ORDER BY id LIMIT ?",
                (after, 2**62 if upto is None else upto, limit),
            ).fetchall()
            now = self._lived()
        return [Row(row_id, payload, max(0.0, now - lived)) for row_id, payload, lived in rows]

    def remove(self, *ids: int) -> None:
        """Forget messages that the broker has acknowledged; those that a disk keeps come twice."""
        with self._lock:
            self._transact("remove", lambda: outbox_file.delete(self._database, ids))

    def last_id(self) -> int:
        """Return the id of the newest message, 0 when none waits."""
        with self._lock:
            return int(self._database.execute("SELECT coalesce(max(id), 0) FROM messages").fetchone()[0])

    def waiting_for(self, hook: str) -> outbox_hooks.Waiting | None:
        """Return the oldest event that a hook has not taken."""
        with self._lock:
            return outbox_hooks.first(self._database, hook)

    def taken_by(self, hook: str, row_id: int, *, dropped: int = 0) -> None:
        """Forget an event that a hook has taken, or (dropped=1) that was given up; the drop is counted."""
        with self._lock:
            self.hook_drops[hook] += dropped
            self._transact("hooked", lambda: outbox_hooks.delete(self._database, row_id))

    def depth(self) -> Depth:
        """Return how much waits."""
        with self._lock:
            oldest = outbox_file.candidates(self._database, 1)
            age = max(0.0, self._lived() - oldest[0].lived) if oldest else None
            return Depth(int(self._number("messages")), int(self._number("bytes")), age)

    def next_conn_seq(self) -> int:
        """Return the number of the connection about to be made; it rises for ever, over restarts too."""
        with self._lock:
            following = int(self._number("connections")) + 1
            self._transact("conn_seq", lambda: outbox_file.set_number(self._database, "connections", following))
            return following

    def is_own_boot(self, boot_id: str) -> bool:
        """Return whether a boot is this start or an earlier one of this device."""
        with self._lock:
            return boot_id == self.boot_id or outbox_file.is_known_boot(self._database, boot_id)

    def closing_events(self) -> tuple[Event, ...]:
        """Return the `end` (`restart`) of each event that an earlier start left open.

        Nothing is written here: the caller passes each one to `Publisher.publish_event`.
        """
        with self._lock:
            rows = self._database.execute("SELECT payload FROM open_events ORDER BY event_id").fetchall()
        events = [msgspec.json.decode(payload, type=Event) for (payload,) in rows]
        return tuple(outbox_events.closing(event) for event in events if event.boot_id != self.boot_id)

    def announce_losses(self, limit: int) -> int:
        """Turn at most `limit` losses into `gap` messages of the queue; return how many."""
        with self._lock:
            seq_before = self._seq
            announced: list[Event] = []
            if not self._transact("announce", lambda: self._announce(limit, seq_before, announced)):
                self._seq = seq_before
                return 0
            return len(announced)

    def sweep(self) -> None:
        """Drop what is over the limits and note how long the device has lived; call it once a minute."""
        with self._lock:
            self._transact("sweep", self._enforce_limits)

    def _transact(self, name: str, work: Callable[[], object]) -> bool:
        """Return whether `work` was committed; a refusal is rolled back, and tried again once the file has grown."""
        refused = self._committed(work)
        if isinstance(refused, sqlite3.OperationalError) and outbox_file.grow(self._database, self._path):
            refused = self._committed(work)
        if refused is not None:
            self._log_refusal(name, refused)
        return refused is None

    def _committed(self, work: Callable[[], object]) -> sqlite3.Error | None:
        """Return what the database said against `work`, None where it is on disk."""
        try:
            with self._database:
                self._save_losses()
                work()
        except sqlite3.Error as error:
            self._database.rollback()
            return error
        self._unsaved.clear()
        return None

    def _log_refusal(self, name: str, error: sqlite3.Error) -> None:
        """Log the first refusal, and then one a minute with the count."""
        self._refusals += 1
        if self._monotonic() >= self._next_log_at:
            log.error("outbox_refused step=%s error=%s count=%d", name, error, self._refusals)
            self._refusals, self._next_log_at = 0, self._monotonic() + LOG_SECONDS

    def _store(self, event: Event, payload: bytes, hooks: Sequence[str]) -> None:
        outbox_file.insert(self._database, event, payload, self._lived())
        outbox_hooks.insert(self._database, hooks, payload, self._lived())
        self._enforce_limits()

    def _enforce_limits(self) -> None:
        oldest_allowed = self._lived() - self._age_limit
        oldest = outbox_file.candidates(self._database, 1)
        if oldest and oldest[0].lived < oldest_allowed:
            old = outbox_file.candidates(self._database, SWEEP_ROWS)
            expired = [message for message in old if message.lived < oldest_allowed]
            outbox_file.drop(self._database, expired, "too_old")
        if self._number("bytes") > self._bytes_limit:
            self._free(self._number("bytes") - self._bytes_limit * (1.0 - SPARE_SHARE))
        self._count(outbox_hooks.shed(self._database, self._hooks, oldest_allowed))
        outbox_file.set_number(self._database, "lived", self._lived())

    def _count(self, shed: Mapping[str, int]) -> None:
        for hook, count in shed.items():
            self.hook_drops[hook] += count

    def _free(self, wanted_bytes: float) -> None:
        """Drop updates first, then the oldest message of any type."""
        for where in ("type = 'update'", "TRUE"):
            for message in outbox_file.candidates(self._database, SWEEP_ROWS, where):
                if wanted_bytes <= 0:
                    return
                outbox_file.drop(self._database, [message], "outbox_full")
                wanted_bytes -= len(message.payload)

    def _drop_oldest(self) -> None:
        self._free(min(self._bytes_limit * SPARE_SHARE, 8 * EVENT_BYTES_LIMIT))
        self._count(outbox_hooks.shed_oldest(self._database, self._hooks))

    def _announce(self, limit: int, seq_before: int, announced: list[Event]) -> None:
        self._seq = seq_before
        announced.clear()
        for loss in outbox_file.take_losses(self._database, limit):
            self._seq += 1
            gap = self._as_gap(loss)
            payload = encode(gap)
            outbox_file.insert(self._database, gap, payload, self._lived())
            outbox_hooks.insert(self._database, self._hooks, payload, self._lived())
            announced.append(gap)

    def _as_gap(self, loss: Loss) -> Event:
        now = self._wall_clock()
        gap = outbox_events.gap_from_loss(loss, now, self._random_bytes(ULID_RANDOM_BYTES), self._clock_state())
        place = {"site": self._site, "device": self._device}
        return msgspec.structs.replace(gap, seq=self._seq, boot_id=self.boot_id, **place)

    def _note_unsaved(self, event: Event) -> None:
        """Remember in memory that a message was lost; it is written down when the disk takes it."""
        last = self._unsaved[-1] if self._unsaved else None
        if last is not None and last.to_seq == event.seq - 1 and last.boot_id == self.boot_id:
            self._unsaved[-1] = Loss("disk_refused", self.boot_id, last.from_seq, event.seq)
        else:
            self._unsaved.append(Loss("disk_refused", self.boot_id, event.seq, event.seq))

    def _save_losses(self) -> None:
        for loss in self._unsaved:
            outbox_file.add_loss(self._database, loss)

    def _number(self, name: str) -> float:
        return outbox_file.number(self._database, name)

    def _lived(self) -> float:
        return self._lived_before + self._monotonic()
