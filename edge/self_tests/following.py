"""A copy of a camera's stream through a runner of its own: with the known anomaly an event comes, without it none."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from edge.detection import Box
from edge.events import score_from_finding
from edge.frames import Frame
from edge.messages import EventScore
from edge.moments import Finding, Judge, Moment
from edge.pipeline import WARMUP_FRAMES, rounds_from_frames, watch
from edge.runner import Runner
from edge.self_tests.planting import place_of, planted
from edge.self_tests.results import Station

QUIET_SECONDS = 1.0
# An event is announced after its hold; the level needs a moment before.
MARGIN_SECONDS = 2.0
MOST_WAIT_SECONDS = 30.0
POLL_SECONDS = 0.003


@dataclass(frozen=True)
class Followed:
    """How far the anomaly came on the device, and what the event says of it where one came."""

    stations: tuple[Station, ...]
    score: EventScore | None = None
    box: Box | None = None


def lead_frames(rate_hz: float) -> int:
    """Return how many frames of a copy stay as they are."""
    return WARMUP_FRAMES + round(QUIET_SECONDS * rate_hz)


def needed_frames(rate_hz: float, judge: Judge) -> int:
    """Return how many frames in a row a self-test takes."""
    return lead_frames(rate_hz) + round((judge.rules.hold_seconds + MARGIN_SECONDS) * rate_hz)


def followed(frames: Sequence[Frame], runner: Runner, judge: Judge) -> Followed:
    """Return what becomes of the anomaly in a copy of the frames: the stations stream, model and limit."""
    began, rate_hz = time.monotonic(), runner.spec.form.rate_hz
    first, place = lead_frames(rate_hz), place_of(judge.normality.ignored)
    plain = _watched(frames, runner, judge)
    with_anomaly = _watched(planted(frames, first, place), runner, judge)
    stream = Station(name="stream", passed=True, told=f"{len(frames)} live frames copied")
    errors = _error(plain[first:]), _error(with_anomaly[first:])
    is_seen = bool(np.isfinite(errors).all()) and errors[1] > errors[0]
    told = f"error {errors[1]:.3g} with the anomaly, {errors[0]:.3g} without"
    took = round((time.monotonic() - began) * 1000.0, 1)
    model = Station(name="model", passed=is_seen, told=told, milliseconds=took)
    if not is_seen:
        return Followed((stream, model))
    limit, finding = _limit(plain, with_anomaly)
    if finding is None:
        return Followed((stream, model, limit))
    return Followed((stream, model, limit), score_from_finding(finding, {}, None), finding.detection.episode.box)


def _watched(frames: Sequence[Frame], runner: Runner, judge: Judge) -> list[Moment]:
    moments = watch(rounds_from_frames("copy", frames), runner, {"copy": judge})
    return [moment for moment in moments if moment.sensed is not None]


def _error(moments: Sequence[Moment]) -> float:
    return float(np.mean([moment.sensed.errors[0].mean() for moment in moments if moment.sensed is not None]))


def _limit(plain: Sequence[Moment], with_anomaly: Sequence[Moment]) -> tuple[Station, Finding | None]:
    if _new(plain) is not None:
        told = "the picture is over the limit without the anomaly; try again when nothing is unusual"
        return Station(name="limit", passed=False, told=told), None
    found = _new(with_anomaly)
    highest = max((moment.level.mean for moment in with_anomaly if moment.level is not None), default=float("nan"))
    if found is None:
        on = next((moment.limit.on for moment in with_anomaly if moment.limit is not None), float("nan"))
        told = (
            f"no event: the level reached {highest:.2f}, the limit is {on:.2f}; conditions: {_conditions(with_anomaly)}"
        )
        return Station(name="limit", passed=False, told=told), None
    return Station(name="limit", passed=True, told=f"level {highest:.2f} over the limit {found.limit.on:.2f}"), found


def _new(moments: Sequence[Moment]) -> Finding | None:
    """The last word on the first event of a copy."""
    found = [one for moment in moments for one in moment.findings if one.detection.type in ("new", "update")]
    return found[-1] if found else None


def _conditions(moments: Sequence[Moment]) -> str:
    names = {one.name for moment in moments if moment.sensed is not None for one in moment.sensed.conditions}
    return ", ".join(sorted(names)) or "none"


def wait_for_acknowledgement(is_waiting: Callable[[], bool], is_stopping: Callable[[], bool]) -> Station:
    """Return the station of the broker: whether the event has left the outbox, and after how long."""
    began = time.monotonic()
    while is_waiting():
        took = time.monotonic() - began
        if took >= MOST_WAIT_SECONDS or is_stopping():
            told = f"not acknowledged within {took:.0f} s; the event waits on disk"
            return Station(name="broker", passed=False, told=told)
        time.sleep(POLL_SECONDS if took < 1.0 else 0.1)
    took = round((time.monotonic() - began) * 1000.0, 1)
    return Station(name="broker", passed=True, told="acknowledged by the broker", milliseconds=took)
