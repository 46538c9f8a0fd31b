"""The tail of normal work: how often its events reach a level, beyond the highest that was seen, and how sure that is.

Peaks over a threshold: events come `rate` an hour, and reach x above the threshold with the probability
    S(x) = (1 + shape x / scale)^(−1 / shape)            (generalised Pareto; exp(−x / scale) at shape 0).
Coles, «An Introduction to Statistical Modeling of Extreme Values» (2001), chapters 4 and 2.6. The interval of
rate · S(x) is that of its profile likelihood. Events come in swarms, and busy hours follow quiet ones: the
likelihood is divided by the dispersion of the counts (quasi-likelihood), which widens the interval as much.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import lambertw

from calibration.heights import Heights, Values

# Half the 92.5 % quantile of χ² with one degree of freedom: so far the log likelihood falls to the ends of a 90 %
# interval. The quantile of 90 % itself holds for many peaks; on fifty with a heavy tail it is too narrow.
LIKELIHOOD_DROP = 1.585
# And so far to the lower end, half the 99 % quantile: nothing is decided by it, and on fresh simulations the true rate
# lay below the lower end twice as often as above the upper one.
LOW_LIKELIHOOD_DROP = 3.317
# The shape is bounded, and doubted the more the further it is from 0; with 0.2 for the deviation, of 24 fits on pulses
# with the shape 0.2 the interval was right in 20, with 0.3 in 22.
MOST_SHAPE = 0.5
SHAPE_DEVIATION = 0.3
SHAPES = np.linspace(-MOST_SHAPE, MOST_SHAPE, 41)
# Scales that are tried, as multiples of the mean height.
SCALES = np.geomspace(0.2, 5.0, 61)
# The dispersion is that of the counts of so many equal stretches, each with so many events at least.
MOST_STRETCHES = 12
EVENTS_A_STRETCH = 3


@dataclass(frozen=True)
class Interval:
    """A rate an hour, and the interval in which it lies with 90 % confidence."""

    rate: float
    low: float
    high: float


@dataclass(frozen=True)
class TailFit:
    """Every tail that the heights allow: `shapes`, `scales`, and the rates an hour at the threshold, all [K].

    `best` is the place of the most likely one, whose rate an hour is `rate`.
    """

    threshold: float
    rate: float
    dispersion: float
    best: int
    shapes: Values
    scales: Values
    least_rates: Values
    most_rates: Values


def fit_tail(heights: Heights) -> TailFit:
    """Return the tails within the interval around the most likely one."""
    count = len(heights.above)
    dispersion = dispersion_of(heights)
    shapes, scales = (part.ravel() for part in np.meshgrid(SHAPES, SCALES * float(heights.above.mean())))
    likelihood = np.array([_log_likelihood(heights.above, *one) for one in zip(shapes, scales, strict=True)])
    fallen = likelihood.max() - likelihood
    allowed = fallen <= LOW_LIKELIHOOD_DROP * dispersion
    fallen = fallen[allowed]
    least, _ = _poisson_bounds((LOW_LIKELIHOOD_DROP * dispersion - fallen) / count)
    slack = LIKELIHOOD_DROP * dispersion - fallen
    _, most = _poisson_bounds(np.maximum(slack, 0.0) / count)
    most = np.where(slack >= 0.0, most, 0.0)  # too unlikely for the upper end
    rate = count / heights.watched_hours
    return TailFit(
        heights.threshold,
        rate,
        dispersion,
        int(np.argmax(likelihood[allowed])),
        shapes[allowed],
        scales[allowed],
        least * rate,
        most * rate,
    )


def misfit(fit: TailFit, heights: Heights) -> float:
    """Return √n times the largest distance between the most likely tail and the heights (Kolmogorov–Smirnov)."""
    shape, scale = fit.shapes[fit.best], fit.scales[fit.best]
    ends, counts = np.unique(heights.above, return_counts=True)
    expected = np.array([1.0 - float(survival(end, shape, scale)) for end in ends + 0.5 * heights.step])
    return float(np.sqrt(len(heights.above)) * np.abs(np.cumsum(counts) / len(heights.above) - expected).max())


def rate_at(fit: TailFit, level: float) -> Interval:
    """Return how often an hour normal work makes an event that reaches a level; below the threshold, that there."""
    reached = survival(max(level - fit.threshold, 0.0), fit.shapes, fit.scales)
    return Interval(
        fit.rate * float(reached[fit.best]),
        float((fit.least_rates * reached).min()),
        float((fit.most_rates * reached).max()),
    )


def survival(above: float, shapes: Values, scales: Values) -> Values:
    """Return S(x) of each shape and scale at one x ≥ 0."""
    inside = np.maximum(1.0 + shapes * above / scales, 0.0)
    is_exponential = np.abs(shapes) < 1e-9
    power = -1.0 / np.where(is_exponential, 1.0, shapes)
    with np.errstate(divide="ignore"):
        reached: Values = np.where(is_exponential, np.exp(-above / scales), inside**power)
    return reached


def dispersion_of(heights: Heights) -> float:
    """Return the variance of the counts in equal stretches over their mean; that of independent events, 1, at least."""
    stretches = int(np.clip(len(heights.hours) // EVENTS_A_STRETCH, 2, MOST_STRETCHES))
    counts, _ = np.histogram(heights.hours, stretches, (0.0, heights.watched_hours))
    return max(float(counts.var(ddof=1) / counts.mean()), 1.0)


def _log_likelihood(above: Values, shape: float, scale: float) -> float:
    """The log density of the heights, and of the shape before anything was seen."""
    doubt = 0.5 * (shape / SHAPE_DEVIATION) ** 2 + len(above) * np.log(scale)
    if abs(shape) < 1e-9:
        return float(-above.sum() / scale - doubt)
    inside = 1.0 + shape * above / scale
    if inside.min() <= 0.0:
        return -np.inf
    return float(-(1.0 / shape + 1.0) * np.log(inside).sum() - doubt)


def _poisson_bounds(slack: Values) -> tuple[Values, Values]:
    """Return y ≤ 1 and y ≥ 1 with log y − y + 1 = −slack: there a Poisson likelihood has fallen by count × slack."""
    inner = -np.exp(-1.0 - slack)
    return -lambertw(inner, 0).real, -lambertw(inner, -1).real
