"""No event is lost: short forms of the long measurements in benchmarks/mqtt_loss.py."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.brokers import Mosquitto, consumer, mosquitto
from tests.holding import child_environment
from tests.loss import Daemon, account_of, kill_again_and_again, write_lively_config
from tests.needs import absent, need_program
from tests.networks import FAR_ADDRESS, cable
from tests.publishing import TOPICS, wait_until


def test_kills_at_random_moments_lose_nothing(tmp_path: Path) -> None:
    """The daemon is killed four times, the broker once: all that was put arrives, and every event ends."""
    with mosquitto(tmp_path) as broker, consumer(broker, TOPICS.full("events"), tmp_path) as lines:
        daemon = Daemon(write_lively_config(tmp_path, broker.port))
        account = kill_again_and_again(daemon, broker, lines, 4, random.Random(3), most_seconds=1.5)
    assert account.lost == []
    assert account.never_ended == []
    assert account.boots == 5
    assert account.put >= 5, "the cameras had something to tell"


def test_the_account_finds_a_loss() -> None:
    """A hole within a boot, a missing tail and an event without an end are found; a gap explains the first."""
    got = [{"boot_id": "b", "seq": seq, "type": "new", "event_id": f"E{seq}"} for seq in (1, 3)]
    account = account_of([("b", 1), ("b", 4)], got)
    assert (account.lost, account.never_ended) == ([("b", 2), ("b", 4)], ["E1", "E3"])
    gap = {"boot_id": "b", "seq": 4, "type": "gap", "event_id": "G", "from_seq": 2, "to_seq": 2, "lost_boot_id": "b"}
    assert account_of([("b", 1)], [*got, gap]).lost == []


PUBLISHER = """
import os, sys, time
from pathlib import Path
from tests.publishing import BrokerSettings, event, publishing
folder, host, port = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
exec(sys.argv[4])
"""

STEADY = """
with publishing(folder, BrokerSettings(host, port, client_id="edge1")) as (publisher, outbox):
    while not publisher.is_connected:
        time.sleep(0.01)
    print("connected", flush=True)
    for number in range(60):
        publisher.publish_event(event(number))
        time.sleep(0.1)
    deadline = time.monotonic() + 30
    while outbox.depth().messages and time.monotonic() < deadline:
        time.sleep(0.05)
    print("left", outbox.depth().messages, flush=True)
"""

# 12 MB of disk, of which the outbox takes its reserve before a neighbour takes all the rest. The backlog's pace
# has a test of its own; here it only costs time.
FULL = """
import edge.mqtt.session, msgspec
edge.mqtt.session.BACKLOG_RATE_HZ = 1000.0
with publishing(folder, BrokerSettings(host, 1, client_id="edge1")) as (publisher, outbox):
    ballast = (folder / "ballast").open("wb", buffering=0)
    try:
        while True:
            ballast.write(bytes(4096))
    except OSError as error:
        print("full", error.errno, flush=True)
    for number in range(600):
        publisher.publish_event(msgspec.structs.replace(event(number), type="end", end_reason="cleared", severity="x" * 6000))
        if number == 200:
            print("early", outbox.depth().messages, flush=True)
    print("late", outbox.depth().messages, flush=True)
    ballast.close()
    (folder / "ballast").unlink()
    last = publisher.publish_event(event(600))
with publishing(folder, BrokerSettings(host, port, client_id="edge1"), "boot2") as (publisher, outbox):
    began = time.monotonic()
    while outbox.depth().messages and time.monotonic() < began + 30:
        time.sleep(0.05)
    print("last", last.seq, flush=True)
"""


# The daemon is started again while the disk is full: its log has to be made anew, and no byte is free.
AGAIN = """
from edge.outbox import Outbox
def opened(boot):
    return Outbox(folder / "outbox.db", "plant7", "edge1", boot)
with opened("boot1") as outbox:
    for number in range(10):
        outbox.put(event(number))
ballast = (folder / "ballast").open("wb", buffering=0)
try:
    while True:
        ballast.write(bytes(4096))
