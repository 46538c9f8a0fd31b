"""Limits from the level on normal footage: what was seen, how sure it is, and what it can promise."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from calibration.noise import Track
from edge.calibrated import Tail
from edge.level import Level, Noise, first_level, predict, update

# Without a promise the limit is the highest level seen plus this many standard deviations of the level.
UNCERTAINTY_SIGMAS = 3.0
# An event ends this far down from its limit towards the middle of normal work.
OFF_SHARE = 0.5
# The tail begins at this quantile of the level; peaks closer than this belong together.
TAIL_QUANTILE = 0.95
CLUSTER_SECONDS = 5.0
LEAST_CLUSTERS = 5


def levels_from_track(track: Track, noise: Noise) -> list[Level]:
    """Return the level after each surprise of a track, by the filter that the device runs."""
    seconds, surprise = track
    levels = [first_level(float(surprise[0]), noise)]
    for step, value in zip(np.diff(seconds).tolist(), surprise[1:].tolist(), strict=True):
        levels.append(update(predict(levels[-1], noise, step), value, noise)[0])
    return levels


def highest_limit(levels: Sequence[Level]) -> tuple[float, float]:
    """Return (on, off) that no level of the footage reaches: the highest plus its uncertainty. No promise."""
    highest = max(level.mean + UNCERTAINTY_SIGMAS * level.sd for level in levels)
    middle = float(np.median([level.mean for level in levels]))
    return highest, middle + OFF_SHARE * (highest - middle)


def fit_tail(tracks: Sequence[tuple[NDArray[np.float64], NDArray[np.float64]]]) -> Tail | None:
    """Return the exponential tail of the level's peaks in tracks of (seconds [T], level [T]).

    Peaks over a threshold, declustered; Coles, «An Introduction to Statistical Modeling of Extreme
    Values» (2001), chapter 4, with shape 0. None where there are too few peaks to say.
    """
    threshold = float(np.quantile(np.concatenate([level for _, level in tracks]), TAIL_QUANTILE))
    peaks = [peak for seconds, level in tracks for peak in _cluster_peaks(seconds, level, threshold)]
    hours = sum(float(seconds[-1] - seconds[0]) for seconds, _ in tracks) / 3600.0
    if len(peaks) < LEAST_CLUSTERS or hours <= 0.0:
        return None
    return Tail(threshold, len(peaks) / hours, max(float(np.mean(peaks)) - threshold, 1e-6))


def _cluster_peaks(seconds: NDArray[np.float64], level: NDArray[np.float64], threshold: float) -> list[float]:
    peaks: list[float] = []
    last = -np.inf
    for at in np.flatnonzero(level > threshold):
        if seconds[at] - last > CLUSTER_SECONDS:
            peaks.append(float(level[at]))
        else:
            peaks[-1] = max(peaks[-1], float(level[at]))
        last = seconds[at]
    return peaks
