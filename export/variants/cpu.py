"""The pass to the CPU's layout: whole numbers from convolution to convolution, as ONNX Runtime's kernels like them.

Measured (docs/decisions/0012-int8.md): quantised outputs, uint8 activations and QLinearConv are the fastest of what
was tried. Weights reach ±64 only: on processors without VNNI two products of uint8 and int8 are added in 16 bits,
and 2 · 255 · 64 is the most that fits there, so that every processor gives the same numbers.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper

from edge.runner import StepSpec, TensorSpec
from export.variants.draft import Draft, branches_of, closed, opened, state_of
from export.variants.quantised import LEAST_SCALE, Ranges, quantisable

WEIGHT_STEPS = 64
MIDDLE = 128
# What draws the picture stays float: rounded to 8 bits it is as coarse as the errors of a good prediction. It is the
# most sensitive by far and a fiftieth of the arithmetic; a.0 sees so few channels that whole numbers make it slower
# (docs/decisions/0012-int8.md).
FLOAT_CONVOLUTIONS = ("gates.0", "ahat.0", "a.0")
# A hard sigmoid is 0 or 1 beyond ±2.5; that tanh(2.5) is 0.987 costs less than coarser steps for all. What is within
# is all of uint8, so that the number itself is the sigmoid: 0 is 0 and 255 is 1.
GATE_REACH = 2.5
GATE_STEPS = 255


@dataclass(frozen=True)
class _Whole:
    """How a value lies in uint8: `scale` a step, `zero` the number that stands for 0."""

    scale: float
    zero: int


def cpu_convolutions(step: bytes) -> list[str]:
    """Return the convolutions that the CPU's layout may take."""
    return [name for name in quantisable(step) if name not in FLOAT_CONVOLUTIONS]


def with_cpu_layout(
    step: bytes, spec: StepSpec, ranges: Ranges, convolutions: Collection[str]
) -> tuple[bytes, StepSpec]:
    """Compute the named convolutions in uint8, with whole outputs; return the step and its contract.

    Before: a float step. After: R and E are rounded once, where they are made, and joined, resized and stored
    as uint8; each named convolution is a QLinearConv whose output is uint8 too (gates over the reach of their
    non-linearity, others over the range that was seen); C, gates, pixels and the error maps are float32.
    """
    draft = opened(step)
    stored = {
        f"{kind}{name.removeprefix('gates.')}" for name in convolutions if name.startswith("gates.") for kind in "re"
    }
    for name, node in draft.convolutions():
        if name in convolutions:
            _replace(draft, name, node, ranges)
        elif name.startswith("gates."):
            _take_apart(draft, name, node)
    for state in stored:
        _store(draft, state, ranges)
    states = [TensorSpec(s.name, s.shape, "uint8", MIDDLE) if s.name in stored else s for s in spec.states]
    return closed(draft), StepSpec(spec.form, spec.layers, spec.grid, tuple(states))


def _signed(reach: float) -> _Whole:
    return _Whole(max(reach / (MIDDLE - 1), LEAST_SCALE), MIDDLE)


def _replace(draft: Draft, name: str, node: onnx.NodeProto, ranges: Ranges) -> None:
    """Put a QLinearConv in a convolution's place."""
    branches = [branch for branch in branches_of(draft, node) if branch is not None]
    concat = draft.maker(node.input[0])
    values = list(concat.input) if concat is not None and len(branches) > 1 else [node.input[0]]
    parts = [_whole_value(draft, value, ranges) for value in values]
    data = parts[0] if len(parts) == 1 else draft.graph.add("Concat", parts, f"{name}.data_whole", axis=1)
    scales = [_signed(ranges[branch]).scale for branch in branches]
    weight = draft.array(node.input[1]).astype(np.float64)
    first, channels = 0, draft.state_channels()
    for branch, scale in zip(branches, scales, strict=True):  # one scale for all: each branch's goes into its weights
        weight[:, first : first + channels[branch]] *= scale / max(scales)
        first += channels[branch]
    bias = draft.array(node.input[2]).astype(np.float64)
    if name.startswith("gates."):
        _replace_gates(draft, name, node, data, max(scales), weight, bias)
    else:
        _replace_other(draft, name, node, data, max(scales), weight, bias, ranges)
    draft.graph.nodes.remove(node)


