"""Files become a network: each kind of file is told by its first bytes, read, understood whole, or refused."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from calibration.footage import Clip
from edge.errors import PrednetError, UsageError
from export.importing.found import (
    MOST_FILE_BYTES,
    MOST_JSON_BYTES,
    FileFacts,
    Found,
    Given,
    Imported,
    Tensors,
    architecture_from_weights,
    check_given,
    check_weights,
    notes_on_given,
)
from export.importing.keras_model import (
    KerasModel,
    architecture_from_model,
    is_loss_weight,
    model_from_json,
    weights_from_arrays,
)
from export.importing.orientation import Reading, best_reading, is_symmetric, with_reading
from export.importing.proof import Proof, prove
from export.importing.reading import read_apart
from export.importing.state_dicts import found_state_dict

FileKind = Literal["hdf5", "torch", "safetensors", "json"]
Progress = Callable[[str], None]
EXPECTED = (
    "Expected: a Keras model (MODEL.json and WEIGHTS.hdf5, or the HDF5 file alone), a PyTorch state dict (.pt, .pth, "
    ".safetensors), or a checkpoint of 'prednet-export train'."
)


def read_network(paths: Sequence[Path], given: Given) -> Found:
    """Return the network that one file of weights, or a model's JSON and one, hold.

    Raises UsageError for a wrong call and PrednetError with what was found and what was expected.
    """
    kinds = {path: file_kind(path) for path in paths}
    models = [path for path in paths if kinds[path] == "json"]
    files = [path for path in paths if kinds[path] != "json"]
    if len(files) != 1 or len(models) > 1 or (models and kinds[files[0]] != "hdf5"):
        told = ", ".join(f"{path.name} ({kinds[path]})" for path in paths)
        raise UsageError(f"{told}: one file of weights is needed, and for HDF5 at most one JSON. {EXPECTED}")
    path = files[0]
    if kinds[path] == "hdf5":
        found, names = _found_keras(models[0] if models else None, path, given)
    else:
        found, names = _found_tensors(path, kinds[path], given)
    check_given(found.architecture, given, str(path))
    check_weights(found, names, str(path))
    return _with_given_reading(found, given, str(path))


def file_kind(path: Path) -> FileKind:
    """Return what a file is by its first bytes; a name proves nothing."""
    if not path.is_file():
        raise UsageError(f"{path}: there is no such file.")
    with path.open("rb") as file:
        head, size = file.read(64), os.fstat(file.fileno()).st_size
    if size > MOST_FILE_BYTES:
        raise PrednetError(f"{path}: has {size / 1e9:.1f} GB; no PredNet has more than {MOST_FILE_BYTES / 1e9:.1f} GB.")
    if head.startswith(b"\x89HDF\r\n\x1a\n"):
        return "hdf5"
    if head.startswith((b"PK\x03\x04", b"\x80")):
        return "torch"
    if head[8:9] == b"{":
        return "safetensors"
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
        return "json"
    raise PrednetError(f"{path}: begins with {head[:8]!r}, which no file of a network does. {EXPECTED}")


def _found_tensors(path: Path, kind: FileKind, given: Given) -> tuple[Found, Sequence[str]]:
    if kind == "torch":
        facts, arrays = read_apart("torch", path)
        tensors: Tensors = dict(zip(facts.names, arrays, strict=True))
        return found_state_dict(tensors, given, str(path)), facts.names
    from export.importing.safetensors_files import is_own_checkpoint, read_tensors  # noqa: PLC0415 - only a chooser opens a door

    if is_own_checkpoint(path):
        found = _found_own(path, given)
        return found, list(found.sources)
    tensors = read_tensors(path)
    return found_state_dict(tensors, given, str(path)), list(tensors)


def _found_own(path: Path, given: Given) -> Found:
    from export.checkpoint import load_checkpoint  # noqa: PLC0415 - only a chooser opens a door

    if given.size or given.rate_hz or given.pixel_max or given.reading:
        raise UsageError(f"{path}: a checkpoint of ours says everything itself; leave the network's options out.")
    architecture, weights, facts = load_checkpoint(path)
    sources = {name: name for name in weights}
    return Found("prednet-edge checkpoint", architecture, weights, sources, facts=facts)


def _found_keras(json_path: Path | None, path: Path, given: Given) -> tuple[Found, Sequence[str]]:
    facts, arrays = read_apart("hdf5", path)
    model, where = _model(json_path, path, facts)
    tensors = dict(zip(facts.names, arrays, strict=True))
    layer = _network_layer(model, facts, str(path))
    names = facts.layers[layer]
    weights, sources = weights_from_arrays(
        names, [tensors[name] for name in names], str(path), bool(model and model.has_old_kernels)
    )
    if model:
        architecture = architecture_from_model(model, given, where)
    else:
        architecture = architecture_from_weights(weights, given, where)
    others = tuple(name for name in facts.names if name not in names)
    strange = [name for name in others if not is_loss_weight(tensors[name])]
    if strange:
        raise PrednetError(f"{path}: '{strange[0]}' is no weight of the network or of its training's loss.")
    found = Found(
        kind="Keras", architecture=architecture, weights=weights, sources=sources, readings=("stored", "rotated"),
        set_aside=(*others, *facts.set_aside), notes=tuple(_keras_notes(model, given)),
        facts={"keras_version": facts.keras_version or "unknown", "backend": facts.backend or "unknown"},
    )  # fmt: skip
    return _with_backend(found, model, facts), (*facts.names, *facts.set_aside)


def _model(json_path: Path | None, path: Path, facts: FileFacts) -> tuple[KerasModel | None, str]:
    """Return the model that the JSON file says, or the weights' own file, held to each other where both do."""
    inside = model_from_json(facts.model_config.encode(), f"{path}: model_config") if facts.model_config else None
    if json_path is None:
        return inside, str(path)
    if json_path.stat().st_size > MOST_JSON_BYTES:
        raise PrednetError(f"{json_path}: has more than {MOST_JSON_BYTES / 1e6:.0f} MB; a model's JSON has some kB.")
    model = model_from_json(json_path.read_bytes(), str(json_path))
    if inside and _identity(inside) != _identity(model):
        raise PrednetError(f"{path}: describes another network than {json_path}; give the JSON that belongs to it.")
    return model, str(json_path)


