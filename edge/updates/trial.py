"""The trial of a new bundle: its live scores against those that its calibration was made of, for an hour.

Drift (edge/drift.py) asks over hours whether work has left its calibration; this asks within minutes whether a
calibration fits at all. A quiet hour is no fault of a bundle, so that only scores which are too high fail it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from edge.calibrated import Calibration
from edge.drift import DriftRules, DriftWatch, Monitor
from edge.model import Model
from edge.moments import Moment
from edge.sketch import SHARES

# A trial is judged in so many blocks, from so many on.
BLOCKS, LEAST_BLOCKS = 30, 10
# What fails: of the frames that should lie below a high quantile of the footage, so large a share lies above it.
FAILS_AT = 0.5
LEAST_SHARE = 0.8


@dataclass(frozen=True)
class Finding:
    """What a trial has come to: `failed` says why in a sentence, empty where nothing has; `is_over` once it is passed.

    `unjudged` are the cameras of which too little was seen, or whose calibration says nothing of its scores.
    """

    failed: str = ""
    is_over: bool = False
    unjudged: tuple[str, ...] = ()


class TrialWatch:
    """Watches the scores of every camera through one trial; called by the river's thread alone."""

    def __init__(self, minutes: float, began_seconds: float) -> None:
        self._seconds, self._began = 60.0 * minutes, began_seconds
        rules = DriftRules(block_seconds=self._seconds / BLOCKS, blocks=BLOCKS, least_blocks=10**9)
        self._drift = DriftWatch(rules)

    def see(self, moment: Moment, calibration: Calibration) -> None:
        """Take in one moment; a short event is no fault of the bundle."""
        self._drift.see(moment, calibration)

    def finding(self, models: Mapping[str, Model], now_seconds: float) -> Finding:
        """Return what is known now; `now_seconds` is of the clock that the trial began on.

        A trial in which no camera could be judged does not end: nothing is passed that was not looked at.
        """
        seen = {camera: self._drift.of(camera, model.calibration) for camera, model in models.items()}
        unjudged = tuple(camera for camera, monitor in seen.items() if not _is_enough(monitor))
        for camera, monitor in seen.items():
            share = None if monitor is None or camera in unjudged else too_high(monitor)
            if share is not None:
                return Finding(_told(camera, *share), unjudged=unjudged)
        is_over = now_seconds - self._began >= self._seconds and (len(unjudged) < len(seen) or not _sketches(models))
        return Finding(is_over=is_over, unjudged=unjudged)


def too_high(monitor: Monitor) -> tuple[float, float] | None:
    """Return the quantile that frames lie above too often, and the share that does; None where all is well."""
    live = np.stack(monitor.shares).mean(axis=0)
    excess = np.where(SHARES >= LEAST_SHARE, SHARES - live, -np.inf)
    worst = int(excess.argmax())
    return (float(SHARES[worst]), float(1.0 - live[worst])) if excess[worst] >= FAILS_AT else None


def _is_enough(monitor: Monitor | None) -> bool:
    return monitor is not None and len(monitor.shares) >= LEAST_BLOCKS


def _sketches(models: Mapping[str, Model]) -> bool:
    """Whether any camera's calibration says how its footage scored; files of earlier forms do not."""
    return any(model.calibration.limits.sketch is not None for model in models.values())


def _told(camera: str, quantile: float, share: float) -> str:
    return (
        f"the scores of {camera} do not fit its calibration: {share:.0%} of its frames lie where {1.0 - quantile:.0%} "
        f"of the calibration's did; calibrate it for this bundle, then activate it again."
    )


def told_unjudged(cameras: Iterable[str]) -> str:
    """Return what is said of cameras that a trial could not judge."""
    names = ", ".join(cameras)
    return f"golden answer and scores right{f'; not judged, too little was seen: {names}' if names else ''}"
