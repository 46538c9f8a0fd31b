"""Draws people: legs that walk, arms that work, a helmet and a vest where they are worn."""

from __future__ import annotations

import math
from dataclasses import dataclass

from edge.scene import canvas
from edge.scene.canvas import Pixels
from edge.scene.layout import ASPECT, Colour, Point, project, shaded, upright_scale
from edge.scene.walks import Stance

_SKIN: Colour = (214, 168, 138)
_HAIR: Colour = (52, 40, 34)
_SHOE: Colour = (34, 32, 32)
_REFLECTIVE: Colour = (236, 240, 236)
_THIGH, _SHIN, _UPPER_ARM, _FOREARM = 0.46, 0.44, 0.31, 0.29
_HIP, _SHOULDER, _HEAD = 0.92, 1.42, 1.63
_STOOP_RADIANS, _LYING_RADIANS = 0.75, 1.5


@dataclass(frozen=True)
class Body:
    """The person's own plane, in which (forward, up) in metres becomes a picture point.

    `metre`: its length in picture heights; sine and cosine of how far the body is tipped over; `sink`:
    the share of its height that it loses while it buckles.
    """

    foot: Point
    metre: float
    facing: int
    sine: float
    cosine: float
    sink: float

    def point(self, forward: float, up: float) -> Point:
        """Return the picture point; a fallen body is turned about its feet and lies on the floor."""
        along = (forward - 0.55 * self.sine) * self.cosine + up * self.sine - 0.35 * self.sine
        height = up * self.cosine * (1.0 - self.sink) - forward * self.sine * 0.9 + 0.14 * self.sine
        return (
            self.foot[0] + self.facing * along * self.metre / ASPECT,
            self.foot[1] - height * self.metre,
        )

    def limb(self, pixels: Pixels, ends: tuple[Point, Point], radii: tuple[float, float], colour: Colour) -> None:
        """Draw a limb between two points of the body; radii in metres."""
        scaled = radii[0] * self.metre, radii[1] * self.metre
        canvas.limb(pixels, self.point(*ends[0]), self.point(*ends[1]), scaled, colour)


def _body_of(stance: Stance) -> Body:
    tilt = stance.fallen * _LYING_RADIANS
    return Body(
        foot=project((stance.x, stance.y, 0.0)),
        metre=upright_scale(stance.x, stance.y) * stance.outfit.stature,
        facing=stance.facing,
        sine=math.sin(tilt),
        cosine=math.cos(tilt),
        sink=0.3 * math.sin(math.pi * stance.fallen),
    )


def _reach(start: Point, length: float, radians: float) -> Point:
    """Return the end of a bone that hangs from the start, swung forward by the angle."""
    return start[0] + length * math.sin(radians), start[1] - length * math.cos(radians)


def _leg(pixels: Pixels, body: Body, stance: Stance, phase: float, light: float) -> None:
    swing = math.sin(stance.gait_radians + phase)
    buckle = 0.9 * math.sin(math.pi * stance.fallen) + (0.7 if phase else 0.15) * stance.fallen
    bend = max(0.0, math.cos(stance.gait_radians + phase)) * stance.stride + buckle
    thigh = 0.44 * swing * stance.stride + 0.25 * bend + 0.3 * buckle
    knee = _reach((0.0, _HIP), _THIGH, thigh)
    ankle = _reach(knee, _SHIN, thigh - 0.1 * stance.stride - 0.85 * bend)
    trousers = shaded(stance.outfit.trousers, light)
    body.limb(pixels, ((0.0, _HIP), knee), (0.105, 0.08), trousers)
    body.limb(pixels, (knee, ankle), (0.078, 0.055), trousers)
    toe = ankle[0] + 0.14, ankle[1] - 0.02
    body.limb(pixels, (ankle, toe), (0.06, 0.045), shaded(_SHOE, light))


def _upper(stance: Stance, forward: float, up: float) -> Point:
    """Return a point of the upper body, bent forward about the hip when the person stoops."""
    angle = stance.stoop * _STOOP_RADIANS + 0.05 * stance.stride
    sine, cosine = math.sin(angle), math.cos(angle)
    rise = up - _HIP
    return forward * cosine + rise * sine, _HIP + rise * cosine - forward * sine


