"""What training makes small: the prediction's error, above all where something moves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

STILL_WEIGHT = 0.2
MOVING_NEIGHBOURHOOD = 5
# The first prediction comes from the biases alone, the second from a state that saw one frame.
UNCOUNTED = {"original": 1, "residual": 2}
NOISE_SIGMAS = 5.0
LEAST_THRESHOLD = 5.0 / 255.0
PAIRS = 400


def movement_threshold(clips: Sequence[NDArray[np.uint8]]) -> float:
    """Return the difference to the last frame (pixels in 0–1) that noise alone hardly reaches.

    68 % of all differences lie within one sigma of the noise, as long as most of a scene stands still.
    """
    frames = sum(len(images) - 1 for images in clips)
    stride = max(1, frames // PAIRS)
    differences = [_differences(images, stride) for images in clips if len(images) > 1]
    sigma = float(np.quantile(np.concatenate(differences), 0.6827)) / 255.0 if differences else 0.0
    return max(NOISE_SIGMAS * sigma, LEAST_THRESHOLD)


def _differences(images: NDArray[np.uint8], stride: int) -> NDArray[np.int16]:
    """Absolute differences of neighbouring frames, every `stride`-th pair, every third row and column."""
    sparse = images[:, ::3, ::3].astype(np.int16)
    differences: NDArray[np.int16] = np.abs(sparse[1::stride] - sparse[:-1:stride])
    return differences.ravel()


def moving_places(frames: Tensor, before: Tensor, threshold: float, size: int = 1) -> Tensor:
    """Return bool [N, 1, H, W]: within `size` pixels `frames` differ from `before` by over `threshold`."""
    difference = (frames - before).abs().amax(dim=1, keepdim=True)
    return functional.max_pool2d(difference, size, stride=1, padding=size // 2) > threshold


def prediction_loss(predictions: Tensor, frames: Tensor, before: Tensor, counted: Tensor, threshold: float) -> Tensor:
    """Return the weighted mean absolute error of `predictions` [T, N, C, H, W] over `counted` [T, N].

    `before` holds each frame's predecessor; what moves weighs six times what stands still.
    """
    moving = moving_places(frames.flatten(0, 1), before.flatten(0, 1), threshold, MOVING_NEIGHBOURHOOD)
    weights = (STILL_WEIGHT + moving.view(*frames.shape[:2], *moving.shape[1:]).float()) * counted[
        :, :, None, None, None
    ]
    errors = (predictions.float() - frames).abs().mean(dim=2, keepdim=True)
    total: Tensor = (weights * errors).sum()
    return total / weights.sum()


def plain_loss(predictions: Tensor, frames: Tensor, counted: Tensor) -> Tensor:
    """Return the mean of E_0 over counted frames, half the mean absolute error: L_0 of Lotter 2017."""
    errors = (predictions.float() - frames).abs().mean(dim=(2, 3, 4))
    return 0.5 * torch.where(counted, errors, 0.0).sum() / counted.sum()
