"""The yardstick: a dataset through the daemon's own river, and how well its scores part normal from anomalous."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from calibration.asked import Asked
from calibration.datasets import Dataset
from calibration.event_metrics import EventScore, score_events, sweep_limits
from calibration.fit import fit_calibration, observe
from calibration.footage import read_clip
from calibration.metrics import (
    Roc,
    Values,
    area,
    equal_error_rate,
    pixel_level_roc,
    pixel_roc,
    roc,
    scaled_by_clip,
)
from calibration.scoring import ScoredClip, score_clip
from edge.bundle import read_bundle
from edge.calibrated import Calibration
from edge.detection import Rules, middle_of_limit
from edge.errors import UsageError
from edge.frames import FrameFormat
from edge.model import chosen_variant, runner_of
from edge.moments import Judge
from edge.runner import Runner
from edge.runners import open_predictor

Stage = Callable[[str, int], None]


@dataclass(frozen=True)
class Candidate:
    """What is measured: a runner under a name; `own` is a bundle's calibration, for datasets without normal clips."""

    name: str
    runner: Runner
    own: Calibration | None


@dataclass(frozen=True)
class ScoreFigures:
    """One score's worth. `auc` is over all frames joined, as a camera sees them; None where labels are of one kind.

    `auc_by_clip` is after stretching each clip's scores to 0–1, for comparison with papers; no camera can do it.
    `pixel_auc` is over all pixels; `pixel_level_auc` and `pixel_level_eer` need 40 % of an anomaly covered.
    """

    auc: float | None
    auc_by_clip: float | None
    equal_error_rate: float | None
    pixel_auc: float | None = None
    pixel_level_auc: float | None = None
    pixel_level_eer: float | None = None


@dataclass(frozen=True)
class Evaluation:
    """One candidate on one dataset. `curves` are the frame curves of its scores.

    `events` are those of the limit that was fitted on normal footage, `sweep` those of other limits, both None
    or empty where labels are per clip. `frames` were scored; `frame_milliseconds` is the wall time of step and
    judgement of every frame that was looked at.
    """

    name: str
    figures: dict[str, ScoreFigures]
    curves: dict[str, Roc]
    events: EventScore | None
    sweep: list[EventScore]
    frames: int
    frame_milliseconds: float
    is_bundle: bool
    is_own_calibration: bool


def candidate_from_bundle(path: Path, variant: str) -> Candidate:
    """Return the candidate of a bundle's variant."""
    bundle = read_bundle(path)
    variant = chosen_variant(bundle, variant)
    return Candidate(path.stem, runner_of(bundle, variant, slots=1), bundle.calibration(variant))


def candidate_from_predictor(name: str, form: FrameFormat) -> Candidate:
    """Return the candidate of a predictor that needs no network; frames of any form."""
    return Candidate(name, open_predictor(name, form, slots=1), None)


def evaluate(dataset: Dataset, candidate: Candidate, rules: Rules, stage: Stage) -> Evaluation:
    """Return what the candidate is worth on the dataset.

    What is normal is learned from the dataset's normal clips, as at a site; a bundle's own calibration serves where
    there are none. Events are decided by `rules`, and the limit is fitted for them. `stage` is told what is being done
    and how many frames of it. Raises UsageError.
    """
    calibration = _learned(dataset, candidate, rules, stage)
    judge = Judge(calibration.normality, calibration.limits.noise, None, rules)
    clips = [score_clip(one, candidate.runner, judge, lambda: stage("scoring", 1)) for one in dataset.test]
    watched = [clip.watched for clip in clips if clip.labels is not None]
    middle = middle_of_limit(calibration.limit)
    curves = {name: _frame_curve(clips, name) for name in clips[0].scores}
    frames = sum(len(clip.watched.readings) for clip in clips)
    return Evaluation(
        candidate.name,
        {name: _figures(clips, name, curve) for name, curve in curves.items()},
        {name: curve for name, curve in curves.items() if curve is not None},
        score_events(watched, calibration.limit, rules) if watched else None,
        sweep_limits(watched, middle, rules) if watched else [],
        frames,
        1000.0 * sum(clip.watch_seconds for clip in clips) / sum(clip.looked_at for clip in clips),
        candidate.own is not None,
        not dataset.normal,
    )


def _learned(dataset: Dataset, candidate: Candidate, rules: Rules, stage: Stage) -> Calibration:
    if not dataset.normal:
        if candidate.own is None:
            raise UsageError(
                f"{dataset.name}: holds no normal clips to learn from, and {candidate.name} brings no calibration; "
                f"add some below normal/, or evaluate a bundle."
            )
        return candidate.own
    form = candidate.runner.spec.form
    clips = []
    for place in dataset.normal:
        clips.append(read_clip(replace(place, rate_hz=place.rate_hz or form.rate_hz), form))
        stage("reading normal clips", len(clips[-1].images))
    observations = observe(clips, candidate.runner, lambda _: stage("learning what is normal", 1))
    return fit_calibration(clips, observations, form.rate_hz, Asked(rules=rules))


def _frame_curve(clips: Sequence[ScoredClip], name: str) -> Roc | None:
    return _joined_curve([clip.scores[name] for clip in clips], clips)


def _joined_curve(scores: Sequence[Values], clips: Sequence[ScoredClip]) -> Roc | None:
    """The curve over all frames joined; of clips that are labelled as a whole, over their highest scores."""
    labels = [clip.labels for clip in clips if clip.labels is not None]
    if len(labels) == len(clips):
        return roc(np.concatenate(scores), np.concatenate(labels) > 0)
    return roc(np.array([one.max() for one in scores]), np.array([clip.is_anomalous for clip in clips]))


def _figures(clips: Sequence[ScoredClip], name: str, curve: Roc | None) -> ScoreFigures:
    by_clip = None
    if all(clip.labels is not None for clip in clips):
        by_clip = area(_joined_curve(scaled_by_clip([clip.scores[name] for clip in clips]), clips))
    pixels, level = _pixel_curves(clips, name)
    return ScoreFigures(
        area(curve), by_clip, equal_error_rate(curve), area(pixels), area(level), equal_error_rate(level)
    )


def _pixel_curves(clips: Sequence[ScoredClip], name: str) -> tuple[Roc | None, Roc | None]:
    """The curves of all pixels and of frames whose anomaly is covered; None without a map, or where masks lack."""
    known = [(clip.maps[name], clip.inside, clip.cell_pixels) for clip in clips if name in clip.maps]
    cells = [map_.astype(np.float64) for map_, _, _ in known]
    inside = [pixels for _, pixels, _ in known if pixels is not None]
    sizes = [np.broadcast_to(size, map_.shape) for map_, _, size in known if size is not None]
    if not known or len(inside) < len(known):
        return None, None
    joined, where = np.concatenate(cells), np.concatenate(inside)
    return pixel_roc(joined, where, np.concatenate(sizes)), pixel_level_roc(joined, where)
