"""The subscribers that integrators copy, as they stand in `samples/`, before a real Mosquitto and the daemon's own messages."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edge.messages import ULID_RANDOM_BYTES, Event, EventTime, Info, encode, utc_from_seconds
from edge.mqtt import Publisher
from edge.outbox import Outbox
from edge.outbox_events import gap_from_loss
from edge.outbox_file import Loss
from samples import subscriber
from tests.brokers import Mosquitto, mosquitto
from tests.commanding import Operator, running
from tests.daemons import write_config
from tests.needs import need_program
from tests.publishing import QUICK, TOPICS, event, settings_of, wait_until

ROOT = Path(__file__).parents[1]
SAMPLES = {
    "python": [sys.executable, str(ROOT / "samples" / "subscriber.py")],
    "shell": ["sh", str(ROOT / "samples" / "subscriber.sh")],
}
BOTH = pytest.mark.parametrize("name", SAMPLES)
BYTES_LIMIT = 20_000  # of the outbox: some forty small events
TAGS = {"ALARM": "alarm", "MISSING": "missing", "LOST": "lost", "stands": "stands", "is now": "is_now"}


@dataclass
class Told:
    """What a sample has said so far, in files: JSON lines and sentences of Python's, tagged lines of the shell's."""

    folder: Path
    name: str

    def lines(self, tag: str) -> list[str]:
        """Return what was said of one kind: `keep`, `alarm`, `missing`, `lost`, `stands`, `is_now`, `unreadable`."""
        if self.name == "shell":
            return [line.partition("\t")[2] for line in self._read("out") if line.startswith(f"{tag}\t")]
        if tag == "keep":
            return self._read("out")
        words = {told: said for said, told in TAGS.items()}.get(tag, tag.upper())
        return [line.removeprefix(f"{words} ") for line in self._read("err") if line.startswith(f"{words} ")]

    def events(self) -> list[dict[str, Any]]:
        """Return the events that were kept."""
        return [json.loads(line) for line in self.lines("keep")]

    def talk(self) -> str:
        """Return what was said to people."""
        return "\n".join(self._read("err"))

    def _read(self, stream: str) -> list[str]:
        text = (self.folder / f"{self.name}.{stream}").read_text(encoding="utf-8")
        return text[: text.rfind("\n") + 1].splitlines()  # a line that is being written is not yet there


@contextmanager
def listening(folder: Path, port: int) -> Iterator[list[Told]]:
    """Run both samples as a person would, each in a group of processes that ends with it."""
    need_program("mosquitto_sub", "mosquitto-clients")
    need_program("jq")
    processes = []
    for name, command in SAMPLES.items():
        with (folder / f"{name}.out").open("ab") as out, (folder / f"{name}.err").open("ab") as err:
            words = [*command, "127.0.0.1", str(port)]
            processes.append(subprocess.Popen(words, stdout=out, stderr=err, start_new_session=True))
    try:
        yield [Told(folder, name) for name in SAMPLES]
    finally:
        for process in processes:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(10.0)


def wait_for(samples: Sequence[Told], tag: str, words: str) -> None:
    """Wait until every sample has said it."""
    wait_until(lambda: all(any(words in line for line in told.lines(tag)) for told in samples))


def send(broker: Mosquitto, payload: bytes) -> None:
    """Put a message among the events from outside, as a broker that delivers twice would."""
    publish = need_program("mosquitto_pub", "mosquitto-clients")
    command = [publish, "-h", broker.host, "-p", str(broker.port), "-q", "1"]
    subprocess.run([*command, "-t", TOPICS.full("events"), "-s"], input=payload, check=True)


def as_type(told: Event, kind: str, rev: int) -> Event:
    """Return a later message of the same event."""
    return msgspec.structs.replace(told, type=kind, rev=rev)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Told]]:
    """Live through a bad day with both samples at once, and give what they said.

    They start before the broker, hear E1 with its repetitions, lose the broker while more events are made than the
    outbox holds, hear a message that is none and one of a boot with a hole, and are away during E9.
    """
    folder = tmp_path_factory.mktemp("samples")
    info = Info(boot_id="boot1", versions={}, cameras=("press3",), capabilities=(), config_hash="h", engine="ready")
    broker = Mosquitto(folder)
    broker.start()
    with (
        Outbox(folder / "outbox.db", TOPICS.site, TOPICS.device, "boot1", bytes_limit=BYTES_LIMIT) as outbox,
        Publisher(settings_of(broker), TOPICS, outbox, info, retry=QUICK) as publisher,
    ):
        try:
            publisher.set_state("cam/press3/state", "watching")
            wait_until(lambda: publisher.is_connected)
            publisher.publish_event(event(0))  # before there is any session: nobody hears it
            wait_until(lambda: outbox.depth().messages == 0)
            broker.stop()
            with listening(folder, broker.port) as samples:
                wait_until(lambda: all(told.talk() for told in samples))  # they have found nobody
                broker.start()
                wait_for(samples, "stands", "cam/press3/state watching")
                wait_until(lambda: publisher.is_connected)
                lives_through_repetitions(broker, publisher, samples)
                loses_the_broker(broker, publisher, outbox, samples)
            publisher.publish_event(event(9))
            with listening(folder, broker.port) as samples:
                wait_for(samples, "keep", '"E9"')
                publisher.close()
                wait_for(samples, "is_now", "status offline")
                yield {told.name: told for told in samples}
        finally:
            broker.kill()


def lives_through_repetitions(broker: Mosquitto, publisher: Publisher, samples: Sequence[Told]) -> None:
    """E1 begins and goes on; both of its messages come again, in the wrong order; then things that are no events."""
    first = publisher.publish_event(event(1))
    second = publisher.publish_event(as_type(event(1), "update", 2))
    send(broker, encode(second))
    send(broker, encode(first))
    send(broker, b"no JSON")
    send(broker, b'{"no": "event"}')
    other = msgspec.structs.replace(event(2), boot_id="boot9", time=EventTime(clock="unsynced", published=TIME))
    send(broker, encode(msgspec.structs.replace(other, seq=7)))
    send(broker, encode(msgspec.structs.replace(other, seq=11, type="end", rev=2)))
    unknown = gap_from_loss(Loss("outbox_damaged"), 1.0, bytes(ULID_RANDOM_BYTES), "unsynced")
    place = {"site": TOPICS.site, "device": TOPICS.device, "boot_id": "boot9", "seq": 12}
    send(broker, encode(msgspec.structs.replace(unknown, **place)))
    now = EventTime(clock="synced", published=utc_from_seconds(time.time()))
    overtaken = msgspec.structs.replace(event(5), boot_id="boot9", seq=13, time=now)
    send(broker, encode(as_type(overtaken, "update", 2)))
    send(broker, encode(msgspec.structs.replace(overtaken, seq=14, historical=True)))
    waited = EventTime(clock="synced", published=utc_from_seconds(time.time() - 3600.0))
    send(broker, encode(msgspec.structs.replace(event(6), boot_id="boot9", seq=15, time=waited)))
    publisher.publish_event(msgspec.structs.replace(event(3), kind="test", test=True))
    wait_for(samples, "keep", '"E3"')


TIME = "2026-11-22T14:03:11.480Z"


def loses_the_broker(broker: Mosquitto, publisher: Publisher, outbox: Outbox, samples: Sequence[Told]) -> None:
    """While the broker is gone a hundred events are made, for which the outbox has no room; then it is back."""
    broker.kill()
    wait_until(lambda: not publisher.is_connected)
    for number in range(100, 200):
        publisher.publish_event(event(number))
    broker.start()
    wait_until(lambda: outbox.depth().messages == 0)
    publisher.publish_event(event(4))
    wait_for(samples, "alarm", "E4")


@BOTH
def test_every_message_is_kept_once(story: dict[str, Told], name: str) -> None:
    """What the broker repeats is not kept again; a lower `rev` may come after a higher one, and is kept too."""
    kept = [(one["event_id"], one["rev"]) for one in story[name].events()]
    assert len(kept) == len(set(kept))
    assert sorted(rev for event_id, rev in kept if event_id == "E1") == [1, 2]
    assert "E0" not in dict(kept), "it was told before anyone had subscribed"


@BOTH
def test_an_alarm_is_sounded_for_what_happens_now(story: dict[str, Told], name: str) -> None:
    """Live beginnings alarm; updates, test events and what device or broker held back do not, and are kept."""
    alarmed = [line.split()[-1] for line in story[name].lines("alarm")]
    backlog = [one["event_id"] for one in story[name].events() if one["historical"] and one["type"] == "new"]
    late = set(backlog) - {"E1", "E5"}  # live messages of these overtook their beginnings
    assert [one for one in alarmed if one in {"E1", "E3", "E4", "E5", "E6", "E9"}] == ["E1", "E5", "E4", "E9"]
    assert "E6" in [one["event_id"] for one in story[name].events()], "the broker had kept it for an hour"
    assert len(late) > 5, "the backlog came"
    assert not late & set(alarmed)


@BOTH
def test_a_broker_that_is_away_is_said(story: dict[str, Told], name: str) -> None:
    """Both were started before their broker, and tried on."""
    assert {"python": "no broker at 127.0.0.1", "shell": "Connection refused"}[name] in story[name].talk()


@BOTH
def test_holes_are_noticed_by_seq(story: dict[str, Told], name: str) -> None:
    """The numbers 8 to 10 of another boot never came."""
    assert any("plant7/edge1/boot9 8 to 10" in line for line in story[name].lines("missing"))


@BOTH
def test_losses_are_told_and_explain_every_missing_number(story: dict[str, Told], name: str) -> None:
    """What was kept and what a `gap` tells lost are all numbers of the boot from the first that was heard on."""
    kept = {one["seq"] for one in story[name].events() if one["boot_id"] == "boot1"}
    told = [re.search(r"plant7/edge1/boot1 (\d+) to (\d+): outbox_full", line) for line in story[name].lines("lost")]
    lost = {number for one in told if one for number in range(int(one[1]), int(one[2]) + 1)}
    assert len(lost) > 20
    assert kept | lost == set(range(2, max(kept) + 1))


@BOTH
def test_a_loss_that_nobody_could_count_is_told(story: dict[str, Told], name: str) -> None:
    """A database of waiting events that was damaged leaves no numbers; the message is told and kept."""
    assert f"{TOPICS.site}/{TOPICS.device}/? ? to ?: outbox_damaged" in story[name].lines("lost")
    assert "outbox_damaged" in [one.get("reason") for one in story[name].events()]


@BOTH
def test_retained_states_are_told_apart_from_changes(story: dict[str, Told], name: str) -> None:
    """What stood when the sample came is said so; what changes while it listens is new."""
    state = f"{TOPICS.root}/cam/press3/state watching"
    assert state in "\n".join(story[name].lines("stands"))
    assert f"{TOPICS.root}/status offline" in "\n".join(story[name].lines("is_now"))


@BOTH
def test_what_cannot_be_read_is_said_and_left(story: dict[str, Told], name: str) -> None:
    """Two messages were no events, and those after them were heard."""
    assert len(story[name].lines("unreadable")) == 2


@pytest.mark.parametrize(
    ("seconds_ago", "clock", "late"), [(5, "synced", False), (90, "synced", True), (90, "unsynced", False)]
)
def test_what_waited_in_the_broker_is_late_too(seconds_ago: float, clock: str, late: bool) -> None:
    """The device marks its own backlog; what the broker kept for us shows by its age, where the device's clock is set."""
    published = datetime.now(timezone.utc) - timedelta(seconds=seconds_ago)
    told = {"historical": False, "time": {"clock": clock, "published": f"{published:%Y-%m-%dT%H:%M:%S}.000Z"}}
    assert subscriber.is_late(told) is late


