"""The passes of INT8: branches on one scale, Q/DQ on both inputs of every convolution, states stored in INT8."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import onnx
from numpy.typing import NDArray

from edge.errors import PrednetError
from edge.runner import StepSpec, TensorSpec
from export.variants.draft import INT8, Draft, branches_of, closed, opened, widest

# Symmetric, zero point 0, −127 … 127: −128 has no counterpart, and other zero points are refused by TensorRT.
STEPS = 127
# Below it a scale would not be a normal number of float16, in which half of the variants hold it.
LEAST_SCALE = 2.0**-14

Ranges = Mapping[str, float]


def quantisable(step: bytes) -> list[str]:
    """Return the convolutions that INT8 may take: those that see states other than C, which has no bound."""
    draft = opened(step)
    return [name for name, node in draft.convolutions() if None not in branches_of(draft, node)]


def with_scaled_branches(step: bytes, ranges: Ranges, convolutions: Collection[str]) -> bytes:
    """Bring every branch of a Concat to one range.

    Before: a Concat joins states of different ranges for a convolution of `convolutions`. After: each branch
    is multiplied to the widest range of them, and the convolution's weights for its channels are divided by
    the same number: the convolution's output is as it was, but for float32 rounding.
    """
    draft = opened(step)
    for name, node in draft.convolutions():
        branches, concat = branches_of(draft, node), draft.maker(node.input[0])
        if name in convolutions and len(branches) > 1 and concat is not None:
            _scale_branches(draft, name, concat, branches, ranges)
    return closed(draft)


def _scale_branches(
    draft: Draft, name: str, concat: onnx.NodeProto, branches: list[str | None], ranges: Ranges
) -> None:
    weight, channels = draft.array(f"{name}.weight").astype(np.float64), draft.state_channels()
    most, first = widest(branches, ranges), 0
    for place, (value, branch) in enumerate(zip(list(concat.input), branches, strict=True)):
        if branch is None or most is None:
            raise PrednetError(f"{name} sees {value}, which has no range; it cannot be INT8.")
        factor, end = np.float32(most / ranges[branch]), first + channels[branch]
        if factor != 1.0:
            weight[:, first:end] /= factor
            scaled = f"{name}.branch{place}_scaled"
            concat.input[place] = draft.graph.add("Mul", [value, draft.graph.number(float(factor))], scaled)
        first = end
    draft.replace_array(f"{name}.weight", weight.astype(np.float32))


def with_int8_convolutions(step: bytes, ranges: Ranges, convolutions: Collection[str]) -> bytes:
    """Put Q and DQ on both inputs of the named convolutions.

    Before: a convolution takes float data and weights. After: its data is quantised once, after Concat, Resize
    and MaxPool, with one scale; its weights are int8 with a scale for each output channel; bias and output stay
    float. Scales are initialisers of the body's own type (float32, or float16 in a half body).
    """
    draft = opened(step)
    for name, node in draft.convolutions():
        most = widest(branches_of(draft, node), ranges)
        if name in convolutions and most is not None:
            weight = draft.array(node.input[1])
            node.input[0] = _quantised(draft, node.input[0], f"{name}.data", scale_of(most), weight.dtype)
            node.input[1] = _int8_weight(draft, name, weight)
    return closed(draft)


def scale_of(most: float) -> float:
    """Return the scale by which INT8 reaches `most`."""
    return max(most / STEPS, LEAST_SCALE)


def _quantised(draft: Draft, value: str, name: str, scale: float, kind: np.dtype[np.generic]) -> str:
    graph = draft.graph
    scales = [graph.constant(f"{name}_scale", np.array(scale, kind)), graph.constant("int8_zero", np.array(0, np.int8))]
    whole = graph.add("QuantizeLinear", [value, *scales], f"{name}_int8")
    return graph.add("DequantizeLinear", [whole, *scales], f"{name}_dequantised")


def _int8_weight(draft: Draft, name: str, weight: NDArray[np.generic]) -> str:
    whole, scales = int8_weight(weight.astype(np.float64), weight.dtype)
    graph = draft.graph
    inputs = [
        graph.constant(f"{name}.weight_int8", whole),
        graph.constant(f"{name}.weight_scale", scales),
        graph.constant(f"{name}.weight_zero", np.zeros(len(scales), np.int8)),
    ]
    return graph.add("DequantizeLinear", inputs, f"{name}.weight_dequantised", axis=0)


def int8_weight(
    weight: NDArray[np.float64], kind: np.dtype[np.generic]
) -> tuple[NDArray[np.int8], NDArray[np.generic]]:
    """Return whole weights [out, in, k, k] and the scale of each output channel, of the type `kind`."""
    most = np.abs(weight).reshape(len(weight), -1).max(axis=1)
    scales = np.maximum(most / STEPS, LEAST_SCALE).astype(kind)
    whole = np.round(weight / scales.astype(np.float64)[:, None, None, None])
    return np.clip(whole, -STEPS, STEPS).astype(np.int8), scales


def with_int8_states(
    step: bytes, spec: StepSpec, ranges: Ranges, convolutions: Collection[str]
) -> tuple[bytes, StepSpec]:
    """Store R and E in INT8 where all that read them read INT8 anyway; return the step and its contract.

    Before: R_l and E_l come and go as float32. After: where `gates.l` is one of `convolutions` they come and go
    as int8 on the very scale of their branch there, so that nothing is rounded twice: every output is the
    same, but for values half-way between two steps, which may fall to the other side. C and the last frame stay.
    """
    draft = opened(step)
    states = []
    for state in spec.states:
        if state.name[0] in "re" and f"gates.{state.name[1:]}" in convolutions:
            _store_int8(draft, state.name, scale_of(ranges[state.name]))
            states.append(TensorSpec(state.name, state.shape, "int8"))
        else:
            states.append(state)
    return closed(draft), StepSpec(spec.form, spec.layers, spec.grid, tuple(states))


def _store_int8(draft: Draft, state: str, scale: float) -> None:
    graph = draft.graph
    scales = [
        graph.constant(f"{state}_scale", np.array(scale, np.float32)),
        graph.constant("int8_zero", np.array(0, np.int8)),
    ]
    for node in draft.takers(state):
        node.input[list(node.input).index(state)] = f"{state}_held"
    graph.add("DequantizeLinear", [state, *scales], f"{state}_held")
    draft.rename_made(f"{state}_next", f"{state}_next_float")
    graph.add("QuantizeLinear", [f"{state}_next_float", *scales], f"{state}_next")
    for name in (state, f"{state}_next"):
        draft.retype(name, INT8)
