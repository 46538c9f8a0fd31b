"""Limits from the level on normal footage: the lowest that keeps a rate of false events, or what a promise lacks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from calibration.heights import Run, count_events, event_heights, middle_of, watched_seconds
from calibration.noise import Track
from calibration.tail import TailFit, fit_tail, misfit, rate_at
from edge.detection import Rules, limit_from_on
from edge.level import Level, Noise, first_level, predict, update
from edge.promise import Promise, promised
from edge.rates import LACKING_SHARE, Rates, hours_for, hours_lacking, lowest_per_day

# A tail is fitted on so many of the highest events, or on fewer where these are not of one kind; and is believed
# where its misfit is below the most: the 10 % point of a generalised Pareto tail that was fitted itself.
WANTED_EVENTS = (50, 35, 25, 20)
MOST_MISFIT = 0.85
# Where no rate can be told the limit is the lowest that stays quiet plus this many standard deviations of the level a
# frame ahead.
UNCERTAINTY_SIGMAS = 3.0
BISECTIONS = 16
# Footage shorter than this shows too few moments to tell a spike from a crossing that lasts.
LITTLE_SECONDS = 60.0
# How many levels' rates are kept, from the threshold to the rarest event that the footage can promise.
KEPT_LEVELS = 64
# So many events may come, on average, where none was seen, with 95 % confidence: −ln 0.05.
UNSEEN_EVENTS = 3.0


@dataclass(frozen=True)
class FoundLimit:
    """A limit and what it is worth. `rates` is None where the footage has too few events to tell a rate."""

    on: float
    off: float
    is_promise: bool
    promise: Promise
    rates: Rates | None


def levels_from_track(track: Track, noise: Noise) -> list[Level]:
    """Return the level after each surprise of a track, by the filter that the device runs."""
    seconds, surprise = track
    levels = [first_level(float(surprise[0]), noise)]
    for step, value in zip(np.diff(seconds).tolist(), surprise[1:].tolist(), strict=True):
        levels.append(update(predict(levels[-1], noise, step), value, noise)[0])
    return levels


def runs_from_levels(tracks: Sequence[Track], levels: Sequence[Sequence[Level]]) -> list[Run]:
    """Return (seconds, level) of each track."""
    return [(seconds, np.array([one.mean for one in run])) for (seconds, _), run in zip(tracks, levels, strict=True)]


def deviation_of(levels: Sequence[Sequence[Level]], noise: Noise, step_seconds: float) -> float:
    """Return the largest standard deviation of the settled level one frame ahead.

    Not that of the level itself: where an observation has no noise that is certain, and says nothing of what comes.
    """
    settled = (level for run in levels for level in run[len(run) // 2 :])
    return predict(max(settled, key=lambda level: level.var), noise, step_seconds).sd


def fit_limit(
    runs: Sequence[Run],
    rules: Rules,
    false_events_per_day: float = 1.0,
    limits: int = 1,
    deviation: float = 0.0,
) -> FoundLimit:
    """Return the lowest limit at which normal work makes no more false events than asked.

    `runs` are (seconds [T], level [T]) of stretches of normal work without a break, as held-out footage; any detector's
    level will do. `false_events_per_day` is asked of a camera with so many `limits`, each of which gets an equal
    part. Events are those of the device's own `decide`. Where the footage is too short, `promise` says how many hours
    are lacking, and the limit is that of the lowest rate that the footage supports; where not even a rate can be told,
    the lowest that stays quiet on it, plus its uncertainty: `deviation` is that of the level a frame ahead.
    """
    middle = middle_of(runs)
    rates = rates_from_runs(runs, rules)
    if rates is None:
        return _found_unseen(runs, middle, rules, false_events_per_day, limits, deviation)
    on, promise = promised(rates, false_events_per_day, limits, rules)
    return FoundLimit(on, limit_from_on(on, middle).off, promise.hours_needed == 0.0, promise, rates)


def rates_from_runs(runs: Sequence[Run], rules: Rules) -> Rates | None:
    """Return how often normal work makes events at any limit; None where the footage has too few of one kind to say."""
    for wanted in WANTED_EVENTS:
        heights = event_heights(runs, rules, wanted)
        if heights is not None:
            fit = fit_tail(heights)
            if misfit(fit, heights) <= MOST_MISFIT:
                return _kept(fit, heights.watched_hours)
    return None


def quiet_limit(runs: Sequence[Run], rules: Rules, deviation: float) -> float:
    """Return the lowest limit that announces no event on the footage, plus its uncertainty. No promise.

    A crossing shorter than the hold is no event, so the limit is found with the device's own `decide`. Uncertain is
    the level: three times its `deviation`. Footage too short to show what lasts gives the highest level instead.
    """
    middle, high = middle_of(runs), max(float(levels.max()) for _, levels in runs)
    low = middle if sum(float(seconds[-1] - seconds[0]) for seconds, _ in runs) >= LITTLE_SECONDS else high
    for _ in range(BISECTIONS):
        between = 0.5 * (low + high)
        if count_events(runs, limit_from_on(between, middle), rules):
            low = between
        else:
            high = between
    return high + UNCERTAINTY_SIGMAS * deviation


def _found_unseen(
    runs: Sequence[Run], middle: float, rules: Rules, asked_per_day: float, limits: int, deviation: float
) -> FoundLimit:
    """The limit where there are too few events for a tail: what was never seen is as rare as the footage is long."""
    hours, share = watched_seconds(runs, rules) / 3600.0, asked_per_day / limits
    at_least = hours_for(share) if hours < hours_for(share) else 24.0 * UNSEEN_EVENTS / share
    on = quiet_limit(runs, rules, deviation)
    needed = hours_lacking(at_least, hours)
    promise = Promise(asked_per_day=asked_per_day, limits=limits, hours_needed=needed, rules=rules)
    return FoundLimit(on, limit_from_on(on, middle).off, needed == 0.0, promise, None)


def _kept(fit: TailFit, watched_hours: float) -> Rates:
    """The rates at KEPT_LEVELS levels: each rarer by the same factor than the one before."""
    rates = Rates(
        level=fit.threshold,
        rate_per_hour=fit.rate,
        scale=float(fit.scales[fit.best]),
        shape=float(fit.shapes[fit.best]),
        dispersion=fit.dispersion,
        watched_hours=watched_hours,
        levels=(),
        low_per_hour=(),
        high_per_hour=(),
    )
    rarest = (1.0 - LACKING_SHARE) * lowest_per_day(rates) / 24.0
    highest = rate_at(fit, fit.threshold).high
    levels = [_level_at(fit, high) for high in np.geomspace(highest, min(rarest, highest), KEPT_LEVELS).tolist()]
    intervals = [rate_at(fit, level) for level in levels]
    return msgspec.structs.replace(
        rates,
        levels=tuple(levels),
        low_per_hour=tuple(one.low for one in intervals),
        high_per_hour=tuple(one.high for one in intervals),
    )


def _level_at(fit: TailFit, per_hour: float) -> float:
    """The lowest level at which the upper end of the interval is no higher than a rate."""
    low, high = fit.threshold, fit.threshold + float(fit.scales.max())
    while rate_at(fit, high).high > per_hour:
        high = fit.threshold + 2.0 * (high - fit.threshold)
    for _ in range(2 * BISECTIONS):
        between = 0.5 * (low + high)
        if rate_at(fit, between).high > per_hour:
            low = between
        else:
            high = between
    return high
