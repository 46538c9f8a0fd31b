"""Evaluations in words: tables for a person, plain data for a program."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields

import numpy as np

from calibration.datasets import Dataset
from calibration.evaluate import Evaluation, ScoreFigures
from calibration.event_metrics import EventScore, recall_at

# False events an hour at which the best limit's recall is told beside that of the fitted limit.
TOLD_FALSE_PER_HOUR = (0.0, 60.0)
NOTES = """\
frame AUC: all frames joined, online, as a camera sees them. AUC by clip: after stretching each clip's scores to
0–1, which needs the clip's future: for comparison with papers alone; a clip of one kind is stretched as well, though
nothing can be right or wrong within it. EER: where as many normal frames are above the limit as anomalous below.
pixel AUC: every pixel with its cell's score; 40 % covered: the pixel-level criterion of Mahadevan 2010 (AUC, EER).
Warm-up frames count as the frame after them."""


def told_table(dataset: Dataset, evaluations: Sequence[Evaluation]) -> str:
    """Return two Markdown tables (scores, events) with notes on what is what."""
    lines = [
        f"{dataset.name}: {dataset.layout} layout, {len(dataset.normal)} normal clips, {len(dataset.test)} test clips",
        "",
        "| predictor | score | frame AUC | AUC by clip | EER | pixel AUC | 40 % covered: AUC | EER |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for one in evaluations:
        lines += [_score_row(one.name, score, figures) for score, figures in one.figures.items()]
    lines += _seed_rows(evaluations)
    if any(one.events is not None for one in evaluations):
        told = "".join(f" at most {rate:g} false an hour |" for rate in TOLD_FALSE_PER_HOUR)
        lines += ["", f"| predictor | events at the fitted limit |{told} ms a frame |"]
        lines.append("|---" * (3 + len(TOLD_FALSE_PER_HOUR)) + "|")
        lines += [_event_row(one) for one in evaluations]
    lines += ["", NOTES]
    lines += [f"{one.name}: judged by the bundle's own calibration." for one in evaluations if one.is_own_calibration]
    return "\n".join(lines)


def plain_report(dataset: Dataset, evaluations: Sequence[Evaluation]) -> dict[str, object]:
    """Return everything but the curves' points as plain data for JSON."""
    return {
        "dataset": dataset.name,
        "layout": dataset.layout,
        "normal_clips": len(dataset.normal),
        "test_clips": [clip.place.name for clip in dataset.test],
        "predictors": [
            {
                "name": one.name,
                "scores": one.figures,
                "events": None if one.events is None else _plain_events(one.events),
                "sweep": [_plain_events(score) for score in one.sweep],
                "frames": one.frames,
                "frame_milliseconds": one.frame_milliseconds,
                "is_own_calibration": one.is_own_calibration,
            }
            for one in evaluations
        ],
        "seeds": _seeds(evaluations),
    }


def _plain_events(score: EventScore) -> dict[str, object]:
    return {
        "limit": score.limit,
        "recall": score.recall,
        "false_per_hour": score.false_per_hour,
        "false_events": score.false_events,
        "median_delay_seconds": score.median_delay_seconds,
    }


def _score_row(name: str, score: str, figures: ScoreFigures) -> str:
    cells = [_told(getattr(figures, part.name)) for part in fields(ScoreFigures)]
    return f"| {name} | {score} | {' | '.join(cells)} |"


def _event_row(one: Evaluation) -> str:
    best = [recall_at(one.sweep, rate) for rate in TOLD_FALSE_PER_HOUR]
    cells = " | ".join(told_events(score) for score in (one.events, *best))
    return f"| {one.name} | {cells} | {one.frame_milliseconds:.1f} |"


def told_events(score: EventScore | None) -> str:
    """Return how many events were found, how late, and how many were false."""
    if score is None or score.recall is None:
        return "–"
    delay = "" if score.median_delay_seconds is None else f", {score.median_delay_seconds:.1f} s late"
    return f"{len(score.delays)} of {score.stretches} found{delay}, {score.false_events} false"


def _told(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _seeds(evaluations: Iterable[Evaluation]) -> dict[str, dict[str, float]]:
    """Mean and standard deviation of the frame AUC over the bundles, where there are several."""
    bundles = [one for one in evaluations if one.is_bundle]
    seeds = {}
    for score in bundles[0].figures if len(bundles) > 1 else ():
        values = [one.figures[score].auc for one in bundles if score in one.figures]
        known = [value for value in values if value is not None]
        if len(known) > 1:
            seeds[score] = {"mean": float(np.mean(known)), "sd": float(np.std(known, ddof=1)), "count": len(known)}
    return seeds


def _seed_rows(evaluations: Sequence[Evaluation]) -> list[str]:
    return [
        f"| {seed['count']:g} bundles | {score} | {seed['mean']:.4f} ± {seed['sd']:.4f} | | | | | |"
        for score, seed in _seeds(evaluations).items()
    ]
