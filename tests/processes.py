"""Levels of simulated normal work whose rate of events is known, or can be counted on as many hours as one likes."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter
from scipy.stats import norm, t

Values = NDArray[np.float64]
Process = Callable[[np.random.Generator, float], Values]

# Readings a second: enough to tell a hold of 1.5 s, and few enough for a thousand hours.
RATE_HZ = 2.0
PULSES_PER_HOUR = 20.0
PULSE_SECONDS = 4.0


def track_of(levels: Values) -> tuple[Values, Values]:
    """Return levels as a run of (seconds, levels)."""
    return np.arange(len(levels)) / RATE_HZ, levels


def correlated(rng: np.random.Generator, hours: float, seconds: float = 3.0, rate_hz: float = RATE_HZ) -> Values:
    """Return a Gaussian process of variance 1 whose correlation falls by e in so many seconds."""
    kept = np.exp(-1.0 / (rate_hz * seconds))
    steps = rng.normal(0.0, np.sqrt(1.0 - kept * kept), int(hours * 3600.0 * rate_hz))
    values: Values = lfilter([1.0], [1.0, -kept], steps)
    return values


def skewed(rng: np.random.Generator, hours: float) -> Values:
    """Return the exponential of a correlated process: a tail between light and heavy."""
    values: Values = np.exp(0.6 * correlated(rng, hours))
    return values


def heavy(rng: np.random.Generator, hours: float) -> Values:
    """Return a correlated process with the tail of Student's t, five degrees of freedom: shape 0.2."""
    values: Values = t.ppf(norm.cdf(np.clip(correlated(rng, hours), -8.0, 8.0)), 5)
    return values


def diurnal(rng: np.random.Generator, hours: float) -> Values:
    """Return a correlated process that is stronger and weaker by a quarter, in turns of six hours."""
    values = correlated(rng, hours)
    return values * (1.0 + 0.25 * np.sin(2.0 * np.pi * np.arange(len(values)) / RATE_HZ / 3600.0 / 6.0))


def swarming(rng: np.random.Generator, hours: float) -> Values:
    """Return a correlated process on a slow one of ten minutes: events come in swarms."""
    slow = correlated(rng, hours + 0.01, 600.0, 0.1)
    values = correlated(rng, hours)
    return values + 0.7 * np.interp(np.arange(len(values)) / RATE_HZ, np.arange(len(slow)) / 0.1, slow)


def pulses(rng: np.random.Generator, hours: float, shape: float) -> Values:
    """Return PULSES_PER_HOUR pulses on a floor of noise, their heights above 1 of a generalised Pareto tail."""
    levels: Values = np.abs(rng.normal(0.0, 0.15, int(hours * 3600.0 * RATE_HZ)))
    share = rng.uniform(0.0, 1.0, rng.poisson(PULSES_PER_HOUR * hours))
    heights = 1.0 + 0.5 * (-np.log(share) if shape == 0.0 else (share**-shape - 1.0) / shape)
    for start, height in zip(rng.integers(0, len(levels), len(share)).tolist(), heights.tolist(), strict=True):
        stretch = slice(start, start + int(PULSE_SECONDS * RATE_HZ))
        levels[stretch] = np.maximum(levels[stretch], height)
    return levels


PROCESSES: Mapping[str, Process] = {
    "correlated, light tail": correlated,
    "correlated, skewed": skewed,
    "correlated, heavy tail": heavy,
    "busy and quiet hours": diurnal,
    "swarms": swarming,
    "pulses, exponential": lambda rng, hours: pulses(rng, hours, 0.0),
    "pulses, heavy tail": lambda rng, hours: pulses(rng, hours, 0.2),
    "pulses, bounded": lambda rng, hours: pulses(rng, hours, -0.25),
}
