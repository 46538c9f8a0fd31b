"""Draws the machines that stand in the cell: mill, press, conveyor, the arm's pedestal, bench, console."""

from __future__ import annotations

from edge.scene import canvas, solids
from edge.scene.canvas import Pixels
from edge.scene.layout import (
    ARM_BASE,
    BELT_HALF_WIDTH,
    BELT_Y,
    BELT_Z,
    INFEED_X,
    INFEED_Y,
    INFEED_Z,
    PRESS_X,
    Colour,
    Place,
    project,
    scale_at,
    shaded,
)

_CREAM: Colour = (196, 196, 184)
_BLUE: Colour = (58, 98, 140)
_STEEL: Colour = (132, 138, 142)
_DARK: Colour = (48, 50, 54)
_BELT: Colour = (40, 42, 45)
_YELLOW: Colour = (220, 180, 40)
_GREEN: Colour = (90, 220, 120)
_RED: Colour = (220, 70, 56)


def draw_machines(pixels: Pixels) -> None:
    """Draw all that stands still, the farthest first."""
    _draw_fence(pixels)
    _draw_mill(pixels)
    _draw_press(pixels)
    _draw_pedestal(pixels)
    _draw_conveyor(pixels)
    _draw_bench(pixels)
    _draw_console(pixels)


def _ground_shadow(pixels: Pixels, place: Place, across: float, deep: float, opacity: float = 0.6) -> None:
    scale = scale_at(place)
    canvas.haze(pixels, project(place), (across * scale, deep * scale), (14, 15, 18), opacity)


def _draw_fence(pixels: Pixels) -> None:
    y, top = 8.3, 1.9
    for number in range(26):
        x = -0.4 + 0.13 * number
        solids.front(pixels, (x, x + 0.016), y, (0.15, top), (88, 90, 92))
    for x in (-0.45, 1.1, 2.75):
        solids.front(pixels, (x, x + 0.07), y - 0.02, (0.0, top + 0.05), _YELLOW)
    for z in (0.12, 1.0, top):
        solids.front(pixels, (-0.45, 2.8), y - 0.01, (z, z + 0.04), shaded(_YELLOW, 0.9))


def _draw_mill(pixels: Pixels) -> None:
    """Draw the machining centre at the back left, with its window, keys and stack lamp."""
    _ground_shadow(pixels, (-2.9, 7.7, 0.0), 1.9, 0.42)
    solids.block(pixels, (-4.3, -1.75), (7.9, 8.9), (0.0, 2.15), _CREAM)
    y = 7.89
    solids.front(pixels, (-4.3, -1.75), y, (0.0, 0.22), _DARK)
    solids.front(pixels, (-4.3, -1.75), y, (1.86, 2.0), _BLUE)
    solids.front(pixels, (-4.1, -2.75), y, (0.55, 1.7), shaded(_CREAM, 0.72))
    solids.front(pixels, (-3.98, -2.87), y, (0.85, 1.6), (56, 70, 78))
    solids.quad(pixels, ((-3.9, y, 1.2), (-3.6, y, 1.58), (-3.3, y, 1.58), (-3.75, y, 0.95)), (94, 112, 120))
    solids.front(pixels, (-2.6, -1.95), y, (0.8, 1.65), (84, 88, 94))
    solids.front(pixels, (-2.54, -2.02), y, (1.25, 1.58), (112, 168, 176))
    for row in range(3):
        for column in range(4):
            x, z = -2.52 + 0.13 * column, 0.88 + 0.11 * row
            solids.front(pixels, (x, x + 0.08), y, (z, z + 0.06), (182, 180, 170))
    for number in range(5):
        z = 0.3 + 0.06 * number
        solids.front(pixels, (-2.6, -1.95), y, (z, z + 0.03), shaded(_CREAM, 0.5))
    _draw_stack_lamp(pixels, (-2.1, 8.2, 2.15))


def _draw_stack_lamp(pixels: Pixels, foot: Place) -> None:
    x, y, z = foot
    solids.front(pixels, (x - 0.02, x + 0.02), y, (z, z + 0.18), _DARK)
    for number, colour in enumerate((_GREEN, shaded(_YELLOW, 0.6), shaded(_RED, 0.55))):
        low = z + 0.18 + 0.13 * number
        solids.front(pixels, (x - 0.055, x + 0.055), y, (low, low + 0.12), colour)


