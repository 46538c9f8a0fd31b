"""A calibration: normality, noise and limits of one camera or bundle, and how they lie in a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge.appearance import SIDE, Appearance, patch_size
from edge.arrays import UNREADABLE, arrays_to_bytes, opened_arrays
from edge.bank import bank_from
from edge.composition import Composition
from edge.detection import Limit, Rules, limit_from_on, middle_of_limit, stall_rules
from edge.errors import JsonError, PrednetError
from edge.frames import FrameFormat
from edge.level import Noise
from edge.normality import WITNESSES, Normality
from edge.privacy import Shape
from edge.promise import Promise, promised
from edge.rates import Rates
from edge.sketch import Sketch


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What normal footage allows to be said of the level, and what it was fitted on.

    `on` and `off` are levels; `highest_level` is the highest of the footage, seen as held-out footage;
    `is_promise` is false where the footage is too short to promise a rate of false events; `promise` says what it
    promises or lacks, and `rates` how often normal work reaches a level. `stall` are the limits of a movement that
    fails to come, beside those of the surprise; `sketch` is what drift is held against. `tail` is a key that files
    have, without a value since rates are told.
    """

    noise: Noise
    on: float
    off: float
    is_promise: bool
    highest_level: float
    footage_seconds: float
    frames: int
    footage_digest: str
    tail: None = None
    rates: Rates | None = None
    promise: Promise | None = None
    stall: Limits | None = None
    sketch: Sketch | None = None


@dataclass(frozen=True)
class Calibration:
    """What is normal and where normal ends; under which `privacy_masks` that was seen, None where that is not known."""

    normality: Normality
    limits: Limits
    privacy_masks: tuple[Shape, ...] | None = None

    @property
    def limit(self) -> Limit:
        """The limit that the river decides by."""
        return limit_of(self.limits)

    @property
    def stall_limit(self) -> Limit | None:
        """The limit of a movement that fails to come; None where none was fitted."""
        return None if self.limits.stall is None else limit_of(self.limits.stall)


def limit_of(limits: Limits) -> Limit:
    """Return what the river decides by."""
    return Limit(limits.on, limits.off, limits.is_promise)


