"""How well a network predicts footage that it never learned from, beside repeating the last frame."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from export.learning.loss import moving_places
from export.learning.network import PredNet
from export.learning.sequences import Stretch
from export.learning.settings import SkillReport

PIECE_FRAMES = 250
PIECES = 8
# A state that starts from zero has settled after two or three frames.
WARM_UP_FRAMES = 5


def skill_report(
    network: PredNet, images: Sequence[NDArray[np.uint8]], stretches: Sequence[Stretch], threshold: float
) -> SkillReport:
    """Stream the stretches through the network in float32 and return its errors; 2,000 frames at most."""
    pieces = _pieces(stretches)
    sums = torch.zeros(6, dtype=torch.float64)
    device = next(network.parameters()).device
    state = network.start(len(pieces))
    with torch.inference_mode():
        for index in range(max(map(len, pieces))):
            last = state.last_frame
            frames = _frames(images, pieces, index).to(device)
            prediction, state = network(frames, state)
            if index >= WARM_UP_FRAMES:
                here = torch.tensor([index < len(piece) for piece in pieces], device=device)
                sums += _sums(prediction[here], frames[here], last[here], threshold)
    count, *per_frame = sums.tolist()
    error, repeated, moving, moving_error, moving_repeated = (total / count for total in per_frame)
    return SkillReport(
        frames=int(count),
        error=error,
        repeated=repeated,
        moving_error=moving_error / moving if moving else math.nan,
        moving_repeated=moving_repeated / moving if moving else math.nan,
        moving_share=moving,
        threshold=threshold,
    )


def _pieces(stretches: Sequence[Stretch]) -> list[Stretch]:
    """Cut stretches into pieces that stream side by side, and keep some, evenly spread."""
    pieces = [
        Stretch(stretch.clip, start, min(start + PIECE_FRAMES, stretch.stop))
        for stretch in stretches
        for start in range(stretch.start, stretch.stop, PIECE_FRAMES)
        if min(start + PIECE_FRAMES, stretch.stop) - start > WARM_UP_FRAMES
    ]
    kept = np.unique(np.linspace(0, len(pieces) - 1, PIECES).round().astype(int))
    return [pieces[index] for index in kept]


def _frames(images: Sequence[NDArray[np.uint8]], pieces: Sequence[Stretch], index: int) -> Tensor:
    """Return frame `index` of every piece, [N, C, H, W] in 0–1; a piece that has ended repeats its last."""
    seen = [images[piece.clip][min(piece.start + index, piece.stop - 1)] for piece in pieces]
    return torch.from_numpy(np.stack(seen)).permute(0, 3, 1, 2).float() / 255.0


def _sums(prediction: Tensor, frames: Tensor, last: Tensor, threshold: float) -> Tensor:
    """Return, summed over frames: 1, the two errors, the share of pixels that move, both errors there."""
    error = (prediction - frames).abs()
    repeated = (last - frames).abs()
    moving = moving_places(frames, last, threshold).expand_as(error)
    told = [
        torch.tensor(float(len(frames))),
        error.mean(dim=(1, 2, 3)).sum(),
        repeated.mean(dim=(1, 2, 3)).sum(),
        moving.float().mean(dim=(1, 2, 3)).sum(),
        (error * moving).mean(dim=(1, 2, 3)).sum(),
        (repeated * moving).mean(dim=(1, 2, 3)).sum(),
    ]
    return torch.stack([value.cpu().double() for value in told])
