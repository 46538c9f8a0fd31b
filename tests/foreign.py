"""Files as other programs wrote them, built from weights whose answers an oracle knows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from numpy.typing import NDArray

from export.architecture import Architecture, parameter_shapes

Arrays = dict[str, NDArray[np.float32]]
ORDER = ("a", "ahat", "c", "f", "i", "o")


def small(**changes: Any) -> Architecture:
    """An original PredNet of three layers, R_stack unlike stack, kernels 1, 3 and 5."""
    options: dict[str, Any] = {
        "height": 16, "width": 24, "channels": 1, "rate_hz": 10.0, "stack": (1, 4, 3), "r_stack": (2, 3, 4),
        "a_kernels": (5, 3), "ahat_kernels": (3, 1, 3), "r_kernels": (3, 5, 1),
    }  # fmt: skip
    return Architecture(**(options | changes))


def drawn(architecture: Architecture, seed: int = 0) -> Arrays:
    """Weights that make every unit do something, and predict frames that are not all black."""
    rng = np.random.default_rng(seed)
    shapes = parameter_shapes(architecture)
    weights = {name: (rng.standard_normal(shape) * 0.12).astype(np.float32) for name, shape in shapes.items()}
    weights["ahat.0.bias"] += np.float32(0.3)
    return weights


def keras_weights(weights: Mapping[str, NDArray[np.float32]], theano: bool, old: bool = False) -> Arrays:
    """The weights under Keras's names and in its order; kernels HWIO, turned by 180° where Theano saved them."""
    layers = sum(name.startswith("ahat.") for name in weights) // 2
    listed = {}
    for kind in ORDER:
        for layer in range(layers - (kind == "a")):
            kernel = weights[f"{kind}.{layer}.weight"]
            kernel = kernel if old else kernel.transpose(2, 3, 1, 0)
            if theano:
                kernel = kernel[..., ::-1, ::-1] if old else kernel[::-1, ::-1]
            listed[f"layer_{kind}_{layer}/kernel:0"] = kernel
            listed[f"layer_{kind}_{layer}/bias:0"] = weights[f"{kind}.{layer}.bias"]
    return listed


def keras_json(architecture: Architecture, backend: str | None = None, **changes: Any) -> dict[str, Any]:
    """What `model.to_json()` writes of the original training's model; `changes` are PredNet's own fields."""
    config: dict[str, Any] = {
        "name": "pred_net_1", "trainable": True, "return_sequences": True, "return_state": False,
        "go_backwards": False, "stateful": False, "unroll": False, "implementation": 0,
        "stack_sizes": architecture.stack, "R_stack_sizes": architecture.r_stack,
        "A_filt_sizes": architecture.a_kernels, "Ahat_filt_sizes": architecture.ahat_kernels,
        "R_filt_sizes": architecture.r_kernels, "pixel_max": architecture.pixel_max, "error_activation": "relu",
        "A_activation": "relu", "LSTM_activation": "tanh", "LSTM_inner_activation": "hard_sigmoid",
        "data_format": "channels_last", "extrap_start_time": None, "output_mode": "error",
    }  # fmt: skip
    config = {name: value for name, value in (config | changes).items() if value != "absent"}
    size = [architecture.height, architecture.width]
    first = config.get("data_format") == "channels_first" or config.get("dim_ordering") == "th"
    shape = [None, 10, architecture.channels, *size] if first else [None, 10, *size, architecture.channels]
    layers = [
        {"class_name": "InputLayer", "name": "input_1", "config": {"batch_input_shape": shape, "name": "input_1"}},
        {"class_name": "PredNet", "name": "pred_net_1", "config": config},
        {"class_name": "TimeDistributed", "name": "time_distributed_1", "config": {"name": "time_distributed_1"}},
        {"class_name": "Flatten", "name": "flatten_1", "config": {"name": "flatten_1"}},
        {"class_name": "Dense", "name": "dense_2", "config": {"name": "dense_2", "units": 1}},
    ]
    told: dict[str, Any] = {"class_name": "Model", "config": {"name": "model_1", "layers": layers}}
    return told | {"keras_version": "2.0.8"} | ({"backend": backend} if backend else {})