def test_a_real_daemon_is_understood(tmp_path: Path) -> None:
    """An accident before the daemon's camera, from its beginning to the daemon's stop, and a test event."""
    with mosquitto(tmp_path) as broker, listening(tmp_path, broker.port) as samples:
        config = write_config(tmp_path, broker.port, loop=True)
        with Operator(broker.port) as operator, running(config):
            operator.wait("cam/busy/state", holding=b"watching")
            operator.ask("test_event", {"camera": "quiet"})
            operator.wait("cam/busy/anomaly", holding=b"ON")
        wait_for(samples, "keep", '"stopped"')
        wait_for(samples, "is_now", "status offline")
        for told in samples:
            begun = [one for one in told.events() if one["type"] == "new" and one["kind"] == "surprise"]
            assert len(begun) == 1
            assert [line.split()[-1] for line in told.lines("alarm")] == [begun[0]["event_id"]]
            assert [one["camera"] for one in told.events() if one["test"] and one["type"] == "end"] == ["quiet"]
            assert not told.lines("missing")


@BOTH
def test_the_readme_names_it(name: str) -> None:
    """Both stand in the README, as they are started."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert Path(SAMPLES[name][-1]).name in readme


def test_an_event_whose_beginning_comes_late_is_alarmed_by_what_comes_live(capsys: pytest.CaptureFixture[str]) -> None:
    """Live messages overtake a backlog: `update` before `new`. One alarm, both kept, and none for what is over."""
    published = f"{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%S}.000Z"
    told = {"event_id": "LATE", "boot_id": "b", "site": "s", "device": "d", "camera": "c", "kind": "stall"}
    told |= {"time": {"clock": "synced", "published": published}}  # type: ignore[dict-item]
    for number, (kind, rev, late) in enumerate([("update", 2, False), ("new", 1, True), ("update", 3, False)], 1):
        subscriber.take_event(told | {"type": kind, "rev": rev, "historical": late, "seq": number})
    subscriber.take_event(told | {"event_id": "OVER", "type": "end", "rev": 2, "historical": False, "seq": 4})
    printed = capsys.readouterr()
    assert [json.loads(line)["rev"] for line in printed.out.splitlines()] == [2, 1, 3, 2]
    assert printed.err.splitlines() == ["ALARM s/d c stall LATE"]
