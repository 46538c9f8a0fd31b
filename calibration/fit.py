"""A calibration from footage of normal work: the river runs over it, and its errors become numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calibration.footage import Clip, footage_digest
from calibration.limits import fit_limit, levels_from_track, runs_from_levels
from calibration.noise import fit_noise
from calibration.normality import fit_normality
from edge.calibrated import Calibration, Limits
from edge.detection import Rules
from edge.pipeline import Sensed, rounds_from_frames, sense
from edge.runner import Runner

CAMERA = "footage"


@dataclass(frozen=True)
class Observation:
    """The scored frames of one clip: `seconds` [T], `errors` [T, L, Gh, Gw], `repeat_errors` [T].

    `repeat_errors` are the mean absolute errors of repeating the last frame, pixels in 0–1.
    """

    seconds: NDArray[np.float64]
    errors: NDArray[np.float32]
    repeat_errors: NDArray[np.float64]


def observe(clips: Sequence[Clip], runner: Runner, progress: Callable[[int], None] | None = None) -> list[Observation]:
    """Return what the network makes of each clip, every clip from a reset; `progress` is told the frames done."""
    observations, done = [], 0
    for clip in clips:
        seconds, errors, repeats = [], [], []
        last: NDArray[np.uint8] | None = None
        for sensed in sense(rounds_from_frames(CAMERA, clip.frames()), runner, [CAMERA]):
            if not isinstance(sensed, Sensed):
                continue
            if sensed.state == "watching" and last is not None:
                seconds.append(sensed.frame.seconds)
                errors.append(sensed.errors)
                repeats.append(float(np.abs(sensed.frame.image.astype(np.int16) - last).mean()) / 255.0)
            last = sensed.frame.image
            done += 1
            if progress:
                progress(done)
        if seconds:
            observations.append(Observation(np.array(seconds), np.stack(errors), np.array(repeats)))
    return observations


def error_ratio(observations: Sequence[Observation]) -> float:
    """Return the network's error over that of repeating the last frame; infinite where nothing ever changes."""
    predicted = sum(2 * float(seen.errors[:, 0].mean(axis=(1, 2)).sum()) for seen in observations)
    repeated = sum(float(seen.repeat_errors.sum()) for seen in observations)
    return predicted / repeated if repeated else float("inf")


def fit_calibration(
    clips: Sequence[Clip], observations: Sequence[Observation], rate_hz: float, false_events_per_day: float = 1.0
) -> Calibration:
    """Return normality and limits from what `observe` saw of `clips` by the runner that will use them.

    Raises UsageError where the footage is too short.
    """
    normality, surprises = fit_normality([seen.errors for seen in observations])
    tracks = [(seen.seconds, surprise) for seen, surprise in zip(observations, surprises, strict=True)]
    noise = fit_noise(tracks, rate_hz)
    runs, deviation = runs_from_levels(tracks, [levels_from_track(track, noise) for track in tracks])
    found = fit_limit(runs, Rules(), false_events_per_day, deviation=deviation)
    frames = sum(len(levels) for _, levels in runs)
    limits = Limits(
        noise=noise,
        on=found.on,
        off=found.off,
        is_promise=found.is_promise,
        highest_level=float(max(levels.max() for _, levels in runs)),
        footage_seconds=frames / rate_hz,
        frames=frames,
        footage_digest=footage_digest(clips),
        rates=found.rates,
        promise=found.promise,
    )
    return Calibration(normality, limits)
