"""Where things stand in the cell, and the camera that sees them.

The world is in metres: x to the right, y away from the camera, z up from the floor; the camera hangs
above x = 0, y = 0. Picture points are (u, v) in 0-1, u right and v down; lengths in the picture are in
picture heights. The camera's picture is 5:4; other shapes are stretched, as a capture pipeline does.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from edge.scene.incidents import Box

Point = tuple[float, float]
Place = tuple[float, float, float]
Colour = tuple[int, int, int]

ASPECT = 1.25
_CAMERA_HEIGHT = 3.6
_FOCAL_LENGTH = 1.0
_SIN, _COS = math.sin(math.radians(27.0)), math.cos(math.radians(27.0))

WALL_Y = 9.0
BELT_Y = 5.45
BELT_HALF_WIDTH = 0.32
BELT_Z = 0.8
ARM_BASE: Place = (1.0, 6.6, 0.0)
SHOULDER_Z = 0.95
INFEED_X = 2.35
INFEED_Y = 6.35
INFEED_Z = 0.8
PRESS_X = 2.95


def depth_of(place: Place) -> float:
    """Return the distance from the camera along its axis, in metres."""
    return place[1] * _COS + (_CAMERA_HEIGHT - place[2]) * _SIN


def project(place: Place) -> Point:
    """Return the picture point of a place in the world."""
    x, y, z = place
    scale = _FOCAL_LENGTH / depth_of(place)
    return 0.5 + x * scale / ASPECT, 0.5 - (y * _SIN + (z - _CAMERA_HEIGHT) * _COS) * scale


def scale_at(place: Place) -> float:
    """Return how many picture heights a metre covers at this place."""
    return _FOCAL_LENGTH / depth_of(place)


def upright_scale(x: float, y: float) -> float:
    """Return how many picture heights an upright metre covers at head height and below."""
    return (project((x, y, 0.0))[1] - project((x, y, 1.8))[1]) / 1.8


def edge_x(y: float) -> float:
    """Return the x beyond which nobody who walks at depth y is seen, head and swinging arms included."""
    return 0.5 * ASPECT * depth_of((0.0, y, 0.0)) / _FOCAL_LENGTH + 0.6


def box_around(points: Iterable[Point], margin: float) -> Box:
    """Return the box around the picture points, widened by a margin, clipped to the picture."""
    us, vs = zip(*points, strict=True)
    corners = (min(us) - margin, min(vs) - margin, max(us) + margin, max(vs) + margin)
    x0, y0, x1, y1 = (round(min(max(value, 0.0), 1.0), 4) for value in corners)
    return x0, y0, x1, y1


def shaded(colour: Colour, factor: float) -> Colour:
    """Return the colour under more (> 1) or less (< 1) light."""
    red, green, blue = (min(255, int(value * factor)) for value in colour)
    return red, green, blue
