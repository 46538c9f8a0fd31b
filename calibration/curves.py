"""Curves of an evaluation as pictures. The door of `matplotlib`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt

from calibration.evaluate import Evaluation

# The scores whose curves are drawn: the daemon's own.
DRAWN_SCORES = {"surprise": ":", "level": "-"}


def draw_roc(evaluations: Sequence[Evaluation], title: str, path: Path) -> None:
    """Write the frame curves of every candidate as PNG: anomalous frames found against normal frames disturbed."""
    figure, axes = plt.subplots(figsize=(7.0, 6.2), layout="constrained", facecolor="white")
    for number, one in enumerate(evaluations):
        for score, style in DRAWN_SCORES.items():
            curve, value = one.curves.get(score), one.figures[score].auc
            if curve is not None and value is not None:
                label = f"{one.name}, {score}: {value:.3f}"
                axes.plot(curve.false, curve.true, style, color=f"C{number}", lw=1.4, label=label)
    axes.plot([0, 1], [1, 0], color="#b9c1cc", lw=0.8)  # the curve of equal errors
    axes.set_xlabel("share of normal frames above the limit")
    axes.set_ylabel("share of anomalous frames above the limit")
    _write(figure, axes, f"{title}: frame AUC, online", path)


def draw_events(evaluations: Sequence[Evaluation], title: str, path: Path) -> None:
    """Write recall of events and delay against false events an hour as PNG, a point a limit."""
    figure, (top, bottom) = plt.subplots(2, 1, figsize=(7.0, 7.4), sharex=True, layout="constrained", facecolor="white")
    for number, one in enumerate(evaluations):
        colour = f"C{number}"
        known = [score for score in one.sweep if score.recall is not None and score.false_per_hour is not None]
        rates = [score.false_per_hour for score in known]
        top.plot(rates, [score.recall for score in known], ".-", color=colour, lw=0.9, label=one.name)
        bottom.plot(rates, [score.median_delay_seconds for score in known], ".-", color=colour, lw=0.9)
        if one.events is not None and None not in (one.events.false_per_hour, one.events.recall):
            top.plot(one.events.false_per_hour, one.events.recall, "o", ms=9, mfc="none", color=colour)
    top.set_ylabel("share of anomalies found\n(ring: the fitted limit)")
    bottom.set_ylabel("seconds from first frame to event\n(median of those found)")
    bottom.set_xlabel("false events an hour of normal footage")
    top.set_xscale("symlog", linthresh=1.0)
    bottom.spines[["top", "right"]].set_visible(False)
    _write(figure, top, f"{title}: events", path)


def _write(figure: Any, axes: Any, title: str, path: Path) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    if axes.get_legend_handles_labels()[1]:
        axes.legend(fontsize=8, frameon=False)
    axes.set_title(title, loc="left", fontsize=11)
    aside = path.with_name(f".{path.name}.part")
    figure.savefig(aside, dpi=110, format="png")
    aside.replace(path)
    plt.close(figure)
