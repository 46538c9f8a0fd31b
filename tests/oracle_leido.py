"""An independent float64 numpy PredNet of the leido variant, from its equations; slow, and right.

It takes the tensors under the names of the variant's own files and works on raw pixels 0–255, as its program
does; it shares no code with the step or with the import. Facts: leido/pytorch-prednet, convlstmcell.py and
prednet.py.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Maps = NDArray[np.float64]


class NumpyLeido:
    """One camera's network; activations are float64 [channels, height, width]."""

    def __init__(self, tensors: Mapping[str, NDArray[np.floating]], height: int, width: int) -> None:
        self.tensors = {name: np.asarray(tensor, np.float64) for name, tensor in tensors.items()}
        self.layers = sum(name.startswith("conv") and name.endswith("weight") for name in tensors)
        self.H, self.C, self.E = [], [], []
        for layer in range(self.layers):
            stack, r_stack = self.tensors[f"conv{layer}.0.weight"].shape[:2]
            size = (height // 2**layer, width // 2**layer)
            self.H.append(np.zeros((r_stack, *size)))
            self.C.append(np.zeros((r_stack, *size)))
            self.E.append(np.zeros((2 * stack, *size)))

    def step(self, frame: NDArray[np.uint8]) -> tuple[Maps, list[Maps]]:
        """Return the prediction [H, W, C] and E_l, both in grey levels; `frame` is uint8 [H, W, C]."""
        for layer in range(self.layers - 1, -1, -1):
            self._advance_cell(layer)
        A = frame.astype(np.float64).transpose(2, 0, 1)
        prediction = np.empty(0)
        for layer in range(self.layers):
            Ahat = np.maximum(self._convolved(f"conv{layer}.0.weight", f"conv{layer}.0.bias", self.H[layer]), 0)
            if layer == 0:
                prediction = Ahat = np.minimum(Ahat, 255.0)
            self.E[layer] = np.concatenate([np.maximum(Ahat - A, 0), np.maximum(A - Ahat, 0)])
            if layer < self.layers - 1:
                below = self._convolved(f"update_A{layer}.0.weight", f"update_A{layer}.0.bias", self.E[layer])
                channels, height, width = below.shape
                A = below.reshape(channels, height // 2, 2, width // 2, 2).max(axis=(2, 4))
        return prediction.transpose(1, 2, 0), [errors.copy() for errors in self.E]

    def _advance_cell(self, layer: int) -> None:
        """i, f, o see E, the R above, H and C(t − 1); g does not see C."""
        x = self.E[layer]
        if layer < self.layers - 1:
            x = np.concatenate([x, self.H[layer + 1].repeat(2, axis=1).repeat(2, axis=2)])
        name, C = f"cell{layer}", self.C[layer]
        both = self._convolved(f"{name}.weight_ih", f"{name}.bias_ih", x)
        both = both + self._convolved(f"{name}.weight_hh", f"{name}.bias_hh", self.H[layer])
        i, f, g, o = np.split(both, 4)
        to_i, to_f, to_o = np.split(self._convolved(f"{name}.weight_ch", f"{name}.bias_ch", C), 3)
        self.C[layer] = sigmoid(f + to_f) * C + sigmoid(i + to_i) * np.tanh(g)
        self.H[layer] = sigmoid(o + to_o) * np.tanh(self.C[layer])

    def _convolved(self, weight: str, bias: str, x: Maps) -> Maps:
        kernel = self.tensors[weight]
        windows = np.lib.stride_tricks.sliding_window_view(np.pad(x, ((0, 0), (1, 1), (1, 1))), (3, 3), axis=(1, 2))
        return np.einsum("ihwyx,oiyx->ohw", windows, kernel, optimize=True) + self.tensors[bias][:, None, None]


def sigmoid(z: Maps) -> Maps:
    """The plain logistic function."""
    return 1.0 / (1.0 + np.exp(-z))
