"""A calibration: normality, noise and limits of one camera or bundle, and how they lie in a file."""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge.appearance import SIDE, appearance_from_patches
from edge.detection import Limit
from edge.errors import PrednetError
from edge.frames import FrameFormat
from edge.level import Noise
from edge.normality import WITNESSES, Normality


class Tail(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How often normal footage shows a level: `rate_per_hour` events reach `level`, e-fold rarer every `scale`."""

    level: float
    rate_per_hour: float
    scale: float


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What normal footage allows to be said of the level, and what it was fitted on.

    `on` and `off` are levels; `highest_level` is the highest of the footage, seen as held-out footage;
    `is_promise` is false where the footage is too short to promise a rate of false events. `stall` are the limits of
    a movement that fails to come, beside those of the surprise.
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
    stall: Limits | None = None


@dataclass(frozen=True)
class Calibration:
    """What is normal and where normal ends."""

    normality: Normality
    limits: Limits

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


def rate_per_hour(level: float, tail: Tail | None) -> float | None:
    """Return how often normal footage shows a level this high; None where the footage cannot say."""
    if tail is None:
        return None
    return tail.rate_per_hour * math.exp(-max(level - tail.level, 0.0) / tail.scale)


def normality_to_bytes(normality: Normality) -> bytes:
    """Return the normality as an npz without pickles."""
    buffer = io.BytesIO()
    known = normality.appearance
    np.savez_compressed(
        buffer,
        **{name: getattr(normality, name) for name in _MAPS},
        change_levels=np.float32(normality.change_levels),
        background=known.background,
        patches=known.patches.astype(np.uint8),
        starts=known.starts,
    )
    return buffer.getvalue()


_MAPS = ("high", "floor", "middle", "spread")


def normality_from_bytes(data: bytes, form: FrameFormat, grid: tuple[int, int], where: str) -> Normality:
    """Return the normality of an npz; PrednetError unless it fits frames of this form on the grid (Gh, Gw)."""
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            found = {name: arrays[name] for name in (*_MAPS, "change_levels", "background", "patches", "starts")}
    except (ValueError, OSError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise PrednetError(f"{where}: the normality cannot be read ({error}); make it anew.") from error
    _check_normality(found, form, grid, where)
    patches, starts = found["patches"], found["starts"]
    maps = {name: found[name].astype(np.float32) for name in _MAPS}
    appearance = appearance_from_patches(found["background"].astype(np.float32), patches, starts)
    return Normality(**maps, appearance=appearance, change_levels=float(found["change_levels"]))


def _check_normality(
    found: Mapping[str, NDArray[np.generic]], form: FrameFormat, grid: tuple[int, int], where: str
) -> None:
    rows, columns = grid
    count, size = found["patches"].shape[0] if found["patches"].ndim else 0, SIDE * SIDE * form.channels
    shapes: dict[str, tuple[int, ...]] = {"high": (len(WITNESSES), *grid)} | dict.fromkeys(_MAPS[1:], (len(WITNESSES),))
    shapes |= {"change_levels": (), "background": (2 * rows, 2 * columns, form.channels)}
    shapes |= {"patches": (count, size), "starts": (rows * columns + 1,)}
    for name, shape in shapes.items():
        values = found[name]
        if values.shape != shape or values.dtype.kind not in "fiu" or np.isnan(values).any():
            raise PrednetError(
                f"{where}: {name} is {values.dtype} {list(values.shape)}, expected numbers {list(shape)}; make it anew."
            )
    starts = found["starts"].astype(np.int64)
    if starts[0] != 0 or starts[-1] != count or (np.diff(starts) < 0).any():
        raise PrednetError(f"{where}: its patches are not in the order of their cells; make it anew.")
    if found["patches"].dtype != np.uint8:
        raise PrednetError(f"{where}: its patches are {found['patches'].dtype}, expected uint8; make it anew.")
    finite = [found[name].astype(np.float64) for name in ("floor", "middle", "spread", "change_levels", "background")]
    if not all(np.isfinite(values).all() for values in finite) or found["high"].min() < 0:
        raise PrednetError(f"{where}: a number is not finite, or below 0; make it anew.")
    if min(found["spread"].min(), found["floor"].min(), found["change_levels"].min()) <= 0:
        raise PrednetError(f"{where}: a spread, a floor or a difference is not above 0; make it anew.")


def limits_from_bytes(data: bytes, where: str) -> Limits:
    """Return the limits of a JSON text; PrednetError says what is wrong with it."""
    try:
        return msgspec.json.decode(data, type=Limits)
    except msgspec.MsgspecError as error:
        raise PrednetError(f"{where}: the limits cannot be read ({error}); make it anew.") from error
