"""Privacy masks: parts of the picture that are blanked in the first buffer that is ours, before anything sees it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from edge.frames import Frame, Source

# Two points are opposite corners of a rectangle, three or more a polygon; x right and y down, 0–1 of the picture.
Shape = tuple[tuple[float, float], ...]
Mask = NDArray[np.bool_]

# Points a side at which each pixel is asked whether a polygon covers it.
_POINTS = 4
# Points a side by which the share of a place is counted that a polygon covers.
_SHARE_POINTS = 16


def fault_of_shape(shape: Shape) -> str | None:
    """Return what is wrong with a shape, as the rest of a sentence; None where it can be a mask."""
    if len(shape) < 2:
        return f"has {len(shape)} points; give two opposite corners of a rectangle, or three or more of a polygon."
    for x, y in shape:
        if not (0.0 <= x <= 1.0 and 0.0 <= y <= 1.0):
            return f"has the point ({x:g}, {y:g}); x and y are 0 to 1 of the picture, from its upper left corner."
    return None


def mask_from_shapes(shapes: Sequence[Shape], height: int, width: int) -> Mask | None:
    """Return which pixels are blanked, bool [H, W]; None where there is no shape.

    Every pixel that a shape touches, and one more around: a pixel of the small picture is mixed from its surroundings.
    """
    if not shapes:
        return None
    touched = np.zeros((height, width), np.bool_)
    for shape in shapes:
        np.logical_or(touched, _touched(_corners(shape), height, width), out=touched)
    grown: Mask = touched.copy()
    for down, right in ((-1, 0), (1, 0), (0, -1), (0, 1), (-1, -1), (-1, 1), (1, -1), (1, 1)):
        np.logical_or(grown, _moved(touched, down, right), out=grown)
    return grown


def _corners(shape: Shape) -> NDArray[np.float64]:
    if len(shape) == 2:
        (x0, y0), (x1, y1) = shape
        shape = ((x0, y0), (x1, y0), (x1, y1), (x0, y1))
    return np.array(shape, np.float64)


def _touched(corners: NDArray[np.float64], height: int, width: int) -> Mask:
    """Return the pixels that a polygon covers at one of their points, or that its outline runs through."""
    inside = _inside(corners, height, width, _POINTS)
    touched = np.asarray(inside.any(axis=(1, 3)), np.bool_)
    for start, stop in _edges(corners):
        way = np.linspace(start, stop, 4 * max(height, width))
        touched[
            np.minimum((way[:, 1] * height).astype(int), height - 1),
            np.minimum((way[:, 0] * width).astype(int), width - 1),
        ] = True
    return touched


def shares_from_shape(shape: Shape, height: int, width: int) -> NDArray[np.float64]:
    """Return the share (0–1) of each of height × width places that a shape covers, [H, W]."""
    inside = _inside(_corners(shape), height, width, _SHARE_POINTS)
    return np.asarray(inside.mean(axis=(1, 3)), np.float64)


def _inside(corners: NDArray[np.float64], height: int, width: int, points: int) -> Mask:
    """Return which points of each place lie in a polygon: bool [H, points, W, points]."""
    within = (np.arange(points) + 0.5) / points
    rows = ((np.arange(height)[:, None] + within).ravel() / height)[:, None]
    columns = ((np.arange(width)[:, None] + within).ravel() / width)[None, :]
    inside: Mask = np.zeros((rows.size, columns.size), np.bool_)
    for (x0, y0), (x1, y1) in _edges(corners):  # even-odd rule: each edge to the right of a point turns it over
        if y0 != y1:
            crossing = (x1 - x0) * (rows - y0) / (y1 - y0) + x0
            crossed = np.asarray(((rows < y0) != (rows < y1)) & (columns < crossing), np.bool_)
            np.logical_xor(inside, crossed, out=inside)
    return inside.reshape(height, points, width, points)


def _edges(corners: NDArray[np.float64]) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    yield from zip(corners, np.roll(corners, -1, axis=0), strict=True)


def _moved(mask: Mask, down: int, right: int) -> Mask:
    height, width = mask.shape
    padded = np.pad(mask, 1)
    return padded[1 - down : 1 - down + height, 1 - right : 1 - right + width]


class MaskedSource:
    """A source whose frames are blanked under the mask before anyone else holds them."""

    def __init__(self, source: Source, mask: Mask) -> None:
        self.name, self.is_live, self.backend = source.name, source.is_live, source.backend
        self._source, self._mask = source, mask

    def frames(self) -> Iterator[Frame]:
        """Yield the source's frames, black under the mask."""
        for frame in self._source.frames():
            if frame.image.flags.writeable:
                frame.image[self._mask] = 0
                yield frame
            else:  # a source that lends its own buffer keeps it
                image = frame.image.copy()
                image[self._mask] = 0
                yield replace(frame, image=image)

    def close(self) -> None:
        """Close the source."""
        self._source.close()
