"""The judgement of one camera: witnesses → surprise and stall → level → decision, frame after frame."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from edge.appearance import gain_of
from edge.detection import Detection, Detector, EndReason, Limit, Reading, Rules, decide, end, stall_rules
from edge.level import Level, Noise, first_level, predict, update
from edge.messages import Condition
from edge.moments import Finding, Judge, Kind, Lost, Moment, Sensed, Verdict
from edge.normality import Recent, Score, box_from_cells, scores_from_maps
from edge.senses import witnessed
from edge.stillness import Stillness
from edge.zones import Zones, shares_of

# A light that differs from that of the normal footage by more than this factor is another scene: what is normal in it
# is not known. Measured: from 1.5 on, errors of a network rise with the contrast beyond what its limit allows for.
MOST_GAIN = 1.4
# It must last for longer than a cover or a lamp takes to be known for what it is.
STRANGE_SECONDS = 1.0


@dataclass(frozen=True)
class Memory:
    """What the judgement of one camera remembers from frame to frame; None is what a reset forgets.

    `seconds` are those of the last frame, `scored_seconds` those of the last that was scored: after a gap a frame or
    two are not.
    """

    level: Level | None = None
    detector: Detector = field(default_factory=Detector)
    seconds: float = 0.0
    scored_seconds: float = 0.0
    stillness: Stillness | None = None
    strange_since: float | None = None
    stall_level: Level | None = None
    stall_detector: Detector = field(default_factory=Detector)
    recent: Recent | None = None


def renewed(memory: Memory) -> Memory:
    """Return the memory for another normality: what is open stays, what was measured begins anew."""
    return replace(memory, level=None, stillness=None, stall_level=None, recent=None)


def is_calm(memory: Memory, judge: Judge) -> bool:
    """Say whether nothing is going on: no episode of either kind, and both levels below what ends one."""
    return all(
        detector.episode is None and (level is None or limit is None or level.mean < limit.off)
        for detector, level, limit in (
            (memory.detector, memory.level, judge.limit),
            (memory.stall_detector, memory.stall_level, judge.stall_limit),
        )
    )


def judged(memory: Memory, sensed: Sensed, judge: Judge) -> tuple[Memory, Moment]:
    """Return a camera's memory after one frame, and the moment that it makes.

    Where the source's clock goes back, nothing says how long it was: what was measured begins anew.
    """
    seconds = sensed.frame.seconds
    if seconds < memory.seconds:
        memory = renewed(memory)
    gain = gain_of(sensed.senses.thumbnail, judge.normality.appearance.background)
    memory = replace(memory, strange_since=_strange_since(memory, gain, seconds))
    if memory.strange_since is not None and seconds - memory.strange_since >= STRANGE_SECONDS:
        sensed = _in_strange_light(sensed)
    if sensed.is_paused:
        return _explained(memory, sensed, judge)
    maps, stillness = witnessed(sensed.senses, memory.stillness, seconds, judge.normality, gain)
    if sensed.state != "watching":
        return replace(memory, seconds=seconds, stillness=stillness), Moment(
            sensed.camera, seconds, sensed.state, sensed, level=memory.level, limit=judge.limit
        )
    step = seconds - memory.scored_seconds
    surprise, stall, recent = scores_from_maps(maps, judge.normality, memory.recent, seconds)
    detector, said = _verdict(
        memory.level, memory.detector, surprise, seconds, step, judge.noise, judge.limit, judge.rules, judge.zones
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
            judge.zones,
        )
    moment = Moment(
        sensed.camera, seconds, sensed.state, sensed,
        gain=gain, surprise=said.score, level=said.level, z=said.z, cells=said.cells,
        limit=said.limit, episode=said.episode, detection=said.detection,
        stall=stalled,
        findings=_findings(judge, said.detection, None if stalled is None else stalled.detection),
    )  # fmt: skip
    stall_level = None if stalled is None else stalled.level
    return Memory(
        said.level, detector, seconds, seconds, stillness, memory.strange_since, stall_level, stall_detector, recent
    ), moment


def _strange_since(memory: Memory, gain: float, seconds: float) -> float | None:
    """Since when the picture has been lit as the normal footage never was; None where it is not."""
    if 1.0 / MOST_GAIN <= gain <= MOST_GAIN:
        return None
    return seconds if memory.strange_since is None else memory.strange_since


def _in_strange_light(sensed: Sensed) -> Sensed:
    """The frame, not to be scored; where no other condition explains it, the light does."""
    if sensed.conditions:
        return replace(sensed, is_paused=True, state="degraded")
    lit = Condition(name="lighting", confidence=1.0)
    return replace(sensed, is_paused=True, state="degraded", conditions=(lit,))


def _verdict(
    level: Level | None,
    detector: Detector,
    score: Score,
    seconds: float,
    step_seconds: float,
    noise: Noise,
    limit: Limit | None,
    rules: Rules,
    zones: Zones | None,
) -> tuple[Detector, Verdict]:
    """The level after one score, and what is decided by it."""
    if level is None:
        level, z = first_level(score.value, noise), 0.0
    else:
        level, z = update(predict(level, noise, step_seconds), score.value, noise)
    detection = None
    if limit is not None:
        reading = Reading(seconds, level.mean, z, box_from_cells(score.cells), shares_of(zones, score.cells))
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
    kept = Memory(None, detector, seconds, strange_since=memory.strange_since, stall_detector=stall_detector)
    return kept, _findings(judge, detection, stalled)


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
