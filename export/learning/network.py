"""PredNet as a PyTorch module whose state is an argument, so that no stream hides in it.

Lotter, Kreiman, Cox, «Deep Predictive Coding Networks for Video Prediction and Unsupervised
Learning», ICLR 2017, equations 1–4; the gates are those of the authors' Keras program.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from export.architecture import Architecture, gate_inputs, parameter_shapes

GATES = "ifco"  # the order of the rows of one fused convolution


@dataclass(frozen=True)
class State:
    """What PredNet remembers of N cameras: per layer [N, channels, H_l, W_l], and the last frame."""

    r: tuple[Tensor, ...]
    c: tuple[Tensor, ...]
    e: tuple[Tensor, ...]
    last_frame: Tensor

    def detached(self) -> State:
        """Return the same values, cut off from the computation that made them."""
        return self._mapped(Tensor.detach)

    def kept(self, keep: Tensor) -> State:
        """Return the state with a camera at zero where `keep` (bool [N]) is false."""
        where = keep.view(-1, 1, 1, 1)
        return self._mapped(lambda values: torch.where(where, values, torch.zeros_like(values)))

    def _mapped(self, change: Callable[[Tensor], Tensor]) -> State:
        r, c, e = (tuple(change(values) for values in layers) for layers in (self.r, self.c, self.e))
        return State(r, c, e, change(self.last_frame))


class PredNet(nn.Module):
    """The network; parameters are drawn as Glorot does, biases zero, a residual head starts at zero."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        stack, r_stack = architecture.stack, architecture.r_stack
        self.gates = nn.ModuleList(
            _convolution(gate_inputs(architecture, layer), len(GATES) * r_stack[layer], kernel)
            for layer, kernel in enumerate(architecture.r_kernels)
        )
        self.ahat = nn.ModuleList(
            _convolution(r_stack[layer], stack[layer], kernel) for layer, kernel in enumerate(architecture.ahat_kernels)
        )
        self.a = nn.ModuleList(
            _convolution(2 * stack[layer], stack[layer + 1], kernel)
            for layer, kernel in enumerate(architecture.a_kernels)
        )
        load_weights(self, initial_weights(architecture, torch.Generator().manual_seed(0)))

    def start(self, cameras: int) -> State:
        """Return the state of cameras that have seen nothing: zeros everywhere."""
        architecture = self.architecture
        reference = next(self.parameters())

        def zeros(channels: int, layer: int) -> Tensor:
            return reference.new_zeros((cameras, channels, *architecture.size(layer)))

        return State(
            r=tuple(zeros(channels, layer) for layer, channels in enumerate(architecture.r_stack)),
            c=tuple(zeros(channels, layer) for layer, channels in enumerate(architecture.r_stack)),
            e=tuple(zeros(2 * channels, layer) for layer, channels in enumerate(architecture.stack)),
            last_frame=zeros(architecture.channels, 0),
        )

    def forward(self, frames: Tensor, state: State) -> tuple[Tensor, State]:
        """Return the prediction of `frames`, made before they are seen, and the next state.

        `frames` and the prediction are [N, C, H, W] in 0–1; E_l is in the next state.
        """
        r, c = self._representations(state)
        prediction = self._pixels(r[0], state.last_frame)
        e = self._errors(frames, prediction, r)
        return prediction, State(r, c, e, frames)

    def drawn(self, r0: Tensor) -> Tensor:
        """Return what the convolution draws from R_0: the frame itself, or its change (residual head).

        Always float32 or better: bfloat16 has fewer shades of grey than a camera.
        """
        with torch.autocast(r0.device.type, enabled=False):
            return cast("Tensor", self.ahat[0](r0.to(next(self.parameters()).dtype)))

    def seen(self, state: State) -> tuple[Tensor, ...]:
        """Return A_l of every layer, what the errors of this state were held against; A_0 is the frame."""
        seen = [state.last_frame]
        for layer, error in enumerate(state.e[:-1]):
            rising = error * self.architecture.error_gain if layer == 0 else error
            seen.append(functional.max_pool2d(functional.relu(self.a[layer](rising)), 2))
        return tuple(seen)

    def _representations(self, state: State) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        r: list[Tensor] = []
        c: list[Tensor] = []
        for layer in reversed(range(self.architecture.layers)):
            seen = [state.r[layer], state.e[layer], *(_doubled(above) for above in r[:1])]
            i, f, new, o = self.gates[layer](torch.cat(seen, dim=1)).chunk(len(GATES), dim=1)
            memory = hard_sigmoid(f) * state.c[layer] + hard_sigmoid(i) * torch.tanh(new)
            c.insert(0, memory)
            r.insert(0, hard_sigmoid(o) * torch.tanh(memory))
        return tuple(r), tuple(c)

    def _pixels(self, r0: Tensor, last_frame: Tensor) -> Tensor:
        if self.architecture.head == "residual":
            return torch.clamp(last_frame + self.drawn(r0), 0.0, 1.0)
        return torch.clamp(self.drawn(r0), 0.0, self.architecture.pixel_max)

    def _errors(self, frames: Tensor, prediction: Tensor, r: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        seen, expected = frames, prediction
        errors: list[Tensor] = []
        for layer in range(self.architecture.layers):
            if layer > 0:
                expected = functional.relu(self.ahat[layer](r[layer]))
                rising = errors[-1] * self.architecture.error_gain if layer == 1 else errors[-1]
                seen = functional.max_pool2d(functional.relu(self.a[layer - 1](rising)), 2)
            errors.append(torch.cat([functional.relu(expected - seen), functional.relu(seen - expected)], dim=1))
        return tuple(errors)


def hard_sigmoid(z: Tensor) -> Tensor:
    """Keras 2's hard sigmoid, slope 0.2; PyTorch's own has the slope 1/6."""
    return torch.clamp(0.2 * z + 0.5, 0.0, 1.0)


def initial_weights(architecture: Architecture, generator: torch.Generator) -> dict[str, NDArray[np.float32]]:
    """Draw kernels uniformly (Glorot & Bengio 2010) with zero biases; the residual head draws nothing yet."""
    weights = {}
    for name, shape in parameter_shapes(architecture).items():
        values = torch.zeros(shape)
        if name.endswith(".weight") and not (architecture.head == "residual" and name == "ahat.0.weight"):
            nn.init.xavier_uniform_(values, generator=generator)
        weights[name] = values.numpy()
    return weights


def load_weights(network: PredNet, weights: Mapping[str, NDArray[np.float32]]) -> None:
    """Copy weights with the names of `parameter_shapes` into the network."""
    with torch.no_grad():
        for name, parameter in _named_parameters(network).items():
            parameter.copy_(torch.from_numpy(np.ascontiguousarray(weights[name])))


def weights_of(network: PredNet) -> dict[str, NDArray[np.float32]]:
    """Return copies of the weights, float32, with the names of `parameter_shapes`."""
    named = _named_parameters(network)
    return {name: values.detach().float().cpu().contiguous().numpy().copy() for name, values in named.items()}


def _named_parameters(network: PredNet) -> dict[str, Tensor]:
    """Return views of the parameters, in which every gate has its own rows of the fused convolution."""
    named: dict[str, Tensor] = {}
    for layer, convolution in enumerate(network.gates):
        for kind in ("weight", "bias"):
            rows = getattr(convolution, kind).chunk(len(GATES))
            named.update({f"{gate}.{layer}.{kind}": row for gate, row in zip(GATES, rows, strict=True)})
    for name, convolutions in (("ahat", network.ahat), ("a", network.a)):
        for layer, convolution in enumerate(convolutions):
            named.update({f"{name}.{layer}.{kind}": getattr(convolution, kind) for kind in ("weight", "bias")})
    return named


def _convolution(inputs: int, outputs: int, kernel: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)


def _doubled(values: Tensor) -> Tensor:
    return functional.interpolate(values, scale_factor=2.0, mode="nearest")
