"""The judgement of one camera: witnesses → surprise and stall → level → decision, frame after frame."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from edge.detection import Detection, Detector, EndReason, Limit, Reading, Rules, decide, end, stall_rules
from edge.level import Level, Noise, first_level, predict, update
from edge.moments import Finding, Judge, Kind, Lost, Moment, Sensed, Verdict
from edge.normality import Score, box_from_cells, scores_from_maps
from edge.senses import witnessed
from edge.stillness import Stillness


@dataclass(frozen=True)
class Memory:
    """What the judgement of one camera remembers from frame to frame; `stillness` is None after a reset."""

    level: Level | None = None
    detector: Detector = field(default_factory=Detector)
    seconds: float = 0.0
    stillness: Stillness | None = None
    stall_level: Level | None = None
    stall_detector: Detector = field(default_factory=Detector)


def renewed(memory: Memory) -> Memory:
    """Return the memory for another normality: what is open stays, what was measured begins anew."""
    return replace(memory, level=None, stillness=None, stall_level=None)


def judged(memory: Memory, sensed: Sensed, judge: Judge) -> tuple[Memory, Moment]:
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
    return Memory(
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


def _explained(memory: Memory, sensed: Sensed, judge: Judge) -> tuple[Memory, Moment]:
    """A condition of the camera explains what is seen: no event begins, open ones end, all levels start anew."""
    seconds = sensed.frame.seconds
    memory, findings = _ended(memory, "condition", seconds, judge)
    detection = next((one.detection for one in findings if one.kind == "surprise"), None)
    return memory, Moment(
        sensed.camera, seconds, sensed.state, sensed, limit=judge.limit, detection=detection, findings=findings
    )


def _ended(memory: Memory, reason: EndReason, seconds: float, judge: Judge) -> tuple[Memory, tuple[Finding, ...]]:
    """Close what is open and forget what was seen; both kinds begin anew."""
    detector, detection = end(memory.detector, reason, seconds)
    stall_detector, stalled = end(memory.stall_detector, reason, seconds)
    return Memory(None, detector, seconds, stall_detector=stall_detector), _findings(judge, detection, stalled)


def told_lost(memory: Memory, lost: Lost, judge: Judge) -> tuple[Memory, Moment]:
    """Return a camera's memory after it was lost, and the last moment, which ends its events."""
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
