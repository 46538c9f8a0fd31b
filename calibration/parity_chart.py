"""The pictures of the gate: surprise beside surprise, and predictions side by side, as PNG. A door of `matplotlib`."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np

from calibration.parity import Rollout

REFERENCE, OTHER, LIMIT = "#20242a", "#3b6fb6", "#c23b22"
# A difference of so many grey levels is shown as white.
_WHITE_LEVELS = 16


def draw_surprise(reference: Rollout, other: Rollout, name: str) -> bytes:
    """Return the surprise of the float step and of a variant over the rollout, and one against the other."""
    figure, (over_time, against) = plt.subplots(
        1, 2, figsize=(11.0, 2.9), width_ratios=[3, 1], layout="constrained", facecolor="white"
    )
    over_time.plot(reference.surprise, color=REFERENCE, lw=1.1, label="float")
    over_time.plot(other.surprise, color=OTHER, lw=0.8, label=name)
    over_time.set(xlabel="closed-loop step", ylabel="surprise (sd of normal work)")
    over_time.legend(frameon=False, ncols=2, fontsize=8, loc="upper right")
    both = np.concatenate([reference.surprise, other.surprise])
    against.plot([both.min(), both.max()], [both.min(), both.max()], color=LIMIT, lw=0.8)
    against.plot(reference.surprise, other.surprise, ".", color=OTHER, ms=2.5)
    against.set(xlabel="float", ylabel=name, aspect="equal")
    for axes in (over_time, against):
        axes.spines[["top", "right"]].set_visible(False)
    return _png(figure)


def draw_predictions(reference: Rollout, others: Mapping[str, Rollout]) -> bytes:
    """Return frames, the float step's predictions, and each variant's with its difference to that."""
    rows, columns = len(reference.pictures), 2 + 2 * len(others)
    figure, panes = plt.subplots(
        rows, columns, figsize=(1.9 * columns, 1.7 * rows), squeeze=False, layout="constrained", facecolor="white"
    )
    for row, (frame, drawn) in enumerate(reference.pictures):
        shown: list[tuple[str, Any]] = [("frame", frame), ("predicted: float", drawn)]
        for name, rollout in others.items():
            apart = np.abs(rollout.pictures[row][1].astype(np.int16) - drawn) * (255 // _WHITE_LEVELS)
            shown += [
                (name, rollout.pictures[row][1]),
                (f"difference × {255 // _WHITE_LEVELS}", np.minimum(apart, 255)),
            ]
        for pane, (title, image) in zip(panes[row], shown, strict=True):
            pane.imshow(np.broadcast_to(image, (*image.shape[:2], 3)).astype(np.uint8))
            pane.axis("off")
            if row == 0:
                pane.set_title(title, fontsize=8)
    return _png(figure)


def _png(figure: Any) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=100, format="png")
    plt.close(figure)
    return buffer.getvalue()
