"""The river's words: what comes in, what is sensed of a frame, and what it is judged to mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edge.detection import Detection, EndReason, Episode, Limit, Rules
from edge.frames import Frame
from edge.level import Level, Noise
from edge.messages import Condition
from edge.normality import Map, Normality
from edge.senses import Senses
from edge.zones import Zones, named_zones

State = Literal["watching", "warming_up", "degraded", "blind"]
Kind = Literal["surprise", "stall"]


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
    zones: Zones | None = None


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


def mean_error(sensed: Sensed) -> float:
    """Return the mean absolute error of the prediction, of pixels in 0–1: the lowest layer holds each half of it."""
    return 2.0 * float(sensed.errors[0].mean())


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
    A camera that is lost gives one last moment without `sensed`, which ends its events; `lost` says why. `gain` is how
    much brighter than normal work's background a frame is that was scored.
    """

    camera: str
    seconds: float
    state: State
    sensed: Sensed | None = None
    gain: float | None = None
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


def open_zones_of(moment: Moment) -> frozenset[str]:
    """Return the zones that the events lie in which are open after a moment."""
    ended = {finding.kind for finding in moment.findings if finding.detection.type == "end"}
    open_episodes = {"surprise": moment.episode, "stall": None if moment.stall is None else moment.stall.episode}
    return frozenset(
        name
        for kind, episode in open_episodes.items()
        if episode is not None and episode.announced_seconds is not None and kind not in ended
        for name, _, _ in named_zones(episode.zones, episode.frames)
    )


@dataclass(frozen=True)
class Lost:
    """A camera that gives no frames any more, and why its open event ends."""

    camera: str
    reason: EndReason
