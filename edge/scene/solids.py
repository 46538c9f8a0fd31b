"""Draws solid things that stand in the cell: blocks, panels and drums, lit from the upper left."""

from __future__ import annotations

import math

from edge.scene import canvas
from edge.scene.canvas import Pixels
from edge.scene.layout import ASPECT, Colour, Place, Point, project, scale_at, shaded

_TOP_LIGHT, _FRONT_LIGHT, _LEFT_LIGHT, _RIGHT_LIGHT = 1.12, 0.86, 0.95, 0.62


def quad(pixels: Pixels, corners: tuple[Place, Place, Place, Place], colour: Colour) -> None:
    """Fill a flat four-cornered face."""
    canvas.fill(pixels, [project(corner) for corner in corners], colour)


def front(pixels: Pixels, x: tuple[float, float], y: float, z: tuple[float, float], colour: Colour) -> None:
    """Fill an upright rectangle that faces the camera."""
    quad(pixels, ((x[0], y, z[0]), (x[1], y, z[0]), (x[1], y, z[1]), (x[0], y, z[1])), colour)


def flat(pixels: Pixels, x: tuple[float, float], y: tuple[float, float], z: float, colour: Colour) -> None:
    """Fill a level rectangle."""
    quad(pixels, ((x[0], y[0], z), (x[1], y[0], z), (x[1], y[1], z), (x[0], y[1], z)), colour)


def side(pixels: Pixels, x: float, y: tuple[float, float], z: tuple[float, float], colour: Colour) -> None:
    """Fill an upright rectangle that faces left or right."""
    quad(pixels, ((x, y[0], z[0]), (x, y[1], z[0]), (x, y[1], z[1]), (x, y[0], z[1])), colour)


def block(
    pixels: Pixels, x: tuple[float, float], y: tuple[float, float], z: tuple[float, float], colour: Colour
) -> None:
    """Draw the visible faces of an upright block."""
    if x[1] < 0.0:
        side(pixels, x[1], y, z, shaded(colour, _RIGHT_LIGHT))
    elif x[0] > 0.0:
        side(pixels, x[0], y, z, shaded(colour, _LEFT_LIGHT))
    flat(pixels, x, y, z[1], shaded(colour, _TOP_LIGHT))
    front(pixels, x, y[0], z, shaded(colour, _FRONT_LIGHT))


def turned_block(pixels: Pixels, centre: Place, size: tuple[float, float, float], turn: float, colour: Colour) -> None:
    """Draw a block of (length, depth, height) on its base centre, turned about its upright axis."""
    sine, cosine = math.sin(turn), math.cos(turn)
    base = []
    for along, across in ((-1, -1), (1, -1), (1, 1), (-1, 1)):
        dx, dy = 0.5 * along * size[0], 0.5 * across * size[1]
        base.append((centre[0] + dx * cosine - dy * sine, centre[1] + dx * sine + dy * cosine))
    low, high = centre[2], centre[2] + size[2]
    for first, light in ((3, _LEFT_LIGHT), (1, _RIGHT_LIGHT), (0, _FRONT_LIGHT)):
        (xa, ya), (xb, yb) = base[first], base[(first + 1) % 4]
        if (xb - xa) * ya - (yb - ya) * xa > 0.0:
            quad(pixels, ((xa, ya, low), (xb, yb, low), (xb, yb, high), (xa, ya, high)), shaded(colour, light))
    canvas.fill(pixels, [project((x, y, high)) for x, y in base], shaded(colour, _TOP_LIGHT))


def drum(pixels: Pixels, centre: Place, radius: float, height: float, colour: Colour) -> None:
    """Draw an upright cylinder on its base centre."""
    top_place = (centre[0], centre[1], centre[2] + height)
    bottom, top = project(centre), project(top_place)
    across = radius * scale_at(top_place)
    tilt = _roundness(top_place, radius) / max(across, 1e-6)
    _upright(pixels, bottom, top, (across, tilt), shaded(colour, 0.72))
    lit = (bottom[0] - 0.12 * across, bottom[1]), (top[0] - 0.12 * across, top[1])
    _upright(pixels, lit[0], lit[1], (0.68 * across, tilt), shaded(colour, 0.95))
    canvas.disc(pixels, top, (across, across * tilt), shaded(colour, _TOP_LIGHT))


def _roundness(place: Place, radius: float) -> float:
    near = project((place[0], place[1] - radius, place[2]))
    far = project((place[0], place[1] + radius, place[2]))
    return 0.5 * (near[1] - far[1])


def _upright(pixels: Pixels, bottom: Point, top: Point, shape: tuple[float, float], colour: Colour) -> None:
    across, tilt = shape
    canvas.disc(pixels, bottom, (across, across * tilt), colour)
    left, right = -across / ASPECT, across / ASPECT
    corners = [(bottom[0] + left, bottom[1]), (bottom[0] + right, bottom[1])]
    canvas.fill(pixels, [*corners, (top[0] + right, top[1]), (top[0] + left, top[1])], colour)