def _arm(pixels: Pixels, body: Body, stance: Stance, phase: float, light: float) -> None:
    swing = 0.5 * math.sin(stance.gait_radians + phase) * stance.stride
    busy = stance.work * math.sin(stance.work_radians + phase)
    upper = swing + stance.work * 0.5 + 0.22 * busy + (1.9 if phase else 0.9) * stance.fallen
    fore = upper + 0.3 + 0.7 * stance.work + 0.3 * busy
    shoulder = _upper(stance, 0.0, _SHOULDER - 0.03)
    elbow = _reach(shoulder, _UPPER_ARM, upper)
    hand = _reach(elbow, _FOREARM, fore)
    shirt = shaded(stance.outfit.shirt, 1.25 * light)
    body.limb(pixels, (shoulder, elbow), (0.075, 0.06), shirt)
    body.limb(pixels, (elbow, hand), (0.058, 0.045), shirt)
    body.limb(pixels, (hand, _reach(hand, 0.06, fore)), (0.05, 0.045), shaded(_SKIN, light))


def _torso(pixels: Pixels, body: Body, stance: Stance) -> None:
    cloth = stance.outfit.vest or stance.outfit.shirt
    hip, chest = _upper(stance, 0.0, _HIP), _upper(stance, 0.0, _SHOULDER - 0.08)
    body.limb(pixels, (hip, chest), (0.15, 0.19), shaded(cloth, 0.82))
    lit = (
        _upper(stance, -0.03 * stance.facing, _HIP + 0.03),
        _upper(stance, -0.04 * stance.facing, _SHOULDER - 0.08),
    )
    body.limb(pixels, lit, (0.105, 0.14), cloth)
    if stance.outfit.vest is None:
        return
    for up, half in ((_HIP + 0.1, 0.14), (_HIP + 0.25, 0.15)):
        ends = _upper(stance, -half, up), _upper(stance, half, up)
        body.limb(pixels, ends, (0.03, 0.03), _REFLECTIVE)


def _head(pixels: Pixels, body: Body, stance: Stance) -> None:
    neck, centre = _upper(stance, 0.0, _SHOULDER + 0.04), _upper(stance, 0.02, _HEAD)
    body.limb(pixels, (neck, centre), (0.06, 0.06), shaded(_SKIN, 0.8))
    body.limb(pixels, (centre, _upper(stance, 0.03, _HEAD - 0.05)), (0.115, 0.09), _SKIN)
    crown = _upper(stance, -0.03, _HEAD + 0.06), _upper(stance, 0.02, _HEAD + 0.07)
    helmet = stance.outfit.helmet
    if helmet is None:
        back = _upper(stance, -0.06, _HEAD)
        body.limb(pixels, crown, (0.105, 0.085), _HAIR)
        body.limb(pixels, (crown[0], back), (0.09, 0.07), _HAIR)
        return
    body.limb(pixels, crown, (0.135, 0.125), shaded(helmet, 0.88))
    shine = _upper(stance, -0.04 * stance.facing, _HEAD + 0.11)
    body.limb(pixels, (shine, shine), (0.085, 0.085), helmet)
    brim = _upper(stance, -0.13, _HEAD + 0.035), _upper(stance, 0.2, _HEAD + 0.02)
    body.limb(pixels, brim, (0.025, 0.022), shaded(helmet, 0.75))


def draw_person(pixels: Pixels, stance: Stance) -> None:
    """Draw one person with the shadow that they cast."""
    body = _body_of(stance)
    u, v = body.foot
    length = 0.42 + 0.5 * body.sine
    shadow = u + (0.16 + 0.25 * body.sine * stance.facing) * body.metre / ASPECT, v + 0.01 * body.metre
    canvas.haze(pixels, shadow, (length * body.metre, 0.17 * body.metre), (16, 18, 22), 0.55)
    _arm(pixels, body, stance, 0.0, 0.7)
    _leg(pixels, body, stance, math.pi, 0.72)
    _leg(pixels, body, stance, 0.0, 1.0)
    _torso(pixels, body, stance)
    _head(pixels, body, stance)
    _arm(pixels, body, stance, math.pi, 1.0)