def _take_apart(draft: Draft, name: str, node: onnx.NodeProto) -> None:
    """Convolve what comes from the layer above by itself, and add: its channels are those that float kernels like.

    Before: one convolution over all branches, joined. After: one over the layer's own, one over the last, added.
    """
    branches, concat = branches_of(draft, node), draft.maker(node.input[0])
    if concat is None or None in branches or len(branches) < 3:  # R, E, and the layer above
        return
    graph = draft.graph
    weight, bias = (draft.array(name).astype(np.float32) for name in node.input[1:])
    own = weight.shape[1] - draft.state_channels()[str(branches[-1])]
    joined = graph.add("Concat", list(concat.input)[:-1], f"{name}.own", axis=1)
    parts = [
        graph.convolution(joined, f"{name}.own", weight[:, :own], bias),
        graph.convolution(concat.input[-1], f"{name}.above", weight[:, own:], np.zeros_like(bias)),
    ]
    draft.remove_maker(node.output[0])
    graph.add("Add", parts, node.output[0])


def _whole_value(draft: Draft, value: str, ranges: Ranges) -> str:
    """Return a state's value as uint8: as it is stored, rounded where it is made, or that, resized."""
    state, whole = state_of(value), f"{value}_whole"
    if draft.maker(whole) is not None or (state and value.endswith("_seen")):
        return whole
    maker = draft.maker(value)
    if state is None and maker is not None:  # Resize
        below = _whole_value(draft, maker.input[0], ranges)
        resized = helper.make_node("Resize", [below, *maker.input[1:]], [whole], name=f"make_{whole}")
        resized.attribute.extend(maker.attribute)
        draft.graph.nodes.append(resized)
        return whole
    return _rounded(draft, value, whole, _signed(ranges[str(state)]))


def _rounded(draft: Draft, value: str, named: str, whole: _Whole) -> str:
    return draft.graph.add("QuantizeLinear", [value, *_constants(draft, named, whole)], named)


def _constants(draft: Draft, name: str, whole: _Whole) -> list[str]:
    graph = draft.graph
    zero = graph.constant(f"uint8_{whole.zero}", np.array(whole.zero, np.uint8))
    return [graph.constant(f"{name}_scale", np.array(whole.scale, np.float32)), zero]


def _convolved(
    draft: Draft, name: str, node: onnx.NodeProto, data: str, scale: float,
    weight: NDArray[np.float64], bias: NDArray[np.float64], made: _Whole,
) -> str:  # fmt: skip
    """Add the QLinearConv and return its uint8 output."""
    most = np.abs(weight).reshape(len(weight), -1).max(axis=1)
    steps = np.maximum(most / WEIGHT_STEPS, LEAST_SCALE)
    whole = np.clip(np.round(weight / steps[:, None, None, None]), -WEIGHT_STEPS, WEIGHT_STEPS).astype(np.int8)
    reach = np.iinfo(np.int32)
    whole_bias = np.clip(np.round(bias / (steps * scale)), reach.min, reach.max).astype(np.int32)
    graph, output = draft.graph, f"{name}.out_whole"
    inputs = [
        data, *_constants(draft, f"{name}.data", _Whole(scale, MIDDLE)),
        graph.constant(f"{name}.weight_int8", whole),
        graph.constant(f"{name}.weight_scale", steps.astype(np.float32)),
        graph.constant(f"{name}.weight_zero", np.zeros(len(steps), np.int8)),
        *_constants(draft, output, made), graph.constant(f"{name}.bias_int32", whole_bias),
    ]  # fmt: skip
    quantised = helper.make_node("QLinearConv", inputs, [output], name=f"make_{output}")
    quantised.attribute.extend(node.attribute)
    graph.nodes.append(quantised)
    return output


