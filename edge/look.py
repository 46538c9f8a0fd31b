"""What a frame looks like beside its camera's reference: tone, detail, place. The door of `cv2` for conditions."""

from __future__ import annotations

from dataclasses import dataclass, fields

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.frames import Image
from edge.ranks import median, quantile

Plane = NDArray[np.float32]

# Frames are looked at no wider than this; a larger network's frame is reduced first, by whole pixels.
MOST_WIDTH = 192
BLOCK_PIXELS = 8
# The darkest tone that a ratio is taken of, in grey levels: below it there is noise.
DARK = 8.0
# The reference remembers about this many frames.
MEMORY_FRAMES = 30
# Brightness is compared in this many classes of the reference's tones, so that a gamma shows as a gain does.
TONE_CLASSES = 8
# The detail of a frame is compared where the reference has most of it: in this share of its blocks.
DETAILED_SHARE = 0.5
# A shift of the picture is looked for up to so many pixels to each side.
REACH_PIXELS = 14
# Sharpness is that of the best preserved part of the detail: a hand before the lens blurs much, but never all.
SHARPEST_QUANTILE = 0.8
_TINY = 1e-6


@dataclass(frozen=True)
class Look:
    """One frame, or a mean of many: float32 planes of its grey levels, gradients and Laplacian, and block means."""

    grey: Plane
    right: Plane
    down: Plane
    fine: Plane
    tones: Plane


@dataclass(frozen=True)
class Reference:
    """The mean look of the last frames of one camera; `count` of them, MEMORY_FRAMES at most weigh in."""

    look: Look
    count: int


@dataclass(frozen=True)
class Comparison:
    """A frame beside its reference.

    `match`: how much of the reference's gradients stands where it stood, −1 to 1, the median over detailed blocks.
    `sharpness`: share of the reference's finest detail where most of it is left, over that of its coarse contrast;
    1 is as sharp as it was.
    `tone`: natural logarithm of the brightness ratio in the third of the tone classes that changed most.
    `contrast`: coarse contrast over the reference's; `layout`: correlation of the coarse brightness, −1 to 1;
    `detail`: strength of the gradients over the reference's, whatever they show.
    """

    match: float
    sharpness: float
    tone: float
    contrast: float
    layout: float
    detail: float


def look_from_image(image: Image) -> Look:
    """Return what the conditions are decided from; image uint8 [H, W, C]."""
    grey = image[..., 0] if image.shape[2] == 1 else np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)
    plane = _reduced(grey).astype(np.float32)
    return Look(
        plane,
        _plane(cv2.Scharr(plane, cv2.CV_32F, 1, 0)),
        _plane(cv2.Scharr(plane, cv2.CV_32F, 0, 1)),
        _plane(cv2.Laplacian(plane, cv2.CV_32F)),
        _block_means(plane),
    )


