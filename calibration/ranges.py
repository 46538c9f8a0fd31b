"""How far activations reach: histograms over closed-loop rollouts, and four observers that read a range from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from calibration.footage import Clip
from edge.errors import PrednetError, UsageError

BINS = 2048
STEPS = 127
# What an activation that is always 0 is taken to reach, so that its scale is a number above 0.
LEAST_RANGE = 1e-3
# The share of the values other than 0 that the percentile observer keeps within the range.
KEPT_SHARE = 0.9999


@dataclass(frozen=True)
class Histogram:
    """Sizes |x| of one activation: `counts` int64 [BINS] from 0 to `top`, zeros left out; `largest` exactly."""

    counts: NDArray[np.int64]
    top: float
    largest: float


class Watched(Protocol):
    """A runner that shows the activations of its last step: `extras` float32 [N, …] by name."""

    @property
    def extras(self) -> Mapping[str, NDArray[np.float32]]:
        """The activations by name."""

    def step(self, frames: NDArray[np.uint8], advance: NDArray[np.bool_], reset: NDArray[np.bool_]) -> object:
        """Advance by one frame; see `edge.runner.Runner`."""


def observe_ranges(
    clips: Sequence[Clip], runner: Watched, progress: Callable[[int], None] | None = None
) -> dict[str, Histogram]:
    """Return the histogram of every activation that a runner of one slot shows, over the clips in closed loop.

    Each clip begins from a reset. Raises UsageError without footage, PrednetError with the number of steps where
    an activation is not finite: a calibration is whole, or it is none.
    """
    total, done = sum(len(clip.images) for clip in clips), 0
    if not total:
        raise UsageError("INT8 needs footage of normal work to measure how far activations reach; give some.")
    histograms: dict[str, Histogram] = {}
    for clip in clips:
        for number, image in enumerate(clip.images):
            runner.step(image[None], np.ones(1, np.bool_), np.array([number == 0]))
            for name, values in runner.extras.items():
                if not np.isfinite(values).all():
                    raise PrednetError(
                        f"{clip.name}: {name} is not finite in step {done + 1} of {total}; the calibration stopped "
                        f"there and is of no use. The network diverges on this footage: train it again."
                    )
                histograms[name] = observed(histograms.get(name), values)
            done += 1
            if progress:
                progress(done)
    return histograms


def observed(histogram: Histogram | None, values: NDArray[np.float32]) -> Histogram:
    """Return the histogram with more values, its top doubled until they fit."""
    sizes = np.abs(values[values != 0.0])
    largest = float(sizes.max(initial=0.0))
    if histogram is None:
        histogram = Histogram(np.zeros(BINS, np.int64), max(largest, LEAST_RANGE), 0.0)
    counts, top = histogram.counts, histogram.top
    while top < largest:
        counts, top = np.concatenate([counts.reshape(-1, 2).sum(axis=1), np.zeros(BINS // 2, np.int64)]), 2 * top
    places = np.minimum((sizes * (BINS / top)).astype(np.int32), BINS - 1)
    return Histogram(counts + np.bincount(places, minlength=BINS), top, max(largest, histogram.largest))


def joined(one: Mapping[str, Histogram], other: Mapping[str, Histogram]) -> dict[str, Histogram]:
    """Return the histograms of two rollouts together, the one from the float step and the one from INT8."""
    return {name: _sum(one[name], other[name]) for name in one}


def _sum(one: Histogram, other: Histogram) -> Histogram:
    top = max(one.top, other.top)
    counts = np.zeros(BINS, np.int64)
    for part in (one, other):
        centres = (np.arange(BINS) + 0.5) * (part.top / BINS)
        np.add.at(counts, np.minimum((centres * (BINS / top)).astype(int), BINS - 1), part.counts)
    return Histogram(counts, top, max(one.largest, other.largest))


def range_by_largest(histogram: Histogram) -> float:
    """Return the largest size that was seen: nothing is clipped."""
    return histogram.largest


def range_by_percentile(histogram: Histogram) -> float:
    """Return the size that all but one of ten thousand values stay within."""
    total = np.cumsum(histogram.counts)
    if not total[-1]:
        return histogram.largest
    place = int(np.searchsorted(total, KEPT_SHARE * total[-1]))
    return min((place + 1) * histogram.top / BINS, histogram.largest)


def range_by_squared_error(histogram: Histogram) -> float:
    """Return the range with the least mean squared error of rounding and clipping."""
    centres = (np.arange(BINS) + 0.5) * (histogram.top / BINS)
    reaches = [share * max(histogram.largest, LEAST_RANGE) for share in np.linspace(0.02, 1.0, 99).tolist()]
    errors = [_squared_error(centres, histogram.counts, reach) for reach in reaches]
    return float(reaches[int(np.argmin(errors))])


def _squared_error(centres: NDArray[np.floating], counts: NDArray[np.int64], reach: float) -> float:
    step = reach / STEPS
    kept = np.minimum(np.round(centres / step), STEPS) * step
    return float((counts * (centres - kept) ** 2).sum())


def range_by_entropy(histogram: Histogram) -> float:
    """Return the range whose 128 levels lose the least information (Kullback–Leibler divergence).

    Migacz, «8-bit inference with TensorRT» (2017): what lies beyond is put into the last bin that is kept.
    """
    counts = histogram.counts.astype(np.float64)
    used = max(int(np.flatnonzero(counts).max(initial=0)) + 1, 128)
    sizes = np.unique(np.r_[np.arange(128, used, 16), used])
    losses = [_information_lost(counts, int(size)) for size in sizes]
    return float(min(sizes[int(np.argmin(losses))] * histogram.top / BINS, max(histogram.largest, LEAST_RANGE)))


def _information_lost(counts: NDArray[np.float64], size: int) -> float:
    seen = counts[:size].copy()
    seen[-1] += counts[size:].sum()
    if not seen.sum():
        return 0.0
    level = np.arange(size) * 128 // size
    filled = np.bincount(level, weights=counts[:size] > 0, minlength=128)
    mass = np.bincount(level, weights=counts[:size], minlength=128)
    kept = np.where(counts[:size] > 0, mass[level] / np.maximum(filled[level], 1.0), 0.0)
    p, q = seen / seen.sum(), kept / max(kept.sum(), 1e-300)
    inside = p > 0
    return float((p[inside] * np.log(p[inside] / np.maximum(q[inside], 1e-12))).sum())


Observer = Callable[[Histogram], float]
OBSERVERS: dict[str, Observer] = {
    "largest": range_by_largest,
    "percentile": range_by_percentile,
    "squared error": range_by_squared_error,
    "entropy": range_by_entropy,
}


def ranges_from_histograms(histograms: Mapping[str, Histogram], observer: str) -> dict[str, float]:
    """Return the range of every activation by one of OBSERVERS; PrednetError where it gives no number above 0."""
    found = {name: OBSERVERS[observer](histogram) for name, histogram in histograms.items()}
    failed = [name for name, reach in found.items() if not 0.0 < reach < np.inf and histograms[name].largest]
    if failed:
        raise PrednetError(
            f"the observer '{observer}' gives {found[failed[0]]} for {failed[0]}, and no range above 0 for "
            f"{len(failed)} of {len(found)} activations; none of its ranges is used."
        )
    return {name: max(reach, LEAST_RANGE) for name, reach in found.items()}