def _draw_press(pixels: Pixels) -> None:
    """Draw the press at the right, into which the arm's parts slide, and its roller table."""
    _ground_shadow(pixels, (3.2, 6.1, 0.0), 1.9, 0.5)
    solids.block(pixels, (PRESS_X, 5.2), (6.0, 7.5), (0.0, 2.0), _BLUE)
    solids.side(pixels, PRESS_X, (6.1, 6.75), (INFEED_Z, 1.35), (24, 26, 30))
    solids.side(pixels, PRESS_X, (6.08, 6.77), (1.35, 1.43), _YELLOW)
    solids.front(pixels, (PRESS_X, 5.2), 5.99, (0.0, 0.16), _DARK)
    solids.front(pixels, (PRESS_X + 0.15, 4.2), 5.99, (0.9, 1.8), shaded(_BLUE, 1.1))
    solids.front(pixels, (PRESS_X + 0.27, 3.85), 5.985, (1.1, 1.65), (40, 48, 56))
    solids.front(pixels, (PRESS_X + 0.15, 4.2), 5.99, (0.3, 0.76), shaded(_BLUE, 0.66))
    for number in range(6):
        z = 0.36 + 0.06 * number
        solids.front(pixels, (PRESS_X + 0.25, 3.9), 5.985, (z, z + 0.025), shaded(_BLUE, 0.4))
    _draw_stack_lamp(pixels, (3.2, 6.2, 2.0))
    left = INFEED_X - 0.36
    for x in (left + 0.04, PRESS_X - 0.14):
        solids.front(pixels, (x, x + 0.08), INFEED_Y - 0.22, (0.0, INFEED_Z), shaded(_STEEL, 0.6))
    solids.block(pixels, (left, PRESS_X), (INFEED_Y - 0.26, INFEED_Y + 0.26), (INFEED_Z - 0.12, INFEED_Z), _STEEL)
    for number in range(6):
        x = left + 0.04 + 0.15 * number
        span = INFEED_Y - 0.22, INFEED_Y + 0.22
        solids.flat(pixels, (x, x + 0.05), span, INFEED_Z, shaded(_STEEL, 0.75))


def _draw_pedestal(pixels: Pixels) -> None:
    x, y, _ = ARM_BASE
    _ground_shadow(pixels, (x + 0.3, y - 0.1, 0.0), 1.0, 0.4)
    solids.block(pixels, (x - 0.5, x + 0.5), (y - 0.45, y + 0.45), (0.0, 0.08), _DARK)
    solids.drum(pixels, (x, y, 0.08), 0.34, 0.5, (84, 88, 94))
    solids.drum(pixels, (x, y, 0.58), 0.27, 0.22, (216, 124, 36))


def _draw_conveyor(pixels: Pixels) -> None:
    near, far = BELT_Y - BELT_HALF_WIDTH, BELT_Y + BELT_HALF_WIDTH
    for number in range(12):
        _ground_shadow(pixels, (-5.5 + number, near + 0.2, 0.0), 1.2, 0.34, 0.35)
    for number in range(7):
        x = -4.95 + 1.55 * number
        solids.front(pixels, (x, x + 0.11), far - 0.1, (0.0, BELT_Z), shaded(_STEEL, 0.45))
        solids.front(pixels, (x, x + 0.13), near, (0.0, BELT_Z), shaded(_STEEL, 0.7))
        solids.front(pixels, (x - 0.06, x + 0.19), near, (0.0, 0.05), _DARK)
    solids.flat(pixels, (-7.0, 7.0), (near - 0.07, far + 0.07), BELT_Z, shaded(_STEEL, 1.15))
    solids.flat(pixels, (-7.0, 7.0), (near, far), BELT_Z, _BELT)
    solids.front(pixels, (-7.0, 7.0), near - 0.07, (BELT_Z - 0.2, BELT_Z + 0.03), _STEEL)
    solids.front(pixels, (-7.0, 7.0), near - 0.075, (BELT_Z - 0.02, BELT_Z + 0.03), shaded(_STEEL, 1.3))
    solids.front(pixels, (-7.0, 7.0), near - 0.075, (BELT_Z - 0.2, BELT_Z - 0.15), shaded(_STEEL, 0.6))
    for number in range(14):
        x = -6.5 + 1.0 * number
        solids.front(pixels, (x, x + 0.06), near - 0.08, (BELT_Z - 0.13, BELT_Z - 0.05), _DARK)
    solids.block(pixels, (-2.3, -1.55), (near - 0.16, near + 0.1), (0.3, 0.6), (70, 104, 86))
    solids.front(pixels, (-1.62, -1.4), near - 0.17, (0.36, 0.54), _DARK)


def _draw_bench(pixels: Pixels) -> None:
    """Draw the bench at the left, where parts are checked."""
    _ground_shadow(pixels, (-2.55, 4.25, 0.0), 0.95, 0.3)
    for x in (-3.1, -2.2):
        solids.front(pixels, (x, x + 0.07), 4.1, (0.0, 0.85), shaded(_STEEL, 0.6))
    solids.block(pixels, (-3.15, -2.1), (4.05, 4.6), (0.82, 0.9), (170, 132, 88))
    solids.block(pixels, (-3.0, -2.6), (4.3, 4.55), (0.9, 1.15), (70, 112, 150))
    solids.block(pixels, (-2.48, -2.25), (4.25, 4.45), (0.9, 1.0), (186, 60, 50))
    solids.front(pixels, (-3.13, -2.12), 4.08, (0.3, 0.36), shaded(_STEEL, 0.7))


def _draw_console(pixels: Pixels) -> None:
    """Draw the arm's console at the right."""
    _ground_shadow(pixels, (2.85, 4.35, 0.0), 0.5, 0.2)
    solids.block(pixels, (2.72, 2.88), (4.3, 4.45), (0.0, 0.95), _DARK)
    solids.block(pixels, (2.56, 3.02), (4.2, 4.5), (0.95, 1.3), (150, 152, 148))
    solids.front(pixels, (2.61, 2.86), 4.19, (1.06, 1.25), (112, 168, 176))
    canvas.disc(pixels, project((2.94, 4.19, 1.17)), (0.008, 0.008), _RED)
    canvas.disc(pixels, project((2.94, 4.19, 1.05)), (0.006, 0.006), _GREEN)
