"""Fire and smoke that grow at a machine."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from edge.scene import canvas
from edge.scene.canvas import Pixels
from edge.scene.chance import between, draws
from edge.scene.fire_place import (
    FLAME_RISE,
    FLAME_SECONDS,
    SMOKE_RISE,
    SMOKE_SECONDS,
    SMOKE_SPREAD,
    fire_place,
)
from edge.scene.incidents import Incident, eased
from edge.scene.layout import ASPECT, Colour, Point, project, scale_at

_FLAMES_HZ, _SMOKE_HZ = 32.0, 9.0
_SMOKE: Colour = (74, 72, 72)


@dataclass(frozen=True)
class Puff:
    """One tongue of flame or puff of smoke: metres from the fire's foot, and its age from 0 to 1."""

    across: float
    up: float
    age: float
    size: float


def _growth(incident: Incident, seconds: float) -> float:
    """Return the fire's size: it grows through the interval and is put out in its last half second."""
    grown = (seconds - incident.start_seconds) / (0.7 * (incident.end_seconds - incident.start_seconds))
    return (0.3 + 0.7 * eased(grown)) * eased((incident.end_seconds - seconds) / 0.5)


def _puffs(seed: int, name: str, since: float, life: float, rate_hz: float) -> Iterator[Puff]:
    """Yield what was born within the last `life` seconds, the oldest first."""
    first = max(0, math.ceil((since - life) * rate_hz))
    for number in range(first, math.floor(since * rate_hz) + 1):
        u = draws(seed, name, number)
        age = (since - number / rate_hz) / life
        sway = 0.5 * math.sin(2.6 * since + 6.3 * u[0]) * age
        yield Puff(between(-1.0, 1.0, u[1]) + sway, age * between(0.8, 1.1, u[2]), age, between(0.75, 1.25, u[3]))


def _at(foot: Point, metre: float, across: float, up: float) -> Point:
    return foot[0] + across * metre / ASPECT, foot[1] - up * metre


def _draw_smoke(pixels: Pixels, seed: int, foot: tuple[Point, float], since: float, growth: float) -> None:
    point, metre = foot
    for puff in _puffs(seed, "smoke", since, SMOKE_SECONDS, _SMOKE_HZ):
        across = 0.5 * SMOKE_SPREAD * puff.across * (0.3 + 0.7 * puff.age)
        size = metre * puff.size * (0.2 + 0.34 * puff.age) * (0.5 + 0.5 * growth)
        centre = _at(point, metre, across, 0.25 + SMOKE_RISE * 0.85 * puff.up * (0.4 + 0.6 * growth))
        fading = 0.8 * growth * min(1.0, 6.0 * puff.age) * (1.0 - 0.75 * puff.age**2)
        canvas.haze(pixels, centre, (size, size), _SMOKE, fading)


def _flame_colour(age: float) -> Colour:
    if age < 0.3:
        return 255, 228, 132
    return (255, 196, 70) if age < 0.6 else (246, 110, 30)


def draw_fire(pixels: Pixels, seed: int, incident: Incident, seconds: float) -> None:
    """Draw the fire as it burns at this time: its glow, the flames, the smoke above."""
    place = fire_place(seed, incident)
    growth, since = _growth(incident, seconds), seconds - incident.start_seconds
    foot, metre = project(place), scale_at(place)
    flicker = 0.85 + 0.15 * math.sin(23.0 * since) * math.sin(17.0 * since + 1.0)
    canvas.haze(
        pixels,
        _at(foot, metre, 0.0, 0.3),
        (0.9 * metre, 0.75 * metre),
        (255, 150, 50),
        0.45 * growth * flicker,
    )
    _draw_smoke(pixels, seed, (foot, metre), since, growth)
    for puff in _puffs(seed, "flame", since, FLAME_SECONDS, _FLAMES_HZ):
        across = 0.34 * puff.across * (1.0 - 0.6 * puff.age) * growth
        size = metre * puff.size * (0.22 - 0.13 * puff.age) * growth
        centre = _at(foot, metre, across, FLAME_RISE * puff.up * growth)
        canvas.haze(pixels, centre, (size, 1.7 * size), _flame_colour(puff.age), 0.75 * flicker)