except OSError as error:
    print("full", error.errno, flush=True)
with opened("boot2") as outbox:
    for number in range(200):
        outbox.put(event(number))
    print("waiting", outbox.depth().messages, flush=True)
"""


def publisher_process(arguments: Sequence[str], within: Sequence[str]) -> subprocess.Popen[str]:
    """Start a publisher in a process of its own, within a namespace."""
    command = [*within, sys.executable, "-c", PUBLISHER, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=child_environment())


def next_words(process: subprocess.Popen[str]) -> list[str]:
    """Return the words of the next line that a process prints."""
    assert process.stdout is not None
    return process.stdout.readline().split()


def test_a_cut_network_loses_nothing(tmp_path: Path) -> None:
    """The cable to the broker is pulled for two seconds, silently, while events are made: all arrive, in the end."""
    with cable() as between:
        broker = Mosquitto(tmp_path, host=FAR_ADDRESS, within=between.far)
        broker.start()
        try:
            with consumer(broker, TOPICS.full("events"), tmp_path, between.far) as lines:
                arguments = [str(tmp_path), FAR_ADDRESS, str(broker.port), STEADY]
                with publisher_process(arguments, between.near) as process:
                    assert next_words(process) == ["connected"]
                    time.sleep(1.0)
                    between.pull()
                    time.sleep(0.5)
                    before = len(lines())
                    time.sleep(1.5)
                    assert len(lines()) == before, "the cable is cut"
                    between.plug_in()
                    assert next_words(process) == ["left", "0"]
                wait_until(lambda: len(lines()) >= 60)
                received = [json.loads(line) for line in lines()]
        finally:
            broker.stop()
    assert account_of([("boot1", 60)], received).lost == []


def small_disk(place: Path, megabytes: int) -> list[str]:
    """Return the words that run a command on a small file system of its own; skip or fail where it cannot be made."""
    place.mkdir()
    mount = f'mount -t tmpfs -o size={megabytes}m tmpfs {place} && exec "$@"'
    within = [need_program("unshare", "util-linux"), "--mount", "sh", "-c", mount, "sh"]
    probe = subprocess.run([*within, "true"], capture_output=True, text=True, check=False)
    if probe.returncode != 0:
        absent(f"no file system can be mounted here: {probe.stderr.strip()}")
    return within


def test_a_start_on_a_full_disk_keeps_events(tmp_path: Path) -> None:
    """What waited is still there, and new events find room, though not one byte of the disk was free."""
    within = small_disk(tmp_path / "small", 24)
    with publisher_process([str(tmp_path / "small"), "127.0.0.1", "1", AGAIN], within) as process:
        assert next_words(process) == ["full", "28"]
        assert next_words(process) == ["waiting", "210"]


def test_a_full_disk_costs_only_what_is_told(tmp_path: Path) -> None:
    """On a full file system events go on from the reserve; what goes beyond it is named by gaps, and nothing else."""
    place = tmp_path / "small"
    within = small_disk(place, 12)
    with mosquitto(tmp_path) as broker, consumer(broker, TOPICS.full("events"), tmp_path) as lines:
        arguments = [str(place), broker.host, str(broker.port), FULL]
        with publisher_process(arguments, within) as process:
            assert next_words(process) == ["full", "28"]
            assert next_words(process) == ["early", "201"], "the reserve alone holds so many"
            (_, late) = next_words(process)
            assert 201 <= int(late) < 600, "later ones cost the oldest"
            (word, last) = next_words(process)
            assert word == "last"
        wait_until(lambda: '"type":"gap"' in "".join(lines()))
        received = [json.loads(line) for line in lines()]
    account = account_of([("boot1", int(last))], received)
    assert account.lost == []
    held = sorted(one["seq"] for one in received if one["boot_id"] == "boot1")
    assert held[-1] == int(last) == 601
    assert held == list(range(held[0], 602)), "only the oldest were given up"
    assert account.told_lost == held[0] - 1 > 0
