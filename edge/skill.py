"""Skill: PredNet's error beside that of repeating the last frame, over the last seconds."""

from __future__ import annotations

from dataclasses import dataclass

from edge.frames import Frame
from edge.pixels import mean_apart

# Each frame keeps this share of what was summed before: a memory of about a hundred frames.
MEMORY = 0.99


@dataclass(frozen=True)
class Skill:
    """Fading sums of both errors, each the mean absolute difference of pixels in 0–1."""

    predicted: float = 0.0
    repeated: float = 0.0


def with_frame(skill: Skill, last: Frame, frame: Frame, error: float) -> Skill:
    """Return the skill after one more frame; `error` is the mean of E_0, half the mean absolute error."""
    difference = mean_apart(frame.image, last.image) / 255.0
    return Skill(MEMORY * skill.predicted + 2 * error, MEMORY * skill.repeated + difference)


def told_skill(skill: Skill) -> float | None:
    """Return 1 − error / error of repeating the last frame; None while nothing has changed between frames."""
    if skill.repeated <= 0.0:
        return None
    return 1.0 - skill.predicted / skill.repeated
