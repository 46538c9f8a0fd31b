"""The thread that writes the score ring beside the river, which never waits for it.

The river lays moments into a bounded queue; what does not fit is dropped, counted, and told to what-if as not recorded.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import msgspec

from edge.moments import Moment
from edge.recording import Film, FilmError
from edge.ring import (
    FILM,
    FOLDER,
    SCORES,
    SEGMENT_SECONDS,
    Facts,
    row_from_moment,
    rows_from,
    write_scores,
)
from edge.ring_room import kept_bytes, make_room
from edge.ring_settings import RingSettings
from edge.worker import Worker
from edge.zones import Zones

log = logging.getLogger(__name__)

# Moments that wait: two seconds of sixteen cameras.
MOST_MOMENTS = 320
SWEEP_SECONDS = 5.0
# A wall clock that was set by more than this begins another segment, whose rows lie at the new time.
CLOCK_STEP_SECONDS = 0.25


class _Item(NamedTuple):
    moment: Moment
    zones: Zones | None
    facts: Facts
    missed: int


@dataclass
class _Open:
    """A camera's segment under way."""

    facts: Facts
    path: Path
    begun: float
    rows: list[tuple[object, ...]] = field(default_factory=list)
    film: Film | None = None
    is_film_over: bool = False


class RingWriter:
    """Keeps every moment of a device. `see` and `drops` are the river's; neither waits."""

    def __init__(
        self,
        state_directory: Path,
        settings: RingSettings,
        wall_clock: Callable[[], float] = time.time,
        free_bytes: Callable[[Path], int] = lambda path: shutil.disk_usage(path).free,
    ) -> None:
        self._root, self._settings = state_directory / FOLDER, settings
        self._wall_clock, self._free_bytes = wall_clock, free_bytes
        self._missed: Counter[str] = Counter()
        self._dropped: Counter[str] = Counter()
        self._open: dict[str, _Open] = {}
        self._kept: dict[Path, int] = {}
        self._kept_bytes = 0
        self._sweep_due = 0.0
        self.has_room = True
        self._worker: Worker[_Item] = Worker(
            "ring", self._take_in, self._give_up, begin=self._look, end=self._finish_all
        )

    def see(self, moment: Moment, zones: Zones | None, facts: Facts) -> None:
        """Take a moment in, with the zones and all else that it was judged by."""
        camera = moment.camera
        if self._worker.put(_Item(moment, zones, facts, self._missed[camera]), MOST_MOMENTS):
            self._missed[camera] = 0
        else:
            self._missed[camera] += 1
            self._dropped["ring_moments"] += 1

    @property
    def drops(self) -> dict[str, int]:
        """How many moments did not fit into the queue, and how many segments the disk refused."""
        return dict(self._dropped)

    def close(self, timeout_seconds: float = 5.0) -> None:
        """Write what is open, and stop."""
        self._worker.close(timeout_seconds)

    def _look(self) -> None:
        """See what earlier starts have left."""
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            self._kept = kept_bytes(self._root)
        except OSError as error:
            log.warning("ring_disk step=start error=%s", error)

    def _take_in(self, item: _Item) -> None:
        if time.monotonic() >= self._sweep_due:
            self._sweep()
        self._keep(item)

    def _give_up(self, item: _Item) -> None:
        """Leave nothing of a camera's segment into which an item could not be taken."""
        under_way = self._open.pop(item.moment.camera, None)
        if under_way is not None:
            self._dropped["ring_segments"] += 1
            self._drop_film(under_way)

    def _finish_all(self) -> None:
        for camera in list(self._open):
            self._finish(camera)

    def _keep(self, item: _Item) -> None:
        camera = item.moment.camera
        under_way = self._open.get(camera)
        if under_way is not None and (not self.has_room or _is_over(under_way, item)):
            self._finish(camera)
            under_way = None
        if under_way is None:
            if not self.has_room:
                return
            under_way = self._open[camera] = self._begun(item)
        is_filmed = self._settings.frames and self._film(under_way, item.moment)
        under_way.rows.append(row_from_moment(item.moment, item.zones, item.missed, has_frame=is_filmed))

    def _begun(self, item: _Item) -> _Open:
        folder = self._root / item.moment.camera
        milliseconds = round((item.moment.seconds + item.facts.wall_offset_seconds) * 1000.0)
        while (path := folder / f"{milliseconds:014d}{SCORES}") in self._kept:
            milliseconds += 1
        return _Open(item.facts, path, item.moment.seconds)

    def _film(self, under_way: _Open, moment: Moment) -> bool:
        """Add the moment's frame; a film that the disk refuses is given up until the next segment."""
        if moment.sensed is None or under_way.is_film_over:
            return False
        image = moment.sensed.frame.image
        try:
            if under_way.film is None:
                under_way.path.parent.mkdir(parents=True, exist_ok=True)
                path, rate_hz = under_way.path.with_suffix(FILM), under_way.facts.form.rate_hz
                under_way.film = Film(path, image.shape, rate_hz)
            under_way.film.write(image)
        except FilmError as error:
            self._give_up_film(under_way, error)
            return False
        if self._kept_bytes + self._open_bytes() > self._settings.megabytes * 1e6:
            self._sweep()
        return True

    def _give_up_film(self, under_way: _Open, error: Exception) -> None:
        log.warning("ring_film_refused path=%s error=%s", under_way.path, error)
        self._dropped["ring_films"] += 1
        under_way.is_film_over = True
        self._drop_film(under_way)

    def _drop_film(self, under_way: _Open) -> None:
        film, under_way.film = under_way.film, None
        if film is not None:
            with suppress(*FilmError):
                film.drop()

    def _finish(self, camera: str) -> None:
        """Put a segment under its name: its film first, so that scores never name frames that are not there."""
        under_way = self._open.pop(camera)
        try:
            under_way.path.parent.mkdir(parents=True, exist_ok=True)
            if under_way.film is not None:
                self._kept[under_way.film.path] = under_way.film.finish()
            rows = rows_from(under_way.rows, len(under_way.facts.zones))
            self._kept[under_way.path] = write_scores(under_way.path, under_way.facts, rows)
        except FilmError as error:
            log.warning("ring_refused camera=%s error=%s", camera, error)
            self._dropped["ring_segments"] += 1
        except Exception:
            log.exception("ring_failed camera=%s", camera)
            self._dropped["ring_segments"] += 1
        self._sweep()

    def _open_bytes(self) -> int:
        return sum(one.film.bytes for one in self._open.values() if one.film is not None)

    def _sweep(self) -> None:
        self._sweep_due = time.monotonic() + SWEEP_SECONDS
        try:
            free = make_room(self._kept, self._open_bytes(), self._settings, self._free_bytes(self._root))
        except OSError as error:
            log.warning("ring_disk step=sweep error=%s", error)
            return
        self._kept_bytes = sum(self._kept.values())
        has_room = free >= self._settings.free_megabytes * 1e6
        if has_room != self.has_room:
            self.has_room = has_room
            log.warning("ring_recording on=%s free_megabytes=%.0f", has_room, free / 1e6)


def _is_over(under_way: _Open, item: _Item) -> bool:
    """Whether a moment belongs to another segment: time has passed, the clock was set, something else is in force."""
    facts, now = under_way.facts, item.facts
    if item.moment.seconds - under_way.begun >= SEGMENT_SECONDS:
        return True
    if abs(now.wall_offset_seconds - facts.wall_offset_seconds) > CLOCK_STEP_SECONDS:
        return True
    return now is not facts and msgspec.structs.replace(now, wall_offset_seconds=facts.wall_offset_seconds) != facts
