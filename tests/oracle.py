"""An independent PredNet in float64 numpy, written from the equations; slow, and right.

Every implementation of the step is compared with this one. It shares no code with any of them.
Lotter, Kreiman, Cox, ICLR 2017, equations 1–4 and algorithm 1.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from export.architecture import Architecture

Maps = NDArray[np.float64]


class NumpyPredNet:
    """One camera's PredNet; activations are float64 [channels, height, width]."""

    def __init__(self, architecture: Architecture, weights: Mapping[str, NDArray[np.floating]]) -> None:
        self.architecture = architecture
        self.weights = {name: np.asarray(weight, np.float64) for name, weight in weights.items()}
        self.reset()

    def reset(self) -> None:
        """Forget everything: R, C, E and the last frame become zero."""
        stack, r_stack = self.architecture.stack, self.architecture.r_stack
        sizes = [
            (self.architecture.height // 2**layer, self.architecture.width // 2**layer) for layer in range(len(stack))
        ]
        self.R = [np.zeros((channels, *size)) for channels, size in zip(r_stack, sizes, strict=True)]
        self.C = [np.zeros((channels, *size)) for channels, size in zip(r_stack, sizes, strict=True)]
        self.E = [np.zeros((2 * channels, *size)) for channels, size in zip(stack, sizes, strict=True)]
        self.last_frame = np.zeros((stack[0], *sizes[0]))

    def step(self, frame: NDArray[np.generic]) -> tuple[Maps, list[Maps]]:
        """Return the prediction [H, W, C] made before `frame` was seen, and E_l [2·C_l, H_l, W_l].

        `frame` is [H, W, C], uint8 or floating in 0–1.
        """
        scale = 255.0 if frame.dtype == np.uint8 else 1.0
        seen = frame.astype(np.float64).transpose(2, 0, 1) / scale
        for layer in reversed(range(len(self.R))):
            self._update_representation(layer)
        prediction = self._predict_pixels()
        self._update_errors(seen, prediction)
        self.last_frame = seen
        return prediction.transpose(1, 2, 0), [errors.copy() for errors in self.E]

    def _update_representation(self, layer: int) -> None:
        inputs = [self.R[layer], self.E[layer]]
        if layer + 1 < len(self.R):
            inputs.append(np.kron(self.R[layer + 1], np.ones((1, 2, 2))))
        x = np.concatenate(inputs)
        i = hard_sigmoid(self._convolve("i", layer, x))
        f = hard_sigmoid(self._convolve("f", layer, x))
        o = hard_sigmoid(self._convolve("o", layer, x))
        self.C[layer] = f * self.C[layer] + i * np.tanh(self._convolve("c", layer, x))
        self.R[layer] = o * np.tanh(self.C[layer])

    def _predict_pixels(self) -> Maps:
        drawn = self._convolve("ahat", 0, self.R[0])
        if self.architecture.head == "residual":
            return np.clip(self.last_frame + drawn, 0.0, 1.0)
        return np.clip(drawn, 0.0, self.architecture.pixel_max)

    def _update_errors(self, seen: Maps, prediction: Maps) -> None:
        A, Ahat = seen, prediction
        for layer in range(len(self.E)):
            if layer > 0:
                Ahat = np.maximum(self._convolve("ahat", layer, self.R[layer]), 0.0)
            self.E[layer] = np.concatenate([np.maximum(Ahat - A, 0.0), np.maximum(A - Ahat, 0.0)])
            if layer + 1 < len(self.E):
                gain = self.architecture.error_gain if layer == 0 else 1.0
                A = pooled(np.maximum(self._convolve("a", layer, gain * self.E[layer]), 0.0))

    def _convolve(self, kind: str, layer: int, x: Maps) -> Maps:
        return convolution(x, self.weights[f"{kind}.{layer}.weight"], self.weights[f"{kind}.{layer}.bias"])


def convolution(x: Maps, weight: Maps, bias: Maps) -> Maps:
    """Correlate x [in, H, W] with weight [out, in, k, k], zero padded to the same size, tap by tap."""
    _, height, width = x.shape
    size = weight.shape[2]
    margin = size // 2
    padded = np.pad(x, ((0, 0), (margin, margin), (margin, margin)))
    total = np.tile(bias[:, None, None], (1, height, width))
    for row in range(size):
        for column in range(size):
            shifted = padded[:, row : row + height, column : column + width]
            total += np.einsum("oi,ihw->ohw", weight[:, :, row, column], shifted)
    return total


def hard_sigmoid(z: Maps) -> Maps:
    """Keras 2's hard sigmoid: slope 0.2, so it is exactly 0 below −2.5 and exactly 1 above 2.5."""
    return np.clip(0.2 * z + 0.5, 0.0, 1.0)


def pooled(x: Maps) -> Maps:
    """Return the largest of every 2×2 block."""
    rows = np.maximum(x[:, 0::2], x[:, 1::2])
    return np.maximum(rows[:, :, 0::2], rows[:, :, 1::2])
