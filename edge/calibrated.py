"""A calibration: normality, noise and limits of one camera or bundle, and how they lie in a file."""

from __future__ import annotations

import io
import math
import zipfile
import zlib
from dataclasses import dataclass, fields

import msgspec
import numpy as np

from edge.detection import Limit
from edge.errors import PrednetError
from edge.level import Noise
from edge.normality import Normality


class Tail(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How often normal footage shows a level: `rate_per_hour` events reach `level`, e-fold rarer every `scale`."""

    level: float
    rate_per_hour: float
    scale: float


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What normal footage allows to be said of the level, and what it was fitted on.

    `on` and `off` are levels; `highest_level` is the highest of the footage, seen as held-out footage;
    `is_promise` is false where the footage is too short to promise a rate of false events.
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


@dataclass(frozen=True)
class Calibration:
    """What is normal and where normal ends."""

    normality: Normality
    limits: Limits

    @property
    def limit(self) -> Limit:
        """The limit that the river decides by."""
        return Limit(self.limits.on, self.limits.off, self.limits.is_promise)


def rate_per_hour(level: float, tail: Tail | None) -> float | None:
    """Return how often normal footage shows a level this high; None where the footage cannot say."""
    if tail is None:
        return None
    return tail.rate_per_hour * math.exp(-max(level - tail.level, 0.0) / tail.scale)


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
    except (ValueError, OSError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
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
