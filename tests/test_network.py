"""PredNet in PyTorch against the float64 oracle, over streams that feed themselves."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from export.architecture import Architecture, Head, parameter_shapes
from tests.needs import need
from tests.oracle import NumpyPredNet

torch = need("torch")

from export.learning.network import PredNet, initial_weights, load_weights, weights_of  # noqa: E402 - after the check

Weights = dict[str, NDArray[np.float32]]

STEPS = 50
# What the project promises of every float step (design, «Targets»); float32 rounding stays below.
PREDICTION_TOLERANCE = 5e-6
ERROR_TOLERANCE = 5e-7
# In float64 the two differ by the order of summation alone.
DOUBLE_TOLERANCE = 1e-11

# Biases that hold some gates wide open or shut for good; larger kernels would make a chaos of the stream.
SPREADS = {"i": 2.0, "f": 2.0, "c": 0.5, "o": 2.0, "ahat": 0.2, "a": 0.2}

ARCHITECTURES: dict[str, dict[str, object]] = {
    "original, grey": {"stack": (1, 4, 8), "r_stack": (1, 4, 8)},
    "residual, grey": {"stack": (1, 4, 8), "r_stack": (1, 4, 8), "head": "residual", "error_gain": 5.0},
    "original, colour, own R": {"stack": (3, 6), "r_stack": (5, 4), "channels": 3, "pixel_max": 0.8},
    "residual, colour, own R": {
        "stack": (3, 4, 6),
        "r_stack": (8, 6, 2),
        "channels": 3,
        "head": "residual",
        "error_gain": 3.0,
    },
    "kernels 1 and 5": {
        "stack": (1, 4, 4),
        "r_stack": (2, 4, 4),
        "a_kernels": (5, 1),
        "ahat_kernels": (1, 3, 5),
        "r_kernels": (5, 3, 1),
    },
    "one layer": {"stack": (1,), "r_stack": (3,), "head": "residual", "error_gain": 5.0},
}


def architecture_named(name: str) -> Architecture:
    """Return an architecture of the table at 16×24 pixels."""
    usual: dict[str, object] = {"height": 16, "width": 24, "channels": 1, "rate_hz": 10.0}
    return Architecture(**(usual | ARCHITECTURES[name]))  # type: ignore[arg-type]


def strong_weights(architecture: Architecture) -> Weights:
    """Return weights and biases that drive gates into saturation and predictions into their bounds."""
    generator = np.random.default_rng(11)
    weights: Weights = {}
    for name, shape in parameter_shapes(architecture).items():
        spread = 1.5 / np.sqrt(np.prod(shape[1:])) if name.endswith("weight") else SPREADS[name.split(".")[0]]
        weights[name] = (spread * generator.normal(size=shape)).astype(np.float32)
    return weights


def moving_frames(architecture: Architecture, count: int) -> NDArray[np.uint8]:
    """Return noise on which a bright block runs to the right, [T, H, W, C]."""
    generator = np.random.default_rng(3)
    shape = (count, architecture.height, architecture.width, architecture.channels)
    frames = generator.integers(0, 120, shape, np.uint8)
    for index, frame in enumerate(frames):
        frame[4:9, np.arange(index, index + 5) % architecture.width] = 230
    return frames


def as_batch(frame: NDArray[np.uint8], dtype: object) -> object:
    """Return one frame as [1, C, H, W] in 0–1."""
    return torch.from_numpy(frame).permute(2, 0, 1)[None].to(dtype) / 255.0


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_agrees_with_the_oracle(name: str, precision: str) -> None:
    """Fifty steps that feed themselves give the oracle's predictions and layer errors."""
    architecture = architecture_named(name)
    weights = strong_weights(architecture)
    oracle = NumpyPredNet(architecture, weights)
    network = PredNet(architecture).to(getattr(torch, precision))
    load_weights(network, weights)
    state = network.start(1)
    double = precision == "float64"
    for frame in moving_frames(architecture, STEPS):
        expected, expected_errors = oracle.step(frame)
        with torch.no_grad():
            prediction, state = network(as_batch(frame, getattr(torch, precision)), state)
        drawn = prediction[0].permute(1, 2, 0).numpy()
        assert np.abs(drawn - expected).max() <= (DOUBLE_TOLERANCE if double else PREDICTION_TOLERANCE)
        errors = np.array([float(errors.mean()) for errors in state.e])
        means = np.array([errors.mean() for errors in expected_errors])
        assert np.abs(errors - means).max() <= (DOUBLE_TOLERANCE if double else ERROR_TOLERANCE)


def test_the_test_reaches_every_bound() -> None:
    """The frames and weights above saturate gates and clip predictions, or they would prove little."""
    architecture = architecture_named("residual, colour, own R")
    oracle = NumpyPredNet(architecture, strong_weights(architecture))
    predictions = [oracle.step(frame)[0] for frame in moving_frames(architecture, STEPS)]
    assert np.min(predictions) == 0.0
    assert np.max(predictions) == 1.0
    assert all(np.abs(memory).max() > 1.0 for memory in oracle.C)


def test_cameras_do_not_touch() -> None:
    """Each camera of a batch goes its own way, and a reset of one leaves the other alone."""
    architecture = architecture_named("residual, grey")
    network = PredNet(architecture).double()
    load_weights(network, strong_weights(architecture))
    first, second = moving_frames(architecture, 6), moving_frames(architecture, 6)[:, ::-1].copy()
    both, alone = network.start(2), network.start(1)
    with torch.no_grad():
        for index in range(6):
            if index == 3:
                both, alone = both.kept(torch.tensor([False, True])), alone.kept(torch.tensor([True]))
            pair = torch.cat([as_batch(first[index], torch.float64), as_batch(second[index], torch.float64)])
            predictions, both = network(pair, both)
            prediction, alone = network(as_batch(second[index], torch.float64), alone)
            assert torch.allclose(predictions[1:], prediction, rtol=0, atol=DOUBLE_TOLERANCE)


def test_reset_survives_not_a_number() -> None:
    """A state that is not finite is zero after a reset, not NaN × 0."""
    network = PredNet(architecture_named("residual, grey"))
    state = network.start(1)
    state.c[0].fill_(float("nan"))
    assert float(state.kept(torch.tensor([False])).c[0].abs().max()) == 0.0


def test_weights_keep_their_names() -> None:
    """Weights come back from the fused gates under the names that they went in with."""
    architecture = architecture_named("kernels 1 and 5")
    weights = strong_weights(architecture)
    network = PredNet(architecture)
    load_weights(network, weights)
    told = weights_of(network)
    assert {name: values.shape for name, values in told.items()} == parameter_shapes(architecture)
    assert all(np.array_equal(told[name], weights[name]) for name in weights)


@pytest.mark.parametrize("head", ["original", "residual"])
def test_initial_weights(head: Head) -> None:
    """The same seed gives the same weights; a residual head begins by repeating the last frame."""
    architecture = Architecture(height=8, width=8, channels=1, rate_hz=10.0, stack=(1, 4), r_stack=(2, 4), head=head)
    first, again, other = (initial_weights(architecture, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert not np.array_equal(first["i.0.weight"], other["i.0.weight"])
    assert np.any(first["ahat.0.weight"]) == (head == "original")
