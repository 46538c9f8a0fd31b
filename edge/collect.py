"""Collects normal footage on the device: short clips, balanced over the day, without repetition, within a budget."""

from __future__ import annotations

import calendar
import logging
import math
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec
import numpy as np

from edge.capture import Mailboxes
from edge.captures import CameraSource, Captures
from edge.conditions import Watched, returned, watched
from edge.errors import JsonError, PrednetError, UsageError
from edge.files import write_whole
from edge.frames import Frame, FrameFormat, Image
from edge.pacing import is_gap
from edge.places import place_from_spec
from edge.recording import FilmError, read_film, write_clip
from edge.sample import Kept, signature_of, with_clip

log = logging.getLogger(__name__)

INDEX = "collected.json"
# The day is cut into so many parts, each with the same share of the budget.
PARTS = 48
TAKE_SECONDS = 0.5
# What a clip is called: when it ended, in UTC, to the millisecond.
_STAMP = re.compile(r"(\d{8}T\d{6})\d{3}Z\.mkv")


@dataclass(frozen=True)
class Plan:
    """How long to collect, how many bytes to keep a camera, and how long one clip is."""

    seconds: float
    bytes_a_camera: int
    clip_seconds: float = 10.0

    @property
    def part_bytes(self) -> int:
        """The share of the budget of each part of the day that the time reaches."""
        reached = min(PARTS, math.ceil(self.seconds / 86400.0 * PARTS) + 1)
        return self.bytes_a_camera // reached


class Entry(msgspec.Struct, frozen=True):
    """A clip as the index names it."""

    name: str
    part: int
    bytes: int
    signature: list[float]


@dataclass(frozen=True)
class Tally:
    """What became of a camera's clips: kept, repeating others, given up for want of room, or of a camera in trouble.

    `frames` is how many the camera gave; the other counts are of clips.
    """

    frames: int
    kept: int
    bytes: int
    repeated: int
    given_up: int
    unfit: int


@dataclass
class _Camera:
    """One camera while it is collected: the clip that is being filled, its conditions, and what is kept."""

    folder: Path
    kept: list[Kept]
    frames: int = 0
    images: list[Image] = field(default_factory=list)
    last: Frame | None = None
    look: Watched = field(default_factory=Watched)
    is_unfit: bool = False
    repeated: int = 0
    given_up: int = 0
    unfit: int = 0


def collect(
    cameras: Mapping[str, CameraSource],
    form: FrameFormat,
    folder: Path,
    plan: Plan,
    progress: Callable[[float], None] = lambda _: None,
    wall_clock: Callable[[], float] = time.time,
) -> dict[str, Tally]:
    """Collect until the time is over or every file has ended, and return what was kept of each camera.

    Clips lie in `folder/<camera>/`, named by their time; an index beside them lets a later call go on. `progress`
    is told the seconds that have passed. Raises UsageError for a budget that holds no clip or is more than the disk
    has, and for a source that means nothing; PrednetError where the disk is full all the same.
    """
    _check(plan, form)
    for source in cameras.values():
        place_from_spec(source.spec)
    states = {camera: _begun(folder / camera, form) for camera in cameras}
    _check_room(folder, states, form, plan)
    mailboxes = Mailboxes(list(cameras))
    captures = Captures(form, mailboxes)
    try:
        for camera, source in cameras.items():
            captures.start(camera, source)
        for camera, frame in _frames(mailboxes, captures, states, plan.seconds, progress):
            _take(states[camera], frame, form, plan, wall_clock)
    finally:
        captures.close()
    return {camera: _tally(state) for camera, state in states.items()}


def _check(plan: Plan, form: FrameFormat) -> None:
    # A lossless clip takes about two thirds of its pixels; noise compresses badly.
    least = round(plan.clip_seconds * form.rate_hz * form.height * form.width * form.channels * 0.7)
    if plan.part_bytes < least:
        raise UsageError(
            f"the budget leaves {plan.part_bytes / 1e6:.2f} MB for each part of the day, and one clip of "
            f"{plan.clip_seconds:g} s takes up to {least / 1e6:.2f} MB; give "
            f"{math.ceil(plan.bytes_a_camera / max(plan.part_bytes, 1) * least / 1e6)} MB or more, or shorter clips."
        )


def _check_room(folder: Path, states: Mapping[str, _Camera], form: FrameFormat, plan: Plan) -> None:
    # No more than every frame of the time, as it is in memory.
    most = min(plan.bytes_a_camera, round(plan.seconds * form.rate_hz * form.height * form.width * form.channels))
    taken = sum(max(most - sum(clip.bytes for clip in state.kept), 0) for state in states.values())
    free = shutil.disk_usage(folder).free
    if taken > free:
        raise UsageError(
            f"{folder}: {free / 1e6:.0f} MB are free there, and the recordings of {len(states)} camera(s) may take "
            f"{taken / 1e6:.0f} MB more; give --megabytes {free / 1e6 / len(states):.0f} or less, or another --out."
        )


