"""The kept frames watched again, with other masks or another network, by the river that watches cameras."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import cast

import msgspec
import numpy as np

from edge.detection import EndReason
from edge.frames import Frame
from edge.model import Model
from edge.moments import Judge, Moment, Round
from edge.pipeline import watch
from edge.privacy import Mask
from edge.recording import FilmError, read_film
from edge.ring import ACTS, FIRST_LOSS, SILENCE_SECONDS, Facts, Segment, row_from_moment, rows_from
from edge.ring_events import is_apart
from edge.runner import Runner

# The model that judges under a profile; the empty name for a camera without profiles.
ModelOf = Callable[[str], Model]


def watched_again(
    camera: str,
    segments: Sequence[Segment],
    runner: Runner,
    model_of: ModelOf,
    mask: Mask | None = None,
    see: Callable[[Moment, Facts], None] = lambda _moment, _facts: None,
) -> list[Segment]:
    """Return what the segments come to whose frames are kept, the oldest first, under the models of their profiles.

    `mask` blanks what is behind the privacy masks of today; `see` is shown every moment. The limits of the segments
    stay those that were in force. The network begins anew, and warms up, where frames are missing.
    """
    again: list[Segment] = []
    for stretch in stretches(segments):
        told = [[] for _ in stretch]  # type: list[list[tuple[object, ...]]]
        judge = _Judging(camera, model_of)
        for moment in watch(_rounds(stretch, judge, mask), runner, judge.in_force):
            place = judge.place
            see(moment, stretch[place].facts)
            told[place].append(row_from_moment(moment, judge.in_force[camera].zones, 0, has_frame=True))
        again += [
            _again(one, model_of(one.facts.profile), rows) for one, rows in zip(stretch, told, strict=True) if rows
        ]
    return again


def stretches(segments: Sequence[Segment]) -> list[list[Segment]]:
    """Return the segments whose frames are kept, together those between which nothing is missing."""
    found: list[list[Segment]] = []
    last: Segment | None = None
    for segment in segments:
        if segment.film is None:
            last = None
            continue
        if last is None or _is_broken(last, segment):
            found.append([])
        found[-1].append(segment)
        last = segment
    return found


def clipped(segments: Sequence[Segment], first_seconds: float, last_seconds: float) -> list[Segment]:
    """Return what segments hold of a stretch of Unix time, both ends included."""
    found = []
    for one in segments:
        start = int(np.searchsorted(one.wall_seconds, first_seconds))
        stop = int(np.searchsorted(one.wall_seconds, last_seconds, side="right"))
        if start < stop:
            skipped = one.first_frame + int(one.rows["has_frame"][:start].sum())
            found.append(replace(one, rows=one.rows[start:stop], first_frame=skipped))
    return found


def _is_broken(last: Segment, segment: Segment) -> bool:
    if is_apart(last, segment):
        return True
    is_lost = last.rows["act"][-1] >= FIRST_LOSS
    return bool(not is_lost and segment.rows["seconds"][0] - last.rows["seconds"][-1] > SILENCE_SECONDS)


class _Judging:
    """Who judges the frames of one stretch: another judge wherever the daemon had another: levels begin anew."""

    def __init__(self, camera: str, model_of: ModelOf) -> None:
        self.camera, self.in_force, self.place = camera, dict[str, Judge](), -1
        self._model_of, self._last = model_of, None  # type: tuple[ModelOf, Facts | None]

    def enter(self, segment: Segment) -> None:
        """Go on to the next segment."""
        self.place += 1
        facts = msgspec.structs.replace(segment.facts, wall_offset_seconds=0.0, clock="synced")
        if facts != self._last:
            self.in_force[self.camera] = self._model_of(facts.profile).judge(facts.rules)
            self._last = facts


def _rounds(stretch: Sequence[Segment], judging: _Judging, mask: Mask | None) -> Iterator[Round]:
    """The frames of a stretch and the losses of what was seen in it; at its end what is open ends."""
    is_lost = True
    for segment in stretch:
        judging.enter(segment)
        for one in _rounds_of(segment, judging.camera, mask):
            if one.frames or not is_lost:
                yield one
            is_lost = not one.frames
    if not is_lost:
        yield Round({}, {judging.camera: "restart"})


def _rounds_of(segment: Segment, camera: str, mask: Mask | None) -> Iterator[Round]:
    """The frames of a segment and its losses, in order; where its film is gone or damaged it ends with one."""
    if segment.film is None:
        return
    images = read_film(segment.film, segment.facts.form.channels, segment.first_frame)
    for seconds, act, has_frame in segment.rows[["seconds", "act", "has_frame"]].tolist():
        if act >= FIRST_LOSS:
            yield Round({}, {camera: cast(EndReason, ACTS[act])})
        elif has_frame:
            try:
                image = next(images)
            except (StopIteration, *FilmError):
                yield Round({}, {camera: "restart"})
                return
            if mask is not None:
                image[mask] = 0
            yield Round({camera: Frame(image, seconds)})


def _again(segment: Segment, model: Model, rows: Sequence[tuple[object, ...]]) -> Segment:
    zones = () if model.zones is None else model.zones.names
    facts = msgspec.structs.replace(
        segment.facts,
        grid=model.bundle.spec.grid,
        model=model.event_model(),
        calibrated=model.is_calibrated,
        zones=zones,
    )
    return Segment(facts, rows_from(rows, len(zones)), segment.film)
