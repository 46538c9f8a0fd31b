"""Other programs' safetensors files. A door of safetensors, beside that of our own checkpoints."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open

from edge.errors import PrednetError
from export.checkpoint import FORMAT
from export.importing.found import MOST_TENSOR_BYTES, MOST_TENSORS, Tensors

_FLOATS = {"F16", "F32", "F64"}


def is_own_checkpoint(path: Path) -> bool:
    """Return whether a safetensors file is one that `prednet-export train` or `import` wrote."""
    try:
        with safe_open(path, framework="numpy") as held:
            return (held.metadata() or {}).get("format") == FORMAT
    except SafetensorError as fault:
        raise PrednetError(f"{path}: this safetensors file is damaged ({fault}); copy it again.") from fault


def read_tensors(path: Path) -> Tensors:
    """Return the tensors of a safetensors file as float32; PrednetError where they are no plain numbers."""
    try:
        with safe_open(path, framework="numpy") as held:
            names = list(held.keys())
            slices = {name: held.get_slice(name) for name in names[: MOST_TENSORS + 1]}
            size = sum(4 * math.prod(part.get_shape()) for part in slices.values())
            strange = [name for name, part in slices.items() if part.get_dtype() not in _FLOATS]
            if len(slices) > MOST_TENSORS or size > MOST_TENSOR_BYTES:
                raise PrednetError(f"{path}: holds more than {MOST_TENSOR_BYTES / 1e6:.0f} MB; a PredNet is less.")
            if strange:
                kind = slices[strange[0]].get_dtype()
                raise PrednetError(f"{path}: tensor '{strange[0]}' is {kind}; save it as float32.")
            return {name: np.ascontiguousarray(held.get_tensor(name), np.float32) for name in names}
    except SafetensorError as fault:
        raise PrednetError(f"{path}: this safetensors file is damaged ({fault}); copy it again.") from fault
