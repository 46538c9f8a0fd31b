"""Draws the hall itself: wall, floor, lamps and markings, with the wear that a real one has."""

from __future__ import annotations

import numpy as np

from edge.scene import canvas, solids
from edge.scene.canvas import Pixels
from edge.scene.layout import WALL_Y, Colour, project, shaded

_WALL: Colour = (128, 136, 140)
_FLOOR: Colour = (112, 114, 112)
_SAFETY: Colour = (206, 176, 48)
_FAR_X = 9.0


def draw_room(pixels: Pixels) -> None:
    """Draw the empty hall over the whole board."""
    _draw_wall(pixels)
    _draw_floor(pixels)
    _draw_markings(pixels)
    _draw_wear(pixels)
    _draw_light(pixels)


def _draw_wall(pixels: Pixels) -> None:
    solids.front(pixels, (-_FAR_X, _FAR_X), WALL_Y, (0.0, 6.0), _WALL)
    for number in range(-8, 9):  # sheet seams
        x = 0.9 * number
        solids.front(pixels, (x, x + 0.03), WALL_Y, (0.0, 6.0), shaded(_WALL, 0.82))
    solids.front(pixels, (-_FAR_X, _FAR_X), WALL_Y, (0.0, 1.1), (92, 104, 116))
    solids.front(pixels, (-_FAR_X, _FAR_X), WALL_Y, (1.1, 1.16), (170, 172, 168))
    for z, thick in ((3.35, 0.16), (3.08, 0.09)):  # pipes
        solids.front(pixels, (-_FAR_X, _FAR_X), WALL_Y - 0.1, (z - 0.05, z), shaded(_WALL, 0.6))
        solids.front(pixels, (-_FAR_X, _FAR_X), WALL_Y - 0.1, (z, z + thick), (164, 150, 120))
        solids.front(pixels, (-_FAR_X, _FAR_X), WALL_Y - 0.1, (z + 0.6 * thick, z + thick), (192, 180, 150))
    for x in (-4.7, 0.35, 5.0):  # pillars
        solids.block(pixels, (x, x + 0.34), (WALL_Y - 0.3, WALL_Y), (0.0, 6.0), (122, 124, 124))
    _draw_window(pixels, -1.5)
    _draw_window(pixels, 2.1)


def _draw_window(pixels: Pixels, x: float) -> None:
    solids.front(pixels, (x - 0.06, x + 1.56), WALL_Y - 0.02, (1.94, 2.96), (84, 88, 92))
    for column in range(3):
        for row in range(2):
            left, low = x + 0.52 * column, 2.0 + 0.47 * row
            glass = (196 + 8 * column, 208 + 6 * row, 214)
            solids.front(pixels, (left, left + 0.46), WALL_Y - 0.03, (low, low + 0.42), glass)


def _draw_floor(pixels: Pixels) -> None:
    for number in range(24):  # from the wall toward the camera, lighter where the lamps hang
        near = WALL_Y - 0.42 * (number + 1)
        light = 0.98 + 0.22 * np.exp(-(((near - 4.6) / 2.2) ** 2))
        solids.flat(pixels, (-_FAR_X, _FAR_X), (near, near + 0.44), 0.0, shaded(_FLOOR, float(light)))
    for number in range(-4, 5):  # joints of the slabs
        x = 1.9 * number + 0.6
        solids.flat(pixels, (x, x + 0.03), (0.9, WALL_Y), 0.0, shaded(_FLOOR, 0.8))
    for y in (2.45, 4.5, 6.5):
        solids.flat(pixels, (-_FAR_X, _FAR_X), (y, y + 0.03), 0.0, shaded(_FLOOR, 0.8))


def _draw_markings(pixels: Pixels) -> None:
    solids.flat(pixels, (-_FAR_X, _FAR_X), (4.36, 4.46), 0.0, _SAFETY)
    for number in range(18):
        x = -6.0 + 0.7 * number
        corners = ((x, 4.36, 0.0), (x + 0.2, 4.36, 0.0), (x + 0.38, 4.46, 0.0), (x + 0.18, 4.46, 0.0))
        solids.quad(pixels, corners, (60, 58, 52))


def _draw_wear(pixels: Pixels) -> None:
    """Draw stains, scuffs and uneven paint: the same on every day."""
    wear = np.random.default_rng(20160301)
    for _ in range(26):
        x, y = wear.uniform(-5.0, 5.0), wear.uniform(1.6, 8.6)
        size, shade = wear.uniform(0.02, 0.12), int(wear.choice((40, 60, 150)))
        canvas.haze(pixels, project((x, y, 0.0)), (2.4 * size, size), (shade, shade, shade), 0.22)
    for _ in range(10):
        x, z = wear.uniform(-5.0, 5.0), wear.uniform(0.3, 4.0)
        canvas.haze(pixels, project((x, WALL_Y, z)), (0.05, 0.13), (80, 78, 74), 0.2)


def _draw_light(pixels: Pixels) -> None:
    """Draw the light of the lamps on the wall and its reflection on the floor, and the dim corners."""
    for x in (-2.6, 2.4):
        canvas.haze(pixels, project((x, WALL_Y, 3.4)), (0.34, 0.3), (250, 250, 240), 0.32)
        canvas.haze(pixels, project((x, 3.4, 0.0)), (0.42, 0.1), (220, 224, 222), 0.3)
    for u in (0.0, 1.0):
        for v in (0.0, 1.0):
            canvas.haze(pixels, (u, v), (0.45, 0.45), (10, 12, 16), 0.5)
