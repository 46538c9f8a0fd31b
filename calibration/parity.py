"""Parity: whether a variant of the step says of the same frames what the float step says, through the same river."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, takewhile

import msgspec
import numpy as np
from numpy.typing import NDArray

from calibration.footage import Clip, spread
from edge.calibrated import Calibration
from edge.errors import UsageError
from edge.frames import Frame
from edge.moments import Judge
from edge.normality import error_score
from edge.pipeline import WARMUP_FRAMES, rounds_from_frames, watch
from edge.runner import Runner

CAMERA = "footage"
# design.md, «Targets»: over at least so many closed-loop steps.
LEAST_STEPS = 1000
LEAST_RANK_CORRELATION = 0.99
# Of the frames, so many must be on the same side of the limit, and of the level's own 90 % and 99 % quantiles.
LEAST_AGREEMENT = 0.99
LEAST_QUANTILE_AGREEMENT = 0.97
# The mean difference of surprise may move by so many standard deviations from the first fifth to the last.
MOST_DRIFT = 0.1
# Where conditions of the camera pause the scoring, so many times the frames are tried.
MOST_TRIED = 20
_QUANTILES = (0.9, 0.99)
_PICTURES = 3


@dataclass(frozen=True)
class Rollout:
    """What the river made of one runner: `surprise`, `level` float64 [T] of the scored frames, and `on`, its limit.

    `surprise` is what the network's error alone says, since only that depends on the runner; `level` is the river's.

    `means` float64 [T, L] are the layers' mean errors; `pictures` are (frame, prediction) at a few fixed places.
    """

    surprise: NDArray[np.float64]
    level: NDArray[np.float64]
    means: NDArray[np.float64]
    on: float
    pictures: list[tuple[NDArray[np.uint8], NDArray[np.uint8]]]


class Parity(msgspec.Struct, frozen=True):
    """A variant beside the float step. Shares are in 0–1, `drift` in standard deviations of the float surprise.

    `prediction_levels` is the mean difference of the predictions in grey levels; `error_ratio` the variant's mean
    layer-0 error over the float step's.
    """

    steps: int
    rank_correlation: float
    agreement: float
    quantile_agreement: float
    drift: float
    prediction_levels: float
    error_ratio: float

    @property
    def failures(self) -> list[str]:
        """What is worse than was promised, in words; empty where the gate is passed."""
        bounds = (
            ("rank correlation of the surprise", self.rank_correlation, LEAST_RANK_CORRELATION),
            ("agreement at the limit", self.agreement, LEAST_AGREEMENT),
            ("agreement at the level's quantiles", self.quantile_agreement, LEAST_QUANTILE_AGREEMENT),
        )
        told = [
            f"{name} {found:.4f}, at least {least:g} is asked" for name, found, least in bounds if not found >= least
        ]
        if not self.drift <= MOST_DRIFT:
            told.append(f"drift {self.drift:.3f} standard deviations, at most {MOST_DRIFT:g} is allowed")
        return told


def roll_out(
    clips: Sequence[Clip],
    runner: Runner,
    calibration: Calibration,
    steps: int,
    progress: Callable[[int], None] | None = None,
) -> Rollout:
    """Return what `watch` makes of `steps` scored frames, in one closed loop, whose state it renews as it always does.

    Of longer footage stretches are taken, evenly spaced. They follow one another and begin again where they are shorter
    than that. Where one joins the next the picture jumps, for every runner alike; frames in which a condition of the
    camera pauses the scoring do not count. Raises UsageError where hardly any are scored.
    """
    judge = Judge(calibration.normality, calibration.limits.noise, None)
    surprise: list[float] = []
    level, means, pictures = [], [], []
    endless = endless_frames(spread(clips, steps + WARMUP_FRAMES), runner.spec.form.rate_hz)
    frames = takewhile(lambda _: len(surprise) < steps, islice(endless, MOST_TRIED * (steps + WARMUP_FRAMES)))
    wanted = set(np.linspace(steps // 10, steps - 2, _PICTURES).astype(int).tolist())
    for moment in watch(rounds_from_frames(CAMERA, frames), runner, {CAMERA: judge}):
        if moment.sensed is None or moment.surprise is None or moment.level is None:
            continue
        if len(surprise) in wanted:
            pictures.append((moment.sensed.frame.image, moment.sensed.prediction))
        surprise.append(error_score(moment.sensed.senses.error, calibration.normality))
        level.append(moment.level.mean)
        means.append(moment.sensed.errors.mean(axis=(1, 2), dtype=np.float64))
        if progress:
            progress(len(surprise))
    if len(surprise) < steps:
        raise UsageError(
            f"{len(surprise)} of {MOST_TRIED * steps} frames can be scored, {steps} are needed: a condition of the "
            f"camera (dark, blurred, moved, frozen) pauses the others. Give footage of normal work without it."
        )
    return Rollout(np.array(surprise), np.array(level), np.array(means), calibration.limits.on, pictures)


def endless_frames(clips: Sequence[Clip], rate_hz: float) -> Iterator[Frame]:
    """Yield the images of the clips over and over, at even times."""
    number = 0
    while True:
        for clip in clips:
            for image in clip.images:
                yield Frame(image, number / rate_hz)
                number += 1


def compare(reference: Rollout, other: Rollout) -> Parity:
    """Return the parity of two rollouts over the same frames."""
    spread = float(reference.surprise.std()) or 1.0
    apart = (other.surprise - reference.surprise) / spread
    fifth = max(len(apart) // 5, 1)
    above = [one.level > one.on for one in (reference, other)]
    quantiles = [_same_side(reference.level, other.level, share) for share in _QUANTILES]
    pairs = zip(reference.pictures, other.pictures, strict=True)
    levels = [np.abs(one[1].astype(np.int16) - two[1]).mean() for one, two in pairs]
    return Parity(
        steps=len(apart),
        rank_correlation=rank_correlation(reference.surprise, other.surprise),
        agreement=float((above[0] == above[1]).mean()),
        quantile_agreement=min(quantiles),
        drift=abs(float(apart[-fifth:].mean() - apart[:fifth].mean())),
        prediction_levels=float(np.mean(levels)),
        error_ratio=float(other.means[:, 0].mean() / max(reference.means[:, 0].mean(), 1e-12)),
    )


def _same_side(one: NDArray[np.float64], other: NDArray[np.float64], share: float) -> float:
    """The share of frames that are above, or below, each its own quantile in both."""
    return float(((one > np.quantile(one, share)) == (other > np.quantile(other, share))).mean())


def rank_correlation(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Return Spearman's rank correlation, ties at their mean rank; 1 where both are constant, 0 where one is."""
    ranks = [_ranks(values) for values in (one, other)]
    spreads = [float(rank.std()) for rank in ranks]
    if min(spreads) == 0.0:
        return float(max(spreads) == 0.0)
    return float(((ranks[0] - ranks[0].mean()) * (ranks[1] - ranks[1].mean())).mean() / (spreads[0] * spreads[1]))


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: NDArray[np.float64] = (np.cumsum(counts) - (counts - 1) / 2.0)[places]
    return ranks
