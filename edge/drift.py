"""Drift: whether the surprise of live work still is what the calibration's footage showed, judged over hours.

The share of live frames below each of a few quantiles of the footage is compared with what it was there. Frames of the
same minutes are alike, so the unit is not the frame: shares are taken block by block, and hours count as independent.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edge.calibrated import Calibration
from edge.moments import Moment
from edge.sketch import SHARES, Sketch

Values = NDArray[np.float64]


@dataclass(frozen=True)
class DriftRules:
    """When drift is said, in scored seconds: it looks back on so many `blocks`, and says nothing before `least_blocks`.

    Said from a distance of `apart` (0–1) on that is `sure` times its standard error, taken back below `again`; so many
    `unit_blocks` are worth one independent observation, of the footage too. An hour of `blocks` in which everything is
    different moves the distance by less than `apart`. A light that is `lit` times that of the footage, or darker by as
    much, for as long on average, is a drift too, taken back within `lit_again`: the levelled surprise shows none.
    """

    block_seconds: float = 600.0
    blocks: int = 48
    least_blocks: int = 24
    unit_blocks: int = 9
    apart: float = 0.25
    again: float = 0.15
    sure: float = 3.0
    lit: float = 1.2
    lit_again: float = 1.1


@dataclass(frozen=True)
class Monitor:
    """What one camera has shown under one calibration: the open block, closed blocks' shares, what is said.

    `distance` is how far the shares are apart (0–1), `gain` how much brighter the picture was than the footage's, both
    None before there are enough blocks. `light` and `lights` are logarithms of it: the sum of the open block, the means
    of the closed ones.
    """

    below: Values
    frames: int = 0
    seconds: float = 0.0
    shares: tuple[Values, ...] = ()
    light: float = 0.0
    lights: tuple[float, ...] = ()
    distance: float | None = None
    gain: float | None = None
    is_drifting: bool = False


def new_monitor() -> Monitor:
    """Return a monitor that has seen nothing."""
    return Monitor(np.zeros(len(SHARES)))


def watched_on(
    monitor: Monitor, sketch: Sketch, surprise: float, seconds: float, rules: DriftRules, gain: float = 1.0
) -> Monitor:
    """Return the monitor after one more frame that stands for some seconds, `gain` times as bright as the footage."""
    monitor = replace(
        monitor,
        below=monitor.below + (surprise <= np.array(sketch.levels)),
        frames=monitor.frames + 1,
        seconds=monitor.seconds + seconds,
        light=monitor.light + math.log(gain),
    )
    if monitor.seconds < rules.block_seconds:
        return monitor
    shares = (*monitor.shares, monitor.below / monitor.frames)[-rules.blocks :]
    lights = (*monitor.lights, monitor.light / monitor.frames)[-rules.blocks :]
    closed = replace(new_monitor(), shares=shares, lights=lights, is_drifting=monitor.is_drifting)
    return _judged(closed, sketch, rules)


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
    distance, light = float(apart.max()), sum(monitor.lights) / len(monitor.lights)
    if monitor.is_drifting:
        said = distance >= rules.again or abs(light) >= math.log(rules.lit_again)
    else:
        said = bool((is_certain & (apart >= rules.apart)).any()) or abs(light) >= math.log(rules.lit)
    return replace(monitor, distance=distance, gain=math.exp(light), is_drifting=said)


class DriftWatch:
    """The drift of every camera; one thread. Another calibration begins anew; an earlier one goes on."""

    def __init__(self, rules: DriftRules | None = None) -> None:
        self._rules = rules or DriftRules()
        self._monitors: dict[tuple[str, Sketch], Monitor] = {}

    def see(self, moment: Moment, calibration: Calibration) -> None:
        """Take in one moment of a camera that was scored, unless an event explains it.

        An event that has lasted for longer than a block is no event but the new state of things, and counts.
        """
        sketch = calibration.limits.sketch
        if sketch is None or moment.surprise is None or moment.sensed is None or self._is_event(moment):
            return
        key = moment.camera, sketch
        before, seconds = self._monitors.get(key) or new_monitor(), min(moment.sensed.step_seconds, 1.0)
        self._monitors[key] = watched_on(before, sketch, moment.surprise, seconds, self._rules, moment.gain or 1.0)

    def of(self, camera: str, calibration: Calibration) -> Monitor | None:
        """Return what is known of a camera's drift under a calibration; None where nothing is."""
        sketch = calibration.limits.sketch
        return None if sketch is None else self._monitors.get((camera, sketch))

    def _is_event(self, moment: Moment) -> bool:
        episodes = (moment.episode, None if moment.stall is None else moment.stall.episode)
        return any(
            one is not None
            and one.announced_seconds is not None
            and moment.seconds - one.start_seconds < self._rules.block_seconds
            for one in episodes
        )
