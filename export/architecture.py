"""What a PredNet is made of, before it has weights: sizes, channels, kernels, head.

Lotter, Kreiman, Cox, «Deep Predictive Coding Networks for Video Prediction and Unsupervised
Learning», ICLR 2017; the residual head is this project's own variant. The leido cell is the arithmetic
of the PyTorch program leido/pytorch-prednet: other gates, and pixels of 0–255 inside the network.
"""

from __future__ import annotations

import math
from typing import Literal

import msgspec

from edge.errors import UsageError

Head = Literal["original", "residual"]
Cell = Literal["original", "leido"]

KERNEL = 3
ERROR_GAINS: dict[Head, float] = {"original": 1.0, "residual": 5.0}
# What a white pixel is inside the network; frames, predictions and errors outside are in 0–1 for every cell.
WHITES: dict[Cell, float] = {"original": 1.0, "leido": 255.0}


class Architecture(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The shape of a PredNet; raises UsageError where its numbers contradict each other.

    `stack[l]` and `r_stack[l]` are the channels of A_l and R_l, layer 0 being the frame. `height`
    and `width` are pixels, `rate_hz` frames a second. Kernels are odd and square, one size a layer
    (`a_kernels` one fewer: A_0 is the frame); empty means 3 everywhere. `pixel_max` bounds the
    original head's prediction of frames in 0–1. `error_gain` multiplies E_0 on its way up into
    layer 1 only; the error that is measured stays as it is. `cell` names the arithmetic of the gates.
    """

    height: int
    width: int
    channels: int
    rate_hz: float
    stack: tuple[int, ...]
    r_stack: tuple[int, ...]
    a_kernels: tuple[int, ...] = ()
    ahat_kernels: tuple[int, ...] = ()
    r_kernels: tuple[int, ...] = ()
    pixel_max: float = 1.0
    head: Head = "original"
    error_gain: float = 1.0
    cell: Cell = "original"

    def __post_init__(self) -> None:
        """Fill in the kernels that were left out, then check everything."""
        for name, count in _kernel_counts(self).items():
            if not getattr(self, name):
                msgspec.structs.force_setattr(self, name, (KERNEL,) * count)
        _check_channels(self)
        _check_size(self)
        _check_kernels(self)
        _check_numbers(self)

    @property
    def layers(self) -> int:
        """The number of layers, L."""
        return len(self.stack)

    def size(self, layer: int) -> tuple[int, int]:
        """Height and width of layer `layer`, in its own pixels."""
        return self.height >> layer, self.width >> layer


def parameter_shapes(architecture: Architecture) -> dict[str, tuple[int, ...]]:
    """Name and shape of every weight, in one fixed order; kernels are [out, in, height, width].

    `i`, `f`, `c`, `o` are the ConvLSTM's gates, whose input is R_l, E_l, upsampled R_{l+1};
    `ahat.{l}` maps R_l to the prediction of A_l; `a.{l}` maps E_l to A_{l+1}, so L−1 of them. A leido
    cell has `input.{l}` on E_l and upsampled R_{l+1}, `recurrent.{l}` on R_l (rows i, f, c, o) and
    `peephole.{l}` on C_l (rows i, f, o) instead of the gates.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    if architecture.cell == "leido":
        _add_leido_cells(shapes, architecture)
    else:
        _add_gates(shapes, architecture)
    for layer, kernel in enumerate(architecture.ahat_kernels):
        _add(shapes, f"ahat.{layer}", architecture.stack[layer], architecture.r_stack[layer], kernel)
    for layer, kernel in enumerate(architecture.a_kernels):
        _add(shapes, f"a.{layer}", architecture.stack[layer + 1], 2 * architecture.stack[layer], kernel)
    return shapes


def _add_gates(shapes: dict[str, tuple[int, ...]], architecture: Architecture) -> None:
    for gate in "ifco":
        for layer, kernel in enumerate(architecture.r_kernels):
            inputs = gate_inputs(architecture, layer)
            _add(shapes, f"{gate}.{layer}", architecture.r_stack[layer], inputs, kernel)


def _add_leido_cells(shapes: dict[str, tuple[int, ...]], architecture: Architecture) -> None:
    for layer, (channels, kernel) in enumerate(zip(architecture.r_stack, architecture.r_kernels, strict=True)):
        _add(shapes, f"input.{layer}", 4 * channels, gate_inputs(architecture, layer) - channels, kernel)
        _add(shapes, f"recurrent.{layer}", 4 * channels, channels, kernel)
        _add(shapes, f"peephole.{layer}", 3 * channels, channels, kernel)


def gate_inputs(architecture: Architecture, layer: int) -> int:
    """Channels that a gate of layer `layer` sees: R_l, E_l and, below the top, R_{l+1}."""
    return (
        architecture.r_stack[layer] + 2 * architecture.stack[layer] + sum(architecture.r_stack[layer + 1 : layer + 2])
    )


def _add(shapes: dict[str, tuple[int, ...]], name: str, outputs: int, inputs: int, kernel: int) -> None:
    shapes[f"{name}.weight"] = (outputs, inputs, kernel, kernel)
    shapes[f"{name}.bias"] = (outputs,)


def _kernel_counts(architecture: Architecture) -> dict[str, int]:
    layers = len(architecture.stack)
    return {"a_kernels": max(layers - 1, 0), "ahat_kernels": layers, "r_kernels": layers}


def _check_channels(architecture: Architecture) -> None:
    stack, r_stack, channels = architecture.stack, architecture.r_stack, architecture.channels
    if channels not in {1, 3}:
        raise UsageError(f"channels is {channels}; a frame has 1 (grey) or 3 (RGB).")
    if not stack:
        raise UsageError("stack is empty; name the channels of at least one layer, such as 1,16,32,64.")
    if len(r_stack) != len(stack):
        raise UsageError(f"r_stack has {len(r_stack)} layers and stack has {len(stack)}; give both the same number.")
    if min(*stack, *r_stack) < 1:
        raise UsageError(f"stack is {stack} and r_stack is {r_stack}; every layer needs 1 channel or more.")
    if stack[0] != channels:
        raise UsageError(
            f"stack starts with {stack[0]} and a frame has {channels} channels; "
            f"layer 0 is the frame: start with {channels}."
        )


def _check_size(architecture: Architecture) -> None:
    step = 2 ** (architecture.layers - 1)
    for name in ("height", "width"):
        pixels = getattr(architecture, name)
        if pixels < step or pixels % step:
            nearest = max(step, round(pixels / step) * step)
            raise UsageError(
                f"{name} is {pixels}, which {architecture.layers} layers cannot halve "
                f"{architecture.layers - 1} times; use a multiple of {step}, such as {nearest}."
            )


def _check_kernels(architecture: Architecture) -> None:
    for name, count in _kernel_counts(architecture).items():
        kernels = getattr(architecture, name)
        if len(kernels) != count:
            raise UsageError(f"{name} has {len(kernels)} sizes; {architecture.layers} layers need {count}.")
        if any(kernel < 1 or kernel % 2 == 0 for kernel in kernels):
            raise UsageError(f"{name} is {kernels}; kernels keep the size of a layer and must be odd: 1, 3, 5.")


def _check_numbers(architecture: Architecture) -> None:
    for name in ("rate_hz", "pixel_max", "error_gain"):
        value = getattr(architecture, name)
        if not (math.isfinite(value) and value > 0):
            raise UsageError(f"{name} is {value}; it must be a number above 0.")
    if architecture.head not in ERROR_GAINS:
        raise UsageError(f"head is {architecture.head!r}; it must be one of {', '.join(ERROR_GAINS)}.")
    if architecture.cell not in WHITES:
        raise UsageError(f"cell is {architecture.cell!r}; it must be one of {', '.join(WHITES)}.")
    if architecture.cell == "leido" and architecture.head != "original":
        raise UsageError(f"head is {architecture.head!r} and cell is 'leido'; a leido cell has the original head.")
