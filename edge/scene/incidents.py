"""What happens in the synthetic cell beside normal work, when, and where: the ground truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

Accident = Literal["fire", "jam", "fall", "slow", "no_helmet", "no_vest", "arm_off_path", "arm_halted"]
Condition = Literal["light_switched", "camera_nudged", "blurred", "covered", "frozen"]
Kind = Literal[Accident, Condition]
Box = tuple[float, float, float, float]

ACCIDENTS: tuple[Accident, ...] = get_args(Accident)
CONDITIONS: tuple[Condition, ...] = get_args(Condition)
WHOLE_PICTURE: Box = (0.0, 0.0, 1.0, 1.0)


@dataclass(frozen=True)
class Incident:
    """One accident or condition of the camera, visible for start_seconds <= t < end_seconds.

    `box`: (x0, y0, x1, y1) in 0-1 of the picture, x right and y down; it covers every place where the
    incident changes the picture during the interval. What is drawn follows from the scene's seed, the
    kind and the interval (`edge.scene.planting.plant` finds the box that belongs to them).
    """

    kind: Kind
    start_seconds: float
    end_seconds: float
    box: Box = WHOLE_PICTURE

    @property
    def is_accident(self) -> bool:
        """Whether this is an accident in the cell, not a condition of the camera."""
        return self.kind in ACCIDENTS


@dataclass(frozen=True)
class Scene:
    """A day in the cell: the seed decides all of normal work, the incidents are planted into it."""

    seed: int
    incidents: tuple[Incident, ...] = ()


def is_visible(incident: Incident, seconds: float) -> bool:
    """Whether the incident is in the picture at this time."""
    return incident.start_seconds <= seconds < incident.end_seconds


def find_visible(scene: Scene, seconds: float, *kinds: Kind) -> Incident | None:
    """Return the first incident of these kinds that is visible at this time."""
    for incident in scene.incidents:
        if incident.kind in kinds and is_visible(incident, seconds):
            return incident
    return None


def shown_seconds(scene: Scene, seconds: float) -> float:
    """Return the time that the picture shows: the present, or the moment at which the camera froze."""
    frozen = find_visible(scene, seconds, "frozen")
    return seconds if frozen is None else frozen.start_seconds


def visible_accidents(scene: Scene, seconds: float) -> tuple[Incident, ...]:
    """Return the accidents that the picture at this time shows; a covered lens shows none."""
    shown = shown_seconds(scene, seconds)
    if find_visible(scene, shown, "covered") is not None:
        return ()
    return tuple(one for one in scene.incidents if one.is_accident and is_visible(one, shown))


def frame_labels(scene: Scene, count: int, rate_hz: float, start_seconds: float = 0.0) -> NDArray[np.uint8]:
    """Return one label a frame: uint8 [count], 1 where an accident is visible."""
    times = (start_seconds + number / rate_hz for number in range(count))
    return np.fromiter((bool(visible_accidents(scene, t)) for t in times), np.uint8, count)


def eased(fraction: float) -> float:
    """Return a smooth step from 0 to 1 while the fraction runs from 0 to 1, held at both ends."""
    fraction = min(max(fraction, 0.0), 1.0)
    return fraction * fraction * (3.0 - 2.0 * fraction)


def pulse(incident: Incident, seconds: float, rise_seconds: float) -> float:
    """Return 0 outside the interval and 1 within, with smooth edges inside of the interval."""
    rise = (seconds - incident.start_seconds) / rise_seconds
    fall = (incident.end_seconds - seconds) / rise_seconds
    return eased(min(rise, fall))
