"""Training on the user's own footage: clips in, a checkpoint and its skill out."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from calibration.footage import Clip, footage_digest
from edge.errors import UsageError
from edge.pipeline import WARMUP_FRAMES
from export.architecture import Architecture
from export.checkpoint import save_checkpoint
from export.learning.evaluation import skill_report
from export.learning.learner import Learner
from export.learning.loss import movement_threshold
from export.learning.network import PredNet, initial_weights, load_weights, weights_of
from export.learning.resume import ResumeFile, resume_file
from export.learning.sequences import Lanes, Split, Stretch, split_footage
from export.learning.settings import (
    POOR_RATIO,
    SkillReport,
    TrainingFailed,
    TrainingProgress,
    TrainingReport,
    TrainingSettings,
)
from export.learning.team import Team, joined_team

Weights = Mapping[str, NDArray[np.float32]]

# With fewer sequences than these, a network cannot be trained, and hardly learns more than the frames it saw.
LEAST_SEQUENCES = 2
FEW_SEQUENCES = 20


def train(
    clips: Sequence[Clip],
    architecture: Architecture,
    settings: TrainingSettings,
    out: Path,
    report: Callable[[TrainingProgress], None],
    start: Weights | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> TrainingReport | None:
    """Train a PredNet, write its checkpoint to `out`, and return what came of it.

    Goes on from `NAME.resume.pt` where a run of the same training was killed. `report` is called
    after every step, `start` gives weights to begin with. Under `torchrun` every rank calls this;
    all but the first return None and write nothing. Raises UsageError for clips of another size
    and a folder that cannot be written, TrainingFailed for too little footage, footage in which
    nothing moves, a loss that is not finite, and a collapse.
    """
    if not out.parent.is_dir():
        raise UsageError(f"{out}: the folder {out.parent} does not exist; make it, or choose another.")
    _check_clips(clips, architecture)
    split = _checked_split(clips, settings)
    footage = footage_digest(clips)
    kept = resume_file(out, architecture, settings, footage, _weights_digest(start))
    with joined_team(settings.device) as team:
        learner = _learner(clips, split, architecture, settings, team, start)
        seconds = _learn(learner, settings, kept, report, clock)
        if team.rank > 0:
            return None
        skill = skill_report(learner.network, _images(clips), split.validation, learner.threshold)
    told = _report(out, footage, settings, split, learner, seconds, skill)
    save_checkpoint(out, architecture, weights_of(learner.network), _facts(told))
    kept.path.unlink(missing_ok=True)
    return told


def _learn(
    learner: Learner,
    settings: TrainingSettings,
    kept: ResumeFile,
    report: Callable[[TrainingProgress], None],
    clock: Callable[[], float],
) -> float:
    """Take steps until the budget is used; return the seconds of all runs together."""
    seconds = earlier = kept.restore(learner)
    begun = clock()
    saved = -math.inf  # the first step is saved at once: a folder that cannot be written is found now
    while (share := _share(settings, learner.step, seconds)) < 1.0:
        loss, seconds = learner.learn(share, earlier + clock() - begun)
        if learner.team.rank == 0:
            report(_progress(settings, learner.step, seconds, loss))
            if clock() - saved >= settings.save_seconds:
                kept.save(learner, seconds)
                saved = clock()
    return seconds


def _share(settings: TrainingSettings, step: int, seconds: float) -> float:
    """Return how much of the budget is used, 0–1."""
    used = seconds / (60.0 * settings.minutes) if settings.steps is None else step / settings.steps
    return min(used, 1.0)


def _progress(settings: TrainingSettings, step: int, seconds: float, loss: float) -> TrainingProgress:
    share = _share(settings, step, seconds)
    left = seconds * (1.0 - share) / share if share > 0.0 else 60.0 * settings.minutes
    return TrainingProgress(step, share, loss, seconds, left)


def _learner(
    clips: Sequence[Clip],
    split: Split,
    architecture: Architecture,
    settings: TrainingSettings,
    team: Team,
    start: Weights | None,
) -> Learner:
    network = PredNet(architecture)
    generator = torch.Generator().manual_seed(settings.seed)
    load_weights(network, initial_weights(architecture, generator) if start is None else start)
    images = _images(clips)
    lanes = Lanes(
        images,
        split.training,
        length=settings.sequence_length,
        lanes=settings.batch,
        seed=settings.seed,
        rank=team.rank,
    )
    threshold = movement_threshold(images)
    return Learner(network, lanes, team, learning_rate=settings.learning_rate, threshold=threshold)


def _images(clips: Sequence[Clip]) -> list[NDArray[np.uint8]]:
    return [clip.images for clip in clips]


def _check_clips(clips: Sequence[Clip], architecture: Architecture) -> None:
    expected = (architecture.height, architecture.width, architecture.channels)
    for clip in clips:
        if clip.images.shape[1:] != expected:
            raise UsageError(
                f"{clip.name}: its frames are {clip.images.shape[1:]} (height, width, channels); "
                f"the network needs {expected}."
            )


def _checked_split(clips: Sequence[Clip], settings: TrainingSettings) -> Split:
    """Split the footage; TrainingFailed where it is too little to learn from or stands still.

    Footage of which too little would be held back to judge anything is learned from and judged on as a whole.
    """
    lengths = [len(clip.images) for clip in clips]
    split = split_footage(lengths, settings.sequence_length, settings.seed)
    if max((len(s) for s in split.validation), default=0) <= WARMUP_FRAMES:
        whole = tuple(Stretch(clip, 0, length) for clip, length in enumerate(lengths))
        split = Split(whole, whole)
    usable = sum(len(s) for s in split.training if len(s) >= settings.sequence_length)
    needed = LEAST_SEQUENCES * settings.sequence_length
    if usable < needed or max(lengths, default=0) <= WARMUP_FRAMES:
        total = sum(lengths)
        raise TrainingFailed(
            f"the footage has {total} frames, of which {usable} can be learned from; {needed} are needed, "
            f"in clips of {settings.sequence_length} or more: give longer footage."
        )
    if all((clip.images == clip.images[:1]).all() for clip in clips):
        raise TrainingFailed("nothing moves in the footage: every frame of a clip is the same; give other footage.")
    return split


def _report(
    out: Path,
    footage: str,
    settings: TrainingSettings,
    split: Split,
    learner: Learner,
    seconds: float,
    skill: SkillReport,
) -> TrainingReport:
    return TrainingReport(
        path=out,
        footage=footage,
        steps=learner.step,
        seconds=seconds,
        seed=settings.seed,
        training_frames=sum(map(len, split.training)),
        parameters=sum(values.numel() for values in learner.parameters),
        skill=skill,
        warnings=(*_footage_warnings(split, settings), *_warnings(skill)),
    )


def _footage_warnings(split: Split, settings: TrainingSettings) -> tuple[str, ...]:
    frames = sum(map(len, split.training))
    little = f"{frames} frames are very little footage: expect a network that knows these frames and few others"
    warnings = (little,) if frames < FEW_SEQUENCES * settings.sequence_length else ()
    if split.validation == split.training:
        return (*warnings, "nothing could be held back, so the errors are those on the footage that it learned from")
    return warnings


def _warnings(skill: SkillReport) -> tuple[str, ...]:
    if skill.moving_ratio < POOR_RATIO:
        return ()
    if skill.moving_share == 0.0:
        return ("nothing moved in the footage that was held back, so the network's skill is not known",)
    return (
        f"on moving places the network errs {skill.moving_ratio:.2f} times as much as repeating "
        f"the last frame (below {POOR_RATIO} is expected); train longer, or on more footage",
    )


def _facts(report: TrainingReport) -> dict[str, object]:
    """Return what the checkpoint remembers of its training."""
    skill = report.skill
    return {
        "footage": report.footage,
        "training_frames": report.training_frames,
        "steps": report.steps,
        "seconds": round(report.seconds, 1),
        "seed": report.seed,
        "skill": {
            "frames": skill.frames,
            "ratio": skill.ratio,
            "moving_ratio": skill.moving_ratio,
            "flow_ratio": skill.flow_ratio,
            "moving_share": skill.moving_share,
        },
    }


def _weights_digest(weights: Weights | None) -> str:
    """Return a digest of the weights that a training begins with; empty for none."""
    digest = hashlib.sha256()
    for name in sorted(weights or {}):
        digest.update(name.encode() + np.ascontiguousarray((weights or {})[name]).tobytes())
    return digest.hexdigest() if weights else ""
