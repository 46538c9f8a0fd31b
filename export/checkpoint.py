"""A trained PredNet on disk: weights as safetensors, architecture and training facts beside them.

This file is the door of safetensors. It runs no code that a file brings.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from edge.errors import PrednetError, UsageError
from edge.files import write_whole
from export.architecture import Architecture, parameter_shapes

Weights = dict[str, NDArray[np.float32]]

FORMAT = "prednet-edge checkpoint"
FORMAT_VERSION = "1"


def save_checkpoint(
    path: Path,
    architecture: Architecture,
    weights: Mapping[str, NDArray[np.float32]],
    metadata: Mapping[str, object],
    *,
    is_half: bool = False,
) -> None:
    """Write a checkpoint, whole or not at all.

    `weights` float32 under the names of `parameter_shapes`; `metadata` holds plain values that JSON
    can carry: footage digest, seconds, seed, skill. `is_half` keeps the weights as float16, in half
    the room. Raises PrednetError for weights that do not belong to the architecture, UsageError where
    the folder cannot be written.
    """
    _check_weights(path, architecture, weights)
    header = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "architecture": msgspec.json.encode(architecture).decode(),
        "training": msgspec.json.encode(dict(metadata)).decode(),
    }
    kept = np.float16 if is_half else np.float32
    blob = save({name: np.ascontiguousarray(weights[name], kept) for name in sorted(weights)}, header)
    try:
        write_whole(path, blob)
    except OSError as fault:
        raise UsageError(
            f"{path}: cannot be written ({fault.strerror}); choose another folder or make room."
        ) from fault


def load_checkpoint(path: Path) -> tuple[Architecture, Weights, dict[str, object]]:
    """Read the architecture, the weights (float32, owned by the caller) and the training facts.

    Raises UsageError for a missing file and PrednetError for one that is damaged, foreign, of an
    unknown format version, or whose tensors are not exactly those of its architecture.
    """
    header, weights = _read(path)
    architecture = _architecture_from_header(path, header)
    _check_weights(path, architecture, weights)
    return architecture, weights, _training_from_header(path, header)


def _read(path: Path) -> tuple[dict[str, str], Weights]:
    if not path.is_file():
        raise UsageError(f"{path}: there is no such file; give a checkpoint that `prednet-export train` wrote.")
    try:
        with safe_open(path, framework="numpy") as tensors:
            header = dict(tensors.metadata() or {})
            _check_format(path, header)
            return header, {name: _widened(tensors.get_tensor(name)) for name in tensors.keys()}  # noqa: SIM118 (not a mapping)
    except SafetensorError as fault:
        raise PrednetError(
            f"{path}: this is not a safetensors file, or it is damaged ({fault}); copy it again."
        ) from fault


def _widened(tensor: NDArray[np.generic]) -> NDArray[np.float32]:
    """A float16 tensor as float32, exactly; any other as it is, to be checked."""
    return tensor.astype(np.float32) if tensor.dtype == np.float16 else tensor  # type: ignore[return-value]


def _check_format(path: Path, header: Mapping[str, str]) -> None:
    if header.get("format") != FORMAT:
        raise PrednetError(
            f"{path}: this safetensors file is not a {FORMAT}; other networks come in with `prednet-export import`."
        )
    version = header.get("format_version", "missing")
    if version != FORMAT_VERSION:
        raise PrednetError(
            f"{path}: its format version is {version}; this program reads {FORMAT_VERSION}: update prednet-edge."
        )


def _architecture_from_header(path: Path, header: Mapping[str, str]) -> Architecture:
    try:
        return msgspec.json.decode(header.get("architecture", ""), type=Architecture)
    except (msgspec.DecodeError, UsageError) as fault:
        raise PrednetError(f"{path}: its architecture cannot be read ({fault}); copy or train it again.") from fault


def _training_from_header(path: Path, header: Mapping[str, str]) -> dict[str, object]:
    try:
        return msgspec.json.decode(header.get("training", ""), type=dict[str, object])
    except msgspec.DecodeError as fault:
        raise PrednetError(f"{path}: its training facts cannot be read ({fault}); copy or train it again.") from fault


def _check_weights(path: Path, architecture: Architecture, weights: Mapping[str, NDArray[np.float32]]) -> None:
    shapes = parameter_shapes(architecture)
    missing = [name for name in shapes if name not in weights]
    if missing:
        raise PrednetError(f"{path}: {len(missing)} of {len(shapes)} tensors are missing, the first is {missing[0]}.")
    extra = sorted(set(weights) - set(shapes))
    if extra:
        raise PrednetError(f"{path}: {len(extra)} tensors do not belong to the architecture, the first is {extra[0]}.")
    for name, shape in shapes.items():
        _check_tensor(f"{path}: tensor {name}", weights[name], shape)


def _check_tensor(where: str, tensor: NDArray[np.float32], shape: tuple[int, ...]) -> None:
    if tensor.shape != shape:
        raise PrednetError(f"{where} has shape {list(tensor.shape)}; the architecture needs {list(shape)}.")
    if tensor.dtype != np.float32:
        raise PrednetError(f"{where} is {tensor.dtype}; checkpoints hold float32.")
    if not np.isfinite(tensor).all():
        raise PrednetError(f"{where} holds values that are not finite; train it again.")
