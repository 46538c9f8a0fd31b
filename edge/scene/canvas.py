"""The drawing board: the one file that calls OpenCV for the scene.

Pixels are uint8 [H, W] (grey) or [H, W, 3] (RGB) and are drawn on in place. Points are (u, v) in 0-1
of the picture; radii and widths are in picture heights of the camera's own 5:4 picture.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.scene.layout import ASPECT, Colour, Point

Pixels = NDArray[np.uint8]
_FRACTION_BITS = 4
_ARC = 6


def blank(height: int, width: int, channels: int) -> Pixels:
    """Return a black board: [H, W] for one channel, [H, W, 3] for three."""
    return np.zeros((height, width) if channels == 1 else (height, width, channels), np.uint8)


def _ink(pixels: Pixels, colour: Colour) -> tuple[float, ...]:
    if pixels.ndim == 3:
        return colour
    return (0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2],)


def _fixed_points(pixels: Pixels, points: Sequence[Point]) -> NDArray[np.int32]:
    """Return OpenCV's fixed-point coordinates; its pixel centres lie on whole numbers, ours on halves."""
    height, width = pixels.shape[:2]
    one = 1 << _FRACTION_BITS
    scaled = np.array(points) * (width * one, height * one)
    fixed: NDArray[np.int32] = np.rint(scaled - one / 2).astype(np.int32)
    return fixed


def fill(pixels: Pixels, points: Sequence[Point], colour: Colour) -> None:
    """Fill a convex polygon with smooth edges."""
    corners = _fixed_points(pixels, points)
    cv2.fillConvexPoly(pixels, corners, _ink(pixels, colour), cv2.LINE_AA, _FRACTION_BITS)


def line(pixels: Pixels, start: Point, end: Point, width: float, colour: Colour) -> None:
    """Draw a line with square ends."""
    du, dv = (end[0] - start[0]) * ASPECT, end[1] - start[1]
    length = math.hypot(du, dv) or 1.0
    nu, nv = -dv / length * width / 2 / ASPECT, du / length * width / 2
    ends = [(start[0] + nu, start[1] + nv), (end[0] + nu, end[1] + nv)]
    fill(pixels, [*ends, (end[0] - nu, end[1] - nv), (start[0] - nu, start[1] - nv)], colour)


def limb(pixels: Pixels, start: Point, end: Point, radii: tuple[float, float], colour: Colour) -> None:
    """Fill a limb: the hull of a disc at the start and one at the end."""
    toward = math.atan2(end[1] - start[1], (end[0] - start[0]) * ASPECT)
    points = []
    for centre, radius, first in ((start, radii[0], 0.5), (end, radii[1], -0.5)):
        for step in range(_ARC + 1):
            angle = toward + math.pi * (first + step / _ARC)
            points.append((centre[0] + radius * math.cos(angle) / ASPECT, centre[1] + radius * math.sin(angle)))
    fill(pixels, points, colour)


def disc(pixels: Pixels, centre: Point, radii: tuple[float, float], colour: Colour) -> None:
    """Fill an upright ellipse with the two radii, across and down."""
    turns = [2.0 * math.pi * step / 16 for step in range(16)]
    across, down = radii[0] / ASPECT, radii[1]
    fill(pixels, [(centre[0] + across * math.cos(a), centre[1] + down * math.sin(a)) for a in turns], colour)


@lru_cache(maxsize=512)
def _soft_mask(height: int, width: int) -> NDArray[np.float32]:
    """Return a soft disc that fills the rectangle: 1 in the middle, 0 at the rim."""
    ys = (np.arange(height, dtype=np.float32) + 0.5) / height * 2.0 - 1.0
    xs = (np.arange(width, dtype=np.float32) + 0.5) / width * 2.0 - 1.0
    inside = np.clip(1.0 - xs[None, :] ** 2 - ys[:, None] ** 2, 0.0, 1.0)
    return (inside * inside * (3.0 - 2.0 * inside)).astype(np.float32)


def haze(pixels: Pixels, centre: Point, radii: tuple[float, float], colour: Colour, opacity: float) -> None:
    """Lay a soft patch of colour over the picture: a shadow, smoke, a glow."""
    height, width = pixels.shape[:2]
    half_w = max(1, round(radii[0] / ASPECT * width))
    half_h = max(1, round(radii[1] * height))
    left, top = round(centre[0] * width) - half_w, round(centre[1] * height) - half_h
    x0, x1 = max(left, 0), min(left + 2 * half_w, width)
    y0, y1 = max(top, 0), min(top + 2 * half_h, height)
    if x0 >= x1 or y0 >= y1:
        return
    mask = _soft_mask(2 * half_h, 2 * half_w)[y0 - top : y1 - top, x0 - left : x1 - left] * np.float32(opacity)
    patch = pixels[y0:y1, x0:x1]
    weight = mask if pixels.ndim == 2 else mask[:, :, None]
    patch += ((np.array(_ink(pixels, colour), np.float32) - patch) * weight).astype(np.int16).astype(np.uint8)


def paste(pixels: Pixels, picture: Pixels, mask: NDArray[np.uint8]) -> None:
    """Copy the picture onto the board wherever the mask [H, W] is set."""
    cv2.copyTo(picture, mask, pixels)


def resized(pixels: Pixels, height: int, width: int) -> Pixels:
    """Return the picture at a smaller size, each pixel the mean of those that it covers."""
    if pixels.shape[:2] == (height, width):
        return pixels
    return np.asarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def blurred(pixels: Pixels, sigma: float) -> Pixels:
    """Return the picture out of focus; sigma in pixels."""
    return np.asarray(cv2.GaussianBlur(pixels, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE), np.uint8)


def shifted(pixels: Pixels, right: int, down: int) -> Pixels:
    """Return the picture moved by whole pixels; its rim is continued."""
    height, width = pixels.shape[:2]
    rows = np.clip(np.arange(height) - down, 0, height - 1)
    columns = np.clip(np.arange(width) - right, 0, width - 1)
    return np.ascontiguousarray(pixels[rows][:, columns])


def jpeg_round_trip(pixels: Pixels, quality: int) -> Pixels:
    """Return the picture after JPEG at this quality (1-100)."""
    turned = pixels if pixels.ndim == 2 else cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    encoded = cv2.imencode(".jpg", turned, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    if pixels.ndim == 2:
        return np.asarray(cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE), np.uint8)
    decoded = np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), np.uint8)
    return np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), np.uint8)