def _reduced(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    factor = -(-grey.shape[1] // MOST_WIDTH)
    if factor == 1:
        return np.ascontiguousarray(grey)
    size = (grey.shape[1] // factor, max(grey.shape[0] // factor, 1))
    return np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA))


def _block_means(plane: Plane) -> Plane:
    size = (max(plane.shape[1] // BLOCK_PIXELS, 1), max(plane.shape[0] // BLOCK_PIXELS, 1))
    return np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA), np.float32)


def first_reference(look: Look) -> Reference:
    """Return the reference that one frame makes."""
    return Reference(look, 1)


def followed(reference: Reference, look: Look) -> Reference:
    """Return the reference after one more frame that shows the camera as it is."""
    count = reference.count + 1
    share = 1.0 / min(count, MEMORY_FRAMES)
    means = {
        part.name: cv2.addWeighted(
            getattr(reference.look, part.name), 1.0 - share, getattr(look, part.name), share, 0.0
        )
        for part in fields(Look)
    }
    return Reference(Look(**means), count)


def compared(look: Look, reference: Reference) -> Comparison:
    """Return a frame beside a reference of the same size."""
    mean = reference.look
    together, own, norm = _products(look, mean)
    detailed = norm >= quantile(norm, 1.0 - DETAILED_SHARE)
    match = together / np.sqrt(own * norm + _TINY)
    contrast, layout = _coarse(look.tones, mean.tones)
    fine = _block_means(look.fine * mean.fine) / (_block_means(mean.fine * mean.fine) + _TINY)
    return Comparison(
        match=median(match[detailed]),
        sharpness=quantile(fine[detailed], SHARPEST_QUANTILE) / max(contrast, 0.05),
        tone=_tone(look.tones, mean.tones),
        contrast=contrast,
        layout=layout,
        detail=float(np.sqrt((own.sum() + _TINY) / (norm.sum() + _TINY))),
    )


def _products(look: Look, mean: Look) -> tuple[Plane, Plane, Plane]:
    together = _block_means(look.right * mean.right + look.down * mean.down)
    own = _block_means(look.right * look.right + look.down * look.down)
    norm = _block_means(mean.right * mean.right + mean.down * mean.down)
    return together, own, norm


def _coarse(tones: Plane, mean: Plane) -> tuple[float, float]:
    ours, theirs = tones - tones.mean(), mean - mean.mean()
    together, own, norm = (float((a * b).sum()) for a, b in ((ours, theirs), (ours, ours), (theirs, theirs)))
    return max(together, 0.0) / (norm + _TINY), together / (own * norm + _TINY) ** 0.5


def _tone(tones: Plane, mean: Plane) -> float:
    ratios = np.log((tones + DARK) / (mean + DARK)).ravel()[np.argsort(mean, axis=None)]
    classes = np.arange(ratios.size) * TONE_CLASSES // ratios.size
    ordered = ratios[np.lexsort((ratios, classes))]  # class by class, and by their ratio within each
    starts = np.flatnonzero(np.diff(classes, prepend=-1))
    ends = np.append(starts[1:], ratios.size)
    medians = 0.5 * (ordered[(starts + ends - 1) // 2] + ordered[(starts + ends) // 2])
    return float(sorted(medians.tolist(), key=abs)[-3:][0])


@dataclass(frozen=True)
class Shift:
    """Where the picture stands beside its reference: whole pixels of the look to the right and down.

    `match` is how well the reference's gradients fit there, `match_unmoved` where they were: −1 to 1.
    """

    right: int
    down: int
    match: float
    match_unmoved: float

    @property
    def pixels(self) -> float:
        """How far, in pixels of the look."""
        return float(np.hypot(self.right, self.down))


def registered(look: Look, reference: Reference) -> Shift:
    """Return the shift, up to REACH_PIXELS a side, at which the middle of the picture fits its reference best."""
    height, width = look.grey.shape
    reach = min(REACH_PIXELS, (min(height, width) - 1) // 4)
    middle = (slice(reach, height - reach), slice(reach, width - reach))
    parts = [
        _fits(ours, np.ascontiguousarray(theirs[middle]))
        for ours, theirs in ((look.right, reference.look.right), (look.down, reference.look.down))
    ]
    together, own, norm = parts[0][0] + parts[1][0], parts[0][1] + parts[1][1], parts[0][2] + parts[1][2]
    match = together / np.sqrt(own * norm + _TINY)
    down, right = (int(place) for place in np.unravel_index(int(match.argmax()), match.shape))
    return Shift(right - reach, down - reach, float(match.max()), float(match[reach, reach]))


def _fits(ours: Plane, theirs: Plane) -> tuple[Plane, Plane, float]:
    """Return for every place of `theirs` within `ours`: their product, our energy there; and their energy."""
    rows, columns = theirs.shape
    down, right = ours.shape[0] - rows, ours.shape[1] - columns
    squares = cv2.sqrBoxFilter(ours, cv2.CV_32F, (columns, rows), normalize=False)
    own = squares[rows // 2 : rows // 2 + down + 1, columns // 2 : columns // 2 + right + 1]
    return _plane(cv2.matchTemplate(ours, theirs, cv2.TM_CCORR)), _plane(own), float((theirs**2).sum())


def _plane(values: object) -> Plane:
    return np.asarray(values, np.float32)


def changed_share(look: Look, last: Look) -> float:
    """Return the share of pixels (0–1) that differ between two frames."""
    return float(np.count_nonzero(look.grey != last.grey)) / look.grey.size