def _frames(
    mailboxes: Mailboxes,
    captures: Captures,
    states: Mapping[str, _Camera],
    seconds: float,
    progress: Callable[[float], None],
) -> Iterator[tuple[str, Frame]]:
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        for now in mailboxes.take(TAKE_SECONDS):
            for camera in now.lost:
                states[camera].look = returned(states[camera].look)
                states[camera].last = None
            yield from now.frames.items()
        captures.look_after()
        progress(min(time.monotonic() - began, seconds))
        if all(status.is_finished for status in mailboxes.status().values()):
            return


def _take(state: _Camera, frame: Frame, form: FrameFormat, plan: Plan, wall_clock: Callable[[], float]) -> None:
    gap = state.last is not None and is_gap(frame.seconds - state.last.seconds, form.rate_hz)
    if gap or state.last is None:
        _drop(state)
    state.look = watched(state.look, frame, is_gap=gap)
    state.is_unfit = state.is_unfit or state.look.is_paused
    state.last, state.frames = frame, state.frames + 1
    state.images.append(frame.image)
    if len(state.images) >= round(plan.clip_seconds * form.rate_hz):
        _finish(state, form, plan, wall_clock())


def _drop(state: _Camera) -> None:
    state.images, state.is_unfit = [], False


def _finish(state: _Camera, form: FrameFormat, plan: Plan, wall_seconds: float) -> None:
    """Keep a full clip, or give it up: while the camera had a condition it shows no normal work."""
    images, is_unfit = state.images, state.is_unfit
    _drop(state)
    if is_unfit:
        state.unfit += 1
        return
    stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime(wall_seconds)) + f"{int(wall_seconds * 1000) % 1000:03d}Z"
    new = Kept(f"{stamp}.mkv", _part(wall_seconds), 0, signature_of(images))
    if new in with_clip(state.kept, new, plan.part_bytes, plan.bytes_a_camera)[1]:
        state.repeated += 1
        return
    try:
        new = replace(new, bytes=write_clip(state.folder / new.name, images, form.rate_hz))
        state.kept, given_up = with_clip(state.kept, new, plan.part_bytes, plan.bytes_a_camera)
        _write_index(state)
    except FilmError as error:
        reason = getattr(error, "strerror", None) or error
        raise PrednetError(
            f"{state.folder}: no clip can be written ({reason}); make room there and start again, it goes on."
        ) from error
    state.given_up += len(given_up)
    for clip in given_up:
        (state.folder / clip.name).unlink(missing_ok=True)


def _part(wall_seconds: float) -> int:
    """Return which part of the day (UTC) a time is in."""
    return int((wall_seconds % 86400.0) / 86400.0 * PARTS)


def _begun(folder: Path, form: FrameFormat) -> _Camera:
    """Return a camera with what earlier calls kept; what a power cut left out of the index is taken in, or removed."""
    folder.mkdir(parents=True, exist_ok=True)
    for unfinished in folder.glob(".*.part"):
        unfinished.unlink()
    entries = {one.name: one for one in _entries(folder / INDEX)}
    clips = [path for path in sorted(folder.glob("*.mkv")) if path.name in entries or _STAMP.fullmatch(path.name)]
    found = (_kept(path, entries.get(path.name), form) for path in clips)
    state = _Camera(folder, [clip for clip in found if clip is not None])
    if {clip.name for clip in state.kept} != entries.keys():
        _write_index(state)
    return state


def _entries(index: Path) -> list[Entry]:
    try:
        return msgspec.json.decode(index.read_bytes(), type=list[Entry]) if index.exists() else []
    except JsonError as error:
        log.warning("index_damaged file=%s reason=%s action=made_anew_from_the_clips", index, error)
        return []


def _kept(path: Path, entry: Entry | None, form: FrameFormat) -> Kept | None:
    """Return a clip on disk as the index has it, otherwise as its pictures say; None for one that is not to be had."""
    if entry is not None:
        return Kept(entry.name, entry.part, entry.bytes, np.array(entry.signature, np.float32))
    ended = calendar.timegm(time.strptime(path.name[:15], "%Y%m%dT%H%M%S"))
    try:
        signature = signature_of(list(read_film(path, form.channels)))
    except OSError as error:  # it cannot be read now, which does not say that it is damaged
        log.warning("clip_unreadable file=%s reason=%s action=left", path, error)
        return None
    except FilmError as error:
        log.warning("clip_damaged file=%s reason=%s action=removed", path, error)
        path.unlink()
        return None
    return Kept(path.name, _part(ended), path.stat().st_size, signature)


def _write_index(state: _Camera) -> None:
    entries = [Entry(one.name, one.part, one.bytes, [round(float(v), 2) for v in one.signature]) for one in state.kept]
    write_whole(state.folder / INDEX, msgspec.json.encode(entries))


def _tally(state: _Camera) -> Tally:
    size = sum(clip.bytes for clip in state.kept)
    return Tally(state.frames, len(state.kept), size, state.repeated, state.given_up, state.unfit)
