"""Limits from the level on normal footage: what was seen, how sure it is, and what it can promise."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from calibration.noise import Track
from edge.calibrated import Tail
from edge.detection import Detector, Limit, Reading, Rules, decide
from edge.level import Level, Noise, first_level, predict, update

# Without a promise the limit is the lowest that stays quiet plus this many standard deviations of the level.
UNCERTAINTY_SIGMAS = 3.0
BISECTIONS = 16
# Footage shorter than this shows too few moments to tell a spike from a crossing that lasts.
LITTLE_SECONDS = 60.0
NOWHERE = (0.0, 0.0, 1.0, 1.0)
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


def quiet_limit(runs: Sequence[tuple[NDArray[np.float64], Sequence[Level]]], rules: Rules) -> tuple[float, float]:
    """Return (on, off): the lowest limit that announces no event on the footage, plus its uncertainty. No promise.

    `runs` are (seconds [T], levels) of stretches without a break. A crossing shorter than the hold is no event,
    so the limit is found with the device's own `decide`. Uncertain is the level: three standard deviations.
    Footage too short to show what lasts gives the highest level seen instead, plus the same.
    """
    means = np.concatenate([[level.mean for level in levels] for _, levels in runs])
    middle, high = float(np.median(means)), float(means.max())
    low = middle if sum(float(seconds[-1] - seconds[0]) for seconds, _ in runs) >= LITTLE_SECONDS else high
    for _ in range(BISECTIONS):
        between = 0.5 * (low + high)
        if any(_announces(seconds, levels, _limit(between, middle), rules) for seconds, levels in runs):
            low = between
        else:
            high = between
    deviation = max(level.sd for _, levels in runs for level in levels[len(levels) // 2 :])
    limit = _limit(high + UNCERTAINTY_SIGMAS * deviation, middle)
    return limit.on, limit.off


def _limit(on: float, middle: float) -> Limit:
    return Limit(on, middle + OFF_SHARE * (on - middle))


def _announces(seconds: NDArray[np.float64], levels: Sequence[Level], limit: Limit, rules: Rules) -> bool:
    detector = Detector()
    for at, level in zip(seconds.tolist(), levels, strict=True):
        detector, detection = decide(detector, Reading(at, level.mean, 0.0, NOWHERE), limit, rules)
        if detection is not None:
            return True
    return False


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
