"""The conveyor: which parts lie where at any time, also behind a part that sticks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from edge.scene.chance import between, choice, draws
from edge.scene.incidents import Incident, Scene, eased, find_visible, is_visible, pulse
from edge.scene.layout import Colour

Shape = Literal["box", "cylinder", "step"]

SPEED = 0.35  # metres a second
SLOT_SECONDS = 2.5
ENTRY_X, EXIT_X = -4.6, 4.6
PICK_X = 0.55
JAM_X = -1.25
ARM_RESUME_SECONDS = 5.2  # an interrupted arm finishes its cycle within this time, and takes no part before
ARM_APPROACH_SECONDS = 0.6
_CATCH_UP_SECONDS = 1.2
_GAP = 0.02
_PAINTS: tuple[Colour, ...] = (
    (176, 182, 188),
    (92, 98, 108),
    (188, 120, 72),
    (70, 112, 150),
    (214, 208, 190),
)


@dataclass(frozen=True)
class Part:
    """One workpiece; lengths in metres."""

    slot: int
    shape: Shape
    length: float
    depth: float
    height: float
    colour: Colour


@dataclass(frozen=True)
class Lying:
    """A part at its place on the belt; `turn_radians` is how far it lies askew."""

    part: Part
    x: float
    turn_radians: float = 0.0


@lru_cache(maxsize=1024)
def part_of_slot(seed: int, slot: int) -> Part | None:
    """Return the part that is laid onto the belt in this slot, or None where the slot stays empty.

    Even slots are the arm's; odd ones run through and are empty more often.
    """
    u = draws(seed, "part", slot)
    if u[0] < (0.06, 0.3)[slot % 2]:
        return None
    shapes: tuple[Shape, ...] = ("box", "cylinder", "step")
    size = between(0.85, 1.15, u[2])
    return Part(slot, choice(shapes, u[1]), 0.4 * size, 0.3 * size, between(0.2, 0.32, u[3]), choice(_PAINTS, u[4]))


def arrival_seconds(seed: int, slot: int, x: float) -> float:
    """Return when the part of the slot passes x on a belt that nothing holds up."""
    spread = (0.3, 0.5)[slot % 2]
    launch = slot * SLOT_SECONDS + between(-spread, spread, draws(seed, "launch", slot)[0])
    return launch + (x - ENTRY_X) / SPEED


def _free_x(seed: int, slot: int, seconds: float) -> float:
    return ENTRY_X + SPEED * (seconds - arrival_seconds(seed, slot, ENTRY_X))


def _slots_at(seconds: float) -> range:
    newest = math.ceil(seconds / SLOT_SECONDS) + 1
    return range(newest - math.ceil((EXIT_X - ENTRY_X) / SPEED / SLOT_SECONDS) - 2, newest + 1)


@lru_cache(maxsize=64)
def stuck_slot(seed: int, start_seconds: float) -> int | None:
    """Return the slot of the part that sticks: the last one that is still short of the jam's place."""
    for slot in _slots_at(start_seconds):
        if part_of_slot(seed, slot) is not None and _free_x(seed, slot, start_seconds) <= JAM_X:
            return slot
    return None


def _stuck_seconds(jam: Incident, seconds: float) -> float:
    """Return the time that the stuck part's place on the belt belongs to.

    It stands until shortly before the jam ends, then it is pushed on to where it would have been, so
    that the belt afterwards is as in normal work.
    """
    start, end = jam.start_seconds, jam.end_seconds
    if not is_visible(jam, seconds):
        return seconds
    catch_up = min(_CATCH_UP_SECONDS, 0.35 * (end - start))
    return start + (end - start) * eased((seconds - (end - catch_up)) / catch_up)


def _held_back(scene: Scene, jam: Incident, seconds: float, free: list[Lying]) -> list[Lying]:
    """Return the parts, first the foremost, with those behind the stuck one piled up against it."""
    stuck = stuck_slot(scene.seed, jam.start_seconds)
    if stuck is None:
        return free
    lying: list[Lying] = []
    for one in free:
        slot = one.part.slot
        if slot == stuck:
            x = _free_x(scene.seed, slot, _stuck_seconds(jam, seconds))
            lying.append(Lying(one.part, x, 0.5 * pulse(jam, seconds, 0.6)))
        elif slot > stuck and lying:
            room = lying[-1].x - _GAP - 0.5 * (lying[-1].part.length + one.part.length)
            lying.append(Lying(one.part, min(one.x, room)))
        else:
            lying.append(one)
    return lying


def _all_lying(scene: Scene, seconds: float) -> list[Lying]:
    """Return every part on the belt, as if the arm picked none, first the foremost."""
    free: list[Lying] = []
    for slot in _slots_at(seconds):
        part = part_of_slot(scene.seed, slot)
        x = _free_x(scene.seed, slot, seconds)
        if part is not None and ENTRY_X <= x <= EXIT_X:
            free.append(Lying(part, x))
    jam = find_visible(scene, seconds, "jam")
    return free if jam is None else _held_back(scene, jam, seconds, free)


def arm_interruption(scene: Scene, seconds: float) -> Incident | None:
    """Return the incident that stops the arm at this time, or after which it still finishes its cycle."""
    for incident in scene.incidents:
        until = incident.end_seconds + ARM_RESUME_SECONDS
        if incident.kind in ("arm_halted", "arm_off_path") and incident.start_seconds <= seconds < until:
            return incident
    return None


@lru_cache(maxsize=1024)
def pick_seconds(scene: Scene, slot: int) -> float | None:
    """Return when the arm takes the part of the slot off the belt, or None where it does not."""
    if slot % 2 or part_of_slot(scene.seed, slot) is None:
        return None
    pick = arrival_seconds(scene.seed, slot, PICK_X)
    if arm_interruption(scene, pick) or arm_interruption(scene, pick - ARM_APPROACH_SECONDS):
        return None
    if find_visible(scene, pick, "jam") is not None:
        places = {one.part.slot: one.x for one in _all_lying(scene, pick)}
        return pick if abs(places.get(slot, EXIT_X) - PICK_X) < 0.02 else None
    return pick


def lying_parts(scene: Scene, seconds: float) -> list[Lying]:
    """Return the parts on the belt at this time, without those that the arm has taken."""
    lying = []
    for one in _all_lying(scene, seconds):
        pick = pick_seconds(scene, one.part.slot)
        if pick is None or seconds < pick:
            lying.append(one)
    return lying
