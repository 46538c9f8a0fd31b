"""Networks of other programs: what was imported computes what an independent float64 PredNet computes."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.ndimage import convolve, correlate

from edge.errors import UsageError
from edge.runner_onnx import OnnxRunner
from export.architecture import Architecture
from tests.needs import need

need("h5py")
need("torch")

import torch  # noqa: E402 - after the check that it is there
from safetensors.torch import save_file  # noqa: E402

from export.checkpoint import load_checkpoint, save_checkpoint  # noqa: E402
from export.importing import network, reading  # noqa: E402
from export.importing.found import Given, Imported  # noqa: E402
from export.importing.network import read_network, settled  # noqa: E402
from export.step import spec_from_architecture, step_onnx  # noqa: E402
from tests.foreign import (  # noqa: E402
    drawn,
    faithful_state_dict,
    keras_json,
    keras_weights,
    leido_tensors,
    small,
    torch_tensors,
    write_hdf5,
)
from tests.oracle import NumpyPredNet  # noqa: E402
from tests.oracle_leido import NumpyLeido  # noqa: E402

# design.md, «Targets»: imported weights are held to what our own float step is held to.
PREDICTION_TOLERANCE = 5e-6
ERROR_TOLERANCE = 5e-7
SIZE = Given(size=(24, 16))


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read in this process: a child for each of many files would take most of the test's time."""
    monkeypatch.setattr(network, "read_apart", lambda kind, path: reading._reader(kind)(path))


def imported(*paths: Path, told: Given = SIZE) -> Imported:
    """Read a network and settle it without footage."""
    return settled(read_network(paths, told), ())[0]


def frames(architecture: Architecture, count: int = 50, seed: int = 1) -> np.ndarray:
    """Random frames, uint8 [count, 1, H, W, C]: every unit is busy."""
    shape = (count, 1, architecture.height, architecture.width, architecture.channels)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def assert_computes(held: Imported, oracle: Any, white: float = 1.0, steps: int = 50) -> None:
    """Hold the imported step to the oracle, closed loop; `white` is the oracle's value of a white pixel."""
    architecture = held.architecture
    model = step_onnx(architecture, held.weights, float_prediction=True)
    runner = OnnxRunner(model, spec_from_architecture(architecture), 1, threads=1)
    spread = 0.0
    for image in frames(architecture, steps):
        step = runner.step(image, np.ones(1, bool), np.zeros(1, bool))
        prediction, errors = oracle.step(image[0])
        assert np.abs(step.prediction[0] - prediction / white).max() < PREDICTION_TOLERANCE
        for layer, error in enumerate(errors):
            assert abs(step.errors[0, layer].mean() - error.mean() / white) < ERROR_TOLERANCE
        spread = max(spread, float(np.ptp(prediction / white)))
    assert spread > 0.01  # a prediction of nothing would agree with anything


ONE_LAYER = {"stack": (1,), "r_stack": (3,), "a_kernels": (), "ahat_kernels": (5,), "r_kernels": (3,)}
KERAS: dict[str, dict[str, Any]] = {
    "weights alone, backend in the file": {"layout": "weights", "backend": "tensorflow"},
    "weights by Theano": {"layout": "weights", "backend": "theano"},
    "full checkpoint": {"layout": "full", "backend": "tensorflow"},
    "full checkpoint by Theano, text attributes": {"layout": "full", "backend": "theano", "as_text": True},
    "backend in the JSON alone": {"layout": "json", "json_backend": "theano"},
    "JSON beside a full checkpoint": {"layout": "both", "backend": "tensorflow"},
    "channels first, names in pieces": {"layout": "full", "backend": "theano", "data_format": "channels_first", "piece": 7},
    "colour": {"layout": "full", "backend": "tensorflow", "channels": 3, "stack": (3, 4, 3)},
    "pixels up to 0.6": {"layout": "full", "backend": "tensorflow", "pixel_max": 0.6},
    "names that tell no place": {"layout": "json", "backend": "tensorflow", "plain_names": True},
    "one layer": {"layout": "full", "backend": "theano", **ONE_LAYER},
}  # fmt: skip


@pytest.mark.parametrize("name", KERAS)
def test_keras_files_compute_what_the_oracle_computes(name: str, tmp_path: Path) -> None:
    """Every layout, backend and order of channels gives predictions and errors of the float64 network."""
    case = dict(KERAS[name])
    layout, backend = case.pop("layout"), case.pop("backend", None)
    written = {key: case.pop(key) for key in ("as_text", "piece", "plain_names") if key in case}
    json_backend, data_format = case.pop("json_backend", None), case.pop("data_format", "channels_last")
    architecture = small(**case)
    weights = drawn(architecture)
    config = keras_json(architecture, json_backend, data_format=data_format)
    listed = keras_weights(weights, theano="theano" in (backend, json_backend))
    full = config if layout in ("full", "both") else None
    paths = [write_hdf5(tmp_path / "w.hdf5", listed, config=full, backend=backend, **written)]
    if layout in ("json", "both"):
        (tmp_path / "m.json").write_text(json.dumps(config))
        paths.insert(0, tmp_path / "m.json")
    told = SIZE if layout == "weights" else Given()
    held = imported(*paths, told=told)
    assert held.architecture == architecture
    assert_computes(held, NumpyPredNet(architecture, weights))


