"""The river: frames of all cameras → one batched step → witnesses → surprise and stall → level → decision.

`watch` is what the daemon, `replay`, the fit of limits and the benchmarks all run, so that a limit is
measured on the code that will use it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edge.detection import Detection, Detector, EndReason, Episode, Limit, Reading, Rules, decide, end, stall_rules
from edge.frames import Frame
from edge.level import Level, Noise, first_level, predict, update
from edge.messages import Condition
from edge.normality import Map, Normality, Score, box_from_cells, scores_from_maps
from edge.pacing import is_gap
from edge.runner import Runner
from edge.runners import open_speed
from edge.senses import Senses, sensed_from_frame, witnessed
from edge.skill import Skill, told_skill, with_frame
from edge.slots import Slots
from edge.stillness import Stillness

State = Literal["watching", "warming_up", "degraded", "blind"]
Kind = Literal["surprise", "stall"]

# Frames after a reset that are not scored: the step's error settles within 2–3 of them (prednet.md).
WARMUP_FRAMES = 5


@dataclass(frozen=True)
class Round:
    """What is there to look at now: at most one new frame a camera, and the cameras that were lost."""

    frames: Mapping[str, Frame]
    lost: Mapping[str, EndReason] = field(default_factory=dict)


@dataclass(frozen=True)
class Judge:
    """What one camera is judged by. Without a limit nothing is detected: that is how limits are fitted."""

    normality: Normality
    noise: Noise
    limit: Limit | None
    rules: Rules = field(default_factory=Rules)
    stall_noise: Noise | None = None
    stall_limit: Limit | None = None


@dataclass(frozen=True)
class Sensed:
    """One frame after the step. `errors`, `peaks`: float32 [L, Gh, Gw]; `prediction` uint8 [H, W, C].

    The arrays are the moment's own copies. `state` says whether the errors mean something; `senses` is what the
    host sees beside the step; `skill` is 1 − error / error of repeating the last frame, over the last seconds.
    `conditions` are those of the camera; while `is_paused` they make the picture unfit to be scored.
    """

    camera: str
    frame: Frame
    state: State
    step_seconds: float
    errors: Map
    peaks: Map
    prediction: NDArray[np.uint8]
    senses: Senses
    skill: float | None
    conditions: tuple[Condition, ...] = ()
    is_paused: bool = False


@dataclass(frozen=True)
class Verdict:
    """What one frame means for one kind of event: the score, its level, and what is decided.

    `z` is the innovation in standard deviations; `cells` float32 [Gh, Gw] are the witness's that says it. `episode`
    is the crossing of the limit that is under way, announced or not; `detection` what is to be told.
    """

    score: float
    level: Level
    z: float
    cells: Map
    limit: Limit | None
    episode: Episode | None
    detection: Detection | None


@dataclass(frozen=True)
class Finding:
    """Something to be told: an event of one kind begins, goes on or ends."""

    kind: Kind
    detection: Detection
    limit: Limit


@dataclass(frozen=True)
class Moment:
    """One frame of one camera, judged. `surprise`, `level` and `z` are None where nothing could be scored.

    What is said of the surprise stands here itself, see `Verdict`; what is said of a movement that fails to come, in
    `stall`, which is None where nothing could be scored or no limit of it is known. `findings` are both kinds'.
    A camera that is lost gives one last moment without `sensed`, which ends its events; `lost` says why.
    """

    camera: str
    seconds: float
    state: State
    sensed: Sensed | None = None
    surprise: float | None = None
    level: Level | None = None
    z: float | None = None
    cells: Map | None = None
    limit: Limit | None = None
    episode: Episode | None = None
    detection: Detection | None = None
    stall: Verdict | None = None
    findings: tuple[Finding, ...] = ()
    lost: EndReason | None = None


def watch(rounds: Iterable[Round], runner: Runner, judges: Mapping[str, Judge]) -> Iterator[Moment]:
    """Yield one moment per frame and camera; cameras take the runner's slots in the order of `judges`.

    A camera whose first frame comes later takes a free slot, with its judge; one that is lost as `disabled` frees its.
    `judges` may change while this runs: a camera's new judge counts from its next frame on.
    """
    memories = defaultdict[str, _Memory](_Memory)
    in_force: dict[str, Judge] = {}
    for sensed in sense(rounds, runner, list(judges)):
        if isinstance(sensed, Lost):
            memories[sensed.camera], moment = _lost(memories[sensed.camera], sensed, judges[sensed.camera])
        else:
            judge = judges[sensed.camera]
            if in_force.setdefault(sensed.camera, judge) is not judge:  # another normality: the level begins anew
                in_force[sensed.camera] = judge
                memories[sensed.camera] = replace(memories[sensed.camera], level=None, stillness=None, stall_level=None)
            memories[sensed.camera], moment = judged(memories[sensed.camera], sensed, judge)
        yield moment


@dataclass(frozen=True)
class Lost:
    """A camera that gives no frames any more, and why its open event ends."""

    camera: str
    reason: EndReason


@dataclass(frozen=True)
class _Memory:
    """What the judgement of one camera remembers from frame to frame; `stillness` is None after a reset."""

    level: Level | None = None
    detector: Detector = field(default_factory=Detector)
    seconds: float = 0.0
    stillness: Stillness | None = None
    stall_level: Level | None = None
    stall_detector: Detector = field(default_factory=Detector)


def sense(rounds: Iterable[Round], runner: Runner, cameras: list[str]) -> Iterator[Sensed | Lost]:
    """Yield each frame's errors and each camera's loss: the river up to the judgement."""
    from edge.conditions import Watched, returned, watched  # noqa: PLC0415 - opens the door of cv2

    slots = Slots(runner.slots, cameras)
    form = runner.spec.form
    images = np.zeros((runner.slots, form.height, form.width, form.channels), np.uint8)
    tracks: dict[str, _Track] = {}
    speed = open_speed()
    looks = defaultdict[str, Watched](Watched)
    for now in rounds:
        for camera, reason in now.lost.items():
            tracks.pop(camera, None)
            looks[camera] = returned(looks[camera])
            if reason == "disabled":
                slots.free(camera)
                del looks[camera]
            yield Lost(camera, reason)
        if not now.frames:
            continue
        advance, reset = np.zeros(runner.slots, np.bool_), np.zeros(runner.slots, np.bool_)
        for camera, frame in now.frames.items():
            images[slots[camera]] = frame.image
            advance[slots[camera]] = True
            reset[slots[camera]] = camera not in tracks
        step = runner.step(images, advance, reset)
        for camera, frame in now.frames.items():
            slot = slots[camera]
            error = float(step.errors[slot, 0].mean())
            last = tracks[camera].frame.image if camera in tracks else frame.image
            prediction = step.prediction[slot].copy()
            senses = sensed_from_frame(frame.image, prediction, speed(last, frame.image), runner.spec.grid)
            track = _followed(tracks.get(camera), frame, error, form.rate_hz)
            looks[camera] = look = watched(looks[camera], frame, is_gap=track.is_gap)
            tracks[camera] = track = _paused(track) if look.is_paused else track
            yield Sensed(
                camera,
                frame,
                track.state,
                track.step_seconds,
                step.errors[slot].copy(),
                step.peaks[slot].copy(),
                prediction,
                senses,
                told_skill(track.skill),
                look.active,
                look.is_paused,
            )


@dataclass(frozen=True)
class _Track:
    """One camera's run of frames since its state was reset."""

    frame: Frame
    count: int
    state: State
    step_seconds: float
    skill: Skill
    is_gap: bool = False


