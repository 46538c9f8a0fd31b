"""Anomalies planted into normal footage, so that statistics are chosen without a single test label."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calibration.footage import Clip
from edge.errors import UsageError

Images = NDArray[np.uint8]

# A planted anomaly lasts this long, and lies within a window of this share of the picture's height.
PLANTED_SECONDS = 3.0
WINDOW_SHARE = 0.25
# Pasted objects: their share of the picture's height, and pixels (of 128 rows) that they move a frame.
OBJECT_SHARE = 0.11
OBJECT_PIXELS = 1.6
FEATHER_PIXELS = 3
CANDIDATES = 24


@dataclass(frozen=True)
class Window:
    """Where and when: rows and columns of pixels from the first on, `side` of them, frames `start` to `stop`."""

    row: int
    column: int
    side: int
    start: int
    stop: int


@dataclass(frozen=True)
class Planted:
    """A clip with one anomaly. `labels`: uint8 [T], 1 where it is seen."""

    kind: str
    clip: Clip
    labels: NDArray[np.uint8]


def plant(clip: Clip, kind: str, seed: int) -> Planted:
    """Return the clip with one anomaly of this kind (see KINDS), where and when the seed says.

    Raises UsageError for an unknown kind and for a clip that is too short.
    """
    if kind not in KINDS:
        raise UsageError(f"'{kind}' cannot be planted; there are {', '.join(KINDS)}.")
    images = clip.images.copy()
    window = _liveliest(clip, np.random.default_rng((seed, list(KINDS).index(kind))))
    KINDS[kind](images, window, np.random.default_rng((seed, window.row, window.column)))
    labels = np.zeros(len(images), np.uint8)
    labels[window.start : window.stop] = 1
    return Planted(kind, Clip(f"{clip.name} {kind} {seed}", images, clip.seconds), labels)


def _liveliest(clip: Clip, generator: np.random.Generator) -> Window:
    """Draw some windows and take the one where most moves: an anomaly of nothing is none."""
    frames, height, width = clip.images.shape[:3]
    length = round(PLANTED_SECONDS * (frames - 1) / float(np.ptp(clip.seconds))) if frames > 1 else 0
    side = round(WINDOW_SHARE * height)
    if not 0 < 2 * length + 12 <= frames or side > width:
        raise UsageError(f"{clip.name}: {frames} frames are too few to plant {PLANTED_SECONDS:g} s into.")
    windows = [
        Window(
            int(generator.integers(0, height - side + 1)), int(generator.integers(0, width - side + 1)), side, start,
            start + length,
        )
        for start in generator.integers(10, frames - 2 * length, CANDIDATES).tolist()
    ]  # fmt: skip
    return max(windows, key=lambda window: _movement(clip.images, window))


def _movement(images: Images, window: Window) -> float:
    seen = _cut(images[window.start : window.stop], window).astype(np.int16)
    return float(np.abs(np.diff(seen, axis=0)).mean())


def _cut(images: Images, window: Window) -> Images:
    return images[:, window.row : window.row + window.side, window.column : window.column + window.side]


def _mask(side: int) -> NDArray[np.float32]:
    """1 within a square, falling to 0 at its edge: float32 [side, side, 1]."""
    edge = np.minimum(np.arange(1, side + 1), np.arange(side, 0, -1)) / FEATHER_PIXELS
    ramp = np.minimum(edge, 1.0).astype(np.float32)
    return (ramp[:, None] * ramp[None])[..., None]


def _blend(images: Images, number: int, row: int, column: int, drawn: Images, mask: NDArray[np.float32]) -> None:
    place = images[number, row : row + len(drawn), column : column + drawn.shape[1]]
    place[:] = np.rint(place + mask * (drawn.astype(np.float32) - place)).astype(np.uint8)


def _retimed(images: Images, window: Window, taken: Callable[[int], int]) -> None:
    source, mask = _cut(images, window).copy(), _mask(window.side)
    for number in range(window.start, window.stop):
        _blend(images, number, window.row, window.column, source[taken(number)], mask)


def _faster(images: Images, window: Window, generator: np.random.Generator) -> None:
    del generator
    _retimed(images, window, lambda number: window.start + 2 * (number - window.start))


def _stopped(images: Images, window: Window, generator: np.random.Generator) -> None:
    del generator
    _retimed(images, window, lambda number: window.start)


def _removed(images: Images, window: Window, generator: np.random.Generator) -> None:
    """What moves through the window vanishes: the window shows what is mostly there."""
    del generator
    background = np.median(_cut(images[::4], window), axis=0).astype(np.uint8)
    mask = _mask(window.side)
    for number in range(window.start, window.stop):
        _blend(images, number, window.row, window.column, background, mask)


def _pasted(images: Images, window: Window, generator: np.random.Generator) -> None:
    """A piece of the picture from elsewhere, darker or brighter, moves through the window and beyond."""
    height, width = images.shape[1:3]
    side = max(round(OBJECT_SHARE * height), 4)
    row, column = int(generator.integers(0, height - side)), int(generator.integers(0, width - side))
    piece = images[window.start, row : row + side, column : column + side].astype(np.float32)
    drawn = np.clip(piece + generator.choice([-60.0, 60.0]), 0, 255).astype(np.uint8)
    angle, mask = generator.uniform(0.0, 2.0 * np.pi), _mask(side)
    step = OBJECT_PIXELS * height / 128.0 * np.array([np.sin(angle), np.cos(angle)])
    middle = np.array([window.row, window.column]) + 0.5 * (window.side - side)
    for number in range(window.start, window.stop):
        at = middle + step * (number - 0.5 * (window.start + window.stop))
        top, left = np.clip(np.rint(at), 0, [height - side, width - side]).astype(int).tolist()
        _blend(images, number, top, left, drawn, mask)


KINDS: Mapping[str, Callable[[Images, Window, np.random.Generator], None]] = {
    "pasted": _pasted,
    "faster": _faster,
    "stopped": _stopped,
    "removed": _removed,
}