def _identity(model: KerasModel) -> tuple[object, ...]:
    """Return what two descriptions of one network share."""
    config = model.config
    return (
        config.stack_sizes, config.R_stack_sizes, config.A_filt_sizes, config.Ahat_filt_sizes, config.R_filt_sizes,
        config.pixel_max, model.has_old_kernels,
    )  # fmt: skip


def _network_layer(model: KerasModel | None, facts: FileFacts, where: str) -> str:
    """Return the group that holds the network: the one layer with kernels."""
    large = [layer for layer, names in facts.layers.items() if len(names) >= 10]
    if model and model.layer in large:
        return model.layer
    if len(large) != 1:
        held = ", ".join(f"{layer} ({len(names)} tensors)" for layer, names in facts.layers.items())
        raise PrednetError(f"{where}: one layer with the tensors of a PredNet is needed; found {held or 'no layers'}.")
    return large[0]


def _keras_notes(model: KerasModel | None, given: Given) -> list[str]:
    notes = notes_on_given(given, knows_pixel_max=model is not None)
    if model and model.config.extrap_start_time is not None:
        notes.append(
            f"extrap_start_time {model.config.extrap_start_time} is ignored: a camera always sees the next frame"
        )
    if model and given.size and model.size and given.size != model.size:
        notes.append(f"the file was saved for frames of {model.size[0]}×{model.size[1]}; --size says another")
    return notes


def _with_backend(found: Found, model: KerasModel | None, facts: FileFacts) -> Found:
    """Take the orientation from the backend that the file names: the weights' own, then the JSON's."""
    backend = (facts.backend or (model.backend if model else None) or "").lower()
    reading: Reading | None = {"theano": "rotated", "tensorflow": "stored", "cntk": "stored"}.get(backend)  # type: ignore[assignment]
    if is_symmetric(found.weights):
        return replace(found, reading="stored", said_by="kernels of one pixel")
    return replace(found, reading=reading, said_by=f"the file: backend {backend}" if reading else "")


def _with_given_reading(found: Found, given: Given, where: str) -> Found:
    if given.reading is None:
        return found
    if given.reading not in found.readings:
        raise UsageError(f"{where}: --kernels {given.reading} is no way that kernels lie in a file of {found.kind}.")
    return replace(found, reading=given.reading, said_by="--kernels", readings=(given.reading,))


def settled(found: Found, clips: Sequence[Clip], told: Progress = lambda name: None) -> tuple[Imported, Proof | None]:
    """Return the network as the export takes it, and how it does on `clips` (None without footage).

    Where the file does not say how its kernels lie, every reading runs on the clips and the lowest error
    wins. Raises UsageError where there is no footage to decide by, or it decides nothing.
    """
    proofs: dict[Reading, Proof] = {}
    for tried in found.readings if clips else ():
        told(f"predicting footage, kernels {tried}")
        proofs[tried] = prove(found.architecture, with_reading(found.weights, tried), clips)
    errors: dict[Reading, float] = {tried: proof.error for tried, proof in proofs.items()}
    reading, said_by = found.reading, found.said_by
    if reading is None:
        reading, said_by = _decided(errors), "the lowest error on footage"
    imported = Imported(
        architecture=found.architecture,
        weights=with_reading(found.weights, reading),
        facts=_facts(found, reading, said_by),
        reading=reading,
        said_by=said_by,
        errors={str(name): error for name, error in errors.items()},
        warnings=tuple(_warnings(found, reading, errors)),
    )
    return imported, proofs.get(reading)


def _decided(errors: dict[Reading, float]) -> Reading:
    if not errors:
        raise UsageError(
            "the file does not say whether its kernels are Theano's (rotated) or TensorFlow's (as stored); give "
            "--footage to try both, or --kernels stored or --kernels rotated."
        )
    best = best_reading(errors)
    if best is None:
        told = ", ".join(f"{reading} {error:.4f}" for reading, error in errors.items())
        raise UsageError(f"the footage does not tell how the kernels lie (mean error: {told}); give --kernels.")
    return best


def _facts(found: Found, reading: Reading, said_by: str) -> dict[str, object]:
    if found.kind == "prednet-edge checkpoint":
        return dict(found.facts)
    return {"imported_from": found.kind, "kernels": reading, "kernels_said_by": said_by, **found.facts}


def _warnings(found: Found, reading: Reading, errors: dict[Reading, float]) -> list[str]:
    best = best_reading(errors) if errors else None
    if found.reading is None or best is None or best == reading:
        return []
    return [
        f"{found.said_by} says that kernels are {reading}, but the footage is predicted better with them {best} "
        f"(mean error {errors[best]:.4f} against {errors[reading]:.4f}); --kernels {best} takes them so."
    ]
