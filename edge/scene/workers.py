"""Who is in the cell at any time: the shifts of normal work, and the workers of the planted accidents."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache

from edge.scene.chance import between, choice, draws
from edge.scene.incidents import Incident, Scene, eased, is_visible, pulse
from edge.scene.layout import edge_x
from edge.scene.walks import PACE_HIGH, PACE_LOW, Knot, Stance, Walk, is_present, outfit_of, stance, way

PERIOD_SECONDS = 20.0
_LONGEST_WALK_PERIODS = 3
# Where people walk through: accidents happen on the same ways as normal work, nearer and farther alike.
_AISLE_NEAR_Y, _AISLE_FAR_Y = 3.15, 3.7
_ACCIDENT_Y = 3.3
_ACCIDENT_PACE = 0.85
# x, y, which way they face, seconds of work from and to: the bench, the arm's console, the mill.
_STATIONS = ((-1.85, 4.2, -1, 6.0, 13.0), (2.3, 4.25, 1, 3.0, 8.0), (-2.6, 7.45, 1, 5.0, 12.0))


@lru_cache(maxsize=256)
def _station_walk(seed: int, period: int) -> Walk | None:
    """Return the walk to the station whose turn it is: never two workers at one station."""
    u = draws(seed, "station", period)
    if u[0] < 0.2:
        return None
    x, y, facing, least, most = _STATIONS[period % len(_STATIONS)]
    entry = -edge_x(y) if x < 0 or u[1] < 0.3 else edge_x(y)
    leave = entry if u[2] < 0.6 or y > 5.0 else -entry
    start = period * PERIOD_SECONDS + between(0.0, 8.0, u[3])
    stops = ((entry, y, 0.0), (x, y, between(least, most, u[4])), (leave, y, 0.0))
    knots = way(start, between(PACE_LOW, PACE_HIGH, u[5]), stops)
    return Walk(knots, outfit_of(seed, "station", period), working=True, works_facing=facing)


@lru_cache(maxsize=256)
def _crossing(seed: int, period: int) -> Walk | None:
    """Return the walk of somebody who passes through the aisle, or turns in it and goes back."""
    u = draws(seed, "crossing", period)
    if u[0] < 0.45:
        return None
    y = between(_AISLE_NEAR_Y, _AISLE_FAR_Y, u[1])
    side = choice((-1.0, 1.0), u[2])
    start = period * PERIOD_SECONDS + between(0.0, PERIOD_SECONDS, u[3])
    stops: tuple[tuple[float, float, float], ...]
    if u[6] < 0.4:  # somebody who turns: in by one side, a look, and out again by the same
        turn = side * between(-0.6, 0.2, u[4]) * edge_x(y)
        stops = ((-side * edge_x(y), y, 0.0), (turn, y, between(0.3, 2.0, u[7])), (-side * edge_x(y), y, 0.0))
    else:
        stops = ((-side * edge_x(y), y, 0.0), (side * edge_x(y), y + between(-0.1, 0.1, u[4]), 0.0))
    return Walk(way(start, between(PACE_LOW, PACE_HIGH, u[5]), stops), outfit_of(seed, "crossing", period))


def _normal_walks(seed: int, seconds: float) -> Iterator[Walk]:
    period = int(seconds // PERIOD_SECONDS)
    for number in range(period - _LONGEST_WALK_PERIODS, period + 1):
        for walk in (_station_walk(seed, number), _crossing(seed, number)):
            if walk is not None and is_present(walk, seconds):
                yield walk


@lru_cache(maxsize=64)
def accident_walk(seed: int, incident: Incident) -> Walk:
    """Return the walk of the worker to whom the accident happens.

    A worker without helmet or vest enters, turns and leaves just within the interval. One who falls or
    slows has come in as anybody does, and walks on and out when the interval is over.
    """
    number = round(1000 * incident.start_seconds)
    u = draws(seed, incident.kind, number)
    side = choice((-1.0, 1.0), u[0])
    outfit = outfit_of(seed, incident.kind, number)
    if incident.kind == "no_helmet":
        return Walk(_visit(incident, side), replace(outfit, helmet=None))
    if incident.kind == "no_vest":
        return Walk(_visit(incident, side), replace(outfit, vest=None))
    creep = 0.3 if incident.kind == "slow" else 0.0
    return Walk(_interrupted(incident, side, between(-1.1, 0.9, u[1]), creep), outfit)


def _visit(incident: Incident, side: float) -> tuple[Knot, ...]:
    """Return a way in from one side and out again that fills the interval."""
    start, end, edge = incident.start_seconds, incident.end_seconds, edge_x(_ACCIDENT_Y) - 0.1
    going = min(0.45 * (end - start), 1.1 * edge / _ACCIDENT_PACE)
    turn = side * (going * _ACCIDENT_PACE - edge)
    return (
        Knot(start, -side * edge, _ACCIDENT_Y),
        Knot(start + going, turn, _ACCIDENT_Y),
        Knot(end - going, turn, _ACCIDENT_Y),
        Knot(end, -side * edge, _ACCIDENT_Y),
    )


def _interrupted(incident: Incident, side: float, x: float, creep: float) -> tuple[Knot, ...]:
    """Return a way across the aisle that the interval interrupts at x; `creep`: metres still made then."""
    start, end, edge = incident.start_seconds, incident.end_seconds, edge_x(_ACCIDENT_Y)
    last = x + side * creep
    return (
        Knot(start - (x * side + edge) / _ACCIDENT_PACE, -side * edge, _ACCIDENT_Y),
        Knot(start, x, _ACCIDENT_Y),
        Knot(start + 0.45 * (end - start), last, _ACCIDENT_Y),
        Knot(end, last, _ACCIDENT_Y),
        Knot(end + (edge - last * side) / _ACCIDENT_PACE, side * edge, _ACCIDENT_Y),
    )


def accident_stance(seed: int, incident: Incident, seconds: float) -> Stance:
    """Return the stance of the accident's worker at a time at which they are present."""
    upright = stance(accident_walk(seed, incident), seconds)
    if not is_visible(incident, seconds):
        return upright
    if incident.kind == "slow":
        return replace(upright, stoop=pulse(incident, seconds, 1.0))
    if incident.kind == "fall":
        return replace(upright, fallen=_fallen(incident, seconds))
    return upright


def _fallen(incident: Incident, seconds: float) -> float:
    """Return 0 upright to 1 lying: a fall takes 0.7 s and gathers speed, getting up takes longer."""
    fraction = min(1.0, (seconds - incident.start_seconds) / 0.7)
    return min(fraction * fraction, eased((incident.end_seconds - seconds) / 1.1))


def people_at(scene: Scene, seconds: float) -> list[Stance]:
    """Return everybody in the cell, the farthest from the camera first."""
    people = [stance(walk, seconds) for walk in _normal_walks(scene.seed, seconds)]
    for incident in scene.incidents:
        if incident.kind in ("fall", "slow", "no_helmet", "no_vest"):
            walk = accident_walk(scene.seed, incident)
            if is_present(walk, seconds):
                people.append(accident_stance(scene.seed, incident, seconds))
    return sorted(people, key=lambda one: -one.y)
