"""Draws what moves with the work: the parts on the belt and the robot arm."""

from __future__ import annotations

import math
from dataclasses import replace

from edge.scene import canvas, solids
from edge.scene.arm import Tool, held_part, infeed_part, joints, tool_position
from edge.scene.belt import ENTRY_X, EXIT_X, SPEED, Part, lying_parts
from edge.scene.canvas import Pixels
from edge.scene.incidents import Scene
from edge.scene.layout import (
    ARM_BASE,
    BELT_HALF_WIDTH,
    BELT_Y,
    BELT_Z,
    INFEED_Y,
    INFEED_Z,
    PRESS_X,
    Colour,
    Place,
    project,
    scale_at,
    shaded,
)

_PAINT: Colour = (232, 132, 34)
_STEEL: Colour = (96, 100, 106)
_DARK: Colour = (44, 46, 50)
_SEAM: Colour = (58, 60, 64)
_SEAM_METRES = 0.6


def draw_part(pixels: Pixels, part: Part, place: Place, turn: float = 0.0) -> None:
    """Draw a part that stands with its base centre at the place."""
    size = part.length, part.depth, part.height
    if part.shape == "cylinder":
        solids.drum(pixels, place, 0.45 * part.length, part.height, part.colour)
    elif part.shape == "box":
        solids.turned_block(pixels, place, size, turn, part.colour)
    else:
        solids.turned_block(pixels, place, (size[0], size[1], 0.45 * size[2]), turn, part.colour)
        upper = place[0], place[1], place[2] + 0.45 * size[2]
        solids.turned_block(pixels, upper, (0.5 * size[0], 0.7 * size[1], 0.55 * size[2]), turn, part.colour)


def _shadow(pixels: Pixels, place: Place, radius: float, opacity: float) -> None:
    scale = scale_at(place)
    canvas.haze(pixels, project(place), (1.3 * radius * scale, 0.7 * radius * scale), (14, 15, 18), opacity)


def _draw_seams(pixels: Pixels, seconds: float) -> None:
    """Draw the seams of the belt's links, which show that it runs."""
    x = ENTRY_X + (SPEED * seconds) % _SEAM_METRES
    while x < EXIT_X:
        width = (BELT_Y - BELT_HALF_WIDTH, BELT_Y + BELT_HALF_WIDTH)
        solids.flat(pixels, (x, x + 0.05), width, BELT_Z, _SEAM)
        x += _SEAM_METRES


def draw_belt(pixels: Pixels, scene: Scene, seconds: float) -> None:
    """Draw the running belt with its parts."""
    _draw_seams(pixels, seconds)
    lying = lying_parts(scene, seconds)
    for one in lying:
        _shadow(pixels, (one.x + 0.1, BELT_Y - 0.05, BELT_Z), 0.62 * one.part.length, 0.6)
    for one in sorted(lying, key=lambda part: -abs(part.x)):
        draw_part(pixels, one.part, (one.x, BELT_Y, BELT_Z), one.turn_radians)


def draw_infeed(pixels: Pixels, scene: Scene, seconds: float) -> None:
    """Draw the part on its way into the press; what is inside of the press is hidden."""
    lying = infeed_part(scene, seconds)
    if lying is None:
        return
    visible = min(lying.part.length, PRESS_X - (lying.x - 0.5 * lying.part.length))
    if visible < 0.05:
        return
    x = lying.x - 0.5 * (lying.part.length - visible)
    _shadow(pixels, (x + 0.05, INFEED_Y - 0.05, INFEED_Z), 0.62 * visible, 0.5)
    entering = visible < lying.part.length
    part = replace(lying.part, length=visible, shape="box" if entering else lying.part.shape)
    draw_part(pixels, part, (x, INFEED_Y, INFEED_Z))


def _link(pixels: Pixels, start: Place, end: Place, radii: tuple[float, float], paint: Colour) -> None:
    """Draw a round beam between two joints, with light along its upper left."""
    ends, scales = (project(start), project(end)), (scale_at(start), scale_at(end))
    thick = radii[0] * scales[0], radii[1] * scales[1]
    canvas.limb(pixels, ends[0], ends[1], thick, shaded(paint, 0.66))
    lift = 0.3 * thick[1]
    raised = [(u - 0.4 * lift, v - lift) for u, v in ends]
    canvas.limb(pixels, raised[0], raised[1], (0.62 * thick[0], 0.62 * thick[1]), paint)


def _joint(pixels: Pixels, place: Place, radius: float) -> None:
    size = radius * scale_at(place)
    centre = project(place)
    canvas.disc(pixels, centre, (size, size), _DARK)
    canvas.disc(pixels, (centre[0] - 0.1 * size, centre[1] - 0.15 * size), (0.6 * size, 0.6 * size), _STEEL)


def _gripper(pixels: Pixels, tip: Place, tool: Tool) -> None:
    spread = 0.1 + 0.12 * tool.opening
    along = math.sin(tool.yaw_radians), -math.cos(tool.yaw_radians)
    top = tip[2] + 0.12
    ends = [(tip[0] + sign * spread * along[0], tip[1] + sign * spread * along[1]) for sign in (-1, 1)]
    scale = scale_at(tip)
    canvas.line(pixels, project((*ends[0], top)), project((*ends[1], top)), 0.07 * scale, _DARK)
    for x, y in ends:
        canvas.line(pixels, project((x, y, top)), project((x, y, tip[2] - 0.1)), 0.055 * scale, _DARK)


def draw_arm(pixels: Pixels, scene: Scene, seconds: float) -> None:
    """Draw the arm, with the part that it holds and the shadow that both cast on what is below."""
    tool = tool_position(scene, seconds)
    shoulder, elbow, wrist, tip = joints(tool)
    part = held_part(scene, seconds)
    if abs(tip[1] - BELT_Y) < 0.5:  # elsewhere the conveyor hides the floor below the arm
        _shadow(pixels, (tip[0] + 0.15, tip[1], BELT_Z), 0.34, 0.4)
    _joint(pixels, (ARM_BASE[0], ARM_BASE[1], shoulder[2] - 0.12), 0.3)
    _link(pixels, shoulder, elbow, (0.21, 0.16), _PAINT)
    _joint(pixels, shoulder, 0.19)
    _link(pixels, elbow, wrist, (0.16, 0.1), _PAINT)
    _joint(pixels, elbow, 0.15)
    _link(pixels, wrist, (tip[0], tip[1], tip[2] + 0.14), (0.09, 0.07), _STEEL)
    _joint(pixels, wrist, 0.1)
    if part is not None:
        turn = tool.yaw_radians + 0.5 * math.pi
        draw_part(pixels, part, (tip[0], tip[1], tip[2] - part.height), 0.35 * math.sin(turn))
    _gripper(pixels, tip, tool)
