"""Drift: whether surprise and stall of live work still are what the calibration's footage showed, over hours.

The share of live frames below each of a few quantiles of the footage is compared with what it was there. Frames of the
same minutes are alike, so the unit is not the frame: shares are taken block by block, and hours count as independent.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge.moments import Moment

Values = NDArray[np.float64]
# Those of the surprise and of the stall; None where there is none.
Sketches = tuple["Sketch | None", "Sketch | None"]

# The quantiles of the footage that are kept.
SHARES = np.array([0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.95])


class Sketch(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One kind of score of the footage, as held-out footage shows it: its quantiles at SHARES.

    `deviations` are those of the share below each from block to block, `hours` is the length of the footage.
    """

    levels: tuple[float, ...]
    deviations: tuple[float, ...]
    hours: float


@dataclass(frozen=True)
class DriftRules:
    """When drift is said, in scored seconds: it looks back on so many `blocks`, and says nothing before `least_blocks`.

    Said from a distance of `apart` (0–1) on that is `sure` times its standard error, taken back below `again`; so many
    `unit_blocks` are worth one independent observation, of the footage too. An hour of `blocks` in which everything is
    different moves the distance by less than `apart`.
    """

    block_seconds: float = 600.0
    blocks: int = 48
    least_blocks: int = 24
    unit_blocks: int = 9
    apart: float = 0.25
    again: float = 0.15
    sure: float = 3.0


@dataclass(frozen=True)
class Monitor:
    """What one camera has shown under one calibration: the open block, closed blocks' shares, what is said.

    `distance` is how far the shares are apart (0–1), None before there are enough blocks.
    """

    below: Values
    frames: int = 0
    seconds: float = 0.0
    shares: tuple[Values, ...] = ()
    distance: float | None = None
    is_drifting: bool = False


class Drift(NamedTuple):
    """How far live work is from the footage (0–1), and whether that is said."""

    distance: float
    is_said: bool


def new_monitor() -> Monitor:
    """Return a monitor that has seen nothing."""
    return Monitor(np.zeros(len(SHARES)))


def watched_on(monitor: Monitor, sketch: Sketch, score: float, seconds: float, rules: DriftRules) -> Monitor:
    """Return the monitor after one more frame that stands for so many seconds."""
    monitor = replace(
        monitor,
        below=monitor.below + (score <= np.array(sketch.levels)),
        frames=monitor.frames + 1,
        seconds=monitor.seconds + seconds,
    )
    if monitor.seconds < rules.block_seconds:
        return monitor
    shares = (*monitor.shares, monitor.below / monitor.frames)[-rules.blocks :]
    return _judged(Monitor(np.zeros(len(SHARES)), shares=shares, is_drifting=monitor.is_drifting), sketch, rules)


def _judged(monitor: Monitor, sketch: Sketch, rules: DriftRules) -> Monitor:
    count = len(monitor.shares)
    if count < rules.least_blocks:
        return monitor
    shares = np.stack(monitor.shares)
    apart = np.abs(shares.mean(axis=0) - SHARES)
    live = shares.var(axis=0, ddof=1) * rules.unit_blocks / count
    units = sketch.hours * 3600.0 / (rules.block_seconds * rules.unit_blocks)
    footage = np.array(sketch.deviations) ** 2 / max(units, 1.0)
    is_certain = apart >= rules.sure * np.sqrt(live + footage)
    distance = float(apart.max())
    said = distance >= rules.again if monitor.is_drifting else bool((is_certain & (apart >= rules.apart)).any())
    return replace(monitor, distance=distance, is_drifting=said)


class DriftWatch:
    """The drift of every camera; one thread. Another calibration begins anew; an earlier one goes on."""

    def __init__(self, rules: DriftRules | None = None) -> None:
        self._rules = rules or DriftRules()
        self._monitors: dict[tuple[str, Sketch], Monitor] = {}

    def see(self, moment: Moment, sketches: Sketches) -> None:
        """Take in one moment of a camera that was scored, unless an event explains it.

        An event that has lasted for longer than a block is no event but the new state of things, and counts.
        """
        if moment.surprise is None or moment.sensed is None or self._is_event(moment):
            return
        seconds = min(moment.sensed.step_seconds, 1.0)
        scores = (moment.surprise, None if moment.stall is None else moment.stall.score)
        for sketch, score in zip(sketches, scores, strict=True):
            if sketch is not None and score is not None:
                before = self._monitors.get((moment.camera, sketch)) or new_monitor()
                self._monitors[moment.camera, sketch] = watched_on(before, sketch, score, seconds, self._rules)

    def of(self, camera: str, sketches: Sketches) -> Drift | None:
        """Return how far a camera has drifted from a calibration; None before there are blocks enough."""
        found = [self._monitors[camera, one] for one in sketches if one and (camera, one) in self._monitors]
        distances = [one.distance for one in found if one.distance is not None]
        return Drift(max(distances), any(one.is_drifting for one in found)) if distances else None

    def _is_event(self, moment: Moment) -> bool:
        episodes = (moment.episode, None if moment.stall is None else moment.stall.episode)
        return any(
            one is not None
            and one.announced_seconds is not None
            and moment.seconds - one.start_seconds < self._rules.block_seconds
            for one in episodes
        )
