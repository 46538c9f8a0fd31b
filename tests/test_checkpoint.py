"""Checkpoints: what is written is read back, and everything else is refused in a sentence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest

from edge.errors import PrednetError, UsageError
from export.architecture import Architecture, parameter_shapes
from tests.needs import need

need("safetensors")

from safetensors.numpy import load_file, save_file  # noqa: E402 - after the check that it is there

from export.checkpoint import Weights, load_checkpoint, save_checkpoint  # noqa: E402

SMALL = Architecture(height=8, width=16, channels=1, rate_hz=10.0, stack=(1, 2), r_stack=(3, 2), head="residual")
Header = dict[str, str]


def drawn_weights(architecture: Architecture = SMALL) -> Weights:
    """Return weights that differ from each other everywhere."""
    generator = np.random.default_rng(5)
    shapes = parameter_shapes(architecture)
    return {name: generator.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def test_round_trip(tmp_path: Path) -> None:
    """Architecture, weights and training facts come back as they were written."""
    path, weights = tmp_path / "net.safetensors", drawn_weights()
    facts: dict[str, object] = {"footage": "sha256:00", "seconds": 12.5, "seed": 3, "skill": {"ratio": 0.5}}
    save_checkpoint(path, SMALL, weights, facts)
    architecture, loaded, told = load_checkpoint(path)
    assert architecture == SMALL
    assert told == facts
    assert loaded.keys() == weights.keys()
    assert all(np.array_equal(loaded[name], weights[name]) for name in weights)
    assert [file.name for file in tmp_path.iterdir()] == ["net.safetensors"]


def test_weights_kept_in_half_the_room_come_back_as_float32(tmp_path: Path) -> None:
    """Float16 on disk is widened exactly: each weight is its nearest float16."""
    path = tmp_path / "half.safetensors"
    weights = drawn_weights()
    save_checkpoint(path, SMALL, weights, {"seed": 1}, is_half=True)
    _, found, _ = load_checkpoint(path)
    for name, values in weights.items():
        assert found[name].dtype == np.float32
        np.testing.assert_array_equal(found[name], values.astype(np.float16).astype(np.float32))


def test_a_failed_write_keeps_the_old_file(tmp_path: Path) -> None:
    """Weights that are refused leave the checkpoint that was there before."""
    path = tmp_path / "net.safetensors"
    save_checkpoint(path, SMALL, drawn_weights(), {})
    before = path.read_bytes()
    with pytest.raises(PrednetError):
        save_checkpoint(path, SMALL, {}, {})
    assert path.read_bytes() == before


def test_missing_folder(tmp_path: Path) -> None:
    """A folder that is not there is said at the moment of writing."""
    path = tmp_path / "nowhere" / "net.safetensors"
    with pytest.raises(UsageError, match=r"cannot be written \(No such file or directory\)"):
        save_checkpoint(path, SMALL, drawn_weights(), {})


def test_missing_file(tmp_path: Path) -> None:
    """A path without a file is an error of the call."""
    path = tmp_path / "net.safetensors"
    with pytest.raises(UsageError) as caught:
        load_checkpoint(path)
    assert str(caught.value) == f"{path}: there is no such file; give a checkpoint that `prednet-export train` wrote."


def without(name: str) -> Callable[[Weights, Header], None]:
    """Return a change that takes a tensor away."""
    return lambda weights, _: weights.__delitem__(name)


def replaced(name: str, tensor: np.ndarray) -> Callable[[Weights, Header], None]:
    """Return a change that puts another tensor in a tensor's place."""
    return lambda weights, _: weights.__setitem__(name, tensor)


def said(name: str, text: str | None) -> Callable[[Weights, Header], None]:
    """Return a change of one word of the header; None takes it away."""

    def change(_: Weights, header: Header) -> None:
        del header[name]
        if text is not None:
            header[name] = text

    return change


ODD = msgspec.json.encode(msgspec.to_builtins(SMALL) | {"height": 9}).decode()
NEWER = msgspec.json.encode(msgspec.to_builtins(SMALL) | {"depth": 9}).decode()

