"""The leido variant (leido/pytorch-prednet): its state dict, named and ordered as our own variant of the cell.

Gate rows are i, f, g, o in its file, which is our i, f, c, o; its peepholes have i, f, o.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from edge.errors import PrednetError, UsageError
from export.importing.found import Array, Found, Given, Tensors, architecture_from_weights, notes_on_given

_NAME = re.compile(
    r"cell(?P<cell>\d+)\.(?P<part>weight|bias)_(?P<to>ih|hh|ch)"
    r"|(?P<kind>conv|update_A)(?P<layer>\d+)\.0\.(?P<what>weight|bias)"
)
_BLANK = re.compile(r"cell\d+\.wc_blank")
_OURS = {"ih": "input", "hh": "recurrent", "ch": "peephole", "conv": "ahat", "update_A": "a"}
_KERNEL = 3


def is_leido_name(key: str) -> bool:
    """Return whether a key is one of the variant's."""
    return bool(_NAME.fullmatch(key) or _BLANK.fullmatch(key))


def found_leido(
    tensors: Mapping[str, Array], paths: Mapping[str, str], others: tuple[str, ...], given: Given, where: str
) -> Found:
    """Return the variant's network; PrednetError where tensors are strange, missing or of another size."""
    if given.pixel_max is not None:
        raise UsageError(f"{where}: the leido variant ends at white, 255; leave --pixel-max out.")
    weights: Tensors = {}
    sources: dict[str, str] = {}
    blanks = [key for key in tensors if _BLANK.fullmatch(key)]
    if any(tensors[key].any() for key in blanks):
        raise PrednetError(f"{where}: {blanks[0]} is not zero; it stands for a peephole that the variant has not.")
    for key, tensor in tensors.items():
        if key not in blanks:
            name = _our_name(key, where)
            weights[name], sources[name] = tensor, paths[key]
    _check_kernels(weights, sources, where)
    return Found(
        kind="leido/pytorch-prednet", architecture=architecture_from_weights(weights, given, where, cell="leido"),
        weights=weights, sources=sources, said_by="PyTorch", set_aside=(*others, *(paths[key] for key in blanks)),
        notes=(
            *notes_on_given(given, knows_pixel_max=True),
            "cell 'leido': plain sigmoid gates, peepholes, no ReLU on A, pixels of 0–255 inside; errors of every layer "
            "are divided by 255, so that those of layer 0 compare with other networks'",
        ),
    )  # fmt: skip


def _our_name(key: str, where: str) -> str:
    told = _NAME.fullmatch(key)
    if told is None:
        raise PrednetError(f"{where}: tensor '{key}' has no place in the leido variant; expected cell0.weight_ih, …")
    if told["cell"]:
        return f"{_OURS[told['to']]}.{int(told['cell'])}.{told['part']}"
    return f"{_OURS[told['kind']]}.{int(told['layer'])}.{told['what']}"


def _check_kernels(weights: Tensors, sources: Mapping[str, str], where: str) -> None:
    """The variant pads its inputs by one pixel, so that it works with kernels of 3 alone."""
    for name in ("ahat.0.weight", "input.0.weight"):
        if name not in weights:
            raise PrednetError(f"{where}: holds no tensor for {name}; the state dict is not whole.")
    for name, tensor in weights.items():
        if name.endswith("weight") and tensor.shape[2:] != (_KERNEL, _KERNEL):
            raise PrednetError(f"{where}: {sources[name]} is {list(tensor.shape)}; the variant's kernels are 3 × 3.")
