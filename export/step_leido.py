"""The cell of the leido variant in the ONNX step: peepholes, plain sigmoids, gates in the order i, f, c, o.

The arithmetic of leido/pytorch-prednet: c = tanh, the others σ, each of [E_l, up(R_{l+1})], R_l and, but for
c, of C_l as it was before the step; three sets of biases. As the step is linear up to σ, all of it is one
convolution over [E, up, R, C] in which c sees zeros for C.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from export.step import Graph


def leido_cell(
    graph: Graph, layer: int, weights: Mapping[str, NDArray[np.float32]], x: str, memory: str
) -> tuple[str, str]:
    """Return R_l and C_l; `x` is [E_l, up(R_{l+1}), R_l, C_l], `memory` is C_l."""
    weight, bias = fused_weights(weights, layer)
    i, f, c, o = graph.split(graph.convolution(x, f"gates.{layer}", weight, bias), 4, f"gates{layer}")
    i, f, o = (graph.add("Sigmoid", [gate]) for gate in (i, f, o))
    kept = graph.add("Mul", [f, memory])
    new_memory = graph.add("Add", [kept, graph.add("Mul", [i, graph.add("Tanh", [c])])], f"c{layer}_new")
    return graph.add("Mul", [o, graph.add("Tanh", [new_memory])], f"r{layer}_new"), new_memory


def fused_weights(
    weights: Mapping[str, NDArray[np.float32]], layer: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return kernel and bias of the one convolution; rows i, f, c, o, columns E, up(R above), R, C."""
    peephole = _with_no_row_for_c(weights[f"peephole.{layer}.weight"])
    parts = [weights[f"input.{layer}.weight"], weights[f"recurrent.{layer}.weight"], peephole]
    biases = [weights[f"{kind}.{layer}.bias"].astype(np.float64) for kind in ("input", "recurrent")]
    bias = biases[0] + biases[1] + _with_no_row_for_c(weights[f"peephole.{layer}.bias"])
    return np.concatenate(parts, axis=1), bias.astype(np.float32)


def _with_no_row_for_c(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    i, f, o = np.split(rows, 3)
    return np.concatenate([i, f, np.zeros_like(i), o])
