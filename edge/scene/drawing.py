"""Draws the cell at any time: the one function that turns a scene into a frame."""

from __future__ import annotations

from functools import lru_cache

from edge.frames import Image
from edge.scene import canvas
from edge.scene.canvas import Pixels
from edge.scene.figure import draw_person
from edge.scene.fire import draw_fire
from edge.scene.incidents import Scene, is_visible, shown_seconds
from edge.scene.machines import draw_machines
from edge.scene.robot import draw_arm, draw_belt, draw_infeed
from edge.scene.room import draw_room
from edge.scene.sensor import compressed, sensed, through_lens
from edge.scene.workers import people_at

_FINE_HEIGHT = 300  # smaller pictures are drawn at twice their size, which keeps thin things thin
_BEHIND_Y = 6.0


@lru_cache(maxsize=4)
def _backdrop(height: int, width: int, channels: int) -> Pixels:
    """Return the cell without anything that moves, the same for every seed; never written to."""
    pixels = canvas.blank(height, width, channels)
    draw_room(pixels)
    draw_machines(pixels)
    pixels.flags.writeable = False
    return pixels


def _cell(scene: Scene, seconds: float, height: int, width: int, channels: int) -> Pixels:
    """Return what there is to see, before the camera's own faults."""
    factor = 2 if height < _FINE_HEIGHT else 1
    pixels = _backdrop(factor * height, factor * width, channels).copy()
    people = people_at(scene, seconds)
    for stance in people:
        if stance.y > _BEHIND_Y:
            draw_person(pixels, stance)
    draw_infeed(pixels, scene, seconds)
    draw_belt(pixels, scene, seconds)
    draw_arm(pixels, scene, seconds)
    for incident in scene.incidents:
        if incident.kind == "fire" and is_visible(incident, seconds):
            draw_fire(pixels, scene.seed, incident, seconds)
    for stance in people:
        if stance.y <= _BEHIND_Y:
            draw_person(pixels, stance)
    return canvas.resized(pixels, height, width)


def draw(scene: Scene, seconds: float, height: int, width: int, channels: int) -> Image:
    """Return the frame of the scene at this time: uint8 [H, W, C], grey (1) or RGB (3), the caller's own.

    The frame is a function of its arguments alone, noise and compression included.
    """
    shown = shown_seconds(scene, seconds)
    lens = through_lens(_cell(scene, shown, height, width, channels), scene, shown)
    return compressed(sensed(lens, scene, shown)).reshape(height, width, channels)
