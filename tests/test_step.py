"""The ONNX step against an independent float64 PredNet, and the contract of the runner."""

from __future__ import annotations

import numpy as np
import pytest

from edge.errors import PrednetError
from edge.runner_onnx import OnnxRunner
from export.architecture import Architecture
from export.step import spec_from_architecture, step_onnx
from tests.oracle import NumpyPredNet
from tests.step_runners import KINDS, OpenStep, StepRunner, open_step, overwrite
from tests.tiny import random_weights, repeating_weights, tiny_architecture

__all__ = ["open_step"]

# design.md, «Targets»: float32 rounding over 100 closed-loop steps stays below these.
PREDICTION_TOLERANCE = 5e-6
ERROR_TOLERANCE = 5e-7


def tiny(open_step: OpenStep, slots: int) -> StepRunner:
    """The repeating network on one kind of runner."""
    architecture = tiny_architecture()
    return open_step(
        step_onnx(architecture, repeating_weights(architecture)), spec_from_architecture(architecture), slots
    )


ARCHITECTURES = {
    "residual, three layers": tiny_architecture(),
    "original, three layers": tiny_architecture(head="original", error_gain=1.0),
    "colour, four layers": Architecture(
        height=16, width=24, channels=3, rate_hz=10, stack=(3, 4, 5, 6), r_stack=(3, 4, 5, 6)
    ),
    "one layer": Architecture(height=10, width=14, channels=1, rate_hz=10, stack=(1,), r_stack=(3,)),
    "two layers, kernels 5, 1 and 3": Architecture(
        height=20, width=12, channels=1, rate_hz=10, stack=(1, 5), r_stack=(4, 2),
        a_kernels=(5,), ahat_kernels=(1, 3), r_kernels=(5, 1),
    ),
    "pixels up to 0.6": tiny_architecture(head="original", error_gain=1.0, pixel_max=0.6),
}  # fmt: skip


# Every network on ONNX Runtime; one small one on each other kind, since the oracle takes its time.
CASES = [("onnxruntime-cpu", name, slots) for name in ARCHITECTURES for slots in (1, 3)]
CASES += [(kind, "one layer", 2) for kind in KINDS if kind != "onnxruntime-cpu"]


@pytest.mark.parametrize(("open_step", "name", "slots"), CASES, indirect=["open_step"])
def test_step_equals_float64_prednet_over_100_closed_loop_steps(name: str, slots: int, open_step: OpenStep) -> None:
    """Predictions and layer errors of every camera stay within the stated bounds for 100 steps."""
    architecture = ARCHITECTURES[name]
    weights = random_weights(architecture, scale=0.12)
    runner = open_step(
        step_onnx(architecture, weights, float_prediction=True), spec_from_architecture(architecture), slots
    )
    oracles = [NumpyPredNet(architecture, weights) for _ in range(slots)]
    frames = np.random.default_rng(1).integers(
        0, 256, (100, slots, architecture.height, architecture.width, architecture.channels), dtype=np.uint8
    )
    for images in frames:
        step = runner.step(images, np.ones(slots, bool), np.zeros(slots, bool))
        for slot, oracle in enumerate(oracles):
            prediction, errors = oracle.step(images[slot])
            assert np.abs(step.prediction[slot] - prediction).max() < PREDICTION_TOLERANCE
            for layer, error in enumerate(errors):
                assert abs(step.errors[slot, layer].mean() - error.mean()) < ERROR_TOLERANCE


