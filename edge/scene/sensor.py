"""The camera: what light, lens, sensor and compression make of the cell, and the conditions they are in."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from edge.scene import canvas
from edge.scene.canvas import Pixels
from edge.scene.chance import between, choice, draws
from edge.scene.incidents import Incident, Scene, find_visible

LIGHT_STEP = 0.55
COVER_LEVEL = 0.05
JPEG_QUALITY = 80
_NUDGE = 0.022  # of the picture's width
_BLUR = 0.02  # of the picture's height
_DRIFT_SECONDS = ((811.0, 0.030), (137.0, 0.015))
_FLICKER_HZ, _FLICKER = 1.3, 0.006
_BANK = 1 << 21


def light_gain(scene: Scene, seconds: float) -> float:
    """Return how bright the light is, about 1: slow drift, the lamps' flicker, and a light switched off."""
    u = draws(scene.seed, "light", 0)
    turn = 2.0 * math.pi
    gain = 1.0 + _FLICKER * math.sin(turn * (_FLICKER_HZ * seconds + u[7]))
    for (period, depth), phase in zip(_DRIFT_SECONDS, u, strict=False):
        gain += depth * math.sin(turn * (seconds / period + phase))
    if find_visible(scene, seconds, "light_switched") is not None:
        gain *= LIGHT_STEP
    return gain


def nudge(scene: Scene, incident: Incident, width: int) -> tuple[int, int]:
    """Return by how many pixels (right, down) the picture of a nudged camera is moved."""
    u = draws(scene.seed, "nudge", round(1000 * incident.start_seconds))
    step = max(1, round(_NUDGE * width * between(0.8, 1.4, u[0])))
    return choice((-step, step), u[1]), choice((-1, 1), u[2]) * max(1, step // 2)


def through_lens(pixels: Pixels, scene: Scene, seconds: float) -> Pixels:
    """Return the picture as the lens casts it: out of focus, moved or covered while a condition says so."""
    height, width = pixels.shape[:2]
    if find_visible(scene, seconds, "blurred") is not None:
        pixels = canvas.blurred(pixels, _BLUR * height)
    moved = find_visible(scene, seconds, "camera_nudged")
    if moved is not None:
        pixels = canvas.shifted(pixels, *nudge(scene, moved, width))
    if find_visible(scene, seconds, "covered") is not None:
        pixels = (canvas.blurred(pixels, 0.12 * height) * COVER_LEVEL + 6.0).astype(np.uint8)
    return pixels


@lru_cache(maxsize=1)
def _noise_bank() -> NDArray[np.int8]:
    """Return a long run of noise with a standard deviation of 16, from which each frame takes a piece."""
    numbers = np.random.default_rng(20160302).standard_normal(_BANK, np.float32)
    bank: NDArray[np.int8] = np.rint(np.clip(16.0 * numbers, -127.0, 127.0)).astype(np.int8)
    return bank


@lru_cache(maxsize=64)
def _tables(gain: float) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """Return for each of 256 levels: the level under the gain, and its noise, both in 1/64 of a level.

    The noise grows with the light as a sensor's does: read noise and the shot noise of the photons.
    """
    levels = np.minimum(np.arange(256) * gain, 255.0)
    deviation = np.sqrt(1.2 + 0.02 * levels)
    return np.rint(64.0 * levels).astype(np.int16), np.rint(4.0 * deviation).astype(np.int16)


def sensed(pixels: Pixels, scene: Scene, seconds: float) -> Pixels:
    """Return the picture under the light of the moment, with the sensor's noise."""
    level, deviation = _tables(round(light_gain(scene, seconds), 4))
    u = draws(scene.seed, "noise", round(1e6 * seconds))[0]
    bank, size = _noise_bank(), pixels.size
    start = int(u * (bank.size - size)) if size < bank.size else 0
    noise = np.resize(bank[start : start + size], pixels.shape)
    sixty_fourths = np.take(level, pixels) + np.take(deviation, pixels) * noise
    noisy: Pixels = np.clip((sixty_fourths + 32) >> 6, 0, 255).astype(np.uint8)
    return noisy


def compressed(pixels: Pixels) -> Pixels:
    """Return the picture after the camera's compression."""
    return canvas.jpeg_round_trip(pixels, JPEG_QUALITY)
