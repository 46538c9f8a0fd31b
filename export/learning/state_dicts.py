"""PyTorch's own files, read as tensors alone: `weights_only`, every storage on the CPU, nothing executed."""

from __future__ import annotations

import pickle
import re
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import torch

from edge.errors import PrednetError
from export.importing.found import MOST_FILE_BYTES, MOST_TENSOR_BYTES, MOST_TENSORS, Array, FileFacts, told_fault

_MOST_DEPTH = 8


def read_torch_file(path: Path) -> tuple[FileFacts, list[Array]]:
    """Return the floating tensors of a `.pt` or `.pth` file, named by their way through its containers.

    `state_dict/i.0.weight` lies in the dictionary `state_dict`. Raises PrednetError for a file that
    holds code, other objects, or more than a network.
    """
    if zipfile.is_zipfile(path):
        _check_archive(path)
    try:
        held = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as fault:
        raise PrednetError(f"{path}: {_told_refusal(str(fault))}") from fault
    except Exception as fault:  # a damaged file raises nearly anything
        raise PrednetError(f"{path}: this PyTorch file is damaged ({told_fault(fault)}); copy it again.") from fault
    tensors = dict(_tensors(held, "", set()))
    if not tensors:
        raise PrednetError(f"{path}: holds no tensors of floating point numbers; a state dict was expected.")
    _check_sizes(tensors, str(path))
    return FileFacts(names=tuple(tensors)), [_numbers(tensor) for tensor in tensors.values()]


def _check_archive(path: Path) -> None:
    """Refuse archives that grow when they are read, and TorchScript, which is a program."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError) as fault:
        raise PrednetError(f"{path}: this archive is damaged ({told_fault(fault)}); copy it again.") from fault
    names = [entry.filename for entry in entries]
    if any("/code/" in name or name.endswith("constants.pkl") for name in names):
        raise PrednetError(f"{path}: is a TorchScript program; save the network's state_dict() and import that.")
    if not any(name.endswith("data.pkl") for name in names):
        raise PrednetError(f"{path}: is an archive of {', '.join(names[:3]) or 'nothing'}; not a PyTorch file.")
    size = sum(entry.file_size for entry in entries)
    if size > MOST_FILE_BYTES or any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise PrednetError(f"{path}: is packed to {size / 1e6:.0f} MB; PyTorch stores its tensors unpacked.")


def _told_refusal(fault: str) -> str:
    wanted = re.search(r"GLOBAL (\S+)", fault) or re.search(r"class ([\w.]+)", fault)
    found = f"wants to run {wanted.group(1)}" if wanted else f"is not plain data ({fault.splitlines()[0][:120]})"
    return (
        f"this pickle {found}, and nothing of a file is executed. Expected a state dict: in the program that "
        "trained it, torch.save(model.state_dict(), …)."
    )


def _tensors(held: object, name: str, seen: set[int]) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield floating tensors by name; a container that stands in several places is looked into once."""
    if isinstance(held, torch.Tensor):
        if held.is_floating_point():
            yield name, held
        return
    items = held.items() if isinstance(held, Mapping) else enumerate(held) if isinstance(held, (list, tuple)) else ()
    if id(held) in seen or name.count("/") > _MOST_DEPTH:
        return
    seen.add(id(held))
    for key, value in items:
        yield from _tensors(value, f"{name}/{key}" if name else str(key), seen)


def _check_sizes(tensors: Mapping[str, torch.Tensor], where: str) -> None:
    if len(tensors) > MOST_TENSORS or sum(4 * tensor.numel() for tensor in tensors.values()) > MOST_TENSOR_BYTES:
        raise PrednetError(
            f"{where}: says that it holds more than {MOST_TENSOR_BYTES / 1e6:.0f} MB; a PredNet is less."
        )
    for name, tensor in tensors.items():
        if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_meta:
            raise PrednetError(
                f"{where}: tensor '{name}' is {tensor.layout}, {tensor.dtype}; plain numbers are needed."
            )


def _numbers(tensor: torch.Tensor) -> Array:
    return np.ascontiguousarray(tensor.detach().float().numpy())
