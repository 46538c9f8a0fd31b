"""Plants accidents and conditions into normal work: their intervals, and the boxes where they are seen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from edge.errors import UsageError
from edge.scene.arm import CYCLE_SECONDS, joints, tool_position
from edge.scene.belt import PICK_X, arrival_seconds, lying_parts, part_of_slot, pick_seconds, stuck_slot
from edge.scene.fire_place import fire_box
from edge.scene.incidents import ACCIDENTS, WHOLE_PICTURE, Box, Incident, Kind, Scene
from edge.scene.layout import (
    ASPECT,
    BELT_HALF_WIDTH,
    BELT_Y,
    BELT_Z,
    INFEED_Y,
    INFEED_Z,
    PRESS_X,
    Place,
    Point,
    box_around,
    project,
    upright_scale,
)
from edge.scene.workers import accident_stance

DURATION_SECONDS: Mapping[Kind, float] = {
    "fire": 5.0,
    "jam": 5.0,
    "fall": 5.0,
    "slow": 5.0,
    "no_helmet": 5.0,
    "no_vest": 5.0,
    "arm_off_path": 3.6,
    "arm_halted": 3.6,
    "light_switched": 4.0,
    "camera_nudged": 4.0,
    "blurred": 4.0,
    "covered": 4.0,
    "frozen": 4.0,
}
TAIL_SECONDS = 10.0
_SAMPLES_HZ = 10.0
_LIFTED_SECONDS = 0.5


def plant(seed: int, kind: Kind, start_seconds: float, duration_seconds: float | None = None) -> Incident:
    """Return the incident of this kind, with the box in which the scene of this seed shows it.

    Without a duration it lasts as long as is usual for its kind (`DURATION_SECONDS`).
    """
    duration = DURATION_SECONDS[kind] if duration_seconds is None else duration_seconds
    incident = Incident(kind, start_seconds, start_seconds + duration)
    return Incident(kind, incident.start_seconds, incident.end_seconds, _box(seed, incident))


def _box(seed: int, incident: Incident) -> Box:
    if not incident.is_accident:
        return WHOLE_PICTURE
    if incident.kind == "fire":
        return fire_box(seed, incident)
    if incident.kind == "jam":
        _require_part(seed, incident)
        return box_around([project(place) for place in _jam_places(seed, incident)], 0.01)
    if incident.kind in ("arm_off_path", "arm_halted"):
        return box_around([project(place) for place in _arm_places(seed, incident)], 0.035)
    return box_around(_worker_points(seed, incident), 0.012)


def _require_part(seed: int, jam: Incident) -> None:
    if stuck_slot(seed, jam.start_seconds) is None:
        raise UsageError(
            f"a jam was planted at {jam.start_seconds:g} s into the scene of seed {seed}, where no part"
            " comes to stick; expected another start, a few seconds later"
        )


def _samples(incident: Incident) -> Iterator[float]:
    count = int((incident.end_seconds - incident.start_seconds) * _SAMPLES_HZ)
    for number in range(count + 1):
        yield min(incident.start_seconds + number / _SAMPLES_HZ, incident.end_seconds - 1e-3)


def _jam_places(seed: int, jam: Incident) -> Iterator[Place]:
    """Yield the corners of every part that the jam holds back, where it is and where it would be."""
    normal, jammed = Scene(seed), Scene(seed, (jam,))
    reach = BELT_HALF_WIDTH
    for seconds in _samples(jam):
        free = {one.part.slot: one.x for one in lying_parts(normal, seconds)}
        for one in lying_parts(jammed, seconds):
            if one.x != free.get(one.part.slot):
                for x in (one.x, free.get(one.part.slot, one.x)):
                    yield x - 0.3, BELT_Y - reach, BELT_Z
                    yield x + 0.3, BELT_Y + reach, BELT_Z + 0.36


def _arm_places(seed: int, incident: Incident) -> Iterator[Place]:
    """Yield the joints of the arm as it is and as it should be, and where its part should have gone."""
    yield PRESS_X, INFEED_Y, INFEED_Z
    for scene in (Scene(seed), Scene(seed, (incident,))):
        for seconds in _samples(incident):
            places = joints(tool_position(scene, seconds))
            yield from places
            x, y, z = places[-1]
            yield from ((x - 0.25, y, z - 0.4), (x + 0.25, y, z + 0.2))


def _worker_points(seed: int, incident: Incident) -> Iterator[Point]:
    """Yield the corners in the picture around the worker to whom the accident happens, and their shadow."""
    for seconds in _samples(incident):
        one = accident_stance(seed, incident, seconds)
        u, v = project((one.x, one.y, 0.0))
        metre = upright_scale(one.x, one.y) * one.outfit.stature
        half = (0.5 + 0.75 * one.fallen) * metre / ASPECT
        height = (1.85 - 1.15 * one.fallen * one.fallen) * metre
        yield from ((u - half, v - height), (u + half, v + (0.15 + 0.1 * one.fallen) * metre))


def normal_scene(seed: int) -> Scene:
    """Return a day of normal work."""
    return Scene(seed)


def accident_scene(
    seed: int,
    first_seconds: float = 20.0,
    spacing_seconds: float = 12.0,
    kinds: Sequence[Kind] = ACCIDENTS,
) -> Scene:
    """Return a scene with one incident of each kind, in order; conditions may be among the kinds.

    `spacing_seconds`: normal work between the end of one and the start of the next, at least. Accidents
    of the arm wait for the moment at which it has lifted a part, so that they interrupt a movement.
    """
    if first_seconds < 0.0 or spacing_seconds <= 0.0:
        raise UsageError(
            f"accidents were asked for from {first_seconds:g} s on, {spacing_seconds:g} s apart;"
            " expected a start of 0 s or later and a spacing above 0 s"
        )
    incidents: list[Incident] = []
    earliest = first_seconds
    for kind in kinds:
        start = _start(Scene(seed, tuple(incidents)), kind, earliest)
        incidents.append(plant(seed, kind, start))
        earliest = incidents[-1].end_seconds + spacing_seconds
    return Scene(seed, tuple(incidents))


def _start(scene: Scene, kind: Kind, earliest: float) -> float:
    """Return when an incident can start: at once, or with the next part that is piled up, or lifted."""
    if kind == "jam":
        return _jam_start(scene.seed, round(earliest, 1))
    if kind not in ("arm_off_path", "arm_halted"):
        return round(earliest, 1)
    cycle = int((earliest - arrival_seconds(scene.seed, 0, PICK_X)) // CYCLE_SECONDS) - 1
    while True:
        pick = pick_seconds(scene, 2 * cycle)
        if pick is not None and pick + _LIFTED_SECONDS >= earliest:
            return round(pick + _LIFTED_SECONDS, 1)
        cycle += 1


def _jam_start(seed: int, start: float) -> float:
    """Return when a jam can start: when a part comes that has one close behind it."""
    while True:
        slot = stuck_slot(seed, start)
        if slot is not None and part_of_slot(seed, slot + 1) is not None:
            return start
        start = round(start + 0.5, 1)


def scene_duration(scene: Scene) -> float:
    """Return the seconds from the scene's start until its last incident is over, and some more."""
    return max((incident.end_seconds for incident in scene.incidents), default=0.0) + TAIL_SECONDS
