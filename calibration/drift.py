"""What a calibration keeps of its footage's surprise, so that a device can tell when live work has left it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from calibration.noise import Track
from edge.drift import DriftRules
from edge.sketch import SHARES, Sketch

# Footage is cut into at least so many blocks, to see how they differ.
LEAST_BLOCKS = 4


def sketch_of(tracks: Sequence[Track], rate_hz: float) -> Sketch:
    """Return the sketch of tracks of (seconds [T], surprise [T]) of normal work, as held-out footage."""
    surprise = np.concatenate([values for _, values in tracks])
    levels = np.quantile(surprise, SHARES)
    block_frames = round(DriftRules().block_seconds * rate_hz)
    blocks = np.array_split(surprise, max(round(len(surprise) / block_frames), LEAST_BLOCKS))
    shares = np.array([(block[:, None] <= levels).mean(axis=0) for block in blocks if len(block)])
    return Sketch(
        levels=tuple(levels.tolist()),
        deviations=tuple(shares.std(axis=0, ddof=1).tolist()),
        hours=len(surprise) / rate_hz / 3600.0,
    )
