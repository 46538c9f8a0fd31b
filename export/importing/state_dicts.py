"""Faithful PredNets in PyTorch: a state dict is found in what its program saved, and its tensors get our names."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from edge.errors import PrednetError
from export.importing.found import Array, Found, Given, Tensors, architecture_from_weights, notes_on_given
from export.importing.leido import found_leido, is_leido_name
from export.importing.orientation import READINGS

# `A.0`, `Ahat.2`: the odd places hold activations, which have no weights. `conv_layers.` stands before all or none.
_NAME = re.compile(
    r"(?:conv_layers\.)?(?:(?P<gate>[ifco])\.(?P<layer>\d+)|(?P<kind>A|Ahat)\.(?P<place>\d+))\.(?P<part>weight|bias)"
)
_WRAPPERS = ("module.", "model.", "net.", "network.", "prednet.", "_orig_mod.")


def found_state_dict(tensors: Mapping[str, Array], given: Given, where: str) -> Found:
    """Return the PredNet among tensors named `container/key`; PrednetError where there is none, or several."""
    dicts = _dicts(tensors)
    known = {name: held for name, held in dicts.items() if any(map(_is_known, held))}
    if len(known) != 1:
        names = [key for held in dicts.values() for key in held][:4]
        raise PrednetError(
            f"{where}: holds {len(known)} PredNets, 1 is needed; found {', '.join(names) or 'no tensor'}. Expected "
            "i.0.weight … Ahat.0.weight (with or without conv_layers.), or cell0.weight_ih … (leido/pytorch-prednet)."
        )
    ((container, held),) = known.items()
    others = tuple(_path(name, key) for name, others in dicts.items() if name != container for key in others.values())
    tensors_here = {key: tensors[_path(container, original)] for key, original in held.items()}
    paths = {key: _path(container, original) for key, original in held.items()}
    read: Callable[..., Found] = found_leido if any(map(is_leido_name, held)) else _found_faithful
    return read(tensors_here, paths, others, given, where)


def _is_known(key: str) -> bool:
    return is_leido_name(key) or _NAME.fullmatch(key) is not None


def _dicts(tensors: Mapping[str, Array]) -> dict[str, dict[str, str]]:
    """Return the tensors' own keys of each container, by the key without what wraps the network."""
    dicts: dict[str, dict[str, str]] = {}
    for path in tensors:
        container, _, key = path.rpartition("/")
        dicts.setdefault(container, {})[key] = key
    return {container: _unwrapped(held) for container, held in dicts.items()}


def _unwrapped(held: dict[str, str]) -> dict[str, str]:
    for wrapper in _WRAPPERS:
        if held and all(key.startswith(wrapper) for key in held):
            return _unwrapped({key.removeprefix(wrapper): original for key, original in held.items()})
    return held


def _path(container: str, key: str) -> str:
    return f"{container}/{key}" if container else key


def _found_faithful(
    tensors: Mapping[str, Array], paths: Mapping[str, str], others: tuple[str, ...], given: Given, where: str
) -> Found:
    weights, sources = _renamed(tensors, paths, where)
    missing = [name for name in ("i.0.weight", "ahat.0.weight") if getattr(weights.get(name), "ndim", 0) != 4]
    if missing:
        raise PrednetError(f"{where}: has no kernel {missing[0]} [out, in, height, width]; the file is not whole.")
    architecture = architecture_from_weights(weights, given, where)
    return Found(
        kind="PyTorch state dict", architecture=architecture, weights=weights, sources=sources,
        readings=READINGS, reading="stored", said_by="PyTorch", set_aside=others,
        notes=tuple(notes_on_given(given, knows_pixel_max=False)),
    )  # fmt: skip


def _renamed(tensors: Mapping[str, Array], paths: Mapping[str, str], where: str) -> tuple[Tensors, dict[str, str]]:
    weights: Tensors = {}
    sources: dict[str, str] = {}
    for key, tensor in tensors.items():
        name = _our_name(key, where)
        if name in weights:
            raise PrednetError(f"{where}: both {sources[name]} and {paths[key]} would be {name}.")
        weights[name], sources[name] = tensor, paths[key]
    return weights, sources


def _our_name(key: str, where: str) -> str:
    told = _NAME.fullmatch(key)
    if told is None:
        raise PrednetError(f"{where}: tensor '{key}' has no place in a PredNet; expected keys such as i.0.weight.")
    if told["gate"]:
        return f"{told['gate']}.{int(told['layer'])}.{told['part']}"
    place = int(told["place"])
    if place % 2:
        raise PrednetError(f"{where}: '{key}' stands at an odd place, where an activation is; the order is another.")
    return f"{told['kind'].lower()}.{place // 2}.{told['part']}"
