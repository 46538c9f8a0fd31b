"""The recorder: a thread that keeps evidence of each event, beside the river, which never waits for it.

The river lays moments and events into a bounded queue; what does not fit is dropped and counted.
"""

from __future__ import annotations

import logging
import queue
import shutil
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from edge.clock import clock_state
from edge.drained import drained
from edge.evidence_settings import Evidence
from edge.evidence_store import FOLDER, Kept, make_room, remove_unfinished
from edge.labels import seconds_from_utc
from edge.messages import Event, EventEvidence, utc_from_seconds
from edge.moments import Moment
from edge.take import Take
from edge.tape import Tape
from edge.worker import Worker

log = logging.getLogger(__name__)

# Moments that wait: two seconds of sixteen cameras. Events have room beyond them.
MOST_MOMENTS, MOST_ITEMS = 320, 1000
SWEEP_SECONDS = 60.0
# The past of an event is caught up with in steps, between which the river's thread has the interpreter to itself.
PAUSE_SECONDS = 0.001
_GONE = frozenset({"camera_lost", "disabled", "stopped"})


class Recorder:
    """Keeps the evidence of a device's events. `see`, `hear`, `told` and `drops` are the river's; none of them waits.

    `look_back_seconds`: an event is announced so long after it began, at most.
    """

    def __init__(
        self,
        state_directory: Path,
        settings: Evidence,
        tapes: Mapping[str, Tape],
        look_back_seconds: float = 6.0,
        wall_clock: Callable[[], float] = time.time,
        free_bytes: Callable[[Path], int] = lambda path: shutil.disk_usage(path).free,
    ) -> None:
        self._root, self._settings, self._tapes = state_directory / FOLDER, settings, tapes
        self._wall_clock, self._free_bytes = wall_clock, free_bytes
        self._past_seconds = settings.pre_roll_seconds + look_back_seconds
        self._finished: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._dropped: Counter[str] = Counter()
        self._past: dict[str, deque[Moment]] = {}
        self._takes: dict[str, Take] = {}
        self._known: dict[Path, Kept] = {}
        self._sweep_due = time.monotonic()
        self.has_room = True
        self._worker: Worker[Moment | Event] = Worker(
            "recorder", self._take_in, self._give_up, begin=self._tidy, end=self._finish_all
        )

    def see(self, moment: Moment) -> None:
        """Take a moment in, before the events that it brings."""
        self._put(moment, "evidence_moments", MOST_MOMENTS)

    def hear(self, event: Event) -> None:
        """Take in an event as it was published."""
        if event.camera is not None and event.type in ("new", "update", "end") and _shows_something(event):
            self._put(event, "evidence_events", MOST_ITEMS)

    def told(self) -> list[Event]:
        """Return the messages of the type `evidence` that are due since the last call."""
        return drained(self._finished)

    @property
    def drops(self) -> dict[str, int]:
        """How much did not fit into the queue, and how many events are without evidence."""
        return dict(self._dropped)

    def close(self, timeout_seconds: float = 5.0) -> None:
        """Finish what is open with what there is, and stop."""
        self._worker.close(timeout_seconds)

    def _put(self, item: Moment | Event, name: str, limit: int) -> None:
        if not self._worker.put(item, limit):
            self._dropped[name] += 1

    def _tidy(self) -> None:
        self._guarded(lambda: remove_unfinished(self._root), "start")

    def _take_in(self, item: Moment | Event) -> None:
        if time.monotonic() >= self._sweep_due:
            self._guarded(self._sweep, "sweep")
        if isinstance(item, Moment):
            self._look(item)
        else:
            self._mark(item)

    def _give_up(self, item: Moment | Event) -> None:
        """Leave nothing of what is open of a camera of which an item could not be taken in."""
        for event_id in [name for name, take in self._takes.items() if take.event.camera == item.camera]:
            self._drop(self._takes.pop(event_id))

    def _finish_all(self) -> None:
        for event_id in list(self._takes):
            self._finish(event_id)

    def _drop(self, take: Take) -> None:
        """Leave nothing of a take; that is told once its event has ended."""
        evidence = self._left(take)
        if take.end_seconds is not None:
            self._answer(take.event, evidence)

    def _left(self, take: Take) -> EventEvidence:
        self._guarded(take.drop, "drop")
        return EventEvidence(status="dropped")

    def _look(self, moment: Moment) -> None:
        past = self._past.setdefault(moment.camera, deque())
        past.append(moment)
        while past[0].seconds < moment.seconds - self._past_seconds:
            past.popleft()
        for event_id, take in list(self._takes.items()):
            if take.event.camera == moment.camera:
                take.see(moment)
                if take.is_over(moment.seconds) or (moment.sensed is None and take.end_seconds is not None):
                    self._finish(event_id)

    def _mark(self, event: Event) -> None:
        """Begin, continue or end a take with what was published of its event."""
        offset = self._wall_clock() - time.monotonic()
        take = self._takes.get(event.event_id)
        if take is None and (event.type != "end" or event.kind == "test"):
            take = self._begin(event, offset)
        if take is None:
            if event.type == "end":
                self._answer(event, EventEvidence(status="dropped"))
            return
        take.event = event
        if event.type == "end":
            end = event.time.end or event.time.start
            take.end_seconds = take.start_seconds if end is None else seconds_from_utc(end) - offset
            if event.end_reason in _GONE:
                self._finish(event.event_id)

    def _begin(self, event: Event, offset_seconds: float) -> Take | None:
        if not self.has_room or self._lacks_room():
            self._guarded(self._sweep, "sweep")
        camera, start = event.camera or "", event.time.start
        if not self.has_room or start is None:
            return None
        tape = self._tapes.get(camera)
        try:
            folder = self._root / camera / event.event_id
            seconds = seconds_from_utc(start) - offset_seconds
            take = Take(folder, event, seconds, self._settings, None if tape is None else tape.reel)
        except OSError as error:
            log.warning("evidence_refused event=%s error=%s", event.event_id, error)
            return None
        self._takes[event.event_id] = take
        for moment in self._past.get(camera, ()):
            take.see(moment)
            time.sleep(PAUSE_SECONDS)
        return take

    def _finish(self, event_id: str) -> None:
        take = self._takes.pop(event_id)
        try:
            evidence = take.finish()
        except (OSError, ValueError) as error:
            log.warning("evidence_refused event=%s error=%s", event_id, error)
            evidence = self._left(take)
        except Exception:
            log.exception("evidence_failed event=%s", event_id)
            evidence = self._left(take)
        self._answer(take.event, evidence)

    def _answer(self, event: Event, evidence: EventEvidence) -> None:
        if evidence.status == "dropped":
            self._dropped["evidence"] += 1
        published = msgspec.structs.replace(event.time, published=utc_from_seconds(self._wall_clock()))
        message = msgspec.structs.replace(
            event, type="evidence", rev=event.rev + 1, historical=False, time=published, evidence=evidence
        )
        self._finished.put(message)

    def _lacks_room(self) -> bool:
        return not self._root.exists() or self._free_bytes(self._root) < self._settings.free_megabytes * 1e6

    def _sweep(self) -> None:
        self._sweep_due = time.monotonic() + SWEEP_SECONDS
        self._root.mkdir(parents=True, exist_ok=True)
        free = make_room(
            self._root, self._settings, self._free_bytes(self._root), self._wall_clock(),
            is_clock_known=clock_state() == "synced", known=self._known,
        )  # fmt: skip
        has_room = free >= self._settings.free_megabytes * 1e6
        if has_room != self.has_room:
            self.has_room = has_room
            log.warning("evidence_recording on=%s free_megabytes=%.0f", has_room, free / 1e6)

    def _guarded(self, work: Callable[[], object], step: str) -> None:
        try:
            work()
        except OSError as error:
            log.warning("evidence_disk step=%s error=%s", step, error)
        except Exception:
            log.exception("evidence_failed step=%s", step)


def _shows_something(event: Event) -> bool:
    """Return whether there is anything to look at: not of a summary, and not where nothing but frames is missing."""
    return event.kind != "flood" and not (event.kind == "condition" and set(event.conditions) <= {"frame_gap"})
