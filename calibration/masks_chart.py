"""The picture of suggested masks: a frame, where its surprises came from, and the masks. A door of `matplotlib`."""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Rectangle

from calibration.masks import Suggestions
from edge.frames import Image

MASK = "#c23b22"


def draw_masks(found: Suggestions, frame: Image, path: Path) -> None:
    """Write a frame [H, W, C] with the cells that carried events laid over it, and each mask with what it saves."""
    height, width = frame.shape[:2]
    cells = np.array(found.cells, np.float64)
    figure, axes = plt.subplots(figsize=(9.0, 9.0 * height / width + 0.5), layout="constrained", facecolor="white")
    axes.imshow(np.broadcast_to(frame, (height, width, 3)), extent=(0, 1, 1, 0), aspect=height / width)
    share = axes.imshow(
        np.ma.masked_equal(cells, 0) / max(found.events, 1), extent=(0, 1, 1, 0), cmap="inferno", alpha=0.45,
        aspect=height / width, vmin=0.0, vmax=1.0, interpolation="nearest",
    )  # fmt: skip
    for number, one in enumerate(found.masks, 1):
        (x0, y0), (x1, y1) = one.mask[0], one.mask[1]
        axes.add_patch(Rectangle((x0, y0), x1 - x0, y1 - y0, fill=False, ec=MASK, lw=2.5))
        corner, side, inset = ((x0, y0), "left", 4) if x0 < 0.5 else ((x1, y0), "right", -4)
        axes.annotate(
            f"mask {number}: saves {one.saves_per_day:,.0f} a day", corner, (inset, -12), textcoords="offset points",
            ha=side, color="white", fontsize=10, backgroundcolor=MASK,
        )  # fmt: skip
    axes.set(xlabel="x (0–1 of the picture)", ylabel="y")
    axes.set_title(f"masks suggested: {len(found.masks)}; what carried the {found.events} highest events", loc="left")
    figure.colorbar(share, ax=axes, label="share of the events that a cell carried", shrink=0.8)
    figure.savefig(path, dpi=110, format="png")
    plt.close(figure)
