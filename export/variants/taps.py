"""The pass that shows activations: what calibration observes comes out of the step beside its contract."""

from __future__ import annotations

from onnx import helper

from export.architecture import Architecture
from export.variants.draft import FLOAT, closed, opened


def tap_shapes(architecture: Architecture) -> dict[str, tuple[int, ...]]:
    """Return the activations that are rounded, by their name in the step: R, E, A and Ahat of every layer."""
    shapes: dict[str, tuple[int, ...]] = {}
    for layer, (stack, r_stack) in enumerate(zip(architecture.stack, architecture.r_stack, strict=True)):
        size = architecture.size(layer)
        shapes |= {f"r{layer}_new": (r_stack, *size), f"e{layer}_new": (2 * stack, *size)}
        if layer:
            shapes |= {f"a{layer}": (stack, *size), f"ahat{layer}": (stack, *size)}
    return shapes


def with_taps(step: bytes, architecture: Architecture) -> bytes:
    """Let activations out. Before: the contract's outputs. After: these, and float32 R, E, A and Ahat by name."""
    draft = opened(step)
    for name, shape in tap_shapes(architecture).items():
        draft.model.graph.output.append(helper.make_tensor_value_info(name, FLOAT, ["N", *shape]))
    return closed(draft)


def range_name(tap: str) -> str:
    """Return the name under which a tap's range is known: `r0_new` is the range of the state r0."""
    return tap.removesuffix("_new")
