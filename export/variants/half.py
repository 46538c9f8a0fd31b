"""The pass to a body of float16: convolutions, gates and E in half, and C, pixels and the error maps in float32."""

from __future__ import annotations

import re

import numpy as np
import onnx
from onnx import TensorProto, helper

from export.variants.draft import FLOAT, HALF, Draft, closed, opened

_ALWAYS_HALF = {"Conv", "Resize", "Split", "HardSigmoid", "Sigmoid", "Tanh", "Relu", "Neg"}
# What is half only where it makes one of these: R, a scaled branch, A, an input of the gates, E.
_HALF_MADE = re.compile(r"r\d+_new|.*_scaled|a[1-9]\d*|x\d+|e\d+_new")
_MADE_OF_TWO_KINDS = {"Mul", "MaxPool", "Concat"}
# Inputs that are no data of the body: sizes of Resize and Split.
_PLAIN_INPUTS = {"Resize": 1, "Split": 1}


def with_half_body(step: bytes) -> bytes:
    """Compute the body in float16.

    Before: every float of the step is float32. After: convolutions, gates, R and E are float16; C and what adds
    to it, pixels, layer 0's difference and the pooled maps stay float32, and so do inputs and outputs.
    """
    draft = opened(step)
    kinds = _kinds(draft)
    casts: dict[tuple[str, int], str] = {}
    for node in list(draft.graph.nodes):
        kind = HALF if _is_half(node) else FLOAT
        for place, value in enumerate(node.input):
            if place < _PLAIN_INPUTS.get(node.op_type, 99) and kinds.get(value, kind) != kind:
                node.input[place] = _cast(draft, value, kind, casts)
        if kind == HALF:
            kinds |= dict.fromkeys(node.output, HALF)
    _cast_outputs(draft, kinds)
    return closed(draft)


def _is_half(node: onnx.NodeProto) -> bool:
    if node.op_type in _MADE_OF_TWO_KINDS:
        return bool(_HALF_MADE.fullmatch(node.output[0]))
    if node.op_type == "Sub":  # layer 0 subtracts pixels
        return "ahat0" not in node.input
    return node.op_type in _ALWAYS_HALF


def _kinds(draft: Draft) -> dict[str, int]:
    """The type of every float of the step; others are left out."""
    inferred = onnx.shape_inference.infer_shapes(draft.model).graph
    values = (*inferred.value_info, *inferred.input)
    kinds = {one.name: one.type.tensor_type.elem_type for one in values}
    kinds |= {name: tensor.data_type for name, tensor in draft.graph.initialisers.items()}
    return {name: kind for name, kind in kinds.items() if kind == TensorProto.FLOAT}


def _cast(draft: Draft, value: str, kind: int, casts: dict[tuple[str, int], str]) -> str:
    if (value, kind) not in casts:
        suffix = "half" if kind == HALF else "float"
        if value in draft.graph.initialisers:
            casts[value, kind] = draft.graph.constant(f"{value}_{suffix}", draft.array(value).astype(np.float16))
        else:
            casts[value, kind] = draft.graph.add("Cast", [value], f"{value}_{suffix}", to=kind)
    return casts[value, kind]


def _cast_outputs(draft: Draft, kinds: dict[str, int]) -> None:
    for output in draft.model.graph.output:
        if kinds.get(output.name) == HALF:
            draft.rename_made(output.name, f"{output.name}_half")
            draft.graph.add("Cast", [f"{output.name}_half"], output.name, to=FLOAT)


def in_opset_19(step: bytes) -> bytes:
    """Write the step in opset 19, whose scales may be float16.

    Before: opset 17. After: opset 19, where the axes of means and maxima are an input and Split counts its parts;
    what is computed is the same.
    """
    draft = opened(step)
    for node in draft.graph.nodes:
        if node.op_type in ("ReduceMean", "ReduceMax"):
            axes = next(one for one in node.attribute if one.name == "axes")
            node.input.append(draft.graph.constant("axes_of_channels", np.array(axes.ints, np.int64)))
            node.attribute.remove(axes)
        if node.op_type == "Split":
            node.attribute.append(helper.make_attribute("num_outputs", len(node.output)))
    draft.model.opset_import[0].version = 19
    draft.model.ir_version = 9
    return closed(draft)
