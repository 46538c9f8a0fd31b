"""A calibration from footage of normal work: the river runs over it, and its errors become numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from calibration.asked import Asked
from calibration.drift import sketch_of
from calibration.footage import Clip, footage_digest
from calibration.limits import deviation_of, fit_limit, levels_from_track, runs_from_levels
from calibration.noise import Track, fit_noise
from calibration.normality import fit_normality
from calibration.parts import Seen
from edge.calibrated import Calibration, Limits
from edge.detection import Rules, stall_rules
from edge.errors import UsageError
from edge.moments import Sensed
from edge.normality import STALL, SURPRISE, Map, ignored_of
from edge.pipeline import rounds_from_frames, sense
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


def observe(
    clips: Sequence[Clip],
    runner: Runner,
    progress: Callable[[int], None] | None = None,
    sensitivity: Map | None = None,
) -> list[Observation]:
    """Return what the network makes of each clip, every clip from a reset; `progress` is told the frames done.

    `sensitivity` float32 [Gh, Gw] is the camera's (`edge.zones`): where it is 0 nothing is looked at.
    """
    ignored = ignored_of(sensitivity)
    observations, done = [], 0
    for clip in clips:
        seconds, errors, senses, repeats = [], [], [], []
        last: NDArray[np.uint8] | None = None
        for sensed in sense(rounds_from_frames(CAMERA, clip.frames()), runner, [CAMERA], lambda _: ignored):
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


def fit_calibration(
    clips: Sequence[Clip],
    observations: Sequence[Observation],
    rate_hz: float,
    asked: Asked | None = None,
    sensitivity: Map | None = None,
) -> Calibration:
    """Return normality and limits from what `observe` saw of `clips` by the runner that will use them.

    What is `asked` is asked of surprise and stall together, over all zones: `sensitivity`, float32 [Gh, Gw], is
    in the scores that the limits are fitted on. Each has half of it, also on footage too short for stalls to be judged:
    the hours that are lacking are those of both. Raises UsageError where the footage is too short, or all is ignored.
    """
    normality, *kinds = fit_normality([Seen(seen.seconds, seen.senses) for seen in observations], sensitivity)
    asked, digest = asked or Asked(), footage_digest(clips)
    rules = (asked.rules, stall_rules(asked.rules))
    limits = [
        _limits(scores, held, rate_hz, digest, asked.false_events_per_day, len(kinds))
        for scores, part, held in zip(kinds, (SURPRISE, STALL), rules, strict=True)
        if normality.speaking[part].any()
    ]
    if not limits:
        raise UsageError("nothing in this footage is judged: all of the picture is ignored, or no witness speaks.")
    sketch = sketch_of(kinds[0], rate_hz)
    stall = limits[1] if len(limits) > 1 else None
    return Calibration(normality, msgspec.structs.replace(limits[0], stall=stall, sketch=sketch))


def _limits(
    tracks: Sequence[Track], rules: Rules, rate_hz: float, digest: str, false_events_per_day: float, limits: int
) -> Limits:
    """Noise and limit of one kind of score on normal footage, one of so many `limits` of a camera."""
    noise = fit_noise(tracks, rate_hz)
    levels = [levels_from_track(track, noise) for track in tracks]
    runs, deviation = runs_from_levels(tracks, levels), deviation_of(levels, noise, 1.0 / rate_hz)
    found = fit_limit(runs, rules, false_events_per_day, limits, deviation=deviation)
    frames = sum(len(levels) for _, levels in runs)
    return Limits(
        noise=noise,
        on=found.on,
        off=found.off,
        is_promise=found.is_promise,
        highest_level=float(max(levels.max() for _, levels in runs)),
        footage_seconds=frames / rate_hz,
        frames=frames,
        footage_digest=digest,
        rates=found.rates,
        promise=found.promise,
    )
