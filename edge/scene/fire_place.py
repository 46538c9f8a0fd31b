"""Where a fire breaks out, and how far its flames and smoke reach."""

from __future__ import annotations

from edge.scene.chance import choice, draws
from edge.scene.incidents import Box, Incident
from edge.scene.layout import Place, box_around, project

FLAME_SECONDS, SMOKE_SECONDS = 0.75, 2.2
FLAME_RISE, SMOKE_RISE = 0.95, 2.1  # metres, at full size
SMOKE_SPREAD = 0.62
# The mill's vent, the conveyor's drive, the press's roof.
_PLACES: tuple[Place, ...] = ((-2.75, 7.8, 1.05), (-1.9, 5.05, 0.55), (3.4, 6.0, 1.35))


def fire_place(seed: int, incident: Incident) -> Place:
    """Return the foot of the fire."""
    return choice(_PLACES, draws(seed, "fire", round(1000 * incident.start_seconds))[0])


def fire_box(seed: int, incident: Incident) -> Box:
    """Return the box that flames and smoke stay within."""
    x, y, z = fire_place(seed, incident)
    low, high = z - 0.4, z + SMOKE_RISE + 0.5
    wide = SMOKE_SPREAD + 0.4
    places = ((x - wide, y, low), (x + wide, y, low), (x - wide, y, high), (x + wide, y, high))
    return box_around([project(place) for place in places], 0.01)
