"""The river: frames of all cameras → one batched step → witnesses → surprise and stall → level → decision.

`watch` is what the daemon, `replay`, the fit of limits and the benchmarks all run, so that a limit is
measured on the code that will use it.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edge.detection import EndReason
from edge.frames import Frame
from edge.judgement import Memory, is_calm, judged, renewed, told_lost
from edge.moments import Judge, Lost, Moment, Round, Sensed, State
from edge.normality import Normality
from edge.pacing import is_gap
from edge.renewal import MOST_FRAMES, RENEW_FRAMES, WITH_FRAMES, Images, Renewing
from edge.runner import Runner, StepFailed
from edge.senses import Senses, error_blocks
from edge.skill import Skill, told_skill, with_frame
from edge.slots import Slots

if TYPE_CHECKING:
    from edge.glimpse import Glimpses

# Frames after a reset that are not scored: the step's error settles within 2–3 of them (prednet.md).
WARMUP_FRAMES = 5

Ignored = Callable[[str], "NDArray[np.bool_] | None"]
Calm = Callable[[str], bool]


def watch(
    rounds: Iterable[Round], runner: Runner, judges: Mapping[str, Judge], pause_seconds: float = math.inf
) -> Iterator[Moment]:
    """Yield one moment per frame and camera; cameras take the runner's slots in the order of `judges`.

    A camera whose first frame comes later takes a free slot, with its judge; one that is lost as `disabled` frees its.
    `judges` may change while this runs: a camera's new judge counts from its next frame on. Its level begins anew where
    the normality is another one; a limit that is set leaves it. Live frames do not wait: a state is not renewed where
    that would take longer than `pause_seconds`.
    """
    memories = defaultdict[str, Memory](Memory)
    in_force: dict[str, Normality] = {}
    seen = sense(
        rounds,
        runner,
        list(judges),
        lambda camera: judges[camera].normality.ignored,
        lambda camera: is_calm(memories[camera], judges[camera]),
        pause_seconds,
    )
    for sensed in seen:
        if isinstance(sensed, Lost):
            memories[sensed.camera], moment = told_lost(memories[sensed.camera], sensed, judges[sensed.camera])
        else:
            judge = judges[sensed.camera]
            if in_force.setdefault(sensed.camera, judge.normality) is not judge.normality:
                in_force[sensed.camera] = judge.normality
                memories[sensed.camera] = renewed(memories[sensed.camera])
            memories[sensed.camera], moment = judged(memories[sensed.camera], sensed, judge)
        yield moment


def sense(
    rounds: Iterable[Round],
    runner: Runner,
    cameras: list[str],
    ignored: Ignored = lambda _: None,
    calm: Calm = lambda _: True,
    pause_seconds: float = math.inf,
) -> Iterator[Sensed | Lost]:
    """Yield each frame's errors and each camera's loss: the river up to the judgement.

    `ignored` says of a camera which cells are not looked at, bool [Gh, Gw]; None where all are. `calm` says of one
    whether a state that has grown old may give way to a young one; it does where that takes `pause_seconds` at most.
    """
    from edge.glimpse import Glimpses  # noqa: PLC0415 - opens the door of cv2

    with closing(Glimpses(runner.spec.grid)) as glimpses:
        yield from _sensed(rounds, Renewing(runner, pause_seconds), cameras, glimpses, ignored, calm)


def _sensed(
    rounds: Iterable[Round], renewing: Renewing, cameras: list[str], glimpses: Glimpses, ignored: Ignored, calm: Calm
) -> Iterator[Sensed | Lost]:
    runner = renewing.runner
    slots = Slots(runner.slots, cameras)
    form = runner.spec.form
    images = np.zeros((runner.slots, form.height, form.width, form.channels), np.uint8)
    tracks: dict[str, _Track] = {}
    for now in rounds:
        for camera, reason in now.lost.items():
            tracks.pop(camera, None)
            glimpses.lose(camera)
            if reason == "disabled":
                slots.free(camera)
                glimpses.forget(camera)
            yield Lost(camera, reason)
        if not now.frames:
            continue
        advance, reset = np.zeros(runner.slots, np.bool_), np.zeros(runner.slots, np.bool_)
        for camera, frame in now.frames.items():
            images[slots[camera]] = frame.image
            advance[slots[camera]] = True
            reset[slots[camera]] = camera not in tracks
            last = None if camera not in tracks else tracks[camera].frame
            missing = last is not None and is_gap(frame.seconds - last.seconds, form.rate_hz)
            glimpses.begin(camera, frame, None if last is None else last.image, ignored(camera), is_gap=missing)
        old = _old({camera: tracks[camera] for camera in now.frames if camera in tracks}, calm)
        try:
            if renewing.renew({slots[camera]: tracks[camera].last for camera in old}):
                tracks |= {camera: replace(tracks[camera], age=WARMUP_FRAMES) for camera in old}
            step = renewing.step(images, advance, reset)
        except StepFailed:  # what computes is being restarted: each camera is blind until it has been
            for camera in tracks.keys() | now.frames.keys():
                tracks.pop(camera, None)
                glimpses.lose(camera)
                yield Lost(camera, "restart")
            continue
        for camera, frame in now.frames.items():
            errors, prediction = step.errors[slots[camera]].copy(), step.prediction[slots[camera]].copy()
            blocks = error_blocks(frame.image, prediction, runner.spec.grid, ignored(camera))
            track = _followed(tracks.get(camera), frame, float(errors[0].mean()), form.rate_hz)
            seen = glimpses.take(camera)
            tracks[camera] = track = _paused(track) if seen.look.is_paused else track
            yield Sensed(
                camera,
                frame,
                track.state,
                track.step_seconds,
                errors,
                step.peaks[slots[camera]].copy(),
                prediction,
                Senses(blocks, seen.speed, seen.thumbnail),
                told_skill(track.skill),
                seen.look.active,
                seen.look.is_paused,
            )


@dataclass(frozen=True)
class _Track:
    """One camera's run of frames: `count` since something broke it, `age` of its state, `last` images of it."""

    frame: Frame
    count: int
    age: int
    last: Images
    state: State
    step_seconds: float
    skill: Skill


