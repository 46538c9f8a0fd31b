"""A training that was killed goes on: the resume file beside its checkpoint."""

from __future__ import annotations

import hashlib
import io
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import torch

from edge.errors import PrednetError, UsageError
from edge.files import write_whole
from export.architecture import Architecture
from export.learning.learner import Learner
from export.learning.settings import TrainingSettings

FORMAT = "prednet-edge resume 1"


@dataclass(frozen=True)
class ResumeFile:
    """Where a training keeps itself; `key` tells trainings apart."""

    path: Path
    key: str

    def save(self, learner: Learner, seconds: float) -> None:
        """Write the learner (tensors and plain values only) and the seconds trained so far."""
        buffer = io.BytesIO()
        torch.save(
            {
                "format": FORMAT,
                "key": self.key,
                "step": learner.step,
                "seconds": seconds,
                "network": learner.network.state_dict(),
                "optimiser": learner.optimiser.state_dict(),
            },
            buffer,
        )
        try:
            write_whole(self.path, buffer.getvalue())
        except OSError as fault:
            raise UsageError(
                f"{self.path}: cannot be written ({fault.strerror}); choose another folder or make room."
            ) from fault

    def restore(self, learner: Learner) -> float:
        """Set the learner to where the last run was saved; return its seconds, 0.0 without a file.

        The lanes start anew: their states are not kept. Rank 0's file counts for the whole team. Raises
        PrednetError for a file that is damaged, UsageError for one of another training.
        """
        reads = learner.team.rank == 0 and self.path.exists()
        data = learner.team.shared(self.path.read_bytes() if reads else None)
        if data is None:
            return 0.0
        saved = self._opened(data, learner.team.device)
        learner.network.load_state_dict(saved["network"])
        learner.optimiser.load_state_dict(saved["optimiser"])
        learner.step = saved["step"]
        return float(saved["seconds"])

    def _opened(self, data: bytes, device: torch.device) -> dict[str, Any]:
        try:
            saved: dict[str, Any] = torch.load(io.BytesIO(data), map_location=device, weights_only=True)
        except (RuntimeError, EOFError, pickle.UnpicklingError) as fault:
            raise PrednetError(f"{self.path}: it is damaged and cannot be resumed; delete it to train anew.") from fault
        if not isinstance(saved, dict) or saved.get("format") != FORMAT:
            raise PrednetError(f"{self.path}: this is not a resume file of this version; delete it to train anew.")
        if saved["key"] != self.key:
            raise UsageError(
                f"{self.path}: it belongs to a training with other options or footage; "
                "give those again to go on, or delete it to train anew."
            )
        return saved


def resume_file(
    out: Path, architecture: Architecture, settings: TrainingSettings, footage: str, start: str
) -> ResumeFile:
    """Return the resume file of the training that writes `out`, `NAME.resume.pt`.

    `footage` and `start` are digests of what is learned from and of the weights that it begins with.
    """
    recipe = msgspec.structs.asdict(architecture) | {
        "minutes": settings.minutes if settings.steps is None else None,
        "steps": settings.steps,
        "batch": settings.batch,
        "sequence_length": settings.sequence_length,
        "learning_rate": settings.learning_rate,
        "seed": settings.seed,
        "footage": footage,
        "start": start,
    }
    key = hashlib.sha256(msgspec.json.encode(recipe)).hexdigest()
    return ResumeFile(out.with_name(f"{out.stem}.resume.pt"), key)
