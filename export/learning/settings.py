"""What a training is asked for, what it tells while it runs, and what comes of it; without torch."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path

from edge.errors import PrednetError, UsageError

# Above this share of the last frame's error on moving places, a network hardly predicts at all.
POOR_RATIO = 0.9


class TrainingFailed(PrednetError):
    """A training that cannot come to anything: too little footage, a collapse, numbers without end."""


@dataclass(frozen=True)
class TrainingSettings:
    """How to train; raises UsageError for a value that makes no sense.

    The budget is `minutes`, or `steps` where that is not None. `batch` sequences of
    `sequence_length` frames make one step. `learning_rate` None means the head's own.
    `device` is `auto`, `cpu`, `cuda` or `cuda:N`.
    """

    minutes: float = 30.0
    steps: int | None = None
    batch: int = 4
    sequence_length: int = 10
    learning_rate: float | None = None
    seed: int = 0
    device: str = "auto"
    save_seconds: float = 60.0

    def __post_init__(self) -> None:
        """Check every number."""
        for name, least in (("batch", 1), ("sequence_length", 3), ("seed", 0)):
            if getattr(self, name) < least:
                raise UsageError(f"{name} is {getattr(self, name)}; it must be {least} or more.")
        for name in ("minutes", "learning_rate", "save_seconds"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise UsageError(f"{name} is {value}; it must be a number above 0.")
        if self.steps is not None and self.steps < 1:
            raise UsageError(f"steps is {self.steps}; it must be 1 or more.")


@dataclass(frozen=True)
class TrainingProgress:
    """Where a training stands: `share` of its budget that is used (0–1), the mean loss, the time left."""

    step: int
    share: float
    loss: float
    seconds: float
    seconds_left: float


@dataclass(frozen=True)
class LayerSkill:
    """One layer: the mean of E_l, and what it would be if A_l were predicted to stay as it was."""

    error: float
    repeated: float

    @property
    def ratio(self) -> float:
        """The error as a share of that of repeating."""
        return self.error / self.repeated if self.repeated > 0 else math.nan


@dataclass(frozen=True)
class SkillReport:
    """Mean absolute errors of pixels in 0–1 on footage never trained on, streamed from an empty state.

    `repeated` is the error of repeating the last frame, `flowed` that of moving it on along the optical flow. A
    place moves where a pixel differs from the last frame by more than `threshold`. `regions` are the moving ratios of
    3 × 3 parts of the picture, rows from the top; `regions_flow` those against the flow. NaN where nothing moved.
    """

    frames: int
    error: float
    repeated: float
    flowed: float
    moving_error: float
    moving_repeated: float
    moving_flowed: float
    moving_share: float
    threshold: float
    layers: tuple[LayerSkill, ...]
    regions: tuple[tuple[float, ...], ...]
    regions_flow: tuple[tuple[float, ...], ...]

    @property
    def ratio(self) -> float:
        """The error as a share of that of repeating the last frame."""
        return self.error / self.repeated if self.repeated > 0 else math.nan

    @property
    def moving_ratio(self) -> float:
        """The same on moving places; below 1 the network knows where things go."""
        return self.moving_error / self.moving_repeated if self.moving_repeated > 0 else math.nan

    @property
    def flow_ratio(self) -> float:
        """On moving places, the error as a share of that of the flow; below 1 the network beats it."""
        return self.moving_error / self.moving_flowed if self.moving_flowed > 0 else math.nan


@dataclass(frozen=True)
class TrainingReport:
    """What came of a training; `seconds` counts all its runs, `warnings` are sentences for the user."""

    path: Path
    footage: str
    steps: int
    seconds: float
    seed: int
    training_frames: int
    parameters: int
    skill: SkillReport
    warnings: tuple[str, ...] = field(default=())
