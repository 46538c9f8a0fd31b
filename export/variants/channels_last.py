"""The pass that computes whole layers with their channels last, as ONNX Runtime's kernels for whole numbers want it.

ONNX Runtime turns every QLinearConv by itself, and transposes all around it; here its own operators with channels last
(domain `com.microsoft`) are written at once. Two things are written otherwise, because the library is slow at them with
channels last: doubling by nearest neighbours is two copies, side by side and below; and error maps are reduced over
channels before they are pooled (docs/decisions/0012-int8.md).
"""

from __future__ import annotations

import dataclasses

import numpy as np
import onnx
from onnx import helper

from edge.runner import StepSpec, TensorSpec
from export.variants.draft import Draft, closed, opened

_FIRST, _LAST = [0, 3, 1, 2], [0, 2, 3, 1]
# What computes each place by itself, and what names the axis of channels.
_EACH = ("Abs", "Add", "DequantizeLinear", "Mul", "Neg", "QuantizeLinear", "Relu", "Sub", "Tanh")
_ALONG = ("Concat", "ReduceMax", "ReduceMean", "Split")
# What ONNX Runtime has another operator for.
_OWN_OPERATORS = {"MaxPool": "NhwcMaxPool", "QLinearConv": "QLinearConv"}
_DOMAIN = "com.microsoft"


def with_channels_last(step: bytes, spec: StepSpec) -> tuple[bytes, StepSpec]:
    """Compute the layers whose R is uint8 with channels last; return the step and its contract.

    Before: states and all between them [N, C, H, W]. After: R, C and E of those layers are [N, H, W, C], and so is what
    is made of them, up to the convolutions of float layers and the maps; the numbers are the same.
    """
    whole = {state.name[1:] for state in spec.states if state.dtype == "uint8" and state.name.startswith("r")}
    turned = {
        state.name: _of_last(state) for state in spec.states if state.name[0] in "rce" and state.name[1:] in whole
    }
    draft = opened(step)
    _Turn(draft, spec, set(turned)).all_nodes()
    draft.model.opset_import.append(helper.make_opsetid(_DOMAIN, 1))
    for value in (*draft.model.graph.input, *draft.model.graph.output):
        state = turned.get(value.name.removesuffix("_next"))
        for axis, size in zip(value.type.tensor_type.shape.dim[1:], state.shape if state else (), strict=False):
            axis.dim_value = size
    states = tuple(turned.get(state.name, state) for state in spec.states)
    return closed(draft), dataclasses.replace(spec, states=states)


def _of_last(state: TensorSpec) -> TensorSpec:
    channels, height, width = state.shape
    return dataclasses.replace(state, shape=(height, width, channels))


class _Turn:
    """Goes through a step's nodes in their order; `last` are the values that have their channels last."""

    def __init__(self, draft: Draft, spec: StepSpec, last: set[str]) -> None:
        self.draft, self.graph, self.last = draft, draft.graph, last
        self.shapes = {state.name: state.shape for state in spec.states}
        self.kept = {f"{name}_next" for name in last}
        self.outputs = {value.name for value in draft.model.graph.output} - self.kept
        self.nodes, self.graph.nodes = self.graph.nodes, []
        self.reductions = {node.input[0]: node for node in self.nodes if node.op_type.startswith("Reduce")}

    def all_nodes(self) -> None:
        """Turn what can be turned, and transpose where what is turned meets what is not."""
        for node in self.nodes:
            is_last = any(name in self.last for name in node.input) and not self.outputs.intersection(node.output)
            reduction = self.reductions.get(node.output[0])
            if self.draft.maker(node.output[0]) is not None:  # a reduction that is made already
                continue
            if is_last and reduction is not None and node.op_type.endswith("Pool"):
                self._reduce_first(node, reduction)
            elif is_last and node.op_type == "Resize":
                self._double(node)
            elif is_last and node.op_type in _EACH + _ALONG:
                self._turn(node)
            elif is_last and (node.op_type == "QLinearConv" or node.input[0].endswith(".out_whole")):
                self._turn_to_own(node)
            else:
                self._leave(node)
        for node in self.graph.nodes:  # some make a value of another name now
            node.name = f"make_{node.output[0]}"

    def _turn(self, node: onnx.NodeProto) -> None:
        for attribute in node.attribute:
            if attribute.name == "axis":
                attribute.i = 3
            elif attribute.name == "axes":
                attribute.ints[:] = [3]
        node.input[:] = [self._with(name, _LAST) for name in node.input]
        self.graph.nodes.append(node)
        self.last.update(node.output)

    def _turn_to_own(self, node: onnx.NodeProto) -> None:
        node.op_type, node.domain = _OWN_OPERATORS[node.op_type], _DOMAIN
        if node.op_type == "QLinearConv":
            node.attribute.append(helper.make_attribute("channels_last", 1))
        self._turn(node)

    def _leave(self, node: onnx.NodeProto) -> None:
        node.input[:] = [self._with(name, _FIRST) for name in node.input]
        self.graph.nodes.append(node)
        for made in self.kept.intersection(node.output):  # a state that is whole, made by a layer that is not
            node.output[list(node.output).index(made)] = f"{made}_first"
            self.graph.add("Transpose", [f"{made}_first"], made, perm=_LAST)
            self.last.add(made)

    def _reduce_first(self, pool: onnx.NodeProto, reduction: onnx.NodeProto) -> None:
        """Reduce over channels what was to be pooled, and pool that: the other way round the numbers are the same."""
        made = reduction.output[0]
        reduced = self.graph.add(reduction.op_type, [pool.input[0]], f"{made}_reduced", axes=[3], keepdims=1)
        self.last.add(reduced)
        pool.input[0], pool.output[0] = self._with(reduced, _FIRST), made
        self.graph.nodes.append(pool)

    def _double(self, node: onnx.NodeProto) -> None:
        """Write a doubling as two copies of each place side by side, and of each row below one another."""
        value, made = node.input[0], node.output[0]
        channels, height, width = self.shapes[value.partition("_")[0]]  # what is resized is some form of an R
        twice = self.graph.add("Concat", [value, value], f"{made}_wide", axis=3)
        row = self.graph.constant(f"{made}_rows", np.array([-1, height, 1, 2 * width * channels], np.int64))
        rows = self.graph.add("Reshape", [twice, row], f"{made}_row")
        twice = self.graph.add("Concat", [rows, rows], f"{made}_high", axis=2)
        picture = self.graph.constant(f"{made}_shape", np.array([-1, 2 * height, 2 * width, channels], np.int64))
        self.graph.add("Reshape", [twice, picture], made)
        self.last.add(made)

    def _with(self, name: str, order: list[int]) -> str:
        """Return a value with its channels first or last, transposed where it is not; numbers are what they are."""
        if name in self.graph.initialisers or not name or (name in self.last) == (order == _LAST):
            return name
        other = f"{name}_{'last' if order == _LAST else 'first'}"
        if self.draft.maker(other) is None:
            self.graph.add("Transpose", [name], other, perm=order)
        return other
