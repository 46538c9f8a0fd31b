"""The outbox: what was put is there after anything, and what is lost is said."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edge.messages import Event, EventTime, EventType, MessageError
from edge.outbox import Outbox

ROW_BYTES = len(
    b'{"schema":"prednet.event","schema_version":"1.0","type":"new","event_id":"E1","rev":1,"seq":1,'
    b'"boot_id":"boot1","historical":false,"test":false,"site":"s","device":"d",'
    b'"time":{"clock":"synced"},"conditions":[],"suppressed":0}'
)


def event(event_id: str, kind: EventType = "new", rev: int = 1) -> Event:
    """Return a small event."""
    return Event(type=kind, event_id=event_id, rev=rev, site="s", device="d", time=EventTime(clock="synced"))


def opened(path: Path, boot_id: str = "boot1", **options: Any) -> Outbox:
    """Return an outbox in the folder."""
    return Outbox(path / "outbox.db", "s", "d", boot_id, **options)


def stored(outbox: Outbox) -> list[dict[str, Any]]:
    """Return every message that waits."""
    return [json.loads(row.payload) for row in outbox.pending(0, 10_000)]


class Clock:
    """A monotonic clock that a test sets."""

    seconds = 1000.0

    def __call__(self) -> float:
        """Return the time in seconds."""
        return self.seconds


def test_messages_are_numbered_and_kept_in_order(tmp_path: Path) -> None:
    """The seq rises by one from 1, and pending returns what was put, oldest first, until it is removed."""
    with opened(tmp_path) as outbox:
        put = [outbox.put(event(f"E{i}")) for i in range(5)]
        rows = outbox.pending(0, 3)
        outbox.remove(rows[0].id, rows[2].id)
        left = stored(outbox)
        depth = outbox.depth()
    assert [one.seq for one in put] == [1, 2, 3, 4, 5]
    assert [json.loads(row.payload)["seq"] for row in rows] == [1, 2, 3]
    assert [message["seq"] for message in left] == [2, 4, 5]
    assert (depth.messages, depth.bytes) == (3, 3 * ROW_BYTES)


def test_pending_within_bounds(tmp_path: Path) -> None:
    """Messages at or before `after` and beyond `upto` are left out."""
    with opened(tmp_path) as outbox:
        for i in range(6):
            outbox.put(event(f"E{i}"))
        first = outbox.pending(0, 1)[0].id
        rows = outbox.pending(first, 10, upto=first + 3)
    assert [row.id - first for row in rows] == [1, 2, 3]


def test_reopened(tmp_path: Path) -> None:
    """A new start finds the old messages, numbers its own from 1, and never uses an id again."""
    with opened(tmp_path) as outbox:
        outbox.put(event("A"))
        last = outbox.put(event("B"))
        last_id = outbox.last_id()
        outbox.remove(last_id)
    with opened(tmp_path, "boot2") as outbox:
        again = outbox.put(event("C"))
        rows = outbox.pending(0, 10)
    assert (last.seq, again.seq) == (2, 1)
    assert [json.loads(row.payload)["boot_id"] for row in rows] == ["boot1", "boot2"]
    assert rows[-1].id > last_id


def test_connections_are_numbered_for_ever(tmp_path: Path) -> None:
    """conn_seq goes on rising after a restart."""
    with opened(tmp_path) as outbox:
        numbers = [outbox.next_conn_seq(), outbox.next_conn_seq()]
    with opened(tmp_path, "boot2") as outbox:
        numbers.append(outbox.next_conn_seq())
    assert numbers == [1, 2, 3]


def test_refused_event_takes_no_number(tmp_path: Path) -> None:
    """An event that the contract forbids is refused before it takes a seq."""
    with opened(tmp_path) as outbox:
        with pytest.raises(MessageError):
            outbox.put(msgspec.structs.replace(event("A"), severity="x" * 9000))
        assert outbox.put(event("B")).seq == 1


def test_every_seq_is_stored_or_told_lost(tmp_path: Path) -> None:
    """Beyond its bytes an outbox drops updates first, then the oldest; gaps tell exactly what."""
    with opened(tmp_path, bytes_limit=40 * ROW_BYTES) as outbox:
        for i in range(30):
            outbox.put(event(f"E{i}"))
            outbox.put(event(f"E{i}", "update", 2))
        only_updates_lost = {message["type"] for message in stored(outbox)}
        news = [message for message in stored(outbox) if message["type"] == "new"]
        for i in range(30, 60):
            outbox.put(event(f"E{i}"))
        assert outbox.depth().bytes <= 40 * ROW_BYTES
        kept = {message["seq"] for message in stored(outbox)}
        outbox.announce_losses(1000)
        gaps = [message for message in stored(outbox) if message["type"] == "gap"]
    lost = {seq for gap in gaps for seq in range(gap["from_seq"], gap["to_seq"] + 1)}
    assert only_updates_lost == {"new", "update"}
    assert len(news) == 30
    assert kept | lost == set(range(1, 91))
    assert not kept & lost
    assert {(gap["reason"], gap["lost_boot_id"]) for gap in gaps} == {("outbox_full", "boot1")}


def test_neighbouring_losses_are_one_gap(tmp_path: Path) -> None:
    """A long run of lost messages becomes one gap, also across a restart."""
    with opened(tmp_path, bytes_limit=5 * ROW_BYTES) as outbox:
        for i in range(50):
            outbox.put(event(f"E{i}"))
    with opened(tmp_path, "boot2") as outbox:
        assert outbox.announce_losses(10) == 1
        gap = stored(outbox)[-1]
        assert outbox.announce_losses(10) == 0
    assert (gap["from_seq"], gap["lost_boot_id"], gap["boot_id"], gap["seq"]) == (1, "boot1", "boot2", 1)


def test_a_lost_gap_is_told_again(tmp_path: Path) -> None:
    """A gap that is itself dropped gives its range back, and its own number is told lost."""
    with opened(tmp_path, bytes_limit=4 * ROW_BYTES) as outbox:
        for i in range(40):
            outbox.put(event(f"E{i}"))
            outbox.announce_losses(1)
        last = max(message["seq"] for message in stored(outbox))
        known = set()
        for message in stored(outbox):
            known.add(message["seq"])
            if message["type"] == "gap":
                known |= set(range(message["from_seq"], message["to_seq"] + 1))
        database = outbox._database
        for first, end in database.execute("SELECT from_seq, to_seq FROM losses"):
            known |= set(range(first, end + 1))
    assert known == set(range(1, last + 1))


def test_age_counts_running_time_only(tmp_path: Path) -> None:
    """A message expires after the limit of running time, whatever the wall clock does."""
    clock = Clock()
    limit: dict[str, Any] = {"age_limit_seconds": 100.0, "monotonic": clock, "wall_clock": lambda: 4e9}
    with opened(tmp_path, **limit) as outbox:
        outbox.put(event("A"))
        clock.seconds += 60
    clock.seconds = 5.0  # the machine was started anew
    with opened(tmp_path, "boot2", **limit) as outbox:
        clock.seconds += 30
        outbox.sweep()
        age_before = outbox.depth().oldest_seconds
        clock.seconds += 20
        outbox.sweep()
        empty = outbox.depth()
        outbox.announce_losses(5)
        gap = stored(outbox)[0]
    assert age_before == pytest.approx(90.0)
    assert (empty.messages, empty.bytes, empty.oldest_seconds) == (0, 0, None)
    assert (gap["reason"], gap["from_seq"], gap["to_seq"]) == ("too_old", 1, 1)


def test_open_events_are_closed_by_the_next_start(tmp_path: Path) -> None:
    """An event begun and not ended is ended by the next start, once, with a higher rev."""
    with opened(tmp_path) as outbox:
        outbox.put(event("A"))
        outbox.put(event("A", "end", 2))
        outbox.put(event("B"))
        outbox.put(event("B", "update", 2))
        assert outbox.closing_events() == ()
    with opened(tmp_path, "boot2") as outbox:
        (closing,) = outbox.closing_events()
        outbox.put(closing)
        assert outbox.closing_events() == ()
    assert (closing.event_id, closing.type, closing.rev, closing.end_reason) == ("B", "end", 3, "restart")


def test_one_writer_one_reader(tmp_path: Path) -> None:
    """A reader that removes while a writer puts gets every message exactly once."""
    read: list[int] = []
    with opened(tmp_path) as outbox:

        def remove_until_all_are_read() -> None:
            after = 0
            while len(read) < 300:
                for row in outbox.pending(after, 7):
                    read.append(json.loads(row.payload)["seq"])
                    after = row.id
                    outbox.remove(row.id)

        reader = threading.Thread(target=remove_until_all_are_read)
        reader.start()
        for i in range(300):
            outbox.put(event(f"E{i}"))
        reader.join(20.0)
        assert outbox.depth().messages == 0
    assert read == list(range(1, 301))


def test_own_boots_are_known(tmp_path: Path) -> None:
    """A device knows its own earlier starts, and nobody else's."""
    with opened(tmp_path):
        pass
    with opened(tmp_path, "boot2") as outbox:
        assert [outbox.is_own_boot(boot) for boot in ("boot1", "boot2", "rival")] == [True, True, False]
