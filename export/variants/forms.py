"""The variants of a step by their names, each made from the float step by its passes."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from edge.errors import UsageError
from edge.runner import StepSpec
from export.variants.channels_last import with_channels_last
from export.variants.cpu import cpu_convolutions, with_cpu_layout
from export.variants.flagless import without_flags
from export.variants.half import in_opset_19, with_half_body
from export.variants.quantised import (
    Ranges,
    quantisable,
    with_int8_convolutions,
    with_int8_states,
    with_scaled_branches,
)

VARIANTS = ("float", "int8", "fp16", "int8.fp16", "cpu")
# Those that round activations to whole numbers, and so need ranges from footage.
ROUNDED = ("int8", "int8.fp16", "cpu")
# Those that TensorRT is to build from; `cpu` is laid out for ONNX Runtime.
FOR_TENSORRT = ("float", "int8", "fp16", "int8.fp16")


@dataclass(frozen=True)
class Form:
    """One variant's step: `convolutions` are those that compute in whole numbers."""

    name: str
    step: bytes
    spec: StepSpec
    convolutions: tuple[str, ...]


def roundable(name: str, step: bytes) -> list[str]:
    """Return the convolutions of the float step that a variant may round."""
    if name not in ROUNDED:
        return []
    return cpu_convolutions(step) if name == "cpu" else quantisable(step)


def form_of(name: str, step: bytes, spec: StepSpec, ranges: Ranges, convolutions: Collection[str]) -> Form:
    """Return a variant of the float step in which the named convolutions are whole. Raises UsageError for a name."""
    if name not in VARIANTS:
        raise UsageError(f"the variant '{name}' is not known; there are {', '.join(VARIANTS)}.")
    ordered = tuple(one for one in roundable(name, step) if one in convolutions)
    if name == "cpu":
        step, spec = with_cpu_layout(step, spec, ranges, ordered)
        step, spec = with_channels_last(without_flags(step), spec)
    if name in ("int8", "int8.fp16"):
        step = with_scaled_branches(step, ranges, ordered)
    if name in ("fp16", "int8.fp16"):
        step = with_half_body(step)
    if name == "int8.fp16":
        step = in_opset_19(step)
    if name in ("int8", "int8.fp16"):
        step = with_int8_convolutions(step, ranges, ordered)
        step, spec = with_int8_states(step, spec, ranges, ordered)
    return Form(name, step, spec, ordered)