def limits_for(limits: Limits, rules: Rules, false_events_per_day: float | None) -> Limits:
    """Return the limits under a device's own rules, and for its own number of false events a day where one is given.

    A promise was counted under rules: where a device holds shorter, rests shorter or releases differently, it is void.
    """
    if limits.stall is not None:
        limits = msgspec.structs.replace(
            limits, stall=limits_for(limits.stall, stall_rules(rules), false_events_per_day)
        )
    fitted = limits.promise
    if fitted is None:
        return limits
    if false_events_per_day is not None and limits.rates is not None:
        middle = middle_of_limit(limit_of(limits))
        on, promise = promised(limits.rates, false_events_per_day, fitted.limits, fitted.rules)
        limits = msgspec.structs.replace(
            limits, on=on, off=limit_from_on(on, middle).off, is_promise=promise.hours_needed == 0.0, promise=promise
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
    appearance, composition = normality.appearance, normality.composition
    arrays: dict[str, Any] = {name: getattr(normality, name) for name in _MAPS}
    arrays |= {"change_levels": np.float32(normality.change_levels)}
    arrays |= {"background": appearance.background, "palette": composition.palette, "shares": appearance.shares}
    for name, bank in zip(_BANKS, (appearance.patches, appearance.stands, composition.mixtures), strict=True):
        arrays |= {name: bank.known, f"{name}_starts": bank.starts}
    arrays |= {} if normality.sensitivity is None else {"sensitivity": normality.sensitivity}
    return arrays_to_bytes(**arrays)


_MAPS = ("high", "floor", "middle", "spread")
_BANKS = ("patches", "stands", "mixtures")
_FINITE = {"floor", "middle", "spread", "change_levels", "background", "palette", "shares", "sensitivity"}
_NOT_BELOW_0 = ("high", "background", "shares")
_ARRAYS = (*_MAPS, "change_levels", "background", "palette", "shares", *_BANKS, *(f"{bank}_starts" for bank in _BANKS))


def normality_from_bytes(data: bytes, form: FrameFormat, grid: tuple[int, int], where: str) -> Normality:
    """Return the normality of an npz; PrednetError unless it fits frames of this form on the grid (Gh, Gw)."""
    try:
        with opened_arrays(data) as arrays:
            lacking = [name for name in _ARRAYS if name not in arrays.files]
            if lacking:
                raise PrednetError(
                    f"{where}: the normality lacks {', '.join(lacking)}; an older release may have made it; "
                    "make it anew."
                )
            found = {name: arrays[name] for name in (*_ARRAYS, *({"sensitivity"} & set(arrays.files)))}
    except UNREADABLE as error:
        raise PrednetError(f"{where}: the normality cannot be read ({error}); make it anew.") from error
    _check_normality(found, form, grid, where)
    maps = {name: found[name].astype(np.float32) for name in _MAPS}
    patches, stands, mixtures = (bank_from(found[bank], found[f"{bank}_starts"]) for bank in _BANKS)
    return Normality(
        **maps,
        appearance=Appearance(
            found["background"].astype(np.float32), patches, found["shares"].astype(np.float32), stands
        ),
        composition=Composition(found["palette"].astype(np.float32), mixtures),
        change_levels=float(found["change_levels"]),
        sensitivity=found["sensitivity"].astype(np.float32) if "sensitivity" in found else None,
    )


def _check_normality(
    found: Mapping[str, NDArray[np.generic]], form: FrameFormat, grid: tuple[int, int], where: str
) -> None:
    for name, shape in _shapes(found, form, grid).items():
        values = found[name]
        if values.shape != shape or values.dtype.kind not in "fiu":
            raise PrednetError(
                f"{where}: {name} is {values.dtype} {list(values.shape)}, expected numbers {list(shape)}; make it anew."
            )
        if np.isnan(values).any():
            raise PrednetError(f"{where}: {name} holds NaN, expected numbers; make it anew.")
    for bank in _BANKS:
        _check_bank(found[bank], found[f"{bank}_starts"].astype(np.int64), f"{where}: its {bank}")
    finite = all(np.isfinite(found[name].astype(np.float32)).all() for name in _FINITE & found.keys())
    if not finite or min(found[name].min(initial=0.0) for name in _NOT_BELOW_0) < 0:
        raise PrednetError(f"{where}: a number is not finite, or below 0; make it anew.")
    if "sensitivity" in found and found["sensitivity"].min() < 0:
        raise PrednetError(f"{where}: a sensitivity is below 0; make it anew.")
    if min(found["spread"].min(), found["floor"].min(), found["change_levels"].min()) <= 0:
        raise PrednetError(f"{where}: a spread, a floor or a difference is not above 0; make it anew.")


def _shapes(
    found: Mapping[str, NDArray[np.generic]], form: FrameFormat, grid: tuple[int, int]
) -> dict[str, tuple[int, ...]]:
    """The shape that each array must have; the numbers of vectors and colours are the file's own."""
    rows, columns = grid
    colours = max(found["palette"].shape[0], 1) if found["palette"].ndim else 1
    sizes = dict.fromkeys(("patches", "stands"), patch_size(form.channels)) | {"mixtures": colours}
    shapes: dict[str, tuple[int, ...]] = {"high": (len(WITNESSES), *grid)} | dict.fromkeys(_MAPS[1:], (len(WITNESSES),))
    shapes |= {"change_levels": (), "background": (SIDE * rows, SIDE * columns, form.channels)}
    shapes |= {"palette": (colours, form.channels)}
    for bank, size in sizes.items():
        count = found[bank].shape[0] if found[bank].ndim else 0
        shapes |= {bank: (count, size), f"{bank}_starts": (rows * columns + 1,)}
    shapes |= {"shares": shapes["patches"][:1]}
    return shapes | ({"sensitivity": grid} if "sensitivity" in found else {})


def _check_bank(known: NDArray[np.generic], starts: NDArray[np.int64], what: str) -> None:
    if starts[0] != 0 or starts[-1] != len(known) or (np.diff(starts) < 0).any():
        raise PrednetError(f"{what} are not in the order of their cells; make it anew.")
    if known.dtype != np.uint8:
        raise PrednetError(f"{what} are {known.dtype}, expected uint8; make it anew.")


def limits_from_bytes(data: bytes, where: str) -> Limits:
    """Return the limits of a JSON text; PrednetError says what is wrong with it."""
    try:
        limits = msgspec.json.decode(data, type=Limits)
    except JsonError as error:
        raise PrednetError(f"{where}: the limits cannot be read ({error}); make it anew.") from error
    for one in (limits, limits.stall or limits):
        if min(one.noise.q_level, one.noise.q_trend) < 0 or one.noise.r <= 0 or one.off > one.on:
            raise PrednetError(f"{where}: a variance is below 0, or an event ends above its limit; make it anew.")
    return limits
