"""What a calibration keeps of its footage's surprise, for drift to be held against."""

from __future__ import annotations

import msgspec
import numpy as np

# The quantiles of the footage that are kept.
SHARES = np.array([0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.95])


class Sketch(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The surprise of the footage, as held-out footage shows it: its quantiles at SHARES.

    `deviations` are those of the share below each from block to block, `hours` is the length of the footage.
    """

    levels: tuple[float, ...]
    deviations: tuple[float, ...]
    hours: float
