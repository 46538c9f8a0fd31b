"""A calibration: normality, noise and limits of one camera or bundle, and how they lie in a file."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass, fields

import msgspec
import numpy as np

from edge.detection import Limit, Rules
from edge.errors import PrednetError
from edge.level import Noise
from edge.normality import Normality
from edge.promise import Promise, promised
from edge.rates import Rates, rate_at


class Tail(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How often normal footage shows a level, in files of an earlier form.

    `rate_per_hour` blocks of five seconds reach `level`, e-fold rarer every `scale`.
    """

    level: float
    rate_per_hour: float
    scale: float


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What normal footage allows to be said of the level, and what it was fitted on.

    `on` and `off` are levels; `highest_level` is the highest of the footage, seen as held-out footage;
    `is_promise` is false where the footage is too short to promise a rate of false events; `promise` says what it
    promises or lacks, and `rates` how often normal work reaches a level. Files of an earlier form have a `tail` alone.
    """

    noise: Noise
    on: float
    off: float
    is_promise: bool
    highest_level: float
    footage_seconds: float
    frames: int
    footage_digest: str
    tail: Tail | None = None
    rates: Rates | None = None
    promise: Promise | None = None

    @property
    def rarity(self) -> Rates | Tail | None:
        """What says how often normal work reaches a level; None where the footage could not tell."""
        return self.tail if self.rates is None else self.rates


@dataclass(frozen=True)
class Calibration:
    """What is normal and where normal ends."""

    normality: Normality
    limits: Limits

    @property
    def limit(self) -> Limit:
        """The limit that the river decides by."""
        return Limit(self.limits.on, self.limits.off, self.limits.is_promise)


def rate_per_hour(level: float, rarity: Rates | Tail | None) -> float | None:
    """Return how often an hour normal work makes an event at a limit this high; None where nothing can say."""
    if rarity is None:
        return None
    if isinstance(rarity, Rates):
        return rate_at(rarity, level)
    return rarity.rate_per_hour * math.exp(-max(level - rarity.level, 0.0) / rarity.scale)


def limits_for(limits: Limits, rules: Rules, false_events_per_day: float | None) -> Limits:
    """Return the limits under a device's own rules, and for its own number of false events a day where one is given.

    A promise was counted under rules: where a device holds shorter, rests shorter or releases differently, it is void.
    """
    fitted = limits.promise
    if fitted is None:
        return limits
    if false_events_per_day is not None and limits.rates is not None:
        middle, share = 2.0 * limits.off - limits.on, 0.5  # as every fit of limits lays `off` between them
        on, promise = promised(limits.rates, false_events_per_day, fitted.limits, fitted.rules)
        limits = msgspec.structs.replace(
            limits, on=on, off=middle + share * (on - middle), is_promise=promise.hours_needed == 0.0, promise=promise
        )
    return msgspec.structs.replace(limits, is_promise=limits.is_promise and _covers(fitted.rules, rules))


def _covers(fitted: Rules, rules: Rules) -> bool:
    return (
        rules.hold_seconds >= fitted.hold_seconds
        and rules.refractory_seconds >= fitted.refractory_seconds
        and rules.release_seconds == fitted.release_seconds
    )


def normality_to_bytes(normality: Normality) -> bytes:
    """Return the normality as an npz without pickles."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **{part.name: getattr(normality, part.name) for part in fields(Normality)})
    return buffer.getvalue()


def normality_from_bytes(data: bytes, grid: tuple[int, int, int], where: str) -> Normality:
    """Return the normality of an npz; PrednetError unless it is finite and fits the grid [L, Gh, Gw]."""
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            found = {part.name: arrays[part.name].astype(np.float32) for part in fields(Normality)}
    except (ValueError, OSError, KeyError, EOFError) as error:
        raise PrednetError(f"{where}: the normality cannot be read ({error}); make it anew.") from error
    shapes = {name: (grid[0],) if name.startswith("layer_") else grid for name in found}
    for name, values in found.items():
        if values.shape != shapes[name] or not np.isfinite(values).all():
            raise PrednetError(
                f"{where}: {name} is {list(values.shape)}, expected finite numbers {list(shapes[name])}; make it anew."
            )
    if min(found["layer_scale"].min(), found["floor"].min()) <= 0 or found["high"].min() < 0:
        raise PrednetError(f"{where}: a scale or a floor is not above 0; make it anew.")
    return Normality(**found)


def limits_from_bytes(data: bytes, where: str) -> Limits:
    """Return the limits of a JSON text; PrednetError says what is wrong with it."""
    try:
        return msgspec.json.decode(data, type=Limits)
    except msgspec.MsgspecError as error:
        raise PrednetError(f"{where}: the limits cannot be read ({error}); make it anew.") from error
