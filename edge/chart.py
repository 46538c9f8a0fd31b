"""The chart: prediction error over time with level, limit and events, and the frames at the peaks.

The door of `matplotlib`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np

from edge.frames import Image
from edge.heat import beside, heat_map, in_colour
from edge.trace import MOST_PICTURES, Peak, Span, Trace

INK, ERROR, REPEAT, LEVEL, LIMIT, EVENT, TRUTH, STALL = (
    "#20242a",
    "#3b6fb6",
    "#b9c1cc",
    "#1d7a5f",
    "#c23b22",
    "#f2b8a8",
    "#f4d35e",
    "#7a4fa3",
)
TALL = 6.0
# What a letter of an event's label takes of the width.
LETTER_SHARE = 0.0055


def draw_chart(trace: Trace, path: Path, truth: Sequence[tuple[float, float, str]] = ()) -> None:
    """Write the chart of a trace as PNG. `truth` are known accidents: start and end in seconds, and a name."""
    peaks = [(number, span.peak) for number, span in enumerate(trace.spans, 1) if span.peak][:MOST_PICTURES]
    strips = (len(peaks) + 1) // 2
    figure = plt.figure(figsize=(12.0, 5.8 + 1.75 * strips), layout="constrained", facecolor="white")
    grid = figure.add_gridspec(2 + bool(strips), 1, height_ratios=[2.5, 3.3, 1.75 * strips][: 2 + bool(strips)])
    top = figure.add_subplot(grid[0])
    _draw_error(top, trace)
    middle = figure.add_subplot(grid[1], sharex=top)
    _draw_level(middle, trace)
    for axes in (top, middle):
        _draw_spans(axes, trace.spans, trace.seconds, axes is middle)
        if axes is top:
            _draw_truth(axes, truth)
        axes.spines[["top", "right"]].set_visible(False)
        axes.margins(x=0.01)
    middle.set_xlabel("seconds")
    if peaks:
        _draw_peaks(figure.add_subfigure(grid[2]), peaks, strips, trace.offset_seconds)
    figure.suptitle(_title(trace), color=INK, fontsize=12, x=0.01, ha="left")
    _save(figure, path)


def draw_prediction(frame: Image, prediction: Image, path: Path) -> None:
    """Write a frame, its prediction and their difference side by side as PNG; uint8 [H, W, C] each."""
    error = np.abs(frame.astype(np.int16) - prediction).mean(axis=2)
    figure, panes = plt.subplots(1, 3, figsize=(12.0, 3.6), layout="constrained", facecolor="white")
    panes[0].imshow(in_colour(frame))
    panes[1].imshow(in_colour(prediction))
    panes[2].imshow(error, cmap="inferno", vmin=0, vmax=max(float(error.max()), 1.0))
    titles = ("frame", "predicted before it was seen", f"error: {error.mean():.1f} grey levels on average")
    for pane, title in zip(panes, titles, strict=True):
        pane.set_title(title, fontsize=10, color=INK)
        pane.axis("off")
    _save(figure, path)


def _save(figure: Any, path: Path) -> None:
    """Write a figure as PNG, aside first, and close it."""
    aside = path.with_name(f".{path.name}.part")
    figure.savefig(aside, dpi=110, format="png")
    aside.replace(path)
    plt.close(figure)


def _title(trace: Trace) -> str:
    count = len(trace.spans)
    events = "no event" if not count else "1 event" if count == 1 else f"{count} events"
    promise = "" if trace.limit is None or trace.limit.is_promise else " (limit without a promise of a rate)"
    return f"{trace.name}: {events}{promise}"


def _draw_error(axes: Any, trace: Trace) -> None:
    seconds = trace.array("seconds")
    axes.plot(seconds, 255 * trace.array("repeat_error"), color=REPEAT, lw=1.0, label="repeating the last frame")
    axes.plot(seconds, 255 * trace.array("error"), color=ERROR, lw=1.3, label="PredNet")
    axes.set_ylabel("prediction error\n(grey levels, mean)")
    axes.set_ylim(bottom=0)
    _draw_legend(axes)


def _draw_level(axes: Any, trace: Trace) -> None:
    seconds, level, sd = trace.array("seconds"), trace.array("level"), trace.array("level_sd")
    axes.plot(seconds, trace.array("surprise"), color=REPEAT, lw=0.8, label="surprise")
    axes.fill_between(seconds, level - 2 * sd, level + 2 * sd, color=LEVEL, alpha=0.18, lw=0)
    axes.plot(seconds, level, color=LEVEL, lw=1.5, label="level (Kalman, ± 2 sd)")
    if trace.stall_limit is not None:
        axes.plot(seconds, trace.array("stall"), color=STALL, lw=1.1, label="stall")
        axes.axhline(trace.stall_limit.on, color=STALL, lw=0.9, ls="--", label=f"its limit {trace.stall_limit.on:.2f}")
    if trace.limit is not None:
        axes.axhline(trace.limit.on, color=LIMIT, lw=1.2, label=f"limit {trace.limit.on:.2f}")
        axes.axhline(trace.limit.off, color=LIMIT, lw=0.8, ls=":", label=f"ends below {trace.limit.off:.2f}")
        if np.nanmax(level, initial=0.0) > TALL * trace.limit.on:  # keep the limit in sight below a high peak
            axes.set_yscale("symlog", linthresh=2 * trace.limit.on)
    axes.set_ylabel("surprise and stall\n(units of its tail in normal work)")
    _draw_legend(axes)


def _draw_spans(axes: Any, spans: list[Span], seconds: list[float], labelled: bool) -> None:
    first, last = (seconds[0], seconds[-1]) if seconds else (0.0, 0.0)
    names = [f"event {number}" + ("" if one.kind == "surprise" else f" ({one.kind})")
             for number, one in enumerate(spans, 1)]  # fmt: skip
    rows = label_rows([one.start_seconds for one in spans], names, LETTER_SHARE * (last - first))
    for span, name, row in zip(spans, names, rows, strict=True):
        end = last if span.end_seconds is None else span.end_seconds
        axes.axvspan(span.start_seconds, end, color=EVENT, alpha=0.55, lw=0, zorder=0)
        if labelled:
            axes.annotate(
                name, (span.start_seconds, 1.0), (2, -9 - 10 * row), xycoords=axes.get_xaxis_transform(),
                textcoords="offset points", fontsize=8, color=LIMIT,
            )  # fmt: skip


def label_rows(starts: Sequence[float], names: Sequence[str], letter_seconds: float) -> list[int]:
    """Return the row of each label, the topmost in which it lies on none before it."""
    free: list[float] = []
    rows = []
    for start, name in zip(starts, names, strict=True):
        row = next((number for number, end in enumerate(free) if end <= start), len(free))
        free[row : row + 1] = [start + letter_seconds * (len(name) + 1)]
        rows.append(row)
    return rows


def _draw_truth(axes: Any, truth: Sequence[tuple[float, float, str]]) -> None:
    """Mark known accidents along the upper edge, each with its name."""
    for start, end, name in truth:
        axes.axvspan(start, end, ymin=0.9, color=TRUTH, lw=0, zorder=0)
        axes.annotate(
            name, ((start + end) / 2, 0.95), xycoords=axes.get_xaxis_transform(),
            fontsize=8, color=INK, ha="center", va="center",
        )  # fmt: skip


def _draw_legend(axes: Any) -> None:
    axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), fontsize=8, frameon=False, ncols=4, borderaxespad=0.2)


def _draw_peaks(figure: Any, peaks: list[tuple[int, Peak]], strips: int, offset: float) -> None:
    panes = figure.subplots(strips, 2, squeeze=False)
    for pane in panes.flat:
        pane.axis("off")
    for (number, peak), pane in zip(peaks, panes.flat, strict=False):
        pictures = beside(peak.frame, peak.prediction, heat_map(peak.frame, peak.cells))
        pane.imshow(pictures, interpolation="bilinear")
        pane.set_title(
            f"event {number}, {peak.seconds - offset:.1f} s: frame, predicted, surprise", fontsize=9, color=LIMIT
        )
