"""The plots of docs/benchmarks.md, drawn from the tables that benchmarks printed: steps, cameras, detection on Ped2.

On a ground of their own, so that they are legible on light pages and on dark ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
from kept import Kept
from markdown import Row, number_in, tables_of

GROUND, INK, OURS, OTHER, LIMIT = "#f7f8fa", "#20242a", "#1d7a5f", "#8a95a5", "#c23b22"
RATE_HZ = 10.0


@dataclass(frozen=True)
class Plot:
    """A drawn plot: its file, what it shows in words, and the chapter that it belongs to."""

    path: Path
    told: str
    chapter: str


def draw_plots(kept: Mapping[str, Kept], folder: Path) -> list[Plot]:
    """Draw what there are results for, and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = []
    for name, (chapter, told, draw) in PLOTS.items():
        one = kept.get(name)
        tables = tables_of(one.output) if one is not None and one.is_measured else []
        if tables and all(tables):
            path = folder / f"bench-{name}.png"
            draw(tables, path)
            drawn.append(Plot(path, told, chapter))
    return drawn


def draw_steps(tables: list[list[Row]], path: Path) -> None:
    """Draw every candidate's median for one camera, a pane a network, with its ratio to plain ONNX Runtime."""
    panes = [[row for row in rows if "4 cameras" not in row["candidate"]] for rows in tables]
    figure, axes = plt.subplots(
        len(panes), 1, figsize=(9.0, 0.9 + 0.36 * sum(map(len, panes))), layout="constrained", facecolor=GROUND,
        squeeze=False, height_ratios=[len(rows) for rows in panes],
    )  # fmt: skip
    names = ("edge network", "KITTI network")
    for pane, rows, name in zip(axes[:, 0], panes, names, strict=False):
        ordered = sorted(rows, key=lambda row: -float(row["median ms"]))
        labels, times = [row["candidate"] for row in ordered], [float(row["median ms"]) for row in ordered]
        pane.barh(labels, times, color=[OURS if "CPU variant" in one else OTHER for one in labels], height=0.7)
        for place, (row, milliseconds) in enumerate(zip(ordered, times, strict=True)):
            text = f" {milliseconds:.1f} ms, {row['float ÷ it']}×"
            pane.text(milliseconds, place, text, va="center", color=INK, fontsize=8)
        pane.set_xlim(0, 1.22 * max(times))
        pane.set_title(f"{name}: a step of one camera, and how often it fits into ONNX Runtime's float step", **_TITLE)
        _plain(pane)
    axes[-1, 0].set_xlabel("milliseconds, median", color=INK)
    _write(figure, path)


def draw_cameras(tables: list[list[Row]], path: Path) -> None:
    """Draw frames a second of each camera, and processor and memory of all, over the number of cameras."""
    rows = tables[0]
    places = range(len(rows))
    figure, panes = plt.subplots(1, 3, figsize=(10.0, 3.2), layout="constrained", facecolor=GROUND)
    columns = ("frames/s each", "processor, cores", "memory MB")
    titles = ("frames a second, each camera", "processor, cores", "memory, MB")
    for pane, column, title in zip(panes, columns, titles, strict=True):
        values = [float(row[column]) for row in rows]
        pane.plot(places, values, "o-", color=OURS, lw=1.6)
        for place, value in zip(places, values, strict=True):
            pane.annotate(
                row_label(value), (place, value), (0, 7), textcoords="offset points", fontsize=8, ha="center", color=INK
            )
        pane.set_xticks(places, [row["cameras"] for row in rows])
        pane.margins(x=0.1)
        pane.set_ylim(0, 1.2 * max(*values, RATE_HZ if column == columns[0] else 0.0))
        pane.set_xlabel("cameras (not to scale)", color=INK)
        pane.set_title(title, **_TITLE)
        _plain(pane)
    panes[0].axhline(RATE_HZ, color=LIMIT, lw=1.0, ls="--", zorder=0)
    _write(figure, path)


def row_label(value: float) -> str:
    """Return a number with as many digits as can be told apart."""
    return f"{value:.0f}" if value >= 20 else f"{value:.1f}" if value >= 2 else f"{value:.2f}"


def draw_detection(tables: list[list[Row]], path: Path) -> None:
    """Draw the frame AUC of every approach by its level: networks beside frame differencing and optical flow."""
    rows = [row for row in tables[-1] if number_in(row["frame AUC"]) is not None]
    ordered = sorted(rows, key=lambda row: float(row["frame AUC"]))
    labels, values = [row["all, by their level"] for row in ordered], [float(row["frame AUC"]) for row in ordered]
    figure, axes = plt.subplots(figsize=(9.0, 0.9 + 0.34 * len(rows)), layout="constrained", facecolor=GROUND)
    colours = [OURS if label.startswith("ped2-") else OTHER for label in labels]
    axes.grid(axis="y", color=OTHER, alpha=0.25, lw=0.8)
    axes.scatter(values, labels, color=colours, s=34, zorder=3)
    for value, label in zip(values, labels, strict=True):
        axes.annotate(
            f"{value:.4f}", (value, label), (8, 0), textcoords="offset points", va="center", fontsize=8, color=INK
        )
    low = min(values)
    axes.set_xlim(low - 0.25 * (1.0 - low), 1.0)
    axes.set_title(
        "Ped2: frame AUC of the level, online; green: PredNet, grey: other predictors in the same machinery", **_TITLE
    )
    _plain(axes)
    _write(figure, path)


_TITLE: dict[str, Any] = {"fontsize": 10, "color": INK, "loc": "left"}
PLOTS: Mapping[str, tuple[str, str, Callable[[list[list[Row]], Path], None]]] = {
    "step": (
        "step",
        "Milliseconds of one step for every way of running it, and its ratio to plain ONNX Runtime",
        draw_steps,
    ),
    "cameras": ("device", "Frames a second of each camera, processor and memory, for 1 to 16 cameras", draw_cameras),
    "ped2": (
        "detection",
        "Frame AUC on Ped2: networks beside frame differences and optical flow, each joined with the flow's speed",
        draw_detection,
    ),
}


def _plain(axes: Any) -> None:
    """Leave ground, ink and two spines."""
    axes.set_facecolor(GROUND)
    axes.tick_params(colors=INK, labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    for spine in axes.spines.values():
        spine.set_color(OTHER)


def _write(figure: Any, path: Path) -> None:
    aside = path.with_name(f".{path.name}.part")
    figure.savefig(aside, dpi=110, format="png")
    aside.replace(path)
    plt.close(figure)
