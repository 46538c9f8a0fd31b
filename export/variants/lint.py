"""The structural lint: the rules under which TensorRT computes in INT8 what we say is INT8, looked for in the graph."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto

from export.variants.draft import Draft, opened
from export.variants.quantised import STEPS

# Nodes that a step is not made of: it is one time step, unrolled, with its states as inputs and outputs.
FOREIGN = {"Loop", "Scan", "If", "LSTM", "GRU", "RNN"}
# A branch that is quantised before one of these gives a float convolution, in silence.
_JOINING = {"Concat", "Resize", "MaxPool"}
_LEAST_NORMAL = {"float32": float(np.finfo(np.float32).tiny), "float16": float(np.finfo(np.float16).tiny)}


@dataclass(frozen=True)
class Breach:
    """A broken rule, by its name, and where."""

    rule: str
    told: str


def lint(step: bytes, claimed: Sequence[str]) -> list[Breach]:
    """Return every breach of the rules in a step whose `claimed` convolutions are said to be INT8."""
    draft = opened(step)
    found = [Breach(name, told) for name, rule in RULES.items() for told in rule(draft)]
    return found + [Breach("claim", told) for told in _claims(draft, claimed)]


def int8_convolutions(draft: Draft) -> list[str]:
    """Return the convolutions whose data and weights both come out of DequantizeLinear."""
    return [name for name, node in draft.convolutions() if all(_is_dequantised(draft, node.input[i]) for i in (0, 1))]


def _claims(draft: Draft, claimed: Sequence[str]) -> Iterator[str]:
    found = int8_convolutions(draft)
    if sorted(found) != sorted(claimed):
        yield f"INT8 convolutions are {', '.join(found) or 'none'}; {', '.join(claimed) or 'none'} are claimed"


def _is_dequantised(draft: Draft, value: str) -> bool:
    maker = draft.maker(value)
    return maker is not None and maker.op_type == "DequantizeLinear"


def _quantisers(draft: Draft) -> Iterator[onnx.NodeProto]:
    return (node for node in draft.graph.nodes if node.op_type in ("QuantizeLinear", "DequantizeLinear"))


def _symmetric(draft: Draft) -> Iterator[str]:
    for node in _quantisers(draft):
        zeros = draft.graph.initialisers.get(node.input[2]) if len(node.input) > 2 else None
        if zeros is None or zeros.data_type != TensorProto.INT8 or draft.array(zeros.name).any():
            yield f"{node.name}: its zero point is not int8 and 0"


def _weights(draft: Draft) -> Iterator[str]:
    for name, node in draft.convolutions():
        maker = draft.maker(node.input[1])
        if maker is None or maker.op_type != "DequantizeLinear":
            continue
        axis = next((one.i for one in maker.attribute if one.name == "axis"), 1)
        whole, scales = draft.array(maker.input[0]), draft.array(maker.input[1])
        if axis != 0 or scales.shape != (len(whole),):
            yield f"{name}: its weights have no scale for each output channel on axis 0"
        elif np.abs(whole.astype(np.int16)).max() > STEPS:
            yield f"{name}: a weight is beyond ±{STEPS}"


def _both_inputs(draft: Draft) -> Iterator[str]:
    for name, node in draft.convolutions():
        if _is_dequantised(draft, node.input[0]) != _is_dequantised(draft, node.input[1]):
            yield f"{name}: Q/DQ is on one of its inputs alone, so that it is computed in float"


def _float_outputs(draft: Draft) -> Iterator[str]:
    for name, node in draft.convolutions():
        if any(taker.op_type == "QuantizeLinear" for taker in draft.takers(node.output[0])):
            yield f"{name}: its output is quantised"


def _float_bias(draft: Draft) -> Iterator[str]:
    for name, node in draft.convolutions():
        if len(node.input) > 2 and node.input[2] not in draft.graph.initialisers:
            yield f"{name}: its bias is not a float initialiser"


def _scales(draft: Draft) -> Iterator[str]:
    for node in _quantisers(draft):
        if node.input[1] not in draft.graph.initialisers:
            yield f"{node.name}: its scale is not an initialiser"
            continue
        scale = draft.array(node.input[1])
        least = _LEAST_NORMAL.get(scale.dtype.name, math.inf)
        if not np.isfinite(scale).all() or float(scale.min()) < least:
            yield f"{node.name}: its scale is not a normal number above 0"
        if node.op_type == "QuantizeLinear" and scale.ndim:
            yield f"{node.name}: an activation has more than one scale"


def _float_body(draft: Draft) -> Iterator[str]:
    """What is dequantised goes into convolutions, or was a state at the border."""
    inputs = {value.name for value in draft.model.graph.input}
    for node in _quantisers(draft):
        if node.op_type == "QuantizeLinear" or node.input[0] in inputs:
            continue
        for taker in draft.takers(node.output[0]):
            if taker.op_type != "Conv":
                place = "before" if taker.op_type in _JOINING else "into"
                yield f"{node.name}: Q/DQ stands {place} {taker.name}, and not right before a convolution"


def _unbounded(draft: Draft) -> Iterator[str]:
    for value in (*draft.model.graph.input, *draft.model.graph.output):
        if value.name.startswith("c") and value.type.tensor_type.elem_type != TensorProto.FLOAT:
            yield f"{value.name}: C is not float32"
    for node in _quantisers(draft):
        if node.input[0].startswith("c") and not node.input[0].startswith("conv"):
            yield f"{node.name}: C is quantised"


def _border(draft: Draft) -> Iterator[str]:
    """TensorRT knows uint8 at a network's border alone, and only Cast takes or gives it."""
    for value in draft.model.graph.input:
        if value.type.tensor_type.elem_type == TensorProto.UINT8:
            yield from (f"{value.name}: {node.name} takes uint8" for node in draft.takers(value.name)
                        if node.op_type != "Cast")  # fmt: skip
    for value in draft.model.graph.output:
        maker = draft.maker(value.name)
        if value.type.tensor_type.elem_type == TensorProto.UINT8 and (maker is None or maker.op_type != "Cast"):
            yield f"{value.name}: it is uint8, and not made by Cast"


def _unrolled(draft: Draft) -> Iterator[str]:
    yield from (f"{node.name}: {node.op_type} in a step" for node in draft.graph.nodes if node.op_type in FOREIGN)
    outputs = {value.name for value in draft.model.graph.output}
    states = {value.name for value in draft.model.graph.input} - {"frames", "advance", "reset"}
    yield from (
        f"{state}: the step does not give it back" for state in sorted(states) if f"{state}_next" not in outputs
    )


def _opset(draft: Draft) -> Iterator[str]:
    has_half = any(draft.graph.initialisers[node.input[1]].data_type == TensorProto.FLOAT16
                   for node in _quantisers(draft) if node.input[1] in draft.graph.initialisers)  # fmt: skip
    version = draft.model.opset_import[0].version
    if version != (19 if has_half else 17):
        yield f"opset {version}; float16 scales need 19, and all else is 17"


RULES: dict[str, Callable[[Draft], Iterator[str]]] = {
    "symmetric": _symmetric,
    "weights": _weights,
    "both inputs": _both_inputs,
    "float outputs": _float_outputs,
    "float bias": _float_bias,
    "scales": _scales,
    "float body": _float_body,
    "unbounded": _unbounded,
    "border": _border,
    "unrolled": _unrolled,
    "opset": _opset,
}
