"""Faults of the whole device, made for real around a daemon in a process of its own: a stepped clock, a full disk."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from edge.detection import Limit
from edge.hardware import DISK_LOW_BYTES
from edge.labels import seconds_from_utc
from edge.mqtt import Received
from edge.switches import Switch, Switches
from tests.brokers import Mosquitto
from tests.commanding import Operator
from tests.films import write_clip
from tests.holding import child_environment
from tests.loss import write_lively_config
from tests.needs import absent
from tests.test_loss import small_disk
from tests.tiny import normal_images

RUN = "import sys; from edge.cli import main; sys.exit(main(['run', '--config', sys.argv[1]]))"
DAY_SECONDS = 86400.0
START_SECONDS, STOP_SECONDS = 90.0, 30.0  # of a process on a machine that does much else
DISK_MEGABYTES = 160


@contextmanager
def running(config: Path, within: Sequence[str] = (), **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a daemon in a process of its own, and stop it as systemd does."""
    command = [*within, sys.executable, "-c", RUN, str(config)]
    with config.with_name("daemon.log").open("wb") as log:
        process = subprocess.Popen(command, stderr=log, env=child_environment() | environment)
    try:
        yield process
        process.send_signal(signal.SIGTERM)
        assert process.wait(STOP_SECONDS) == 0, config.with_name("daemon.log").read_text()[-2000:]
    finally:
        process.kill()
        process.wait()


def faketime() -> str:
    """Return the library that gives one process another wall clock; skip where it is missing, fail under CI."""
    found = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
    return str(found) if found else absent("libfaketime is not installed: apt-get install libfaketime")


def test_a_clock_that_steps_by_a_day_makes_no_event_and_loses_none(tmp_path: Path, broker: Mosquitto) -> None:
    """A day ahead and two back: events go on with their true lengths, a quiet camera has none, labels alone follow."""
    offset = tmp_path / "offset"
    offset.write_text("+0")
    config = write_lively_config(tmp_path, broker.port)
    write_clip(tmp_path / "quiet.mkv", normal_images(140, seed=6))
    config.write_text(config.read_text().replace("cameras: {", "cameras: {quiet: {source: quiet.mkv, loop: true}, "))
    faked = {"LD_PRELOAD": faketime(), "FAKETIME_TIMESTAMP_FILE": str(offset), "FAKETIME_NO_CACHE": "1"}
    faked |= {"FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    with Operator(broker.port) as operator, running(config, **faked):
        operator.wait("cam/busy/anomaly", holding=b"ON", wait_seconds=START_SECONDS)
        for step, seconds in (("+1d", DAY_SECONDS), ("-1d", -DAY_SECONDS)):
            before = len(operator.heard)
            offset.write_text(step)
            ends = [_surprise_end(operator, before)]
            ends.append(_surprise_end(operator, operator.heard.index(ends[0][0]) + 1))
            for _, event in ends:
                start, end, published = (seconds_from_utc(event["time"][one]) for one in ("start", "end", "published"))
                assert 0.0 <= end - start < 600.0, "an event of the film lasts a second, on a busy machine some more"
            assert abs(published - time.time() - seconds) < 60.0, "the last one bears the stepped clock's label"
        events = operator.events("surprise")
        assert {event["camera"] for event in events} == {"busy"}
        seqs = sorted({json.loads(one)["seq"] for one in _payloads(operator)})
        assert seqs == list(range(1, len(seqs) + 1)), "no message is missing"


def test_a_snooze_lasts_as_long_as_it_was_asked_for_whatever_the_clock_does() -> None:
    """A clock that steps back does not make it longer, one that steps ahead not shorter; after a start a day at most."""
    wall, monotonic = [1.8e9], [50.0]
    clocks = {"wall_clock": lambda: wall[0], "monotonic": lambda: monotonic[0]}
    limits = {"cam": Limit(2.0, 1.0)}
    switches = Switches(limits, None, **clocks)
    switches.set("cam", Switch(is_off=True, off_until=wall[0] + 3600.0))
    for step in (DAY_SECONDS, -2.0 * DAY_SECONDS):
        wall[0] += step
        assert switches.is_off("cam")
    monotonic[0] += 3599.0
    assert switches.is_off("cam")
    monotonic[0] += 1.0
    assert not switches.is_off("cam")


def test_a_snooze_that_a_start_finds_ends_within_a_day(tmp_path: Path) -> None:
    """A device whose clock begins in 2024 does not leave a camera off for a year."""
    monotonic, file = [0.0], tmp_path / "switches.json"
    clocks = {"wall_clock": lambda: 1.7e9, "monotonic": lambda: monotonic[0]}
    file.write_bytes(msgspec.json.encode({"cam": Switch(is_off=True, off_until=1.8e9)}))
    switches = Switches({"cam": Limit(2.0, 1.0)}, file, **clocks)
    assert switches.is_off("cam")
    monotonic[0] = DAY_SECONDS
    assert not switches.is_off("cam")


def _surprise_end(operator: Operator, before: int) -> tuple[Received, dict[str, Any]]:
    """Return the first end of a surprise after so many messages."""
    while True:
        message = operator.wait("events", before, b'"type":"end"')
        event = json.loads(message.payload)
        if event["kind"] == "surprise":
            return message, event
        before = operator.heard.index(message) + 1


def test_a_full_disk_stops_evidence_and_no_event(tmp_path: Path, broker: Mosquitto) -> None:
    """A file system without a free byte: `disk_low` and `evidence_stopped`, events all along; both end with room."""
    place = tmp_path / "small"
    within = small_disk(place, DISK_MEGABYTES)
    config = write_lively_config(tmp_path, broker.port)
    text = config.read_text().replace("state_directory: state", f"state_directory: {place}/state")
    config.write_text(f"{text}evidence: {{pre_roll_seconds: 0.5, post_roll_seconds: 0.2, free_megabytes: 80}}\n")
    assert DISK_MEGABYTES > 2 * DISK_LOW_BYTES / 1e6
    with Operator(broker.port) as operator, running(config, within) as daemon:
        operator.wait("events", holding=b'"status":"ready"', wait_seconds=START_SECONDS)
        assert b"disk_low" not in operator.wait("faults").payload
        inside = ["nsenter", "--mount", f"--target={daemon.pid}"]
        filled = subprocess.run(
            [*inside, "dd", "if=/dev/zero", f"of={place}/ballast", "bs=64k"], capture_output=True, check=False
        )
        assert b"No space left" in filled.stderr
        before = len(operator.heard)
        operator.wait("faults", before, b"disk_low")
        operator.wait("status", before, b"degraded")
        operator.wait("events", before, b'"status":"dropped"')
        before = len(operator.heard)
        for _ in range(3):
            message, _ = _surprise_end(operator, before)
            before = operator.heard.index(message) + 1
        subprocess.run([*inside, "rm", f"{place}/ballast"], check=True)
        operator.wait("faults", before, b"[]")
        operator.wait("events", before, b'"status":"ready"')
        seqs = sorted({one["seq"] for one in map(json.loads, _payloads(operator))})
        assert seqs == list(range(1, len(seqs) + 1)), "no message is missing"
        assert os.path.ismount(place) is False, "the disk is the daemon's own"


def _payloads(operator: Operator) -> list[bytes]:
    return [one.payload for one in operator.heard if one.topic.endswith("/edge1/events")]
