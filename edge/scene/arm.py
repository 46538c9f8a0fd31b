"""The robot arm: where its joints are at any time of its cycle, and when it halts or leaves its path."""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass, replace
from functools import lru_cache

from edge.scene.belt import (
    ARM_APPROACH_SECONDS,
    PICK_X,
    SLOT_SECONDS,
    SPEED,
    Lying,
    Part,
    arm_interruption,
    arrival_seconds,
    part_of_slot,
    pick_seconds,
)
from edge.scene.chance import between, draws
from edge.scene.incidents import Scene, eased, find_visible, pulse
from edge.scene.layout import (
    ARM_BASE,
    BELT_Y,
    BELT_Z,
    INFEED_X,
    INFEED_Y,
    INFEED_Z,
    PRESS_X,
    SHOULDER_Z,
    Place,
)

UPPER_LENGTH, FORE_LENGTH, TOOL_LENGTH = 1.2, 1.15, 0.34
CYCLE_SECONDS = 2.0 * SLOT_SECONDS
_LIFT = 0.62
_REST_SECONDS, _INFEED_SPEED = 0.7, 0.45


@dataclass(frozen=True)
class Tool:
    """Where the tool is: cylindrical about the arm's base, the tip's height, and how far it is open (0-1)."""

    yaw_radians: float
    reach: float
    height: float
    opening: float


@dataclass(frozen=True)
class Stop:
    """A tool position that the cycle passes at a time, counted from the moment of the grip."""

    seconds: float
    tool: Tool


def _tool_at(x: float, y: float, height: float, opening: float) -> Tool:
    dx, dy = x - ARM_BASE[0], y - ARM_BASE[1]
    return Tool(math.atan2(dy, dx), math.hypot(dx, dy), height, opening)


_HOVER = _tool_at(PICK_X - 0.12, BELT_Y, BELT_Z + 0.25 + _LIFT, 1.0)


@lru_cache(maxsize=256)
def _cycle(seed: int, number: int) -> tuple[Stop, ...]:
    """Return the stops of one cycle; no two cycles take exactly as long."""
    part = part_of_slot(seed, 2 * number)
    height = 0.25 if part is None else part.height
    u = draws(seed, "cycle", number)
    pace, dwell = between(0.93, 1.07, u[0]), between(0.12, 0.3, u[1])
    grip, table = BELT_Z + height, INFEED_Z + height
    dragged = PICK_X + SPEED * 0.18
    return (
        Stop(-ARM_APPROACH_SECONDS, _HOVER),
        Stop(0.0, _tool_at(PICK_X, BELT_Y, grip, 0.35)),
        Stop(0.18, _tool_at(dragged, BELT_Y, grip, 0.0)),
        Stop(0.62, _tool_at(dragged, BELT_Y, grip + _LIFT, 0.0)),
        Stop(0.62 + 1.05 * pace, _tool_at(INFEED_X, INFEED_Y, table + 0.45, 0.0)),
        Stop(0.98 + 1.05 * pace, _tool_at(INFEED_X, INFEED_Y, table, 0.0)),
        Stop(0.98 + 1.05 * pace + dwell, _tool_at(INFEED_X, INFEED_Y, table, 0.6)),
        Stop(1.32 + 1.05 * pace + dwell, _tool_at(INFEED_X, INFEED_Y, table + 0.45, 1.0)),
        Stop(1.32 + 2.10 * pace + dwell, _HOVER),
    )


def _mixed(first: Tool, second: Tool, share: float) -> Tool:
    return Tool(
        between(first.yaw_radians, second.yaw_radians, share),
        between(first.reach, second.reach, share),
        between(first.height, second.height, share),
        between(first.opening, second.opening, share),
    )


def _tool_in_cycle(stops: tuple[Stop, ...], since_grip: float) -> Tool:
    index = bisect_right([stop.seconds for stop in stops], since_grip)
    if index in (0, len(stops)):
        return stops[max(index - 1, 0)].tool
    before, after = stops[index - 1], stops[index]
    share = (since_grip - before.seconds) / (after.seconds - before.seconds)
    return _mixed(before.tool, after.tool, eased(share))