def _replace_gates(
    draft: Draft, name: str, node: onnx.NodeProto, data: str, scale: float,
    weight: NDArray[np.float64], bias: NDArray[np.float64],
) -> None:  # fmt: skip
    """All gates over their reach, split while they are uint8: a quarter of the bytes.

    Before: hard sigmoids of three quarters, tanh of the last. After: uint8 of the three are the sigmoids themselves.
    """
    graph, reach = draft.graph, _Whole(2 * GATE_REACH / GATE_STEPS, MIDDLE)
    sigmoids = 3 * len(bias) // 4
    moved = bias - np.where(np.arange(len(bias)) < sigmoids, reach.scale / 2, 0.0)  # their middle lies at 127.5
    made = _convolved(draft, name, node, data, scale, weight, moved, reach)
    (split,) = draft.takers(node.output[0])
    graph.nodes.remove(split)
    parts = graph.split(made, 4, f"{made}_gate")
    for part, gate in zip(parts[:3], split.output[:3], strict=True):
        (sigmoid,) = draft.takers(gate)
        graph.nodes.remove(sigmoid)
        graph.add(
            "DequantizeLinear", [part, *_constants(draft, "sigmoids", _Whole(1 / GATE_STEPS, 0))], sigmoid.output[0]
        )
    graph.add("DequantizeLinear", [parts[3], *_constants(draft, "gates", reach)], split.output[3])


def _replace_other(
    draft: Draft, name: str, node: onnx.NodeProto, data: str, scale: float,
    weight: NDArray[np.float64], bias: NDArray[np.float64], ranges: Ranges,
) -> None:  # fmt: skip
    """An A or an Ahat: rectified by its uint8 range, and pooled while it is uint8."""
    kind, layer = name.split(".")
    value = f"a{int(layer) + 1}" if kind == "a" else f"ahat{layer}"
    chain = _chain(draft, node.output[0], value)
    is_rectified = any(one.op_type == "Relu" for one in chain)
    made = _Whole(max(ranges[value] / 255, LEAST_SCALE), 0) if is_rectified else _signed(ranges[value])
    output = _convolved(draft, name, node, data, scale, weight, bias, made)
    for one in chain:
        draft.graph.nodes.remove(one)
        if one.op_type == "MaxPool":
            pooled = helper.make_node("MaxPool", [output], [f"{value}_whole"], name=f"make_{value}_whole")
            pooled.attribute.extend(one.attribute)
            draft.graph.nodes.append(pooled)
    last = f"{value}_whole" if chain[-1].op_type == "MaxPool" else output
    draft.graph.add("DequantizeLinear", [last, *_constants(draft, output, made)], value)


def _chain(draft: Draft, value: str, end: str) -> list[onnx.NodeProto]:
    """The nodes from a convolution's output to the value that the layer calls A or Ahat."""
    chain = []
    while value != end:
        (taker,) = draft.takers(value)
        chain.append(taker)
        value = taker.output[0]
    return chain


def _store(draft: Draft, state: str, ranges: Ranges) -> None:
    """Keep a state as uint8, chosen by `reset` and `advance` as it is."""
    middle = draft.graph.constant(f"uint8_{MIDDLE}", np.array(MIDDLE, np.uint8))
    draft.remove_maker(f"{state}_next")
    draft.graph.add("Where", ["reset_slots", middle, state], f"{state}_seen_whole")
    made = _whole_value(draft, f"{state}_new", ranges)
    draft.graph.add("Where", ["advance_slots", made, f"{state}_seen_whole"], f"{state}_next")
    for name in (state, f"{state}_next"):
        draft.retype(name, onnx.TensorProto.UINT8)
