"""What an import hands on from stage to stage: what the user says, what a file holds, what was understood."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge.errors import PrednetError, UsageError
from export.architecture import Architecture, parameter_shapes
from export.importing.orientation import Reading

Array = NDArray[np.float32]
Tensors = dict[str, Array]

RATE_HZ = 10.0
# A network above this share of the error of repeating the last frame was misread, or does not earn its cost.
LEAST_USEFUL_RATIO = 0.9
# The published networks have 28 MB; a file that says so much more is damaged or hostile.
MOST_TENSOR_BYTES = 1 << 30
MOST_FILE_BYTES = 4 << 30
MOST_JSON_BYTES = 16 << 20
MOST_TENSORS = 10_000


@dataclass(frozen=True)
class Given:
    """What the user says of a network beside its files; None where the files are to tell it.

    `size` is (width, height) in pixels; `reading` is how the kernels lie in the file.
    """

    size: tuple[int, int] | None = None
    rate_hz: float | None = None
    pixel_max: float | None = None
    stack: tuple[int, ...] | None = None
    r_stack: tuple[int, ...] | None = None
    reading: Reading | None = None


class FileFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a file says besides its tensors, whose `names` are in the file's order."""

    names: tuple[str, ...] = ()
    layers: dict[str, tuple[str, ...]] = {}
    backend: str | None = None
    keras_version: str | None = None
    model_config: str | None = None
    set_aside: tuple[str, ...] = ()


@dataclass(frozen=True)
class Found:
    """A network that was understood: every tensor of its file is used or set aside by name.

    `weights` [out, in, height, width] lie as the file holds them; `sources` names each one's tensor in
    the file. `reading` is None where the file does not say how its kernels lie: then footage decides
    among `readings`. `facts` go into the checkpoint.
    """

    kind: str
    architecture: Architecture
    weights: Tensors
    sources: Mapping[str, str]
    readings: tuple[Reading, ...] = ("stored",)
    reading: Reading | None = "stored"
    said_by: str = "the format"
    set_aside: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    facts: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Imported:
    """A network ready for the export, and what its import has to say. `errors` by reading, pixels in 0–1."""

    architecture: Architecture
    weights: Tensors
    facts: dict[str, object]
    reading: Reading
    said_by: str
    errors: Mapping[str, float]
    warnings: tuple[str, ...]

    @property
    def told_kernels(self) -> str:
        """How the kernels lie, who says so, and the error of every reading that was tried."""
        tried = "; ".join(f"{reading} {error:.5f}" for reading, error in self.errors.items())
        return f"kernels: {self.reading}, said by {self.said_by}" + (f" (mean error: {tried})" if tried else "")


def architecture_from_weights(weights: Mapping[str, Array], given: Given, where: str, **more: object) -> Architecture:
    """Return the architecture that weights [out, in, k, k] with our names have.

    Raises UsageError where no size is given, PrednetError for weights that no network has.
    """
    if given.size is None:
        raise UsageError(f"{where}: weights alone do not say the size of their frames; give --size WIDTHxHEIGHT.")
    width, height = given.size
    ahat, a = (_kernels(weights, kind, where) for kind in ("ahat", "a"))
    stack, r_stack = (tuple(kernel[axis] for kernel in ahat) for axis in (0, 1))
    gates = _kernels(weights, "i" if "i.0.weight" in weights else "input", where)
    try:
        return Architecture(
            height=height, width=width, channels=stack[0], rate_hz=given.rate_hz or RATE_HZ,
            stack=stack, r_stack=r_stack, pixel_max=1.0 if given.pixel_max is None else given.pixel_max,
            a_kernels=tuple(kernel[2] for kernel in a), ahat_kernels=tuple(kernel[2] for kernel in ahat),
            r_kernels=tuple(kernel[2] for kernel in gates), **more,  # type: ignore[arg-type]
        )  # fmt: skip
    except UsageError as fault:
        raise PrednetError(f"{where}: {fault}") from fault


def _kernels(weights: Mapping[str, Array], kind: str, where: str) -> list[tuple[int, ...]]:
    """The shapes of a kind's kernels, layer by layer; PrednetError where a layer has none."""
    names = [name for name in weights if name.startswith(f"{kind}.") and name.endswith(".weight")]
    shapes = []
    for layer in range(len(names)):
        name = f"{kind}.{layer}.weight"
        if name not in weights or weights[name].ndim != 4:
            raise PrednetError(f"{where}: has no kernel {name} [out, in, height, width]; the file is not whole.")
        shapes.append(weights[name].shape)
    return shapes


def notes_on_given(given: Given, *, knows_pixel_max: bool) -> list[str]:
    """Return what had to be taken from the user or from custom, because no file says it."""
    notes = []
    if given.rate_hz is None:
        notes.append(
            f"no file says the frame rate: {RATE_HZ:g} a second is taken, as the original; --rate says another"
        )
    if given.pixel_max is None and not knows_pixel_max:
        notes.append("weights alone do not say pixel_max: 1 is taken, as the original; --pixel-max says another")
    return notes


def check_given(architecture: Architecture, given: Given, where: str) -> None:
    """Raise UsageError where the user says other channels than the file holds."""
    for option, said, held in (
        ("--channels", given.stack, architecture.stack),
        ("--r-channels", given.r_stack, architecture.r_stack),
    ):
        if said is not None and tuple(said) != held:
            raise UsageError(f"{where}: {option} says {_listed(said)}; the file holds {_listed(held)}.")


def check_weights(found: Found, names: Sequence[str], where: str) -> None:
    """Raise PrednetError unless every tensor is used once, every parameter filled, and shapes and values fit."""
    shapes = parameter_shapes(found.architecture)
    sources = list(found.sources.values())
    unused = [name for name in names if name not in {*sources, *found.set_aside}]
    if unused or len(set(sources)) != len(sources):
        raise PrednetError(f"{where}: {len(unused)} of its tensors have no place in a PredNet: {_some(unused)}.")
    missing = [name for name in shapes if name not in found.weights]
    extra = [found.sources[name] for name in found.weights if name not in shapes]
    if missing or extra:
        raise PrednetError(
            f"{where}: a PredNet of {found.architecture.layers} layers has {len(shapes)} tensors; "
            f"missing: {_some(missing)}; too many: {_some(extra)}."
        )
    for name, shape in shapes.items():
        _check_tensor(f"{where}: {found.sources[name]} ({name})", found.weights[name], shape)


def _check_tensor(where: str, tensor: Array, shape: tuple[int, ...]) -> None:
    if tensor.shape != shape:
        raise PrednetError(f"{where} has shape {list(tensor.shape)}; the network needs {list(shape)}.")
    if not np.isfinite(tensor).all():
        raise PrednetError(f"{where} holds values that are not finite; the file is damaged or its training failed.")


def told_fault(fault: Exception) -> str:
    """Return what a library says of a file, in one line."""
    return str(fault).splitlines()[0][:120] if str(fault) else type(fault).__name__


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "") if names else "none"


def _listed(numbers: Sequence[int]) -> str:
    return ",".join(map(str, numbers))
