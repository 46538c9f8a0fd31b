"""What a self-test found, station by station, and where the last ones are kept."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from edge.files import write_whole
from edge.json_files import read_json
from edge.messages import new_event_id

log = logging.getLogger(__name__)

FILE = "self_tests.json"
MOST_KEPT = 60
# In the order in which an anomaly passes them.
STATIONS = ("stream", "model", "limit", "outbox", "broker")


class Station(msgspec.Struct, frozen=True, kw_only=True):
    """One of STATIONS: whether the anomaly passed it, what was seen there, and the milliseconds that it took."""

    name: str
    passed: bool
    told: str
    milliseconds: float | None = None


class CameraTest(msgspec.Struct, frozen=True, kw_only=True):
    """One camera: the stations that were reached, and the event that was published."""

    camera: str
    stations: tuple[Station, ...]
    event_id: str | None = None

    @property
    def passed(self) -> bool:
        """Whether the anomaly came through to the broker."""
        return len(self.stations) == len(STATIONS) and all(one.passed for one in self.stations)


class SelfTest(msgspec.Struct, frozen=True, kw_only=True):
    """A self-test of all cameras that were not switched off; `asked_by` is `command` or `schedule`."""

    id: str
    time: str
    asked_by: str
    passed: bool
    cameras: tuple[CameraTest, ...]
    skipped: tuple[str, ...] = ()


@dataclass
class OrderedTests:
    """Between those who ask for self-tests and the river, which carries them out: which is asked for, and results."""

    wanted: str = ""
    running: str = ""
    kept: list[SelfTest] = field(default_factory=list)

    @property
    def last(self) -> SelfTest | None:
        """The newest result."""
        return self.kept[-1] if self.kept else None

    def ask(self, wall_seconds: float, random_bytes: bytes) -> str:
        """Return the id of the self-test that is under way, or of one that begins now; `random_bytes` are 10."""
        if not (self.running or self.wanted):
            self.wanted = new_event_id(wall_seconds, random_bytes)
        return self.running or self.wanted


def read_tests(state_directory: Path) -> list[SelfTest]:
    """Return the last self-tests of a device, the newest last."""
    return read_json(state_directory / FILE, list[SelfTest], [])


def keep_tests(state_directory: Path, tests: list[SelfTest]) -> None:
    """Keep the last self-tests; a disk that refuses costs the file."""
    try:
        write_whole(state_directory / FILE, msgspec.json.encode(tests[-MOST_KEPT:]))
    except OSError as error:
        log.warning("self_tests_not_kept error=%s", error)


def lines_of_test(test: SelfTest) -> Iterator[str]:
    """Yield lines for people: a camera each, with its stations."""
    for one in test.cameras:
        yield f"{one.camera}: {'passed' if one.passed else 'FAILED'}"
        for station in one.stations:
            took = "" if station.milliseconds is None else f" ({station.milliseconds:.0f} ms)"
            yield f"  {'ok  ' if station.passed else 'FAIL'} {station.name}: {station.told}{took}"
    for camera in test.skipped:
        yield f"{camera}: skipped, it is switched off"
