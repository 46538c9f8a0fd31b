"""Self-tests beside the river: frames are copied from what it sees, everything else is a thread's."""

from __future__ import annotations

import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from edge.announcer import Announcer
from edge.builtin import predictor_of
from edge.chosen import open_chosen
from edge.detection import Box
from edge.frames import Frame
from edge.labels import seconds_from_utc
from edge.messages import ULID_RANDOM_BYTES, EventScore, utc_from_seconds
from edge.model import runner_of
from edge.moments import Judge, Moment
from edge.outbox import Outbox
from edge.runner import Runner
from edge.self_tests.following import Followed, followed, needed_frames, wait_for_acknowledgement
from edge.self_tests.results import MOST_KEPT, CameraTest, OrderedTests, SelfTest, Station, keep_tests, read_tests
from edge.setup import Device
from edge.switches import Switches

log = logging.getLogger(__name__)

COPY_SECONDS = 60.0
# So long the end of the river waits for a step under way; one that hangs is left behind.
CLOSE_SECONDS = 10.0
# After a start the scheduled self-test waits so long: cameras and broker have come by then.
FIRST_SECONDS = 600.0
HOUR_SECONDS = 3600.0


@dataclass
class _Copy:
    """Frames of one camera in a row, as many as are needed; the last reason for which they had to begin anew."""

    needed: int
    frames: list[Frame] = field(default_factory=list)
    trouble: str = "no frame came"


@dataclass(frozen=True)
class _Event:
    """What the thread asks the river to publish, and where it waits for what was stored: event id, outbox id.

    What nobody asked for reaches no hook: at night it would sound a siren.
    """

    camera: str
    is_hooked: bool
    score: EventScore | None
    box: Box | None
    stored: queue.SimpleQueue[tuple[str, int]] = field(default_factory=queue.SimpleQueue)


@dataclass
class _Run:
    """One self-test under way: copies that still fill, until when, and those that are full or given up."""

    id: str
    asked_by: str
    copies: dict[str, _Copy]
    skipped: tuple[str, ...]
    until_seconds: float


