"""Replay: the same river over a file, its events as messages, its chart as a picture."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping

from edge.condition_events import ToldConditions, event_from_conditions
from edge.detection import Rules
from edge.events import Teller, Told, events_from_moment
from edge.frames import Frame, Source
from edge.messages import ULID_RANDOM_BYTES, Event, new_event_id
from edge.model import Model
from edge.moments import Kind, Moment
from edge.pipeline import rounds_from_frames, watch
from edge.runner import Runner
from edge.trace import Trace, traced


def replay(
    source: Source,
    runner: Runner,
    model: Model,
    rules: Rules,
    trace: Trace,
    progress: Callable[[Frame], None],
) -> Iterator[Event]:
    """Yield the events of a file as the daemon would publish them, and fill `trace` with what happened.

    Times in UTC are those of a file that began now; `media` has the seconds of the file itself.
    """
    teller = replay_teller(model, source.name)
    told: Mapping[Kind, Told] = {}
    conditions: ToldConditions | None = None
    for moment in replay_moments(source, runner, model, rules, trace, progress):
        told, events = events_from_moment(teller, told, moment, time.time(), None)
        conditions, change = event_from_conditions(teller, conditions, moment, time.time())
        yield from (*events, *(() if change is None else (change,)))


def replay_moments(
    source: Source,
    runner: Runner,
    model: Model,
    rules: Rules,
    trace: Trace,
    progress: Callable[[Frame], None],
) -> Iterator[Moment]:
    """Yield the moments of a file; `progress` is told each frame before it is looked at."""
    rounds = rounds_from_frames("replay", _told_frames(source, progress))
    yield from traced(watch(rounds, runner, {"replay": model.judge(rules)}), trace)


def replay_teller(model: Model, name: str) -> Teller:
    """Return the teller of a replay: nothing of it belongs to a site."""
    return Teller(
        site="replay",
        device="replay",
        camera=name,
        model=model.event_model(),
        rates=model.rates,
        calibrated=model.is_calibrated,
        wall_offset_seconds=time.time(),
        clock="unsynced",
        media_offset_seconds=0.0,
        new_id=lambda seconds: new_event_id(seconds, os.urandom(ULID_RANDOM_BYTES)),
    )


def _told_frames(source: Source, progress: Callable[[Frame], None]) -> Iterator[Frame]:
    for frame in source.frames():
        progress(frame)
        yield frame