def _paused(track: _Track) -> _Track:
    """A condition of the camera: nothing is scored, and what comes after it warms up."""
    return replace(track, count=0, state="degraded")


def _followed(track: _Track | None, frame: Frame, error: float, rate_hz: float) -> _Track:
    if track is None:
        return _Track(frame, 1, "warming_up", 0.0, Skill())
    step_seconds = frame.seconds - track.frame.seconds
    count = track.count + 1
    state: State = "warming_up" if count <= WARMUP_FRAMES else "watching"
    missing = is_gap(step_seconds, rate_hz)
    if missing:  # error depends on spacing: this frame and the next are not scored
        state = "degraded"
        count = min(count, WARMUP_FRAMES - 1)
    skill = track.skill if state != "watching" else with_frame(track.skill, track.frame, frame, error)
    return _Track(frame, count, state, step_seconds, skill, missing)


def judged(memory: _Memory, sensed: Sensed, judge: Judge) -> tuple[_Memory, Moment]:
    """Return a camera's memory after one frame, and the moment that it makes."""
    seconds = sensed.frame.seconds
    if sensed.is_paused:
        return _explained(memory, sensed, judge)
    maps, stillness = witnessed(sensed.senses, memory.stillness, seconds, judge.normality)
    if sensed.state != "watching":
        return replace(memory, seconds=seconds, stillness=stillness), Moment(
            sensed.camera, seconds, sensed.state, sensed, level=memory.level, limit=judge.limit
        )
    step = seconds - memory.seconds
    surprise, stall = scores_from_maps(maps, judge.normality)
    detector, said = _verdict(
        memory.level, memory.detector, surprise, seconds, step, judge.noise, judge.limit, judge.rules
    )
    stall_detector, stalled = memory.stall_detector, None
    if judge.stall_noise is not None:
        stall_detector, stalled = _verdict(
            memory.stall_level,
            stall_detector,
            stall,
            seconds,
            step,
            judge.stall_noise,
            judge.stall_limit,
            stall_rules(judge.rules),
        )
    moment = Moment(
        sensed.camera, seconds, sensed.state, sensed,
        surprise=said.score, level=said.level, z=said.z, cells=said.cells,
        limit=said.limit, episode=said.episode, detection=said.detection,
        stall=stalled,
        findings=_findings(judge, said.detection, None if stalled is None else stalled.detection),
    )  # fmt: skip
    return _Memory(
        said.level, detector, seconds, stillness, None if stalled is None else stalled.level, stall_detector
    ), moment


