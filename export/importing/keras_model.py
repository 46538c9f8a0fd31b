"""PredNet as Keras describes it: the model's JSON becomes an architecture, arrays in Keras's order our weights.

The original program lists its weights in the order a, ahat, c, f, i, o, then by layer, kernel before bias.
Facts of Lotter's program (coxlab/prednet); a configuration that it does not have is another network's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import msgspec
import numpy as np

from edge.errors import PrednetError, UsageError
from export.architecture import Architecture
from export.importing.found import RATE_HZ, Array, Given, Tensors

ORDER = ("a", "ahat", "c", "f", "i", "o")
# The layers that the original training puts behind the network to weigh its errors: no part of a prediction.
_LOSS_LAYERS = {"TimeDistributed", "Dense", "Flatten", "Lambda", "Activation", "Reshape", "Permute"}

Shape = tuple[int | None, ...]


class PredNetConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What Keras writes of the layer `PredNet`; a field that is not here belongs to another network."""

    stack_sizes: tuple[int, ...]
    R_stack_sizes: tuple[int, ...]
    A_filt_sizes: tuple[int, ...]
    Ahat_filt_sizes: tuple[int, ...]
    R_filt_sizes: tuple[int, ...]
    pixel_max: float = 1.0
    error_activation: Literal["relu"] = "relu"
    A_activation: Literal["relu"] = "relu"
    LSTM_activation: Literal["tanh"] = "tanh"
    LSTM_inner_activation: Literal["hard_sigmoid"] = "hard_sigmoid"
    go_backwards: Literal[False] = False
    data_format: Literal["channels_first", "channels_last"] | None = None
    dim_ordering: Literal["th", "tf", "default"] | None = None
    extrap_start_time: int | None = None
    name: str = ""
    batch_input_shape: Shape | None = None
    # Without a bearing on what one step computes:
    output_mode: object = None
    return_sequences: object = None
    return_state: object = None
    stateful: object = None
    unroll: object = None
    implementation: object = None
    consume_less: object = None
    input_dim: object = None
    input_length: object = None
    input_dtype: object = None
    trainable: object = None
    dtype: object = None


class _Layer(msgspec.Struct, frozen=True):
    class_name: str
    config: msgspec.Raw = msgspec.Raw(b"{}")
    name: str = ""


class _Input(msgspec.Struct, frozen=True):
    batch_input_shape: Shape | None = None


class _Nested(msgspec.Struct, frozen=True):
    layers: list[_Layer]


class _Model(msgspec.Struct, frozen=True):
    class_name: str
    config: msgspec.Raw
    backend: str | None = None
    keras_version: str | None = None


class KerasModel(msgspec.Struct, frozen=True):
    """The one PredNet of a model: its layer's name and configuration, and the frames that it was made for."""

    layer: str
    config: PredNetConfig
    frames: Shape | None
    backend: str | None
    keras_version: str | None

    @property
    def has_old_kernels(self) -> bool:
        """True for Keras 1 in Theano's order, whose kernels are [out, in, height, width]."""
        return self.config.data_format is None and self.config.dim_ordering == "th"

    @property
    def size(self) -> tuple[int, int] | None:
        """Width and height of the frames that the model was saved for; None where it does not say them."""
        shape, is_first = self.frames or (), self._is_channels_first
        if len(shape) != 5 or is_first is None:
            return None
        height, width = shape[3:] if is_first else shape[2:4]
        return None if height is None or width is None else (width, height)

    @property
    def _is_channels_first(self) -> bool | None:
        """Whether activations have their channels first; None where neither a word nor the frames' shape tells it."""
        told = {"channels_first": True, "th": True, "channels_last": False, "tf": False}
        said = told.get(self.config.data_format or self.config.dim_ordering or "")
        shape, channels = self.frames or (), self.config.stack_sizes[:1]
        if said is not None or len(shape) != 5 or (shape[2:3] == channels) == (shape[4:] == channels):
            return said
        return shape[2:3] == channels


def model_from_json(text: bytes, where: str) -> KerasModel:
    """Return the PredNet that a Keras model's JSON describes; PrednetError for another network."""
    try:
        model = msgspec.json.decode(text, type=_Model)
        layers = list(_flat(model.config))
        found = [layer for layer in layers if _class(layer) == "PredNet"]
        if len(found) != 1:
            classes = ", ".join(sorted({_class(layer) for layer in layers})[:8]) or "none"
            raise PrednetError(
                f"{where}: holds {len(found)} layers of the class PredNet, 1 is needed; found: {classes}."
            )
        _check_neighbours(layers, found[0], where)
        config = msgspec.json.decode(found[0].config, type=PredNetConfig)
        frames = config.batch_input_shape or next(_input_shapes(layers), None)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
        raise PrednetError(
            f"{where}: this is not the JSON of an original PredNet ({fault}); "
            "expected what Keras's model.to_json() writes of it."
        ) from fault
    return KerasModel(config.name or found[0].name, config, frames, model.backend, model.keras_version)


