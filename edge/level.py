"""The level of the surprise: a Kalman filter with level and trend (a local linear trend model).

State x = [level, trend], observed with noise. Between frames `dt` seconds apart
    x' = [[1, dt], [0, 1]] x,   Q = q_level [[dt, 0], [0, 0]] + q_trend [[dt³/3, dt²/2], [dt²/2, dt]],
and an observation y = level + noise of variance r. Harvey, «Forecasting, structural time series models
and the Kalman filter» (1989), chapter 2. Everything is in plain floats: numpy is slower for 2×2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

# An innovation beyond this many standard deviations is gated: alone it moves the level no further.
GATE_SIGMAS = 4.0


@dataclass(frozen=True)
class Noise:
    """Variances of the model: `q_level` per second, `q_trend` per second³, `r` of one observation."""

    q_level: float
    q_trend: float
    r: float


@dataclass(frozen=True)
class Level:
    """Mean and covariance of [level, trend]; `gated` counts the gated innovations of one sign in a row."""

    mean: float
    trend: float
    var: float
    cov: float
    trend_var: float
    gated: int = 0

    @property
    def sd(self) -> float:
        """Standard deviation of the level."""
        return math.sqrt(self.var)


def first_level(surprise: float, noise: Noise) -> Level:
    """Return the level after one observation and nothing known before it."""
    return Level(surprise, 0.0, noise.r, 0.0, noise.q_trend + 1e-12)


def predict(level: Level, noise: Noise, dt: float) -> Level:
    """Return the level `dt` seconds later, before anything is seen there."""
    var = level.var + 2 * dt * level.cov + dt * dt * level.trend_var + noise.q_level * dt + noise.q_trend * dt**3 / 3
    cov = level.cov + dt * level.trend_var + noise.q_trend * dt * dt / 2
    trend_var = level.trend_var + noise.q_trend * dt
    return Level(level.mean + dt * level.trend, level.trend, var, cov, trend_var, level.gated)


def innovation(prior: Level, surprise: float, noise: Noise) -> tuple[float, float]:
    """Return the innovation y − level and its variance S = P + r."""
    return surprise - prior.mean, prior.var + noise.r


def condition(prior: Level, surprise: float, noise: Noise) -> Level:
    """Return the level given one more observation: Gaussian conditioning, without a gate."""
    residual, residual_var = innovation(prior, surprise, noise)
    gain, trend_gain = prior.var / residual_var, prior.cov / residual_var
    return Level(
        prior.mean + gain * residual,
        prior.trend + trend_gain * residual,
        (1 - gain) * prior.var,
        (1 - gain) * prior.cov,
        prior.trend_var - trend_gain * prior.cov,
    )


def update(prior: Level, surprise: float, noise: Noise) -> tuple[Level, float]:
    """Condition the level on one surprise through the gate; also return the innovation in sigmas.

    One wild frame is taken as if it stood at the gate. A second one on the same side in a row is believed:
    something has changed, so the prior's variance is opened by what was seen.
    """
    residual, residual_var = innovation(prior, surprise, noise)
    z = residual / math.sqrt(residual_var)
    if abs(z) <= GATE_SIGMAS:
        return condition(prior, surprise, noise), z
    side = int(math.copysign(1, z))
    gated = prior.gated + side if prior.gated * side >= 0 else side
    if abs(gated) >= 2:
        opened = Level(prior.mean, prior.trend, prior.var + residual * residual, prior.cov, prior.trend_var)
        posterior = condition(opened, surprise, noise)
    else:
        at_gate = prior.mean + side * GATE_SIGMAS * math.sqrt(residual_var)
        posterior = condition(prior, at_gate, noise)
    return Level(posterior.mean, posterior.trend, posterior.var, posterior.cov, posterior.trend_var, gated), z
