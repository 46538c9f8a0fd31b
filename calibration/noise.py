"""Process and measurement noise of the level by maximum likelihood on normal footage.

Harvey (1989), section 3.4: the likelihood of a Kalman filter is that of its innovations.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from edge.level import Noise, condition, first_level, innovation, predict

# The likelihood of this many frames is as good as that of all, and a fit stays within seconds.
MOST_FRAMES = 4000
# Normal surprise is often white, for which the best filter never moves; an accident is not white. The
# level follows a step within this time whatever the likelihood says (docs/decisions/0003).
MOST_LAG_SECONDS = 0.5
# Surprises further out than this many robust standard deviations are drawn in before the fit.
WILD_SIGMAS = 5.0

# One kind of score of a stretch that was watched without a break: seconds [T], values [T].
Track = tuple[NDArray[np.float64], NDArray[np.float64]]


def fit_noise(tracks: Sequence[Track], rate_hz: float) -> Noise:
    """Return the most likely noise of tracks of (seconds [T], surprise [T]), as quick as MOST_LAG_SECONDS asks."""
    return quick_enough(most_likely_noise(tracks, rate_hz), rate_hz)


def most_likely_noise(tracks: Sequence[Track], rate_hz: float) -> Noise:
    """Return the noise that makes tracks of (seconds [T], surprise [T]) most likely."""
    tame = _tamed(tracks)
    variance = max(float(np.var(np.concatenate([surprise for _, surprise in tame]))), 1e-6)
    start = np.log([0.1 * variance * rate_hz, 1e-5 * variance, 0.5 * variance])

    def cost(logs: np.ndarray) -> float:
        q_level, q_trend, r = (math.exp(float(value)) for value in np.clip(logs, -30.0, 30.0))
        return negative_log_likelihood(tame, Noise(q_level, q_trend, r))

    found = minimize(cost, start, method="Nelder-Mead", options={"maxiter": 250, "xatol": 0.02, "fatol": 0.05})
    q_level, q_trend, r = (math.exp(float(value)) for value in np.clip(found.x, -30.0, 30.0))
    return Noise(q_level, q_trend, max(r, 1e-6))


def quick_enough(noise: Noise, rate_hz: float) -> Noise:
    """Return the noise with q_level raised, where need be, until a step is followed within MOST_LAG_SECONDS."""
    gain = 1.0 - math.exp(-1.0 / (rate_hz * MOST_LAG_SECONDS))
    least = noise.r * gain * gain / (1.0 - gain) * rate_hz  # steady state: K² / (1 − K) = q dt / r
    return Noise(max(noise.q_level, least), noise.q_trend, noise.r)


def negative_log_likelihood(tracks: Sequence[Track], noise: Noise) -> float:
    """Return −log p of all observations after each track's first, up to a constant."""
    total = 0.0
    for seconds, surprise in tracks:
        level = first_level(float(surprise[0]), noise)
        for step, value in zip(np.diff(seconds).tolist(), surprise[1:].tolist(), strict=True):
            prior = predict(level, noise, step)
            residual, residual_var = innovation(prior, value, noise)
            total += 0.5 * (math.log(residual_var) + residual * residual / residual_var)
            level = condition(prior, value, noise)
    return total


def _tamed(tracks: Sequence[Track]) -> list[Track]:
    surprise = np.concatenate([values for _, values in tracks])
    middle = float(np.median(surprise))
    spread = 1.4826 * float(np.median(np.abs(surprise - middle))) + 1e-9
    tame, left = [], MOST_FRAMES
    for seconds, values in tracks:
        if left > 1 and len(values) > 1:
            drawn = np.clip(values[:left], middle - WILD_SIGMAS * spread, middle + WILD_SIGMAS * spread)
            tame.append((seconds[:left], drawn))
            left -= len(drawn)
    return tame or [(np.array([0.0, 1.0]), np.array([middle, middle]))]