def _running_cycle(scene: Scene, seconds: float) -> tuple[int, float] | None:
    """Return the number of the last cycle that has begun, and the time since its grip."""
    newest = math.ceil((seconds - arrival_seconds(scene.seed, 0, PICK_X)) / CYCLE_SECONDS) + 1
    for number in range(newest, newest - 4, -1):
        pick = pick_seconds(scene, 2 * number)
        if pick is not None and pick - ARM_APPROACH_SECONDS <= seconds:
            return number, seconds - pick
    return None


def arm_seconds(scene: Scene, seconds: float) -> float:
    """Return the time in the arm's own programme.

    It stands while the arm halts or strays. Then the arm finishes its cycle that much later, and waits
    for the part after.
    """
    incident = arm_interruption(scene, seconds)
    if incident is None:
        return seconds
    return incident.start_seconds + max(0.0, seconds - incident.end_seconds)


def tool_position(scene: Scene, seconds: float) -> Tool:
    """Return where the tool is at this time."""
    programme = arm_seconds(scene, seconds)
    running = _running_cycle(scene, programme)
    tool = _HOVER if running is None else _tool_in_cycle(_cycle(scene.seed, running[0]), running[1])
    stray = find_visible(scene, seconds, "arm_off_path")
    if stray is None:
        return tool
    since = seconds - stray.start_seconds
    reach = pulse(stray, seconds, 0.8)
    swing = reach * (-1.0 + 0.3 * math.sin(5.0 * since))
    return replace(
        tool,
        yaw_radians=tool.yaw_radians + swing,
        reach=tool.reach + 0.25 * reach,
        height=tool.height + reach * (0.7 + 0.25 * math.sin(3.1 * since)),
    )


def held_part(scene: Scene, seconds: float) -> Part | None:
    """Return the part in the gripper, or None while it is empty."""
    running = _running_cycle(scene, arm_seconds(scene, seconds))
    if running is None or not 0.0 <= running[1] < _release_seconds(scene.seed, running[0]):
        return None
    return part_of_slot(scene.seed, 2 * running[0])


def _release_seconds(seed: int, number: int) -> float:
    return _cycle(seed, number)[5].seconds


def infeed_part(scene: Scene, seconds: float) -> Lying | None:
    """Return the part that the arm has put down and that now slides into the press."""
    programme = arm_seconds(scene, seconds)
    running = _running_cycle(scene, programme)
    for number in () if running is None else (running[0], running[0] - 1):
        pick, part = pick_seconds(scene, 2 * number), part_of_slot(scene.seed, 2 * number)
        if pick is None or part is None:
            continue
        since = programme - pick - _release_seconds(scene.seed, number)
        x = INFEED_X + max(0.0, since - _REST_SECONDS) * _INFEED_SPEED
        if since >= 0.0 and x - 0.5 * part.length < PRESS_X:
            return Lying(part, x)
    return None


def joints(tool: Tool) -> tuple[Place, Place, Place, Place]:
    """Return the places of shoulder, elbow, wrist and tip; the tool always points down.

    Two links in the vertical plane of the yaw (law of cosines); the elbow is up. A tool out of reach
    is met by the stretched arm.
    """
    wrist_height = tool.height + TOOL_LENGTH
    rise = wrist_height - SHOULDER_Z
    distance = min(math.hypot(tool.reach, rise), UPPER_LENGTH + FORE_LENGTH - 0.01)
    cosine = (UPPER_LENGTH**2 + distance**2 - FORE_LENGTH**2) / (2.0 * UPPER_LENGTH * distance)
    pitch = math.atan2(rise, tool.reach)
    lift = pitch + math.acos(min(1.0, max(-1.0, cosine)))
    elbow = _in_plane(tool.yaw_radians, UPPER_LENGTH * math.cos(lift), SHOULDER_Z + UPPER_LENGTH * math.sin(lift))
    reach, height = distance * math.cos(pitch), SHOULDER_Z + distance * math.sin(pitch)
    wrist = _in_plane(tool.yaw_radians, reach, height)
    return (
        _in_plane(0.0, 0.0, SHOULDER_Z),
        elbow,
        wrist,
        _in_plane(tool.yaw_radians, reach, height - TOOL_LENGTH),
    )


def _in_plane(yaw: float, reach: float, height: float) -> Place:
    return ARM_BASE[0] + reach * math.cos(yaw), ARM_BASE[1] + reach * math.sin(yaw), height
