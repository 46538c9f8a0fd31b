"""Walks through the cell: where somebody is at any time, how far the legs have come, what they do."""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from itertools import pairwise

from edge.scene.chance import between, choice, draws
from edge.scene.layout import Colour

PACE_LOW, PACE_HIGH = 0.68, 0.9  # metres a second
_STRIDE = 1.15  # metres for both legs

_HELMETS: tuple[Colour, ...] = ((246, 214, 40), (240, 240, 236), (250, 226, 90))
_VESTS: tuple[Colour, ...] = ((196, 232, 50), (250, 130, 34), (214, 240, 70))
_SHIRTS: tuple[Colour, ...] = ((58, 72, 104), (78, 84, 88), (44, 60, 72))
_TROUSERS: tuple[Colour, ...] = ((40, 52, 84), (50, 50, 54), (66, 62, 52))


@dataclass(frozen=True)
class Outfit:
    """What somebody wears, and how tall they are (1 is 1.76 m); None where it is missing."""

    helmet: Colour | None
    vest: Colour | None
    shirt: Colour
    trousers: Colour
    stature: float


@dataclass(frozen=True)
class Knot:
    """A place that a walk passes at a time."""

    seconds: float
    x: float
    y: float


@dataclass(frozen=True)
class Walk:
    """One person's way from entering the picture until leaving it, straight between its knots.

    Where two knots are at one place they stand there; `working` says whether the hands are busy then.
    """

    knots: tuple[Knot, ...]
    outfit: Outfit
    working: bool = False
    works_facing: int = 1


@dataclass(frozen=True)
class Stance:
    """Somebody at one moment: place, direction (1 right, -1 left), gait and posture.

    `gait_radians` turns once for each pair of steps, `stride` is 1 in full walk and 0 while standing;
    `work`, `stoop` and `fallen` go from 0 (not at all) to 1.
    """

    x: float
    y: float
    facing: int
    gait_radians: float
    stride: float
    outfit: Outfit
    work: float = 0.0
    work_radians: float = 0.0
    stoop: float = 0.0
    fallen: float = 0.0


def outfit_of(seed: int, name: str, number: int) -> Outfit:
    """Return the full, correct outfit of the worker whom the seed, the name and the number stand for."""
    u = draws(seed, f"outfit {name}", number)
    return Outfit(
        helmet=choice(_HELMETS, u[0]),
        vest=choice(_VESTS, u[1]),
        shirt=choice(_SHIRTS, u[2]),
        trousers=choice(_TROUSERS, u[3]),
        stature=between(0.95, 1.05, u[4]),
    )


def way(start_seconds: float, pace: float, stops: tuple[tuple[float, float, float], ...]) -> tuple[Knot, ...]:
    """Return the knots of a walk at one pace along stops (x, y, seconds to stay there)."""
    knots = [Knot(start_seconds, stops[0][0], stops[0][1])]
    for x, y, stay in stops[1:]:
        last = knots[-1]
        arrival = last.seconds + math.hypot(x - last.x, y - last.y) / pace
        knots.append(Knot(arrival, x, y))
        if stay > 0.0:
            knots.append(Knot(arrival + stay, x, y))
    return tuple(knots)


def is_present(walk: Walk, seconds: float) -> bool:
    """Whether the person is on the way, or still asked to be, at this time."""
    return walk.knots[0].seconds <= seconds < walk.knots[-1].seconds


def _covered_metres(knots: tuple[Knot, ...], index: int, share: float) -> float:
    lengths = [math.hypot(b.x - a.x, b.y - a.y) for a, b in pairwise(knots)]
    return sum(lengths[:index]) + share * lengths[index]


def stance(walk: Walk, seconds: float) -> Stance:
    """Return how and where the person stands or walks at a time at which they are present."""
    knots = walk.knots
    index = min(bisect_right([knot.seconds for knot in knots], seconds), len(knots) - 1) - 1
    before, after = knots[index], knots[index + 1]
    share = (seconds - before.seconds) / (after.seconds - before.seconds)
    gait = 2.0 * math.pi * _covered_metres(knots, index, share) / _STRIDE
    moving = math.hypot(after.x - before.x, after.y - before.y) > 1e-6
    at_work = walk.working and not moving
    return Stance(
        x=between(before.x, after.x, share),
        y=between(before.y, after.y, share),
        facing=walk.works_facing if at_work else _facing(knots, index),
        gait_radians=gait,
        stride=_stride(before, after, seconds) if moving else 0.0,
        outfit=walk.outfit,
        work=min(1.0, 2.0 * min(seconds - before.seconds, after.seconds - seconds)) if at_work else 0.0,
        work_radians=5.2 * seconds + 1.3 * math.sin(0.9 * seconds),
    )


def _facing(knots: tuple[Knot, ...], index: int) -> int:
    for before, after in zip(knots[index::-1], knots[index + 1 :: -1], strict=False):
        if abs(after.x - before.x) > 1e-6:
            return 1 if after.x > before.x else -1
    return 1


def _stride(before: Knot, after: Knot, seconds: float) -> float:
    """Return how far the legs swing: short steps at a slow pace, and at both ends of a way."""
    pace = math.hypot(after.x - before.x, after.y - before.y) / (after.seconds - before.seconds)
    nearest = min(seconds - before.seconds, after.seconds - seconds)
    return min(1.0, pace / PACE_LOW) * min(1.0, 0.25 + 3.0 * nearest)