def _flat(config: msgspec.Raw) -> Iterator[_Layer]:
    """Yield the layers of a model in order, those of models inside it too; old Sequentials are bare lists."""
    model = msgspec.json.decode(config, type=_Nested | list[_Layer])
    for layer in model.layers if isinstance(model, _Nested) else model:
        if _class(layer) in {"Model", "Functional", "Sequential"}:
            yield from _flat(layer.config)
        else:
            yield layer


def _class(layer: _Layer) -> str:
    return layer.class_name.rpartition(">")[2]


def _check_neighbours(layers: Sequence[_Layer], network: _Layer, where: str) -> None:
    """Refuse models in which something else works on the frames or belongs to the network."""
    place = layers.index(network)
    strange = [layer for layer in layers[:place] if _class(layer) != "InputLayer"]
    strange += [layer for layer in layers[place + 1 :] if _class(layer) not in _LOSS_LAYERS | {"InputLayer"}]
    if strange:
        raise PrednetError(
            f"{where}: has a layer of the class {_class(strange[0])} beside PredNet; expected the frames, PredNet, "
            "and layers that weigh its errors for training."
        )


def _input_shapes(layers: Sequence[_Layer]) -> Iterator[Shape]:
    for layer in layers:
        if _class(layer) == "InputLayer":
            shape = msgspec.json.decode(layer.config, type=_Input).batch_input_shape
            if shape:
                yield shape


def architecture_from_model(model: KerasModel, given: Given, where: str) -> Architecture:
    """Return the architecture of a model; `given` says the frame rate, and the size where it is another."""
    size, config = given.size or model.size, model.config
    if size is None:
        raise UsageError(f"{where}: does not say the size of its frames; give --size WIDTHxHEIGHT.")
    if given.pixel_max is not None and given.pixel_max != config.pixel_max:
        raise UsageError(f"{where}: --pixel-max says {given.pixel_max:g}; the file says {config.pixel_max:g}.")
    try:
        return Architecture(
            height=size[1], width=size[0], channels=config.stack_sizes[0] if config.stack_sizes else 0,
            rate_hz=given.rate_hz or RATE_HZ, stack=config.stack_sizes, r_stack=config.R_stack_sizes,
            a_kernels=config.A_filt_sizes, ahat_kernels=config.Ahat_filt_sizes, r_kernels=config.R_filt_sizes,
            pixel_max=config.pixel_max,
        )  # fmt: skip
    except UsageError as fault:
        raise PrednetError(f"{where}: {fault}") from fault


def weights_from_arrays(
    names: Sequence[str], arrays: Sequence[Array], where: str, has_old_kernels: bool
) -> tuple[Tensors, dict[str, str]]:
    """Return weights [out, in, height, width] and the names that they have in the file, by our names."""
    layers, rest = divmod(len(arrays) + 2, 12)  # six kinds, kernel and bias, and no `a` at the top
    if rest or not layers:
        raise PrednetError(
            f"{where}: holds {len(arrays)} tensors; a PredNet of L layers has 12·L − 2: 10, 22, 34, 46, …"
        )
    places = [(kind, layer) for kind in ORDER for layer in range(layers - (kind == "a"))]
    ours = [f"{kind}.{layer}.{part}" for kind, layer in places for part in ("weight", "bias")]
    _check_names(dict(zip(ours, names, strict=True)), where)
    weights = {name: _turned(array, has_old_kernels) for name, array in zip(ours, arrays, strict=True)}
    for name, array in weights.items():
        if array.ndim != (4 if name.endswith("weight") else 1):
            raise PrednetError(f"{where}: {name} is {list(array.shape)}; expected kernel and bias in turn, in the "
                               f"order {', '.join(ORDER)}.")  # fmt: skip
    return weights, dict(zip(ours, names, strict=True))


def _turned(array: Array, has_old_kernels: bool) -> Array:
    return array.transpose(3, 2, 0, 1) if array.ndim == 4 and not has_old_kernels else array


def _check_names(sources: Mapping[str, str], where: str) -> None:
    """Hold names that tell their place (`layer_ahat_2/kernel`) to the place that the order gives them."""
    for ours, name in sources.items():
        told = re.search(r"layer_(a|ahat|c|f|i|o)_(\d+)(?:_\d+)?/(kernel|bias)", name)
        kind, layer, part = ours.split(".")
        expected = (kind, layer, "kernel" if part == "weight" else part)
        if told and told.groups() != expected:
            raise PrednetError(
                f"{where}: '{name}' stands where the original has layer_{kind}_{layer}/{expected[2]}; "
                "its weights are in another order than the original's."
            )


def is_loss_weight(array: Array) -> bool:
    """Return whether a tensor can be one of the fixed weights that the training puts on layers and steps."""
    return bool(array.ndim == 1 or (array.ndim == 2 and np.shape(array)[1] == 1))
