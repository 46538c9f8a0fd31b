"""The board between the river and the page: the river lays down what cannot change, the page reads it when it likes.

Neither waits for the other: one thread writes, and a slot is replaced in one step.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from edge.messages import Event
from edge.moments import Moment, mean_error

# Three minutes of 10 frames a second.
POINTS_KEPT = 1800
# Messages of events since the start; older events are read from disk.
MESSAGES_KEPT = 500


class Point(NamedTuple):
    """One frame's numbers for the chart: `number` rises over all cameras, `seconds` are on the camera's clock.

    `error` is in grey levels; `level` in units of the tail of normal work, and `limit` is above what an event begins.
    """

    number: int
    seconds: float
    error: float | None
    level: float | None
    limit: float | None
    is_event: bool


@dataclass(frozen=True)
class Seen:
    """The last frame of a camera that was watched: `number` as in its point, `seen_seconds` is monotonic."""

    moment: Moment
    number: int
    seen_seconds: float


class Slots:
    """The last points of one camera: a ring of immutable points, written by one thread, read by any without a lock."""

    def __init__(self, length: int = POINTS_KEPT) -> None:
        self._slots: list[Point | None] = [None] * length
        self._count = 0

    def put(self, point: Point) -> None:
        """Lay down a point in place of the oldest."""
        self._slots[self._count % len(self._slots)] = point
        self._count += 1

    def between(self, after: int, until: int) -> list[Point]:
        """Return the points with a number above `after`, `until` at most, in order."""
        points = [point for point in list(self._slots) if point is not None and after < point.number <= until]
        return sorted(points, key=lambda point: point.number)


class Board:
    """What the page knows of the river. `see` and `hear` are the river's thread's; the rest is anyone's."""

    def __init__(self, cameras: Iterable[str], clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._number = 0
        self._slots = {camera: Slots() for camera in cameras}
        self._seen: dict[str, Seen] = {}
        self._messages: tuple[tuple[int, Event], ...] = ()

    def see(self, moment: Moment) -> None:
        """Lay down a moment; of a camera that is lost the last picture stays, and grows old."""
        number = self._number + 1
        self._slots[moment.camera].put(_point(number, moment))
        if moment.sensed is not None:
            self._seen[moment.camera] = Seen(moment, number, self._clock())
        self._number = number  # last, so that nobody is told of a number whose slot is still empty

    def hear(self, event: Event) -> None:
        """Lay down an event's message, in place of what was said of the event before."""
        if event.camera is None:
            return
        number = self._number + 1
        others = tuple(one for one in self._messages if one[1].event_id != event.event_id)
        self._messages = (*others[-MESSAGES_KEPT + 1 :], (number, event))
        self._number = number

    @property
    def number(self) -> int:
        """What was laid down last has this number."""
        return self._number

    def seen(self, camera: str) -> Seen | None:
        """Return the camera's last frame, None before the first."""
        return self._seen.get(camera)

    def points(self, camera: str, after: int, until: int) -> list[Point]:
        """Return the camera's points with a number above `after`, `until` at most."""
        return self._slots[camera].between(after, until)

    def events(self, after: int, until: int) -> list[Event]:
        """Return what was last said of each event, where that has a number above `after`, `until` at most."""
        return [event for number, event in self._messages if after < number <= until]

    def event(self, event_id: str) -> Event | None:
        """Return what was last said of an event since the start."""
        return next((event for _, event in reversed(self._messages) if event.event_id == event_id), None)


def _point(number: int, moment: Moment) -> Point:
    sensed, level, limit = moment.sensed, moment.level, moment.limit
    is_scored = sensed is not None and moment.state == "watching"
    episodes = (moment.episode, None if moment.stall is None else moment.stall.episode)
    return Point(
        number,
        moment.seconds,
        255.0 * mean_error(sensed) if is_scored and sensed is not None else None,
        level.mean if is_scored and level is not None and moment.surprise is not None else None,
        None if limit is None else limit.on,
        any(one is not None and one.announced_seconds is not None for one in episodes),
    )
