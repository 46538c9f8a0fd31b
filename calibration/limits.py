"""Limits from the level on normal footage: what was seen, how sure it is, and what it can promise."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from calibration.noise import Track
from edge.calibrated import Tail
from edge.level import Level, Noise, first_level, predict, update

# Without a promise the limit is the highest level seen plus this many standard deviations of what is uncertain.
UNCERTAINTY_SIGMAS = 3.0
# An event ends this far down from its limit towards the middle of normal work.
OFF_SHARE = 0.5
# Levels closer than this belong to one peak: the tail is fitted on the maxima of blocks of this length, of
# which it takes the highest share, and at least so many.
CLUSTER_SECONDS = 5.0
TAIL_SHARE = 0.05
LEAST_CLUSTERS = 5


def levels_from_track(track: Track, noise: Noise) -> list[Level]:
    """Return the level after each surprise of a track, by the filter that the device runs."""
    seconds, surprise = track
    levels = [first_level(float(surprise[0]), noise)]
    for step, value in zip(np.diff(seconds).tolist(), surprise[1:].tolist(), strict=True):
        levels.append(update(predict(levels[-1], noise, step), value, noise)[0])
    return levels


def highest_limit(levels: Sequence[Level], tail: Tail | None) -> tuple[float, float]:
    """Return (on, off): the highest level seen plus its uncertainty, and half-way down to the middle. No promise.

    Uncertain are the level itself (its standard deviation) and which highest level other footage of the
    same length would have shown (the standard deviation of a Gumbel distribution with the tail's scale).
    """
    sampling = 0.0 if tail is None else UNCERTAINTY_SIGMAS * tail.scale * math.pi / math.sqrt(6.0)
    highest = max(level.mean + max(UNCERTAINTY_SIGMAS * level.sd, sampling) for level in levels)
    middle = float(np.median([level.mean for level in levels]))
    return highest, middle + OFF_SHARE * (highest - middle)


def fit_tail(tracks: Sequence[tuple[NDArray[np.float64], NDArray[np.float64]]]) -> Tail | None:
    """Return the exponential tail of the level's peaks in tracks of (seconds [T], level [T]).

    Peaks over a threshold, declustered by blocks; Coles, «An Introduction to Statistical Modeling of
    Extreme Values» (2001), chapter 4, with shape 0. None where the footage has too few blocks to say.
    """
    maxima = np.sort(np.concatenate([_block_maxima(seconds, level) for seconds, level in tracks]))
    count = max(LEAST_CLUSTERS, round(TAIL_SHARE * len(maxima)))
    if len(maxima) < 4 * count:
        return None
    threshold, hours = float(maxima[-count - 1]), len(maxima) * CLUSTER_SECONDS / 3600.0
    return Tail(threshold, count / hours, max(float(maxima[-count:].mean()) - threshold, 1e-6))


def _block_maxima(seconds: NDArray[np.float64], level: NDArray[np.float64]) -> NDArray[np.float64]:
    block = ((seconds - seconds[0]) // CLUSTER_SECONDS).astype(int)
    starts = np.flatnonzero(np.diff(block, prepend=-1))
    maxima: NDArray[np.float64] = np.maximum.reduceat(level, starts)
    return maxima
