"""A calibration from footage of normal work: the river runs over it, and its errors become numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from calibration.footage import Clip, footage_digest
from calibration.limits import fit_tail, levels_from_track, quiet_limit
from calibration.noise import fit_noise
from calibration.normality import Run, Track, fit_normality
from edge.calibrated import Calibration, Limits
from edge.detection import Rules
from edge.pipeline import Sensed, rounds_from_frames, sense
from edge.runner import Runner
from edge.senses import Senses

CAMERA = "footage"


@dataclass(frozen=True)
class Observation:
    """The scored frames of one clip: `seconds` [T], `errors` [T, L, Gh, Gw], `senses` [T], `repeat_errors` [T].

    `repeat_errors` are the mean absolute errors of repeating the last frame, pixels in 0–1.
    """

    seconds: NDArray[np.float64]
    errors: NDArray[np.float32]
    senses: list[Senses]
    repeat_errors: NDArray[np.float64]


def observe(clips: Sequence[Clip], runner: Runner, progress: Callable[[int], None] | None = None) -> list[Observation]:
    """Return what the network makes of each clip, every clip from a reset; `progress` is told the frames done."""
    observations, done = [], 0
    for clip in clips:
        seconds, errors, senses, repeats = [], [], [], []
        last: NDArray[np.uint8] | None = None
        for sensed in sense(rounds_from_frames(CAMERA, clip.frames()), runner, [CAMERA]):
            if not isinstance(sensed, Sensed):
                continue
            if sensed.state == "watching" and last is not None:
                seconds.append(sensed.frame.seconds)
                errors.append(sensed.errors)
                senses.append(sensed.senses)
                repeats.append(float(np.abs(sensed.frame.image.astype(np.int16) - last).mean()) / 255.0)
            last = sensed.frame.image
            done += 1
            if progress:
                progress(done)
        if seconds:
            observations.append(Observation(np.array(seconds), np.stack(errors), senses, np.array(repeats)))
    return observations


def error_ratio(observations: Sequence[Observation]) -> float:
    """Return the network's error over that of repeating the last frame; infinite where nothing ever changes."""
    predicted = sum(2 * float(seen.errors[:, 0].mean(axis=(1, 2)).sum()) for seen in observations)
    repeated = sum(float(seen.repeat_errors.sum()) for seen in observations)
    return predicted / repeated if repeated else float("inf")


def fit_calibration(clips: Sequence[Clip], observations: Sequence[Observation], rate_hz: float) -> Calibration:
    """Return normality and limits from what `observe` saw of `clips` by the runner that will use them.

    Raises UsageError where the footage is too short.
    """
    normality, surprises, stalls = fit_normality([Run(seen.seconds, seen.senses) for seen in observations])
    digest = footage_digest(clips)
    surprise, stall = (fit_limits(tracks, rate_hz, digest) for tracks in (surprises, stalls))
    return Calibration(normality, msgspec.structs.replace(surprise, stall=stall))


def fit_limits(runs: Sequence[Track], rate_hz: float, digest: str) -> Limits:
    """Return noise and limit of one kind of score on normal footage; `digest` is that of the footage."""
    tracks = [(run.seconds, run.scores) for run in runs]
    noise = fit_noise(tracks, rate_hz)
    levels = [levels_from_track(track, noise) for track in tracks]
    means = [np.array([level.mean for level in run]) for run in levels]
    frames = sum(len(run) for run in means)
    tail = fit_tail([(seconds, mean) for (seconds, _), mean in zip(tracks, means, strict=True)])
    on, off = quiet_limit([(seconds, run) for (seconds, _), run in zip(tracks, levels, strict=True)], Rules())
    return Limits(
        noise=noise,
        on=on,
        off=off,
        is_promise=False,
        highest_level=float(max(run.max() for run in means)),
        footage_seconds=frames / rate_hz,
        frames=frames,
        footage_digest=digest,
        tail=tail,
    )
