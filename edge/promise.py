"""The promise of a limit: so many false events a day at most, or how much footage that still needs."""

from __future__ import annotations

import msgspec

from edge.detection import Rules
from edge.rates import CONFIDENCE, Rates, hours_for, hours_lacking, interval_at, level_for, lowest_per_day, rate_at


class Promise(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a limit promises, or what a promise still lacks.

    `asked_per_day` is what was asked of the camera, over all its limits, of which there are `limits`; this one has
    an equal part of it. `given_per_day` is the rate that this limit keeps with 95 % confidence: the part, or the
    lowest rate that the footage supports. None where the footage supports no rate. `rate_per_day`, `low_per_day`
    and `high_per_day` are the rate at this limit and the ends of its interval. `hours_needed` is how much more normal
    footage the promise needs, 0 where it stands. `rules` are those under which events were counted.
    """

    asked_per_day: float
    limits: int
    hours_needed: float
    rules: Rules
    given_per_day: float | None = None
    rate_per_day: float | None = None
    low_per_day: float | None = None
    high_per_day: float | None = None

    @property
    def share_per_day(self) -> float:
        """This limit's part of what was asked of the camera."""
        return self.asked_per_day / self.limits


def promised(rates: Rates, asked_per_day: float, limits: int, rules: Rules) -> tuple[float, Promise]:
    """Return the limit that keeps a camera's rate of false events where the footage supports it, and what it promises.

    Where the footage is too short, the limit is that of the lowest rate that it supports.
    """
    share = asked_per_day / limits
    lacking = hours_lacking(hours_for(share), rates.watched_hours)
    given = max(share, lowest_per_day(rates)) if lacking else share
    on = level_for(rates, given)
    low, high = interval_at(rates, on)
    promise = Promise(
        asked_per_day=asked_per_day,
        limits=limits,
        hours_needed=lacking,
        rules=rules,
        given_per_day=given,
        rate_per_day=24.0 * rate_at(rates, on),
        low_per_day=24.0 * low,
        high_per_day=24.0 * high,
    )
    return on, promise


def told_promise(promise: Promise, is_promise: bool) -> str:
    """Return what a limit promises, or what it lacks, in sentences."""
    asked = f"at most {_events(promise.asked_per_day)} a day on this camera"
    if promise.limits > 1:
        asked += f", {told_rate(promise.share_per_day)} of them at this limit, one of {promise.limits}"
    if is_promise:
        return f"promise: {asked}. {_rate(promise)}".rstrip()
    if promise.hours_needed == 0.0:
        return f"no promise of a rate: {asked} was counted under other rules (hold, release, refractory) than these"
    lacking = f"no promise of a rate: for {asked}, {_hours(promise.hours_needed)} more of normal footage are needed"
    if promise.given_per_day is None:
        return f"{lacking}. Until then the limit is what this footage stayed below, plus its uncertainty"
    return (
        f"{lacking}. Until then the limit is that of the lowest rate that this footage supports, "
        f"{_events(promise.given_per_day)} a day. {_rate(promise)}"
    )


def _rate(promise: Promise) -> str:
    if promise.rate_per_day is None or promise.low_per_day is None or promise.high_per_day is None:
        return ""
    return (
        f"Work like this footage makes {told_rate(promise.rate_per_day)} a day at this limit "
        f"({100 * CONFIDENCE:.0f} % interval {told_rate(promise.low_per_day)} to {told_rate(promise.high_per_day)})"
    )


def _events(per_day: float) -> str:
    return f"{per_day:.3g} false event{'' if per_day == 1.0 else 's'}"


def _hours(hours: float) -> str:
    return f"{hours:.1f} hours" if hours >= 1.0 else f"{60.0 * hours:.0f} minutes"


def told_rate(per_day: float) -> str:
    """Return a rate with two digits that count, in words that people read: 0.035, 1.2, 66, 120."""
    return f"{float(f'{per_day:.2g}'):.10g}"