def test_keras_1_kernels_in_theanos_order(tmp_path: Path, in_process: None) -> None:
    """`dim_ordering` th without a `data_format` is Keras 1: kernels [out, in, height, width], turned."""
    architecture = small()
    weights = drawn(architecture)
    config = keras_json(architecture, dim_ordering="th", data_format="absent")
    path = write_hdf5(tmp_path / "w.hdf5", keras_weights(weights, theano=True, old=True), config=config)
    held = imported(path, told=Given(reading="rotated"))
    assert_computes(held, NumpyPredNet(architecture, weights))


def test_theanos_kernels_convolve(tmp_path: Path, in_process: None) -> None:
    """What Theano's convolution does with the stored kernel, the step's correlation does with the imported one."""
    architecture = small()
    listed = keras_weights(drawn(architecture), theano=False)
    held = imported(write_hdf5(tmp_path / "w.hdf5", listed, backend="theano"))
    image = np.random.default_rng(0).normal(size=(16, 24))
    stored = listed["layer_a_0/kernel:0"][:, :, 1, 2]
    ours = held.weights["a.0.weight"][2, 1]
    np.testing.assert_allclose(
        convolve(image, stored, mode="constant"), correlate(image, ours, mode="constant"), atol=1e-12
    )


PYTORCH = {
    "plain keys": ("pt", "", None),
    "conv_layers, old file": ("pth", "conv_layers.", None),
    "inside a checkpoint, DataParallel": ("pth", "module.conv_layers.", "state_dict"),
    "safetensors": ("safetensors", "conv_layers.", None),
}


@pytest.mark.parametrize("name", PYTORCH)
def test_state_dicts_compute_what_the_oracle_computes(name: str, tmp_path: Path, in_process: None) -> None:
    """Both namings, in new and old files, wrapped or not, are a pure renaming."""
    suffix, prefix, container = PYTORCH[name]
    architecture = small(pixel_max=0.7)
    weights = drawn(architecture)
    held: Any = faithful_state_dict(weights, prefix)
    path = tmp_path / f"net.{suffix}"
    if suffix == "safetensors":
        save_file(held, path)
    else:
        moments = {"state": {0: {"exp_avg": torch.ones(3)}}, "param_groups": [{"lr": 0.1}]}
        held = {container: held, "epoch": 3, "optimizer": moments} if container else held
        torch.save(held, path, _use_new_zipfile_serialization="old" not in name)
    read = read_network([path], Given(size=(24, 16), pixel_max=0.7))
    assert read.set_aside == (("optimizer/state/0/exp_avg",) if container else ())
    assert_computes(settled(read, ())[0], NumpyPredNet(architecture, weights))


@pytest.mark.parametrize("is_zip", [True, False])
def test_cuda_storages_are_read_without_a_gpu(is_zip: bool, tmp_path: Path, in_process: None) -> None:
    """A file whose storages lie on cuda:0, new or old, gives the weights that were saved."""
    weights, path, away = drawn(small()), tmp_path / "cpu.pt", tmp_path / "cuda.pt"
    torch.save(faithful_state_dict(weights), path, _use_new_zipfile_serialization=is_zip)
    cpu, cuda = b"X\x03\x00\x00\x00cpu", b"X\x06\x00\x00\x00cuda:0"
    if is_zip:
        with zipfile.ZipFile(path) as old, zipfile.ZipFile(away, "w") as new:
            for entry in old.infolist():
                new.writestr(entry.filename, old.read(entry).replace(cpu, cuda))
    else:
        away.write_bytes(path.read_bytes().replace(cpu, cuda))
    assert away.read_bytes().count(b"cuda:0") >= 1
    held = imported(away)
    assert all(np.array_equal(held.weights[name], weights[name]) for name in weights)


@pytest.mark.parametrize(("stack", "r_stack"), [((1, 4, 3), (2, 3, 4)), ((3, 4), (3, 4)), ((1,), (2,))])
def test_the_leido_variant_computes_what_its_own_oracle_computes(
    stack: tuple[int, ...], r_stack: tuple[int, ...], tmp_path: Path, in_process: None
) -> None:
    """Peepholes, plain sigmoids, raw pixels: in 0–1 outside, the variant agrees with its float64 equations."""
    tensors = leido_tensors(stack, r_stack)
    torch.save(torch_tensors(tensors), tmp_path / "training.pt")
    read = read_network([tmp_path / "training.pt"], SIZE)
    held = settled(read, ())[0]
    assert held.architecture.cell == "leido"
    assert read.set_aside == tuple(f"cell{layer}.wc_blank" for layer in range(len(stack)))
    save_checkpoint(tmp_path / "ours.safetensors", held.architecture, held.weights, held.facts)
    assert load_checkpoint(tmp_path / "ours.safetensors")[0] == held.architecture
    assert_computes(held, NumpyLeido(tensors, 16, 24), white=255.0)


