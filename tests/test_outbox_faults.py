"""The outbox and what goes wrong: damage, a full disk, a kill in the midst of writing."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from edge import outbox_file
from edge.errors import DeviceUnavailable
from edge.outbox import Outbox
from tests.test_outbox import event, opened, stored


def test_damaged_database_is_set_aside(tmp_path: Path) -> None:
    """A damaged file is renamed, reported and told as a gap, and events go on."""
    (tmp_path / "outbox.db").write_bytes(b"this is no database" * 1000)
    with opened(tmp_path) as outbox:
        outbox.put(event("A"))
        outbox.announce_losses(1)
        gap = stored(outbox)[-1]
        aside = outbox.set_aside
    assert aside == tmp_path / "outbox.db.damaged-1"
    assert aside.read_bytes().startswith(b"this is no database")
    assert (gap["reason"], gap.get("from_seq")) == ("outbox_damaged", None)


def test_torn_page_is_noticed(tmp_path: Path) -> None:
    """Zeroes in the middle of the file are noticed at the start, not when a message is read."""
    with opened(tmp_path) as outbox:
        for i in range(200):
            outbox.put(event(f"E{i}"))
    with (tmp_path / "outbox.db").open("r+b") as file:
        file.seek(4096)
        file.write(bytes(3 * 4096))
    with opened(tmp_path, "boot2") as outbox:
        assert outbox.set_aside is not None
        assert outbox.put(event("A")).seq == 1


def test_other_formats_are_set_aside(tmp_path: Path) -> None:
    """A file of another version of this program is kept aside, not misread."""
    with sqlite3.connect(tmp_path / "outbox.db") as database:
        database.executescript("CREATE TABLE messages (x); PRAGMA user_version = 9;")
    database.close()
    with opened(tmp_path) as outbox:
        assert outbox.set_aside is not None


@pytest.mark.parametrize("place", ["missing/folder", "."])
def test_unusable_place(tmp_path: Path, place: str) -> None:
    """A path that cannot be opened is refused at the start, with what to do."""
    with pytest.raises(DeviceUnavailable, match="cannot be opened"):
        Outbox(tmp_path / place, "s", "d", "boot1")


def test_one_process_only(tmp_path: Path) -> None:
    """A second user of the same file is refused."""
    with opened(tmp_path), pytest.raises(DeviceUnavailable, match="let one process use it"):
        opened(tmp_path, "boot2")


def test_full_disk_costs_the_oldest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that cannot grow takes new events at the cost of the oldest, and says so."""
    with opened(tmp_path) as outbox:
        monkeypatch.setattr(outbox_file, "_free_bytes", lambda _: 0)
        for i in range(1000):
            last = outbox.put(msgspec.structs.replace(event(f"E{i}"), type="end", severity="x" * 6000))
            if outbox._database.execute("SELECT count(*) FROM losses").fetchone()[0]:
                break
        kept = {message["seq"] for message in stored(outbox)}
        lost = outbox._database.execute("SELECT from_seq, to_seq FROM losses").fetchall()
    assert last.seq > 200, "2 MB were reserved"
    assert last.seq in kept
    assert lost[0][0] == 1
    assert kept == set(range(lost[0][1] + 1, last.seq + 1))


def test_the_file_grows_while_the_disk_has_room(tmp_path: Path) -> None:
    """Beyond the first reserve nothing is lost where there is room, and the file is never larger than it was grown."""
    with opened(tmp_path) as outbox:
        for i in range(700):
            outbox.put(msgspec.structs.replace(event(f"E{i}"), type="end", severity="x" * 6000))
        assert outbox.depth().messages == 700, "4.3 MB, twice the first reserve"
        pages, most = (
            outbox._database.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "max_page_count")
        )
    assert pages == most


def test_a_refusing_disk_is_logged_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Hundreds of refusals are one line, and the next line a minute later has their number."""
    with opened(tmp_path) as outbox:
        outbox._database.execute("PRAGMA query_only = ON")
        for i in range(100):
            outbox.put(event(f"E{i}"))
    assert len([record for record in caplog.records if "outbox_refused" in record.message]) == 1


def test_refusing_disk_is_told_when_it_takes_again(tmp_path: Path) -> None:
    """Events that the disk refused are one gap as soon as it takes the next."""
    with opened(tmp_path) as outbox:
        outbox._database.execute("PRAGMA query_only = ON")
        refused = [outbox.put(event(f"E{i}")).seq for i in range(3)]
        outbox._database.execute("PRAGMA query_only = OFF")
        outbox.put(event("A"))
        outbox.announce_losses(5)
        messages = stored(outbox)
    assert refused == [1, 2, 3]
    assert [message["seq"] for message in messages] == [4, 5]
    gap = messages[-1]
    assert (gap["from_seq"], gap["to_seq"], gap["reason"]) == (1, 3, "disk_refused")


CHILD = """
import sys
from contextlib import closing
from pathlib import Path
from edge.messages import Event, EventTime
from edge.outbox import Outbox
with Outbox(Path(sys.argv[1]), "s", "d", "boot1") as outbox:
    number = 0
    while True:
        number += 1
        event = Event(type="new", event_id=f"E{number}", site="s", device="d", time=EventTime(clock="synced"))
        print(outbox.put(event).seq, flush=True)
"""


def test_sigkill_loses_nothing_that_was_put(tmp_path: Path) -> None:
    """After SIGKILL in the midst of writing, every event whose put returned is there."""
    path = tmp_path / "outbox.db"
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, str(path)], stdout=subprocess.PIPE, env={**os.environ}, text=True
    ) as child:
        assert child.stdout is not None
        for _ in range(200):
            child.stdout.readline()
        child.send_signal(signal.SIGKILL)
        returned = 200 + len(child.stdout.read().splitlines())
    with opened(tmp_path, "boot2") as outbox:
        assert outbox.set_aside is None
        found = [message["seq"] for message in stored(outbox)]
        assert len(outbox.closing_events()) == len(found)
    # The last line may be torn, and one event may be on disk whose number was not yet printed.
    assert found == list(range(1, len(found) + 1))
    assert len(found) >= returned - 1


def test_a_kill_while_the_file_grows_loses_nothing(tmp_path: Path) -> None:
    """What makes the file grow for a moment is found at the next start: no damage, no event to be closed, all kept."""
    with opened(tmp_path, "boot1") as outbox:
        outbox.put(event("E1"))
    with closing(sqlite3.connect(tmp_path / "outbox.db")) as database, database:
        database.execute("INSERT INTO open_events VALUES ('reserve', zeroblob(1000))")
    with opened(tmp_path, "boot2") as outbox:
        assert outbox.set_aside is None
        assert outbox.depth().messages == 1
        assert "reserve" not in {one.event_id for one in outbox.closing_events()}