class SelfTests:
    """Carries out what `tests` asks for, and every so many hours one by itself; called by the river's thread alone."""

    def __init__(
        self,
        device: Device,
        judges: dict[str, Judge],
        switches: Switches,
        announcer: Announcer,
        outbox: Outbox,
        tests: OrderedTests,
        monotonic: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._device, self._judges, self._switches = device, judges, switches
        self._announcer, self._outbox, self._tests = announcer, outbox, tests
        self._monotonic, self._wall_clock = monotonic, wall_clock
        self._state = Path(device.config.state_directory)
        tests.kept = read_tests(self._state)
        self._every_seconds = device.config.self_test.every_hours * HOUR_SECONDS
        self._due_seconds = monotonic() + self._first_wait()
        self._run: _Run | None = None
        self._thread: threading.Thread | None = None
        self._events: queue.SimpleQueue[_Event] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._tell_fault()

    def see(self, moment: Moment) -> None:
        """Take a frame into the copy of its camera; what is not watched in a row begins it anew."""
        copy = None if self._run is None else self._run.copies.get(moment.camera)
        if copy is None or len(copy.frames) >= copy.needed:
            return
        if moment.sensed is None or moment.state != "watching":
            copy.frames.clear()
            conditions = "" if moment.sensed is None else ", ".join(one.name for one in moment.sensed.conditions)
            copy.trouble = f"its state was {moment.state}" + (f" ({conditions})" if conditions else "")
            return
        copy.frames.append(moment.sensed.frame)

    def tick(self) -> None:
        """Begin, go on and end a self-test. Call it often; it is cheap."""
        self._publish()
        if self._thread is not None:
            if not self._thread.is_alive():
                self._thread = None
                self._tests.running = ""
                self._tell_fault()
        elif self._run is not None:
            if self._is_copied(self._run):
                run, self._run = self._run, None
                self._thread = threading.Thread(target=self._follow, args=(run,), name="self-test", daemon=True)
                self._thread.start()
        elif self._tests.wanted or (self._every_seconds and self._monotonic() >= self._due_seconds):
            self._begin()

    def close(self) -> None:
        """Leave what is under way."""
        self._stopping.set()
        until = time.monotonic() + CLOSE_SECONDS
        while self._thread is not None and self._thread.is_alive() and time.monotonic() < until:
            self._publish()
            self._thread.join(0.05)

    def _begin(self) -> None:
        off = tuple(camera for camera in self._device.models if self._switches.is_off(camera))
        asked_by = "command" if self._tests.wanted else "schedule"
        if asked_by == "schedule" and len(off) == len(self._device.models):  # nothing to prove, and no fault
            self._due_seconds = self._monotonic() + min(FIRST_SECONDS, self._every_seconds)
            return
        self._due_seconds = self._monotonic() + self._every_seconds
        test_id = self._tests.ask(self._wall_clock(), os.urandom(ULID_RANDOM_BYTES))
        self._tests.wanted, self._tests.running = "", test_id
        rate_hz = self._device.bundle.spec.form.rate_hz
        copies = {
            camera: _Copy(needed_frames(rate_hz, judge)) for camera, judge in self._judges.items() if camera not in off
        }
        self._run = _Run(test_id, asked_by, copies, off, self._monotonic() + COPY_SECONDS)

    def _is_copied(self, run: _Run) -> bool:
        is_full = all(len(copy.frames) >= copy.needed for copy in run.copies.values())
        return is_full or self._monotonic() >= run.until_seconds

    def _publish(self) -> None:
        while not self._events.empty():
            asked = self._events.get()
            event = self._announcer.tell_test(asked.camera, asked.score, asked.box, is_hooked=asked.is_hooked)
            asked.stored.put((event.event_id, self._outbox.last_id()))

    def _follow(self, run: _Run) -> None:
        """The thread: what was found is kept; what the end of the river has cut off proves nothing."""
        found = self._found(run)
        if self._stopping.is_set():
            log.info("self_test_left id=%s", run.id)
            return
        passed = bool(found) and all(one.passed for one in found)
        time_label = utc_from_seconds(self._wall_clock())
        test = SelfTest(id=run.id, time=time_label, asked_by=run.asked_by, passed=passed, cameras=tuple(found),
                        skipped=run.skipped)  # fmt: skip
        log.log(logging.INFO if passed else logging.ERROR, "self_test passed=%s id=%s", passed, run.id)
        self._tests.kept = [*self._tests.kept, test][-MOST_KEPT:]
        keep_tests(self._state, self._tests.kept)

    def _found(self, run: _Run) -> list[CameraTest]:
        """What became of the anomaly, cameras one after the other on a runner of their own."""
        found: list[CameraTest] = []
        try:
            with closing(self._runner()) as runner:
                for camera, copy in run.copies.items():
                    if self._stopping.is_set():
                        break
                    found.append(self._follow_camera(camera, copy, runner, is_hooked=run.asked_by == "command"))
        except Exception as error:  # noqa: BLE001 - whatever a library raises in a step is what was to be found
            told = (Station(name="model", passed=False, told=f"inference failed: {error}"),)
            found += [CameraTest(camera=camera, stations=told) for camera in [*run.copies][len(found) :]]
        return found

    def _runner(self) -> Runner:
        device = self._device
        if predictor_of(device.bundle) is not None:
            return runner_of(device.bundle, device.choice.variant, slots=1)
        return open_chosen(device.choice, device.bundle, 1, threads=1)

    def _follow_camera(self, camera: str, copy: _Copy, runner: Runner, *, is_hooked: bool) -> CameraTest:
        if len(copy.frames) < copy.needed:
            told = f"{len(copy.frames)} of {copy.needed} frames in a row within {COPY_SECONDS:g} s; {copy.trouble}"
            return CameraTest(camera=camera, stations=(Station(name="stream", passed=False, told=told),))
        way = followed(copy.frames, runner, self._judges[camera])
        if not all(one.passed for one in way.stations):
            return CameraTest(camera=camera, stations=way.stations)
        return self._sent(camera, way, is_hooked=is_hooked)

    def _sent(self, camera: str, way: Followed, *, is_hooked: bool) -> CameraTest:
        began, asked = time.monotonic(), _Event(camera, is_hooked, way.score, way.box)
        self._events.put(asked)
        event_id, row = asked.stored.get()
        took = round((time.monotonic() - began) * 1000.0, 1)
        outbox = Station(name="outbox", passed=True, told="on disk", milliseconds=took)
        broker = wait_for_acknowledgement(lambda: self._waits(event_id, row), self._stopping.is_set)
        return CameraTest(camera=camera, stations=(*way.stations, outbox, broker), event_id=event_id)

    def _waits(self, event_id: str, row: int) -> bool:
        return any(event_id.encode() in one.payload for one in self._outbox.pending(row - 8, 16))

    def _first_wait(self) -> float:
        """How long until the first scheduled one: so long after the last as asked for, over restarts too."""
        if self._tests.last is None:
            return min(FIRST_SECONDS, self._every_seconds)
        age = self._wall_clock() - seconds_from_utc(self._tests.last.time)
        return max(min(self._every_seconds - age, self._every_seconds), min(FIRST_SECONDS, self._every_seconds))

    def _tell_fault(self) -> None:
        last = self._tests.last
        self._announcer.set_fault("self_test_failed", last is not None and not last.passed)


@contextmanager
def open_self_tests(
    device: Device,
    judges: dict[str, Judge],
    switches: Switches,
    announcer: Announcer,
    outbox: Outbox,
    tests: OrderedTests,
) -> Iterator[SelfTests]:
    """Carry out self-tests until the end."""
    desk = SelfTests(device, judges, switches, announcer, outbox, tests)
    try:
        yield desk
    finally:
        desk.close()