def test_our_own_checkpoint_comes_back_as_it_is(tmp_path: Path) -> None:
    """Architecture, weights and training facts of our own training pass through unchanged."""
    architecture = small(head="residual", error_gain=5.0)
    save_checkpoint(tmp_path / "own.safetensors", architecture, drawn(architecture), {"seed": 3})
    held = imported(tmp_path / "own.safetensors", told=Given())
    assert (held.architecture, held.facts) == (architecture, {"seed": 3})
    with pytest.raises(UsageError, match="says everything itself"):
        imported(tmp_path / "own.safetensors")


def test_a_model_that_names_no_order_of_channels_is_told_by_its_frames(tmp_path: Path, in_process: None) -> None:
    """The side on which the frame's channels are says which order it is; where both sides fit, --size is asked for."""
    for width, told in ((24, Given()), (1, SIZE)):
        architecture = small(width=width, **ONE_LAYER)
        config = keras_json(architecture, "tensorflow", data_format="absent")
        shape = config["config"]["layers"][0]["config"]
        shape["batch_input_shape"] = [None, 10, 1, 16, width]
        path = write_hdf5(tmp_path / f"{width}.hdf5", keras_weights(drawn(architecture), False), config=config)
        assert imported(path, told=told).architecture.size(0) == (16, 24)
        if width == 1:
            with pytest.raises(UsageError, match="give --size"):
                imported(path, told=Given())


def test_extrap_start_time_is_ignored_and_said(tmp_path: Path, in_process: None) -> None:
    """A network that was finetuned to extrapolate streams like any other, and the report says so."""
    architecture = small()
    config = keras_json(architecture, extrap_start_time=10)
    path = write_hdf5(tmp_path / "w.hdf5", keras_weights(drawn(architecture), False), config=config, backend="cntk")
    found = read_network([path], Given(rate_hz=10.0))
    assert found.notes == ("extrap_start_time 10 is ignored: a camera always sees the next frame",)


@st.composite
def architectures(draw: st.DrawFn) -> Architecture:
    """Any PredNet: 1 to 4 layers, R_stack of its own, odd kernels from 1 to 5, grey or colour."""
    layers, channels = draw(st.integers(1, 4)), draw(st.sampled_from([1, 3]))
    counts, kernels = st.integers(1, 5), st.sampled_from([1, 3, 5])
    step = 2 ** (layers - 1)
    return Architecture(
        height=step * draw(st.integers(1, 3)), width=step * draw(st.integers(1, 3)), channels=channels, rate_hz=10.0,
        stack=(channels, *(draw(counts) for _ in range(layers - 1))), r_stack=tuple(draw(counts) for _ in range(layers)),
        a_kernels=tuple(draw(kernels) for _ in range(layers - 1)),
        ahat_kernels=tuple(draw(kernels) for _ in range(layers)), r_kernels=tuple(draw(kernels) for _ in range(layers)),
        pixel_max=draw(st.sampled_from([1.0, 0.5])),
    )  # fmt: skip


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(architecture=architectures(), seed=st.integers(0, 99), theano=st.booleans(), as_torch=st.booleans())
def test_any_architecture_comes_in(
    architecture: Architecture, seed: int, theano: bool, as_torch: bool, tmp_path: Path, in_process: None
) -> None:
    """Random architectures survive the way through Keras's and PyTorch's files and compute the same."""
    weights = drawn(architecture, seed)
    told = Given(rate_hz=10.0)
    if as_torch:
        path = tmp_path / "a.pt"
        torch.save(faithful_state_dict(weights), path)
        told = Given(size=(architecture.width, architecture.height), pixel_max=architecture.pixel_max)
    else:
        config, backend = keras_json(architecture), "theano" if theano else "tensorflow"
        path = write_hdf5(tmp_path / "a.hdf5", keras_weights(weights, theano), config=config, backend=backend)
    held = imported(path, told=told)
    assert held.architecture == architecture
    assert all(np.array_equal(held.weights[name], weights[name]) for name in weights)
    model = step_onnx(architecture, held.weights, float_prediction=True)
    runner = OnnxRunner(model, spec_from_architecture(architecture), 1, threads=1)
    oracle = NumpyPredNet(architecture, weights)
    for image in frames(architecture, 8, seed):
        step, (prediction, _) = runner.step(image, np.ones(1, bool), np.zeros(1, bool)), oracle.step(image[0])
        assert np.abs(step.prediction[0] - prediction).max() < PREDICTION_TOLERANCE