def _verdict(
    level: Level | None,
    detector: Detector,
    score: Score,
    seconds: float,
    step_seconds: float,
    noise: Noise,
    limit: Limit | None,
    rules: Rules,
) -> tuple[Detector, Verdict]:
    """The level after one score, and what is decided by it."""
    if level is None:
        level, z = first_level(score.value, noise), 0.0
    else:
        level, z = update(predict(level, noise, step_seconds), score.value, noise)
    detection = None
    if limit is not None:
        reading = Reading(seconds, level.mean, z, box_from_cells(score.cells))
        detector, detection = decide(detector, reading, limit, rules)
    return detector, Verdict(score.value, level, z, score.cells, limit, detector.episode, detection)


def _findings(judge: Judge, surprise: Detection | None, stall: Detection | None) -> tuple[Finding, ...]:
    found: list[tuple[Kind, Detection | None, Limit | None]] = [
        ("surprise", surprise, judge.limit),
        ("stall", stall, judge.stall_limit),
    ]
    return tuple(
        Finding(kind, detection, limit)
        for kind, detection, limit in found
        if detection is not None and limit is not None
    )


def _explained(memory: _Memory, sensed: Sensed, judge: Judge) -> tuple[_Memory, Moment]:
    """A condition of the camera explains what is seen: no event begins, open ones end, all levels start anew."""
    seconds = sensed.frame.seconds
    memory, findings = _ended(memory, "condition", seconds, judge)
    detection = next((one.detection for one in findings if one.kind == "surprise"), None)
    return memory, Moment(
        sensed.camera, seconds, sensed.state, sensed, limit=judge.limit, detection=detection, findings=findings
    )


def _ended(memory: _Memory, reason: EndReason, seconds: float, judge: Judge) -> tuple[_Memory, tuple[Finding, ...]]:
    """Close what is open and forget what was seen; both kinds begin anew."""
    detector, detection = end(memory.detector, reason, seconds)
    stall_detector, stalled = end(memory.stall_detector, reason, seconds)
    return _Memory(None, detector, seconds, stall_detector=stall_detector), _findings(judge, detection, stalled)


def _lost(memory: _Memory, lost: Lost, judge: Judge) -> tuple[_Memory, Moment]:
    memory, findings = _ended(memory, lost.reason, memory.seconds, judge)
    detection = next((one.detection for one in findings if one.kind == "surprise"), None)
    return memory, Moment(
        lost.camera,
        memory.seconds,
        "blind",
        limit=judge.limit,
        detection=detection,
        findings=findings,
        lost=lost.reason,
    )


def rounds_from_frames(camera: str, frames: Iterable[Frame], last: EndReason = "stopped") -> Iterator[Round]:
    """Yield the rounds of one camera alone; at the end of its frames the camera is lost for the reason `last`."""
    for frame in frames:
        yield Round({camera: frame})
    yield Round({}, {camera: last})