REFUSED = {
    "a tensor is missing": (
        without("f.1.bias"),
        "1 of 22 tensors are missing, the first is f.1.bias.",
    ),
    "a tensor too many": (
        replaced("x.0.weight", np.zeros(2, np.float32)),
        "1 tensors do not belong to the architecture, the first is x.0.weight.",
    ),
    "another shape": (
        replaced("ahat.1.bias", np.zeros(3, np.float32)),
        "tensor ahat.1.bias has shape [3]; the architecture needs [2].",
    ),
    "another type": (
        replaced("ahat.1.bias", np.zeros(2, np.float64)),
        "tensor ahat.1.bias is float64; checkpoints hold float32.",
    ),
    "not finite": (
        replaced("ahat.1.bias", np.array([0.0, np.nan], np.float32)),
        "tensor ahat.1.bias holds values that are not finite; train it again.",
    ),
    "foreign": (
        said("format", "pt"),
        "this safetensors file is not a prednet-edge checkpoint; other networks come in with `prednet-export import`.",
    ),
    "from the future": (
        said("format_version", "2"),
        "its format version is 2; this program reads 1: update prednet-edge.",
    ),
    "no version": (
        said("format_version", None),
        "its format version is missing; this program reads 1: update prednet-edge.",
    ),
    "impossible architecture": (
        said("architecture", ODD),
        "its architecture cannot be read (height is 9, which 2 layers cannot halve 1 times; "
        "use a multiple of 2, such as 8.); copy or train it again.",
    ),
    "unknown architecture": (
        said("architecture", NEWER),
        "its architecture cannot be read (Object contains unknown field `depth`); copy or train it again.",
    ),
    "no training facts": (
        said("training", "oops"),
        "its training facts cannot be read (JSON is malformed: invalid character (byte 0)); copy or train it again.",
    ),
}


@pytest.mark.parametrize(("change", "sentence"), REFUSED.values(), ids=REFUSED.keys())
def test_refused(change: Callable[[Weights, Header], None], sentence: str, tmp_path: Path) -> None:
    """A file that is not exactly one of ours is refused with what was found and what was expected."""
    path = tmp_path / "net.safetensors"
    save_checkpoint(path, SMALL, drawn_weights(), {})
    weights, header = load_file(path), header_of(path)
    change(weights, header)
    save_file(weights, path, header)
    with pytest.raises(PrednetError) as caught:
        load_checkpoint(path)
    assert str(caught.value) == f"{path}: {sentence}"


@pytest.mark.parametrize("kept", [0, 5, 500])
def test_damaged(kept: int, tmp_path: Path) -> None:
    """A file that was cut short is called damaged."""
    path = tmp_path / "net.safetensors"
    save_checkpoint(path, SMALL, drawn_weights(), {})
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(PrednetError, match="this is not a safetensors file, or it is damaged"):
        load_checkpoint(path)


def header_of(path: Path) -> Header:
    """Return the strings in the header of a safetensors file, read by hand: 8 bytes of length, then JSON."""
    blob = path.read_bytes()
    length = int.from_bytes(blob[:8], "little")
    header: Header = msgspec.json.decode(blob[8 : 8 + length])["__metadata__"]
    return header


IMPOSSIBLE = [
    ({"height": 130}, "height is 130, which 4 layers cannot halve 3 times; use a multiple of 8, such as 128."),
    ({"width": 0}, "width is 0, which 4 layers cannot halve 3 times; use a multiple of 8, such as 8."),
    ({"channels": 2}, "channels is 2; a frame has 1 (grey) or 3 (RGB)."),
    ({"stack": ()}, "stack is empty; name the channels of at least one layer, such as 1,16,32,64."),
    ({"stack": (3, 4, 4, 4)}, "stack starts with 3 and a frame has 1 channels; layer 0 is the frame: start with 1."),
    (
        {"stack": (1, 4, 0, 4)},
        "stack is (1, 4, 0, 4) and r_stack is (1, 4, 4, 4); every layer needs 1 channel or more.",
    ),
    ({"r_stack": (1, 4)}, "r_stack has 2 layers and stack has 4; give both the same number."),
    ({"r_kernels": (3, 3)}, "r_kernels has 2 sizes; 4 layers need 4."),
    ({"a_kernels": (3, 3, 2)}, "a_kernels is (3, 3, 2); kernels keep the size of a layer and must be odd: 1, 3, 5."),
    ({"rate_hz": 0.0}, "rate_hz is 0.0; it must be a number above 0."),
    ({"pixel_max": float("nan")}, "pixel_max is nan; it must be a number above 0."),
    ({"head": "other"}, "head is 'other'; it must be one of original, residual."),
]


@pytest.mark.parametrize(("change", "sentence"), IMPOSSIBLE)
def test_impossible_architectures(change: dict[str, object], sentence: str) -> None:
    """Numbers that contradict each other are refused with what would be right."""
    usual: dict[str, object] = {
        "height": 128,
        "width": 160,
        "channels": 1,
        "rate_hz": 10.0,
        "stack": (1, 4, 4, 4),
        "r_stack": (1, 4, 4, 4),
    }
    with pytest.raises(UsageError) as caught:
        Architecture(**(usual | change))  # type: ignore[arg-type]
    assert str(caught.value) == sentence


def test_shapes_of_the_published_network() -> None:
    """The KITTI network has the 6,915,948 parameters that its authors' program counts."""
    stack = (3, 48, 96, 192)
    kitti = Architecture(height=128, width=160, channels=3, rate_hz=10.0, stack=stack, r_stack=stack)
    assert sum(int(np.prod(shape)) for shape in parameter_shapes(kitti).values()) == 6_915_948
