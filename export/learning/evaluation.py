"""How well a network predicts footage that it never learned from, beside repeating the last frame and the flow."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edge.frames import FrameFormat
from edge.pipeline import WARMUP_FRAMES
from edge.runners import open_predictor
from export.learning.loss import moving_places
from export.learning.network import PredNet, State
from export.learning.sequences import Stretch
from export.learning.settings import LayerSkill, SkillReport

# What is summed in each region of the picture, the picture being cut into 3 × 3.
PIXEL_SUMS = ("error", "repeated", "flowed", "moving", "moving_error", "moving_repeated", "moving_flowed")
REGIONS = 3
PIECE_FRAMES = 250
PIECES = 8


def skill_report(
    network: PredNet, images: Sequence[NDArray[np.uint8]], stretches: Sequence[Stretch], threshold: float
) -> SkillReport:
    """Stream the stretches through the network in float32 and return its errors; 2,000 frames at most.

    The same frames are predicted by repeating the last one, and by moving it on along the optical flow.
    """
    pieces = _pieces(stretches)
    height, width, channels = images[0].shape[1:]
    flow = open_predictor("flow", FrameFormat(height, width, channels, 1.0), len(pieces))
    pixels = torch.zeros(len(PIXEL_SUMS), REGIONS, REGIONS, dtype=torch.float64)
    layers = torch.zeros(network.architecture.layers, 2, dtype=torch.float64)
    counted, device = 0, next(network.parameters()).device
    state = network.start(len(pieces))
    with torch.inference_mode():
        for index in range(max(map(len, pieces))):
            seen, before = _images(images, pieces, index), state
            flowed = flow.step(seen, np.ones(len(pieces), np.bool_), np.full(len(pieces), index == 0)).prediction
            frames = _pixels(seen).to(device)
            prediction, state = network(frames, before)
            if index >= WARMUP_FRAMES:
                here = torch.tensor([index < len(piece) for piece in pieces], device=device)
                counted += int(here.sum())
                rivals = (prediction, before.last_frame, _pixels(flowed).to(device))
                pixels += _pixel_sums(frames[here], [rival[here] for rival in rivals], threshold)
                layers += _layer_sums(network, state, before, here)
    return _report(pixels, layers / max(counted, 1), counted, height * width, threshold)


def _report(pixels: Tensor, layers: Tensor, frames: int, frame_pixels: int, threshold: float) -> SkillReport:
    sums = dict(zip(PIXEL_SUMS, pixels.sum(dim=(1, 2)).tolist(), strict=True))
    regions = dict(zip(PIXEL_SUMS, pixels, strict=True))
    moving = sums["moving"]
    every = float(frames * frame_pixels)

    def on_moving(name: str) -> float:
        return sums[name] / moving if moving else math.nan

    return SkillReport(
        frames=frames,
        error=sums["error"] / every,
        repeated=sums["repeated"] / every,
        flowed=sums["flowed"] / every,
        moving_error=on_moving("moving_error"),
        moving_repeated=on_moving("moving_repeated"),
        moving_flowed=on_moving("moving_flowed"),
        moving_share=moving / every,
        threshold=threshold,
        layers=tuple(LayerSkill(*layer) for layer in layers.tolist()),
        regions=_rows(regions["moving_error"] / regions["moving_repeated"]),
        regions_flow=_rows(regions["moving_error"] / regions["moving_flowed"]),
    )


def _rows(ratios: Tensor) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(row) for row in ratios.tolist())


def _pieces(stretches: Sequence[Stretch]) -> list[Stretch]:
    """Cut stretches into pieces that stream side by side, and keep some, evenly spread."""
    pieces = [
        Stretch(stretch.clip, start, min(start + PIECE_FRAMES, stretch.stop))
        for stretch in stretches
        for start in range(stretch.start, stretch.stop, PIECE_FRAMES)
        if min(start + PIECE_FRAMES, stretch.stop) - start > WARMUP_FRAMES
    ]
    kept = np.unique(np.linspace(0, len(pieces) - 1, PIECES).round().astype(int))
    return [pieces[index] for index in kept]


def _images(images: Sequence[NDArray[np.uint8]], pieces: Sequence[Stretch], index: int) -> NDArray[np.uint8]:
    """Return frame `index` of every piece, uint8 [N, H, W, C]; a piece that has ended repeats its last."""
    return np.stack([images[piece.clip][min(piece.start + index, piece.stop - 1)] for piece in pieces])


def _pixels(images: NDArray[np.uint8]) -> Tensor:
    """Return images [N, H, W, C] as the network sees them: [N, C, H, W] in 0–1."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255.0


def _pixel_sums(frames: Tensor, rivals: Sequence[Tensor], threshold: float) -> Tensor:
    """Return the sums of PIXEL_SUMS in each region, [7, 3, 3]; errors are means over the channels.

    `rivals` are the network's prediction, the last frame, and the last frame moved on along the flow.
    """
    error, repeated, along = ((rival - frames).abs().mean(dim=1, keepdim=True) for rival in rivals)
    moving = moving_places(frames, rivals[1], threshold).float()
    told = (error, repeated, along, moving, error * moving, repeated * moving, along * moving)
    return torch.stack([_by_region(values) for values in told])


def _by_region(values: Tensor) -> Tensor:
    """Return the sums of values [N, 1, H, W] in each ninth of the picture, float64 [3, 3]."""
    rows = values.double().sum(dim=(0, 1)).tensor_split(REGIONS, dim=0)
    return torch.stack([torch.stack([part.sum() for part in row.tensor_split(REGIONS, dim=1)]) for row in rows]).cpu()


def _layer_sums(network: PredNet, state: State, before: State, here: Tensor) -> Tensor:
    """Return, summed over the frames that count, each layer's error and that of repeating its last A: [L, 2]."""
    told = []
    for error, seen, last in zip(state.e, network.seen(state), network.seen(before), strict=True):
        half_repeated = 0.5 * (seen - last).abs().mean(dim=(1, 2, 3))
        told.append(torch.stack([error.mean(dim=(1, 2, 3))[here].sum(), half_repeated[here].sum()]))
    return torch.stack(told).double().cpu()