def _old(tracks: Mapping[str, _Track], calm: Calm) -> list[str]:
    """The cameras whose states are to be renewed before the next frame, and whose last frames show how."""
    shown = {
        camera: track
        for camera, track in tracks.items()
        if track.count > WARMUP_FRAMES and len(track.last) == WARMUP_FRAMES
    }
    ready = {camera: track for camera, track in shown.items() if track.age >= MOST_FRAMES or calm(camera)}
    if not any(track.age >= RENEW_FRAMES for track in ready.values()):
        return []
    return [camera for camera, track in ready.items() if track.age >= WITH_FRAMES]


def _paused(track: _Track) -> _Track:
    """A condition of the camera: nothing is scored, and what comes after it warms up."""
    return replace(track, count=0, state="degraded")


def _followed(track: _Track | None, frame: Frame, error: float, rate_hz: float) -> _Track:
    if track is None:
        return _Track(frame, 1, 1, (frame.image,), "warming_up", 0.0, Skill())
    step_seconds = frame.seconds - track.frame.seconds
    count = track.count + 1
    state: State = "warming_up" if count <= WARMUP_FRAMES else "watching"
    if is_gap(step_seconds, rate_hz):  # error depends on spacing: this frame and the next are not scored
        state = "degraded"
        count = min(count, WARMUP_FRAMES - 1)
    skill = track.skill if state != "watching" else with_frame(track.skill, track.frame, frame, error)
    before = () if state == "degraded" else track.last[1 - WARMUP_FRAMES :]
    return _Track(frame, count, track.age + 1, (*before, frame.image), state, step_seconds, skill)


def rounds_from_frames(camera: str, frames: Iterable[Frame], last: EndReason = "stopped") -> Iterator[Round]:
    """Yield the rounds of one camera alone; at the end of its frames the camera is lost for the reason `last`."""
    for frame in frames:
        yield Round({camera: frame})
    yield Round({}, {camera: last})
