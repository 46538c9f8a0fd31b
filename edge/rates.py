"""How often normal work makes an event that reaches a level, how sure that is, and the level that a rate asks for.

A fit on normal footage (`calibration.limits`) leaves `Rates` in the calibration; a device needs no more to
say how rare a level is, and to find the limit for another number of false events a day.
"""

from __future__ import annotations

import bisect
import math

import msgspec

# Rarer than once in a century nothing is told apart.
LEAST_PER_HOUR = 1e-6
# The rarest event that footage supports a promise of: one in so many times its length. A shift of eight hours
# supports one a day; simulation holds the intervals to it (benchmarks/limits.py).
REACH = 3.0
# Warm-up and first hold of each clip are not watched: footage that lacks no more than this share is long enough.
LACKING_SHARE = 0.02
# How sure the intervals are.
CONFIDENCE = 0.90


class Rates(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Events that `decide` makes in normal work, by the limit that they reach.

    At `level` it is `rate_per_hour`; above, the generalised Pareto tail of `scale` and `shape` says. `levels`
    ascend from `level`; `low_per_hour` and `high_per_hour` are the ends of the interval at each.
    `watched_hours` is the length of the footage; `dispersion` is 1 where events came independently, above in swarms.
    """

    level: float
    rate_per_hour: float
    scale: float
    shape: float
    dispersion: float
    watched_hours: float
    levels: tuple[float, ...]
    low_per_hour: tuple[float, ...]
    high_per_hour: tuple[float, ...]


def rate_at(rates: Rates, level: float) -> float:
    """Return the rate an hour at a level; below the beginning of the tail it is the rate there."""
    above = max(level - rates.level, 0.0) / rates.scale
    if abs(rates.shape) < 1e-9:
        return max(rates.rate_per_hour * math.exp(-above), LEAST_PER_HOUR)
    inside = max(1.0 + rates.shape * above, 0.0)
    reached = inside ** (-1.0 / rates.shape) if inside else 0.0
    return max(rates.rate_per_hour * reached, LEAST_PER_HOUR)


def interval_at(rates: Rates, level: float) -> tuple[float, float]:
    """Return (low, high), within which the rate an hour at a level lies: of the levels worked out on its two sides."""
    below = max(bisect.bisect_right(rates.levels, level) - 1, 0)
    above = bisect.bisect_left(rates.levels, level)
    low = rates.low_per_hour[above] if above < len(rates.levels) else 0.0
    return low, rates.high_per_hour[below]


def level_for(rates: Rates, per_day: float) -> float:
    """Return the lowest level worked out whose rate is, at the upper end of its interval, no higher than asked."""
    for level, high in zip(rates.levels, rates.high_per_hour, strict=True):
        if 24.0 * high <= per_day:
            return level
    return rates.levels[-1]


def lowest_per_day(rates: Rates) -> float:
    """Return the lowest rate of one limit that the footage supports a promise of."""
    return 24.0 / (REACH * rates.watched_hours)


def hours_for(per_day: float) -> float:
    """Return the hours of footage that a promise of so many events a day at one limit needs."""
    return 24.0 / (REACH * per_day)


def hours_lacking(needed: float, watched: float) -> float:
    """Return the hours of footage that are lacking; 0 where it is long enough."""
    return needed - watched if watched < (1.0 - LACKING_SHARE) * needed else 0.0