def test_maps_pool_each_cells_mean_and_maximum() -> None:
    """Every cell of errors and peaks is the mean and the maximum of the units of E_l that lie in it."""
    architecture = tiny_architecture()
    weights = random_weights(architecture)
    runner = OnnxRunner(step_onnx(architecture, weights), spec_from_architecture(architecture), 1, threads=1)
    oracle = NumpyPredNet(architecture, weights)
    images = np.random.default_rng(2).integers(0, 256, (4, 1, 32, 40, 1), dtype=np.uint8)
    for image in images:
        step = runner.step(image, np.ones(1, bool), np.zeros(1, bool))
        _, errors = oracle.step(image[0])
    rows, columns = runner.spec.grid
    for layer, error in enumerate(errors):
        cells = error.reshape(error.shape[0], rows, error.shape[1] // rows, columns, error.shape[2] // columns)
        np.testing.assert_allclose(step.errors[0, layer], cells.mean(axis=(0, 2, 4)), atol=1e-6)  # float32
        np.testing.assert_allclose(step.peaks[0, layer], cells.max(axis=(0, 2, 4)), atol=1e-6)


def test_prediction_is_rounded_to_whole_grey_levels() -> None:
    """The uint8 prediction is the float one times 255, rounded."""
    architecture = tiny_architecture()
    weights, spec = random_weights(architecture), spec_from_architecture(architecture)
    exact = OnnxRunner(step_onnx(architecture, weights, float_prediction=True), spec, 1, threads=1)
    whole = OnnxRunner(step_onnx(architecture, weights), spec, 1, threads=1)
    for image in np.random.default_rng(3).integers(0, 256, (5, 1, 32, 40, 1), dtype=np.uint8):
        flags = np.ones(1, bool), np.zeros(1, bool)
        levels = exact.step(image, *flags).prediction * 255.0
        assert np.abs(whole.step(image, *flags).prediction - levels).max() <= 0.5001  # rounding, and float32


def test_advance_and_reset_leave_the_neighbour_alone(open_step: OpenStep) -> None:
    """One camera pauses and is reset; its neighbour computes what it would have computed alone."""
    runner, alone = tiny(open_step, 2), tiny(open_step, 1)
    images = np.random.default_rng(4).integers(0, 256, (12, 2, 32, 40, 1), dtype=np.uint8)
    for number, image in enumerate(images):
        advance = np.array([number not in (3, 4), True])
        reset = np.array([number == 7, False])
        together = runner.step(image, advance, reset).errors[1].copy()
        expected = alone.step(image[1:], np.ones(1, bool), np.zeros(1, bool)).errors[0]
        np.testing.assert_allclose(together, expected, atol=1e-7)  # another batch size may sum in another order


def test_a_pause_passes_the_states_through_unchanged(open_step: OpenStep) -> None:
    """Without `advance` every state of the slot is the same to the bit afterwards."""
    runner = tiny(open_step, 2)
    images = np.random.default_rng(5).integers(0, 256, (4, 2, 32, 40, 1), dtype=np.uint8)
    for image in images:
        runner.step(image, np.ones(2, bool), np.zeros(2, bool))
    before = {name: state[0].copy() for name, state in runner.states().items()}
    runner.step(images[0], np.array([False, True]), np.zeros(2, bool))
    for name, state in runner.states().items():
        np.testing.assert_array_equal(state[0], before[name])


def test_a_reset_equals_a_fresh_start_and_no_nan_survives_it(open_step: OpenStep) -> None:
    """States full of NaN give, after a reset, what a new camera gives; the neighbour stays finite."""
    runner, fresh = tiny(open_step, 2), tiny(open_step, 2)
    images = np.random.default_rng(6).integers(0, 256, (3, 2, 32, 40, 1), dtype=np.uint8)
    runner.step(images[0], np.ones(2, bool), np.zeros(2, bool))
    overwrite(runner, 0, np.nan)
    for number, image in enumerate(images):
        reset = np.array([number == 0, number == 0])
        step = runner.step(image, np.ones(2, bool), reset)
        expected = fresh.step(image, np.ones(2, bool), np.zeros(2, bool))
        assert np.isfinite(step.errors).all()
        np.testing.assert_array_equal(step.errors, expected.errors)


def test_a_reset_without_a_frame_clears_the_state(open_step: OpenStep) -> None:
    """`reset` without `advance` leaves zeros behind."""
    runner = tiny(open_step, 1)
    runner.step(np.full((1, 32, 40, 1), 200, np.uint8), np.ones(1, bool), np.zeros(1, bool))
    runner.step(np.zeros((1, 32, 40, 1), np.uint8), np.zeros(1, bool), np.ones(1, bool))
    assert all(not state.any() for state in runner.states().values())


@pytest.mark.parametrize(
    ("frames", "advance", "message"),
    [
        (np.zeros((1, 32, 41, 1), np.uint8), np.ones(1, bool), "frames are uint8 [1, 32, 41, 1]; this step takes uint8 [1, 32, 40, 1]."),
        (np.zeros((1, 32, 40, 1), np.float32), np.ones(1, bool), "frames are float32 [1, 32, 40, 1]; this step takes uint8 [1, 32, 40, 1]."),
        (np.zeros((1, 32, 40, 1), np.uint8), np.ones(2, bool), "advance is bool [2]; this step takes bool [1]."),
    ],
)  # fmt: skip
def test_wrong_shapes_and_types_are_refused(
    frames: np.ndarray, advance: np.ndarray, message: str, open_step: OpenStep
) -> None:
    """A runner says which input is wrong before it computes anything."""
    with pytest.raises(PrednetError) as refused:
        tiny(open_step, 1).step(frames, advance, np.zeros(1, bool))
    assert str(refused.value) == message


def test_a_model_that_does_not_fit_its_manifest_is_refused() -> None:
    """A step of another size is told apart by the first input that differs."""
    architecture = tiny_architecture()
    model = step_onnx(tiny_architecture(width=48), random_weights(architecture))
    with pytest.raises(PrednetError, match=r"the step's input c0 is .*48.*; its manifest says .*40"):
        OnnxRunner(model, spec_from_architecture(architecture), 1)
    with pytest.raises(PrednetError, match="refuses the step"):
        OnnxRunner(b"not onnx", spec_from_architecture(architecture), 1)
