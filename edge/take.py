"""One event's evidence while it is recorded: clip, trace, the moment of the peak; then the files, renamed at once.

A take belongs to the recorder's thread alone.
"""

from __future__ import annotations

import csv
import io
import logging
import shutil
from collections.abc import Sequence
from pathlib import Path

import msgspec

from edge.clip import ClipError, CopiedClip, EncodedClip
from edge.evidence_settings import Evidence
from edge.evidence_store import EVENT_FILE, FOLDER
from edge.files import sync
from edge.heat import heat_map, strip
from edge.matroska_file import CODECS
from edge.messages import Event, EventEvidence, encode
from edge.moments import Moment, mean_error
from edge.normality import Map
from edge.snapshot import jpeg_from_image, png_from_image
from edge.tape import Reel

log = logging.getLogger(__name__)

COLUMNS = (
    "seconds", "state", "error", "surprise", "level", "level_sd", "z", "limit_on", "limit_off", "stall",
    "stall_limit_on",
)  # fmt: skip
# An hour of 10 frames a second: of what lasts longer the beginning is kept.
MOST_ROWS = 36_000


class Take:
    """What is kept of one event. `event` is its last message; seconds are on the camera's clock.

    `reel` holds the camera's own packets; without one, small frames are encoded.
    """

    def __init__(
        self, folder: Path, event: Event, start_seconds: float, settings: Evidence, reel: Reel | None = None
    ) -> None:
        self.event, self.end_seconds = event, None if event.type != "end" else start_seconds
        self._folder, self.start_seconds, self._settings, self._reel = folder, start_seconds, settings, reel
        self._aside = folder.with_name(f".{folder.name}.part")
        self._begins = start_seconds - settings.pre_roll_seconds
        self._rows: list[tuple[object, ...]] = []
        self._peak: tuple[float, Moment] | None = None
        self._clip: CopiedClip | EncodedClip | None = None
        self._next_packet = 0
        self._is_clip_over = False
        self._aside.mkdir(parents=True, exist_ok=True)

    def see(self, moment: Moment) -> None:
        """Record one moment; a clip that the disk refuses is given up, and the rest goes on."""
        if moment.sensed is None or not self._begins <= moment.seconds <= self._until():
            return
        if len(self._rows) < MOST_ROWS:
            self._rows.append(_row(moment, moment.seconds - self.start_seconds))
        self._keep_peak(moment)
        if moment.seconds > self._begins + self._settings.longest_seconds:
            self._is_clip_over = True
        if not self._is_clip_over:
            try:
                self._film(moment)
            except ClipError as error:
                self._give_up_clip(error)

    def is_over(self, seconds: float) -> bool:
        """Return whether the event and its post-roll have passed."""
        return self.end_seconds is not None and seconds >= self._until()

    def finish(self) -> EventEvidence:
        """Write what there is and rename it into place; return where it lies. Raises OSError where the disk refuses."""
        self._close_clip()
        for name, data in self._small_files().items():
            (self._aside / name).write_bytes(data)
        names = {path.stem: path.name for path in self._aside.iterdir()}
        told = evidence_at(self._folder, names)
        message = msgspec.structs.replace(self.event, evidence=told)
        (self._aside / EVENT_FILE).write_bytes(encode(message))
        for path in self._aside.iterdir():
            sync(path)
        sync(self._aside)
        self._aside.rename(self._folder)
        sync(self._folder.parent)
        return told

    def drop(self) -> None:
        """Leave nothing behind."""
        try:
            self._close_clip()
        finally:
            shutil.rmtree(self._aside, ignore_errors=True)

    def _until(self) -> float:
        return float("inf") if self.end_seconds is None else self.end_seconds + self._settings.post_roll_seconds

    def _keep_peak(self, moment: Moment) -> None:
        if moment.seconds < self.start_seconds or (
            self.end_seconds is not None and self._peak and moment.seconds > self.end_seconds
        ):
            return
        height = _height(self.event.kind, moment)
        if self._peak is None or height > self._peak[0]:
            self._peak = (height, moment)

    def _film(self, moment: Moment) -> None:
        if self._clip is None and self._reel is not None:
            self._begin_copy(self._reel)
        if isinstance(self._clip, CopiedClip) and self._reel is not None:
            packets, self._next_packet = self._reel.packets_from(self._next_packet)
            self._clip.write(packets)
        elif moment.sensed is not None:
            image, seconds = moment.sensed.frame.image, moment.seconds
            clip = self._clip if isinstance(self._clip, EncodedClip) else EncodedClip(self._aside, image, seconds)
            self._clip = clip
            clip.write(image, seconds)

    def _begin_copy(self, reel: Reel) -> None:
        number = reel.number_at(self._begins)
        if number is None or reel.encoding.codec not in CODECS:
            self._reel = None
            return
        packets, _ = reel.packets_from(number)
        if packets:
            self._clip, self._next_packet = CopiedClip(self._aside, reel.encoding, packets[0]), number

    def _close_clip(self) -> None:
        clip, self._clip = self._clip, None
        self._is_clip_over = True
        if clip is None:
            return
        try:
            clip.close()
        except ClipError as error:
            clip.path.unlink(missing_ok=True)
            log.warning("evidence_clip_refused event=%s error=%s", self.event.event_id, error)

    def _give_up_clip(self, error: Exception) -> None:
        log.warning("evidence_clip_refused event=%s error=%s", self.event.event_id, error)
        path = None if self._clip is None else self._clip.path
        self._close_clip()
        for left in self._aside.glob("clip.*") if path is None else [path]:
            left.unlink(missing_ok=True)

    def _small_files(self) -> dict[str, bytes]:
        files = {"trace.csv": _csv(self._rows)}
        moment = None if self._peak is None else self._peak[1]
        if moment is None or moment.sensed is None:
            return files
        image, cells = moment.sensed.frame.image, _cells(self.event.kind, moment)
        drawn = jpeg_from_image(strip(image, moment.sensed.prediction))
        files |= {} if drawn is None else {"strip.jpg": drawn}
        files |= {} if cells is None else {"heatmap.png": png_from_image(heat_map(image, cells))}
        return files