def write_hdf5(
    path: Path,
    listed: Mapping[str, NDArray[np.float32]],
    *,
    config: Mapping[str, Any] | None = None,
    backend: str | None = None,
    as_text: bool = False,
    piece: int | None = None,
    plain_names: bool = False,
) -> Path:
    """Write Keras's file: weights at the root, or, with `config`, the full checkpoint with an optimizer.

    `piece` cuts the lists of names as Keras does when they are long; `plain_names` tell no place.
    """
    with h5py.File(path, "w") as file:
        root = file
        if config is not None:
            file.attrs["model_config"] = json.dumps(config) if as_text else json.dumps(config).encode()
            file.create_dataset("optimizer_weights/Adam/m_0:0", data=np.ones((3, 3), np.float32))
            root = file.create_group("model_weights")
        if backend:
            root.attrs["backend"] = backend if as_text else backend.encode()
        root.attrs["keras_version"] = "2.0.8" if as_text else b"2.0.8"
        layers = ["input_1", "pred_net_1", "time_distributed_1", "flatten_1", "dense_2"]
        _write_names(root, "layer_names", layers, as_text, piece)
        for layer in layers:
            root.create_group(layer)
        named = {
            f"prednet_1/w{n}:0" if plain_names else f"pred_net_1/{k}": v for n, (k, v) in enumerate(listed.items())
        }
        losses = {"kernel:0": np.ones((3, 1), np.float32), "bias:0": np.zeros(1, np.float32)}
        held = {"pred_net_1": named, "time_distributed_1": losses, "dense_2": losses}
        for layer in layers:
            arrays = held.get(layer, {})
            _write_names(root[layer], "weight_names", list(arrays), as_text, piece)
            for name, array in arrays.items():
                root[layer].create_dataset(name, data=array)
    return path


def _write_names(group: Any, name: str, values: Sequence[str], as_text: bool, piece: int | None) -> None:
    items: Any = list(values) if as_text else [value.encode() for value in values]
    if not items:
        items = np.zeros(0, "S1")
    if piece is None or len(values) <= piece:
        group.attrs[name] = items
        return
    for number, start in enumerate(range(0, len(values), piece)):
        group.attrs[f"{name}{number}"] = items[start : start + piece]


def faithful_state_dict(weights: Mapping[str, NDArray[np.float32]], prefix: str = "") -> dict[str, torch.Tensor]:
    """The weights under the keys of faithful PyTorch programs: activations take A's and Ahat's odd places."""
    held = {}
    for name, array in weights.items():
        kind, layer, part = name.split(".")
        place = f"{kind.capitalize()}.{2 * int(layer)}" if kind in ("a", "ahat") else f"{kind}.{layer}"
        held[f"{prefix}{place}.{part}"] = torch.from_numpy(np.ascontiguousarray(array))
    return held


def leido_tensors(stack: Sequence[int], r_stack: Sequence[int]) -> Arrays:
    """A state dict of the variant, small enough for raw pixels: inputs are 255 times those of the original."""
    rng = np.random.default_rng(0)
    held: Arrays = {}

    def draw(name: str, outputs: int, inputs: int, scale: float, kind: str = "") -> None:
        weight, bias = (
            (f"{name}.weight", f"{name}.bias") if not kind else (f"{name}.weight_{kind}", f"{name}.bias_{kind}")
        )
        held[weight] = (rng.standard_normal((outputs, inputs, 3, 3)) * scale).astype(np.float32)
        held[bias] = (rng.standard_normal(outputs) * 0.2).astype(np.float32)

    for layer, (channels, r_channels) in enumerate(zip(stack, r_stack, strict=True)):
        upper = r_stack[layer + 1] if layer + 1 < len(stack) else 0
        draw(f"cell{layer}", 4 * r_channels, 2 * channels + upper, 0.002, "ih")
        draw(f"cell{layer}", 4 * r_channels, r_channels, 0.15, "hh")
        draw(f"cell{layer}", 3 * r_channels, r_channels, 0.15, "ch")
        held[f"cell{layer}.wc_blank"] = np.zeros((1, 1, 1, 1), np.float32)
        draw(f"conv{layer}.0", channels, r_channels, 40.0)
        if layer + 1 < len(stack):
            draw(f"update_A{layer}.0", stack[layer + 1], 2 * channels, 0.2)
    return held


def torch_tensors(arrays: Mapping[str, NDArray[np.float32]]) -> dict[str, torch.Tensor]:
    """The arrays as PyTorch's tensors."""
    return {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}
