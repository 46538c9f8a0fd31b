"""Keras's HDF5 files, read as data: both layouts, attributes as bytes or text, long lists in pieces.

The door of `h5py`. It runs in a process of its own (`export.importing.reading`): the format is rich enough
to damage a reader. Nothing is followed out of the file, and sizes are looked at before anything is read.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from edge.errors import PrednetError
from export.importing.found import MOST_JSON_BYTES, MOST_TENSOR_BYTES, MOST_TENSORS, Array, FileFacts, told_fault

_MOST_DEPTH = 16
# deflate, shuffle, fletcher32 and h5py's LZF: others would load plugins.
_FILTERS = {1, 2, 3, 32000}


def read_keras_file(path: Path) -> tuple[FileFacts, list[Array]]:
    """Return what a Keras HDF5 file says and its network's tensors; raises PrednetError for anything else."""
    try:
        with h5py.File(path, "r", locking=False) as file:
            return _contents(file, str(path))
    # h5py turns the library's faults into all of these.
    except (OSError, KeyError, ValueError, TypeError, RuntimeError, AttributeError, OverflowError) as fault:
        raise PrednetError(f"{path}: this HDF5 file is damaged ({told_fault(fault)}); copy it again.") from fault


def _contents(file: h5py.File, where: str) -> tuple[FileFacts, list[Array]]:
    weights = file["model_weights"] if _has_group(file, "model_weights", where) else file
    if not _has_strings(weights, "layer_names"):
        raise PrednetError(
            f"{where}: this HDF5 file has no list of layers (`layer_names`), which files of Keras 1 and 2 have; "
            f"it holds {', '.join(sorted(file)[:5]) or 'nothing'}. Keras 3's own formats are not read."
        )
    layers = {layer: _weight_names(weights, layer, where) for layer in _strings(weights, "layer_names", where)}
    names = tuple(name for held in layers.values() for name in held)
    _check_listed(weights, names, where)
    budget, arrays = MOST_TENSOR_BYTES, []
    for name in names:
        arrays.append(_array(weights, name, budget, where))
        budget -= arrays[-1].nbytes
    facts = FileFacts(
        names=names,
        layers=layers,
        backend=_string(weights, "backend", where) or _string(file, "backend", where),
        keras_version=_string(weights, "keras_version", where) or _string(file, "keras_version", where),
        model_config=_string(file, "model_config", where),
        set_aside=tuple(sorted(set(file) - {"model_weights"})) if weights is not file else (),
    )
    return facts, arrays


def _weight_names(weights: h5py.Group, layer: str, where: str) -> tuple[str, ...]:
    """Return the paths of a layer's tensors below the group of all weights."""
    if not _has_group(weights, layer, where):
        raise PrednetError(f"{where}: layer '{layer}' is listed, but not there; the file is damaged.")
    names = _strings(weights[layer], "weight_names", where)
    if len(names) > MOST_TENSORS:
        raise PrednetError(f"{where}: layer '{layer}' lists {len(names)} tensors; {MOST_TENSORS} is the most.")
    return tuple(f"{layer}/{name}" for name in names)


def _has_group(group: h5py.Group, name: str, where: str) -> bool:
    """Return whether a group is there; only hard links are followed, so that nothing leads out of the file."""
    link = group.get(name, getlink=True)
    if link is not None and not isinstance(link, h5py.HardLink):
        raise PrednetError(f"{where}: '{name}' is a link to elsewhere; weights lie in the file itself.")
    return link is not None and group.get(name, getclass=True) is h5py.Group


def _check_listed(weights: h5py.Group, names: tuple[str, ...], where: str) -> None:
    """Hold the tensors in the file to those that its layers list, each once."""
    if len(set(names)) != len(names):
        raise PrednetError(f"{where}: a tensor is listed twice; the file is damaged.")
    there = set()
    for count, path in enumerate(_datasets(weights, "", 0, where)):
        if count > MOST_TENSORS:
            raise PrednetError(f"{where}: holds more than {MOST_TENSORS} tensors; a PredNet has some dozens.")
        there.add(path)
    for path in sorted(there ^ set(names)):
        told = "listed, but not there" if path not in there else "in no layer's list"
        raise PrednetError(f"{where}: tensor '{path}' is {told}; the file is damaged or another program's.")


def _datasets(group: h5py.Group, prefix: str, depth: int, where: str) -> Iterator[str]:
    if depth > _MOST_DEPTH or len(group) > MOST_TENSORS:
        raise PrednetError(f"{where}: its groups are deeper or larger than any model's; the file is damaged.")
    for name in group:
        if _has_group(group, name, where):
            yield from _datasets(group[name], f"{prefix}{name}/", depth + 1, where)
        else:
            yield f"{prefix}{name}"


def _array(weights: h5py.Group, name: str, budget: int, where: str) -> Array:
    dataset = weights[name]
    if dataset.dtype.kind != "f":
        raise PrednetError(f"{where}: tensor '{name}' is {dataset.dtype}; weights are floating point numbers.")
    size = math.prod(dataset.shape) * max(dataset.dtype.itemsize, 4)
    chunk = math.prod(dataset.chunks or (0,)) * dataset.dtype.itemsize
    if max(size, chunk) > budget:
        raise PrednetError(
            f"{where}: tensor '{name}' says that it is {list(dataset.shape)}, {size / 1e6:.0f} MB; "
            f"a network of more than {MOST_TENSOR_BYTES / 1e6:.0f} MB is not read."
        )
    _check_storage(dataset, name, where)
    return np.ascontiguousarray(dataset[()], np.float32)


def _check_storage(dataset: h5py.Dataset, name: str, where: str) -> None:
    properties = dataset.id.get_create_plist()
    filters = {properties.get_filter(number)[0] for number in range(properties.get_nfilters())}
    if dataset.is_virtual or dataset.external or filters - _FILTERS:
        raise PrednetError(f"{where}: tensor '{name}' lies outside the file or behind a plugin; that is not read.")
    if dataset.size and not dataset.id.get_storage_size():
        raise PrednetError(f"{where}: tensor '{name}' was never written; the file was cut short.")


def _has_strings(group: h5py.Group, name: str) -> bool:
    return name in group.attrs or f"{name}0" in group.attrs


def _strings(group: h5py.Group, name: str, where: str) -> tuple[str, ...]:
    """Return a list of strings; one that is too long for an attribute is cut into name0, name1, and so on."""
    pieces = [name] if name in group.attrs else []
    while name not in group.attrs and f"{name}{len(pieces)}" in group.attrs and len(pieces) < MOST_TENSORS:
        pieces.append(f"{name}{len(pieces)}")
    return tuple(_text(item) for piece in pieces for item in np.ravel(_attribute(group, piece, where)))


def _string(group: h5py.Group, name: str, where: str) -> str | None:
    return _text(_attribute(group, name, where)) if name in group.attrs else None


def _attribute(group: h5py.Group, name: str, where: str) -> Any:
    held = h5py.h5a.open(group.id, name.encode())
    count = math.prod(held.shape)
    if count > MOST_TENSORS or count * held.dtype.itemsize > MOST_JSON_BYTES:
        raise PrednetError(f"{where}: attribute '{name}' is larger than any model's; the file is damaged.")
    return group.attrs[name]


def _text(value: Any) -> str:
    text = value.decode() if isinstance(value, bytes) else str(value)
    text.encode()  # h5py hides bytes that are no text; here they are damage, a ValueError
    return text
