"""A step opened for a pass: its nodes by what they make and what they take, and closed again, checked and in order."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper

from edge.errors import PrednetError
from export.step import Graph

# States by the names that the step gives them inside: as they come in, and as the step makes them.
_STATE = re.compile(r"(r|e)(\d+)_(seen|new)")


@dataclass
class Draft:
    """A step's graph while a pass changes it. A value is its name; every value has one node that makes it."""

    model: onnx.ModelProto
    graph: Graph

    def maker(self, value: str) -> onnx.NodeProto | None:
        """Return the node that makes a value; None for inputs and initialisers."""
        return next((node for node in self.graph.nodes if value in node.output), None)

    def takers(self, value: str) -> list[onnx.NodeProto]:
        """Return the nodes that take a value."""
        return [node for node in self.graph.nodes if value in node.input]

    def convolutions(self) -> Iterator[tuple[str, onnx.NodeProto]]:
        """Yield name and node of every convolution: `gates.0`, `ahat.1`, `a.2`."""
        for node in list(self.graph.nodes):
            if node.op_type == "Conv":
                yield node.output[0].removeprefix("conv_"), node

    def array(self, name: str) -> NDArray[np.generic]:
        """Return an initialiser's values."""
        values: NDArray[np.generic] = numpy_helper.to_array(self.graph.initialisers[name])
        return values

    def replace_array(self, name: str, values: NDArray[np.generic]) -> None:
        """Give an initialiser other values."""
        del self.graph.initialisers[name]
        self.graph.constant(name, values)

    def state_channels(self) -> dict[str, int]:
        """Return the channels of every input of four axes."""
        shapes = {value.name: value.type.tensor_type.shape.dim for value in self.model.graph.input}
        return {name: shape[1].dim_value for name, shape in shapes.items() if len(shape) == 4}

    def retype(self, name: str, kind: int) -> None:
        """Give an input or output of the step another type of number."""
        for value in (*self.model.graph.input, *self.model.graph.output):
            if value.name == name:
                value.type.tensor_type.elem_type = kind

    def remove_maker(self, value: str) -> None:
        """Take out the node that makes a value, for another to make it."""
        self.graph.nodes = [node for node in self.graph.nodes if value not in node.output]

    def rename_made(self, old: str, new: str) -> None:
        """Give what a node makes another name, and leave those that take it as they are."""
        node = self.maker(old)
        if node is None:
            raise PrednetError(f"the step has no node that makes {old}; it is not a step of this release.")
        node.output[list(node.output).index(old)] = new
        node.name = f"make_{new}"


def opened(step: bytes) -> Draft:
    """Return a step's draft."""
    model = onnx.load_model_from_string(step)
    graph = Graph()
    graph.nodes = list(model.graph.node)
    graph.initialisers = {tensor.name: tensor for tensor in model.graph.initializer}
    return Draft(model, graph)


def closed(draft: Draft) -> bytes:
    """Return the step of a draft: what is needed of it, in the order in which it is needed, checked whole."""
    model = onnx.ModelProto()
    model.CopyFrom(draft.model)
    del model.graph.node[:], model.graph.initializer[:], model.graph.value_info[:]
    model.graph.node.extend(_ordered(draft))
    used = {name for node in model.graph.node for name in node.input}
    model.graph.initializer.extend(one for name, one in draft.graph.initialisers.items() if name in used)
    onnx.checker.check_model(model, full_check=True)
    serialised: bytes = model.SerializeToString()
    return serialised


def _needed(draft: Draft) -> list[onnx.NodeProto]:
    """The nodes that some output of the step depends on."""
    makers = {name: node for node in draft.graph.nodes for name in node.output}
    asked, needed = [value.name for value in draft.model.graph.output], {}
    while asked:
        node = makers.get(asked.pop())
        if node is not None and id(node) not in needed:
            needed[id(node)] = node
            asked += node.input
    return [node for node in draft.graph.nodes if id(node) in needed]


def _ordered(draft: Draft) -> list[onnx.NodeProto]:
    known = {"", *(value.name for value in draft.model.graph.input), *draft.graph.initialisers}
    waiting, ordered = _needed(draft), []
    while waiting:
        ready = [node for node in waiting if known.issuperset(node.input)]
        if not ready:
            raise PrednetError(f"the step has a circle of nodes at {waiting[0].name}; this is a fault of the export.")
        ordered += ready
        known |= {name for node in ready for name in node.output}
        waiting = [node for node in waiting if not known.issuperset(node.output)]
    return ordered


def state_of(value: str) -> str | None:
    """Return the state (`r0`, `e2`) that a value inside the step holds; None for every other value."""
    found = _STATE.fullmatch(value)
    return f"{found[1]}{found[2]}" if found else None


def branches_of(draft: Draft, convolution: onnx.NodeProto) -> list[str | None]:
    """Return the states that a convolution sees, in the order of its channels; None where one is not a state."""
    maker, data = draft.maker(convolution.input[0]), convolution.input[0]
    is_joined = state_of(data) is None and maker is not None and maker.op_type == "Concat"
    values = list(maker.input) if maker is not None and is_joined else [data]
    return [_state_behind(draft, value) for value in values]


def _state_behind(draft: Draft, value: str) -> str | None:
    """The state of a value, looked for through what keeps its numbers: resizing and the branch's factor."""
    state, maker = state_of(value), draft.maker(value)
    if state is None and maker is not None and maker.op_type in ("Resize", "Mul", "Cast"):
        return _state_behind(draft, maker.input[0])
    return state


def widest(branches: list[str | None], ranges: Mapping[str, float]) -> float | None:
    """Return the widest range of the branches; None where one is not a state, and has no bound to be trusted."""
    if None in branches:
        return None
    return max(ranges[branch] for branch in branches if branch is not None)


FLOAT, HALF, INT8 = TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.INT8