def evidence_at(folder: Path, names: dict[str, str]) -> EventEvidence:
    """Return what an event says of its evidence: paths below the state directory, by stem of the file's name."""
    where = "/".join((FOLDER, *folder.parts[-2:]))
    told = {stem: f"{where}/{names[stem]}" for stem in ("clip", "strip", "heatmap", "trace") if stem in names}
    return EventEvidence(status="ready", **told)


def _height(kind: str | None, moment: Moment) -> float:
    """How high a moment stands among those of its event; of an event without a level the first one counts."""
    if kind == "stall":
        return float("-inf") if moment.stall is None else moment.stall.level.mean
    if kind == "surprise":
        return float("-inf") if moment.level is None or moment.surprise is None else moment.level.mean
    return 0.0


def _cells(kind: str | None, moment: Moment) -> Map | None:
    if kind == "stall":
        return None if moment.stall is None else moment.stall.cells
    return moment.cells if kind == "surprise" else None


def _row(moment: Moment, seconds: float) -> tuple[object, ...]:
    level, limit, stall = moment.level, moment.limit, moment.stall
    is_scored = moment.surprise is not None and level is not None
    error = None if moment.sensed is None or moment.state != "watching" else mean_error(moment.sensed)
    return (
        f"{seconds:.3f}", moment.state, _told(error), _told(moment.surprise),
        _told(level.mean if is_scored and level else None), _told(level.sd if is_scored and level else None),
        _told(moment.z), _told(None if limit is None else limit.on), _told(None if limit is None else limit.off),
        _told(None if stall is None else stall.level.mean),
        _told(None if stall is None or stall.limit is None else stall.limit.on),
    )  # fmt: skip


def _told(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"


def _csv(rows: Sequence[tuple[object, ...]]) -> bytes:
    text = io.StringIO()
    written = csv.writer(text, lineterminator="\n")
    written.writerow(COLUMNS)
    written.writerows(rows)
    return text.getvalue().encode()
