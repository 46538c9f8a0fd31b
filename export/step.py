"""The step as ONNX: one PredNet time step for N cameras, every input and output of the contract.

Lotter, Kreiman, Cox, ICLR 2017, equations 1–4. The door of `onnx`. Opset 17, so that every TensorRT from
10.3 on and every ONNX Runtime from 1.23 on reads it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edge.frames import FrameFormat
from edge.runner import StepSpec, TensorSpec
from export.architecture import WHITES, Architecture
from export.step_leido import leido_cell

OPSET = 17
IR_VERSION = 8
# A cell of the error maps is at least this many pixels wide and high, and never finer than the top layer.
CELL_PIXELS = 8

Weights = Mapping[str, NDArray[np.float32]]
_TYPES = {"uint8": TensorProto.UINT8, "float32": TensorProto.FLOAT, "bool": TensorProto.BOOL}


def spec_from_architecture(architecture: Architecture) -> StepSpec:
    """Return the contract of an architecture's float step: frames, grid and states."""
    form = FrameFormat(architecture.height, architecture.width, architecture.channels, architecture.rate_hz)
    states = []
    for layer, (stack, r_stack) in enumerate(zip(architecture.stack, architecture.r_stack, strict=True)):
        size = architecture.size(layer)
        states += [
            TensorSpec(f"r{layer}", (r_stack, *size), "float32"),
            TensorSpec(f"c{layer}", (r_stack, *size), "float32"),
            TensorSpec(f"e{layer}", (2 * stack, *size), "float32"),
        ]
    if architecture.head == "residual":
        states.append(TensorSpec("last_frame", (form.height, form.width, form.channels), "uint8"))
    cell = cell_pixels(architecture)
    return StepSpec(form, architecture.layers, (form.height // cell, form.width // cell), tuple(states))


def cell_pixels(architecture: Architecture) -> int:
    """Return a grid cell's side in pixels: a power of two that divides the frame."""
    divisor = np.gcd(architecture.height, architecture.width)
    return int(max(2 ** (architecture.layers - 1), min(CELL_PIXELS, divisor & -divisor)))


def step_onnx(architecture: Architecture, weights: Weights, *, float_prediction: bool = False) -> bytes:
    """Return the ONNX bytes of the float step; with `float_prediction` its pixels are float32 in 0–1."""
    graph, spec = Graph(), spec_from_architecture(architecture)
    states = _states_in(graph, spec)
    representations, memories = _top_down(graph, architecture, weights, states)
    shown = graph.add("Cast", ["frames"], "frames_seen", to=TensorProto.FLOAT)
    frame = _pixels(graph, architecture, shown, "a0", WHITES[architecture.cell])
    predicted = _predicted_pixels(graph, architecture, weights, representations[0], states.get("last_frame"))
    errors, errors_out, peaks_out = _bottom_up(graph, architecture, weights, representations, frame, predicted)
    news = _named_states(representations, memories, errors)
    if "last_frame" in states:
        news["last_frame"] = shown
    _states_out(graph, spec, states, news)
    graph.add("Concat", errors_out, "errors", axis=1)
    graph.add("Concat", peaks_out, "peaks", axis=1)
    is_within = architecture.head == "residual" or architecture.pixel_max <= 1.0
    _prediction_out(graph, _outside(graph, architecture, predicted), float_prediction, is_within)
    return bytes(_model(graph, spec, float_prediction).SerializeToString())


class Graph:
    """Nodes and initialisers in the order in which they are added; a value is its name."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initialisers: dict[str, onnx.TensorProto] = {}

    def add(self, op: str, inputs: Sequence[str], named: str | None = None, **attributes: Any) -> str:
        """Add a node with one output and return the output's name."""
        name = named or f"{op.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [name], name=f"make_{name}", **attributes))
        return name

    def split(self, value: str, count: int, prefix: str) -> list[str]:
        """Cut the channels into `count` equal parts."""
        names = [f"{prefix}_{part}" for part in range(count)]
        self.nodes.append(helper.make_node("Split", [value], names, name=f"make_{prefix}", axis=1))
        return names

    def constant(self, name: str, array: NDArray[np.generic]) -> str:
        """Add an initialiser, or find the one of that name."""
        if name not in self.initialisers:
            whole = array if array.ndim == 0 else np.ascontiguousarray(array)  # which makes a number a list of one
            self.initialisers[name] = numpy_helper.from_array(whole, name)
        return name

    def number(self, value: float) -> str:
        """Add a float32 scalar."""
        return self.constant(f"number_{value!r}", np.array(value, np.float32))

    def convolution(self, value: str, name: str, weight: NDArray[np.float32], bias: NDArray[np.float32]) -> str:
        """Add a convolution that keeps the size; the weights are [out, in, k, k]."""
        size = weight.shape[2]
        inputs = [value, self.constant(f"{name}.weight", weight), self.constant(f"{name}.bias", bias)]
        return self.add("Conv", inputs, f"conv_{name}", kernel_shape=[size, size], pads=[size // 2] * 4)


def _states_in(graph: Graph, spec: StepSpec) -> dict[str, str]:
    """The states as this step sees them: float32, zero where reset, chosen with Where so that no NaN survives.

    TensorRT knows uint8 at a network's border alone, and only Cast takes it: pixels are float32 from there on.
    """
    per_slot = graph.constant("per_slot", np.array([-1, 1, 1, 1], np.int64))
    graph.add("Reshape", ["reset", per_slot], "reset_slots")
    graph.add("Reshape", ["advance", per_slot], "advance_slots")
    states = {}
    for state in spec.states:
        held = state.name
        if state.dtype == "uint8":
            held = graph.add("Cast", [held], f"{state.name}_held", to=TensorProto.FLOAT)
        states[state.name] = graph.add("Where", ["reset_slots", graph.number(0.0), held], f"{state.name}_seen")
    return states


def _states_out(graph: Graph, spec: StepSpec, old: Mapping[str, str], new: Mapping[str, str]) -> None:
    for state in spec.states:
        chosen = ["advance_slots", new[state.name], old[state.name]]
        if state.dtype == "uint8":
            whole = graph.add("Where", chosen, f"{state.name}_next_whole")
            graph.add("Cast", [whole], f"{state.name}_next", to=TensorProto.UINT8)
        else:
            graph.add("Where", chosen, f"{state.name}_next")


def _named_states(representations: list[str], memories: list[str], errors: list[str]) -> dict[str, str]:
    named: dict[str, str] = {}
    for layer, values in enumerate(zip(representations, memories, errors, strict=True)):
        named |= {f"{kind}{layer}": value for kind, value in zip("rce", values, strict=True)}
    return named


def _top_down(
    graph: Graph, architecture: Architecture, weights: Weights, states: Mapping[str, str]
) -> tuple[list[str], list[str]]:
    """R_l and C_l of every layer, from the top: each sees the new R above it."""
    representations, memories = [""] * architecture.layers, [""] * architecture.layers
    above: str | None = None
    for layer in reversed(range(architecture.layers)):
        r, c, e = (states[f"{kind}{layer}"] for kind in "rce")
        upper = [] if above is None else [_upsampled(graph, above)]
        if architecture.cell == "leido":
            x = graph.add("Concat", [e, *upper, r, c], f"x{layer}", axis=1)
            above, memories[layer] = leido_cell(graph, layer, weights, x, c)
        else:
            x = graph.add("Concat", [r, e, *upper], f"x{layer}", axis=1)
            above, memories[layer] = _conv_lstm(graph, layer, weights, x, c)
        representations[layer] = above
    return representations, memories


def _upsampled(graph: Graph, value: str) -> str:
    scales = graph.constant("scales_up", np.array([1, 1, 2, 2], np.float32))
    return graph.add(
        "Resize",
        [value, "", scales],
        mode="nearest",
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    )


def _conv_lstm(graph: Graph, layer: int, weights: Weights, x: str, memory: str) -> tuple[str, str]:
    """C = f·C + i·tanh(c), R = o·tanh(C); the four gates' convolutions in one."""
    weight = np.concatenate([weights[f"{gate}.{layer}.weight"] for gate in "ifoc"])
    bias = np.concatenate([weights[f"{gate}.{layer}.bias"] for gate in "ifoc"])
    i, f, o, c = graph.split(graph.convolution(x, f"gates.{layer}", weight, bias), 4, f"gates{layer}")
    i, f, o = (graph.add("HardSigmoid", [gate], alpha=0.2, beta=0.5) for gate in (i, f, o))
    kept = graph.add("Mul", [f, memory])
    added = graph.add("Mul", [i, graph.add("Tanh", [c])])
    new_memory = graph.add("Add", [kept, added], f"c{layer}_new")
    return graph.add("Mul", [o, graph.add("Tanh", [new_memory])], f"r{layer}_new"), new_memory


def _pixels(graph: Graph, architecture: Architecture, images: str, named: str, white: float = 1.0) -> str:
    """Turn grey levels, float32 [N, H, W, C] in 0–255, into [N, C, H, W] in 0–white."""
    if architecture.channels == 1:  # nothing is moved; ONNX Runtime is slow where the last axis has one place
        shape = np.array([-1, 1, architecture.height, architecture.width], np.int64)
        turned = graph.add("Reshape", [images, graph.constant("grey_planes", shape)])
    else:
        turned = graph.add("Transpose", [images], perm=[0, 3, 1, 2])
    return graph.add("Div", [turned, graph.number(255.0 / white)], named)


def _predicted_pixels(
    graph: Graph, architecture: Architecture, weights: Weights, representation: str, last_frame: str | None
) -> str:
    drawn = graph.convolution(representation, "ahat.0", weights["ahat.0.weight"], weights["ahat.0.bias"])
    if last_frame is None:
        brightest = architecture.pixel_max * WHITES[architecture.cell]
        return graph.add("Clip", [drawn, graph.number(0.0), graph.number(brightest)], "ahat0")
    moved = graph.add("Add", [_pixels(graph, architecture, last_frame, "last_pixels"), drawn])
    return graph.add("Clip", [moved, graph.number(0.0), graph.number(1.0)], "ahat0")


def _bottom_up(
    graph: Graph,
    architecture: Architecture,
    weights: Weights,
    representations: list[str],
    frame: str,
    predicted: str,
) -> tuple[list[str], list[str], list[str]]:
    """E_l of every layer from the frame upwards, and their pooled means and maxima on the common grid."""
    errors, means, peaks = [], [], []
    a = frame
    for layer in range(architecture.layers):
        ahat = predicted if layer == 0 else _predicted_layer(graph, weights, layer, representations[layer])
        difference = graph.add("Sub", [ahat, a])
        missed = graph.add("Relu", [graph.add("Neg", [difference])])
        errors.append(graph.add("Concat", [graph.add("Relu", [difference]), missed], f"e{layer}_new", axis=1))
        outside = _outside(graph, architecture, difference)
        mean, peak = _pooled(graph, outside, cell_pixels(architecture) >> layer)
        means.append(mean)
        peaks.append(peak)
        if layer + 1 < architecture.layers:
            a = _next_layer(graph, architecture, weights, layer, errors[layer])
    return errors, means, peaks


def _outside(graph: Graph, architecture: Architecture, value: str) -> str:
    """Return a value of the network in the unit that every cell has outside: a white pixel is 1."""
    white = WHITES[architecture.cell]
    return value if white == 1.0 else graph.add("Div", [value, graph.number(white)])


def _predicted_layer(graph: Graph, weights: Weights, layer: int, representation: str) -> str:
    name = f"ahat.{layer}"
    drawn = graph.convolution(representation, name, weights[f"{name}.weight"], weights[f"{name}.bias"])
    return graph.add("Relu", [drawn], f"ahat{layer}")


def _next_layer(graph: Graph, architecture: Architecture, weights: Weights, layer: int, error: str) -> str:
    weight = weights[f"a.{layer}.weight"]
    if layer == 0:  # the gain on E_0's way up is linear: it goes into the kernel
        weight = (weight * architecture.error_gain).astype(np.float32)
    seen = graph.convolution(error, f"a.{layer}", weight, weights[f"a.{layer}.bias"])
    if architecture.cell != "leido":  # leido pools A as the convolution gives it
        seen = graph.add("Relu", [seen])
    return graph.add("MaxPool", [seen], f"a{layer + 1}", kernel_shape=[2, 2], strides=[2, 2])


def _pooled(graph: Graph, difference: str, side: int) -> tuple[str, str]:
    """Mean and maximum of E_l over channels and a cell of side × side pixels of the layer.

    E_l holds both signs of the difference, one of them zero, so its mean is half the mean of |difference|.
    """
    mean = peak = graph.add("Abs", [difference])
    if side > 1:  # first, because it leaves less to look at
        window: dict[str, Any] = {"kernel_shape": [side, side], "strides": [side, side]}
        mean, peak = graph.add("AveragePool", [mean], **window), graph.add("MaxPool", [peak], **window)
    mean = graph.add("Mul", [graph.add("ReduceMean", [mean], axes=[1], keepdims=1), graph.number(0.5)])
    return mean, graph.add("ReduceMax", [peak], axes=[1], keepdims=1)


def _prediction_out(graph: Graph, predicted: str, as_float: bool, is_within: bool) -> None:
    if as_float:
        graph.add("Transpose", [predicted], "prediction", perm=[0, 2, 3, 1])
        return
    levels = graph.add("Round", [graph.add("Mul", [predicted, graph.number(255.0)])])
    if not is_within:
        levels = graph.add("Clip", [levels, graph.number(0.0), graph.number(255.0)])
    turned = graph.add("Transpose", [levels], perm=[0, 2, 3, 1])
    graph.add("Cast", [turned], "prediction", to=TensorProto.UINT8)


def _model(graph: Graph, spec: StepSpec, float_prediction: bool) -> onnx.ModelProto:
    form = spec.form
    image: tuple[int, ...] = (form.height, form.width, form.channels)
    inputs: list[tuple[str, str, tuple[int, ...]]] = [
        ("frames", "uint8", image),
        ("advance", "bool", ()),
        ("reset", "bool", ()),
    ]
    inputs += [(state.name, state.dtype, state.shape) for state in spec.states]
    outputs = [(name, "float32", tuple(spec.maps)) for name in ("errors", "peaks")]
    outputs.append(("prediction", "float32" if float_prediction else "uint8", image))
    outputs += [(f"{state.name}_next", state.dtype, state.shape) for state in spec.states]
    described = helper.make_graph(
        graph.nodes, "prednet_step", _infos(inputs), _infos(outputs), list(graph.initialisers.values())
    )
    model = helper.make_model(described, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    onnx.checker.check_model(model, full_check=True)
    return model


def _infos(tensors: Sequence[tuple[str, str, tuple[int, ...]]]) -> list[onnx.ValueInfoProto]:
    return [helper.make_tensor_value_info(name, _TYPES[dtype], ["N", *shape]) for name, dtype, shape in tensors]
