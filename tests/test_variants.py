"""The passes: each is held to what it says of before and after, and INT8 to an independent arithmetic."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from edge import runner_onnx
from edge.errors import PrednetError
from edge.runner_onnx import OnnxRunner
from export.architecture import Architecture
from export.step import spec_from_architecture, step_onnx
from export.variants.channels_last import with_channels_last
from export.variants.cpu import WEIGHT_STEPS, cpu_convolutions, with_cpu_layout
from export.variants.flagless import without_flags
from export.variants.forms import ROUNDED, VARIANTS, form_of, roundable
from export.variants.half import in_opset_19, with_half_body
from export.variants.quantised import quantisable, with_int8_convolutions, with_int8_states, with_scaled_branches
from export.variants.taps import range_name, tap_shapes, with_taps
from tests.oracle import NumpyPredNet, convolution
from tests.tiny import random_weights
from tests.variant_steps import ARCHITECTURE, FRAMES, RANGES, SPEC, STEP, WEIGHTS, made


def errors_of(step: bytes, spec: object = SPEC, frames: NDArray[np.uint8] = FRAMES) -> NDArray[np.float32]:
    """The error maps of a step over the frames, from a reset; float32 [T, L, Gh, Gw]."""
    runner, found = OnnxRunner(step, spec, 1, threads=1), []  # type: ignore[arg-type]
    for number, frame in enumerate(frames):
        found.append(runner.step(frame[None], np.ones(1, bool), np.array([number == 0])).errors[0].copy())
    return np.stack(found)


def test_scaled_branches_compute_what_they_computed_before() -> None:
    """The factors are inverse to each other: float32 rounding alone remains, grown over 12 closed-loop steps."""
    scaled = with_scaled_branches(STEP, RANGES, quantisable(STEP))
    assert sum("scaled" in node.output[0] for node in onnx.load_from_string(scaled).graph.node) >= 3
    np.testing.assert_allclose(errors_of(scaled), errors_of(STEP), atol=2e-6)


class QuantisedPredNet(NumpyPredNet):
    """The oracle with every convolution's branches and weights rounded as INT8 is, in float64 and in no hurry."""

    def __init__(
        self, architecture: Architecture, weights: Mapping[str, NDArray[np.floating]], ranges: Mapping[str, float]
    ) -> None:
        super().__init__(architecture, weights)
        self.ranges = ranges

    def _convolve(self, kind: str, layer: int, x: NDArray[np.float64]) -> NDArray[np.float64]:
        weight, gain = self.weights[f"{kind}.{layer}.weight"], 1.0
        if kind in "ifoc":
            r, e = self.architecture.r_stack[layer], 2 * self.architecture.stack[layer]
            names = [f"r{layer}"] * r + [f"e{layer}"] * e + [f"r{layer + 1}"] * (x.shape[0] - r - e)
        else:
            names = [f"e{layer}" if kind == "a" else f"r{layer}"] * x.shape[0]
            gain = self.architecture.error_gain if kind == "a" and layer == 0 else 1.0
        reach = np.array([self.ranges[name] for name in names])
        whole = np.clip(np.round(x / gain / reach[:, None, None] * 127), -127, 127)
        folded = gain * weight * (reach / 127)[None, :, None, None]
        steps = np.abs(folded).reshape(len(folded), -1).max(axis=1)[:, None, None, None] / 127
        return convolution(whole, np.round(folded / steps) * steps, self.weights[f"{kind}.{layer}.bias"])


def test_int8_equals_an_independent_rounded_prednet() -> None:
    """The graph and the oracle agree to a hundredth of what INT8 changes; the rest are numbers that tip at a half.

    The first frames alone: after them a tipped number has fed back everywhere.
    """
    oracle = QuantisedPredNet(ARCHITECTURE, WEIGHTS, RANGES)
    expected = np.array([[layer.mean() for layer in oracle.step(frame)[1]] for frame in FRAMES[:4]])
    found = errors_of(made("int8").step, made("int8").spec, FRAMES[:4]).mean(axis=(2, 3))
    plain = errors_of(STEP, frames=FRAMES[:4]).mean(axis=(2, 3))
    apart = np.abs(plain - expected).mean(axis=0)
    assert (apart > 1e-6).all()  # INT8 does change something
    assert (np.abs(found - expected).mean(axis=0) < 0.05 * apart + 1e-6).all()


def test_int8_states_round_nothing_that_was_not_rounded_before() -> None:
    """Stored in INT8 the states say what they said: the error maps differ by tipped numbers alone."""
    scaled = with_int8_convolutions(with_scaled_branches(STEP, RANGES, quantisable(STEP)), RANGES, quantisable(STEP))
    stored, spec = with_int8_states(scaled, SPEC, RANGES, quantisable(STEP))
    assert {state.name: state.dtype for state in spec.states}["e1"] == "int8"
    difference = np.abs(errors_of(stored, spec) - errors_of(scaled)).mean()
    assert difference < 0.05 * np.abs(errors_of(scaled) - errors_of(STEP)).mean()


def test_a_layer_that_stays_float_keeps_its_states_float() -> None:
    """Without `gates.1` in INT8, r1 and e1 are float32; the others are int8."""
    whole = [name for name in quantisable(STEP) if name != "gates.1"]
    form = form_of("int8", STEP, SPEC, RANGES, whole)
    kinds = {state.name: state.dtype for state in form.spec.states}
    assert [kinds[name] for name in ("r0", "e0", "r1", "e1", "r2", "c0", "last_frame")] == [
        "int8", "int8", "float32", "float32", "int8", "float32", "uint8",
    ]  # fmt: skip
    assert form.convolutions == tuple(whole)


def kinds_in(step: bytes) -> dict[str, int]:
    """The element type of every value inside a step."""
    graph = onnx.shape_inference.infer_shapes(onnx.load_from_string(step)).graph
    return {one.name: one.type.tensor_type.elem_type for one in (*graph.value_info, *graph.input, *graph.output)}


@pytest.mark.parametrize("name", ["fp16", "int8.fp16"])
def test_half_bodies_keep_c_pixels_and_maps_in_float32(name: str) -> None:
    """Gates, R and E are float16; what adds up over months, what subtracts pixels and what is pooled is not."""
    kinds = kinds_in(made(name).step)
    half, single = onnx.TensorProto.FLOAT16, onnx.TensorProto.FLOAT
    assert {kinds[f"r{layer}_new"] for layer in range(3)} == {kinds["e1_new"], kinds["a1"]} == {half}
    assert {kinds[name] for name in ("c0_new", "c2_new", "c0_next", "a0", "ahat0", "errors", "peaks")} == {single}
    nodes = onnx.load_from_string(made(name).step).graph.node
    differences = [kinds[node.output[0]] for node in nodes if node.op_type == "Sub"]
    assert sorted(differences) == sorted([single, half, half])  # pixels, and A of the two layers above


def test_a_half_body_is_as_close_as_float16_is() -> None:
    """Its error maps are within 2e-3 of the float ones: 11 bits, over 12 steps; opset 19 only sums in another order."""
    half = with_half_body(STEP)
    assert 0 < np.abs(errors_of(half) - errors_of(STEP)).max() < 2e-3
    np.testing.assert_allclose(errors_of(in_opset_19(half)), errors_of(half), atol=1e-6)


def test_the_cpu_layout_is_as_close_as_its_steps_allow() -> None:
    """Its error maps are nearer to the float ones than a tenth of the mean error; weights stay within ±64."""
    form = made("cpu")
    plain, found = errors_of(STEP), errors_of(form.step, form.spec)
    assert 0 < np.abs(found - plain).mean() < 0.1 * plain.mean()
    graph = onnx.load_from_string(form.step).graph
    weights = [onnx.numpy_helper.to_array(one) for one in graph.initializer if one.name.endswith("weight_int8")]
    assert len(weights) == len(cpu_convolutions(STEP)) == sum(node.op_type == "QLinearConv" for node in graph.node)
    assert max(np.abs(weight.astype(int)).max() for weight in weights) <= WEIGHT_STEPS
    assert 2 * 255 * WEIGHT_STEPS < 2**15  # two products fit in 16 bits, on processors that add them so


def test_the_passes_of_the_cpu_change_where_numbers_lie_and_not_the_numbers() -> None:
    """Without flags and with channels last, the same maps to float32's rounding; states lie as the contract says."""
    laid, spec = with_cpu_layout(STEP, SPEC, RANGES, cpu_convolutions(STEP))
    flagless = without_flags(laid)
    np.testing.assert_array_equal(errors_of(flagless, spec), errors_of(laid, spec))
    last, turned = with_channels_last(flagless, spec)
    np.testing.assert_allclose(errors_of(last, turned), errors_of(laid, spec), atol=1e-6)
    shapes = {state.name: state.shape for state in turned.states}
    assert shapes["r1"] == (16, 20, 4)
    assert shapes["c2"] == (8, 10, 6)
    assert shapes["r0"] == (2, 32, 40)  # gates.0 is float, and its channels come first
    graph = onnx.load_from_string(last).graph
    assert {value.name for value in graph.input} == {"frames", *shapes}
    kinds = [node.op_type for node in graph.node]
    assert "Where" not in kinds
    assert "Resize" not in kinds
    convolutions = [node for node in graph.node if node.op_type == "QLinearConv"]
    assert all(node.domain == "com.microsoft" for node in convolutions)
    turned_values = {node.input[0] for node in graph.node if node.op_type == "Transpose"}
    # Of layers' pictures one crosses from float to whole, A_1, and one back, R_1 twice as large; the rest is one channel.
    assert {name for name in turned_values if not name.startswith(("reduce", "round"))} == {"a1", "resize_38"}


def test_a_step_without_flags_is_refused_where_its_states_are_not_the_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a GPU nobody could begin a state anew; the sentence says what to do."""
    monkeypatch.setitem(runner_onnx._PROVIDERS, "onnxruntime-cuda", "CPUExecutionProvider")
    form = made("cpu")
    with pytest.raises(PrednetError, match="laid out for the CPU, and onnxruntime-cuda was asked for"):
        OnnxRunner(form.step, form.spec, 1, name="onnxruntime-cuda")


def test_a_gate_of_the_cpu_is_its_own_sigmoid() -> None:
    """uint8 over ±2.5 is the hard sigmoid itself: 0 where the gate is shut, 1 where it is open, a step of 1/255."""
    form, (step, _) = made("cpu"), with_cpu_layout(STEP, SPEC, RANGES, cpu_convolutions(STEP))
    graph = onnx.load_from_string(step).graph
    values = {one.name: onnx.numpy_helper.to_array(one) for one in graph.initializer}
    sigmoids = [node for node in graph.node if node.op_type == "DequantizeLinear" and node.input[1] == "sigmoids_scale"]
    assert len(sigmoids) == 3 * sum(name.startswith("gates.") for name in form.convolutions)
    for node in sigmoids:
        scale, zero = (float(values[name]) for name in node.input[1:])
        np.testing.assert_allclose([(q - zero) * scale for q in (0, 51, 255)], [0.0, 0.2, 1.0], atol=1e-6)
    reach = float(values["gates.1.out_whole_scale"])
    bias, scales = values["gates.1.bias_int32"], values["gates.1.weight_scale"] * values["gates.1.data_scale"]
    plain = np.concatenate([WEIGHTS[f"{gate}.1.bias"] for gate in "ifoc"])
    moved = plain - np.repeat([1.0, 1.0, 1.0, 0.0], len(plain) // 4) * reach / 2
    np.testing.assert_allclose(bias * scales, moved, atol=float(scales.max()))
    assert reach * 255 == pytest.approx(5.0)


def test_cpu_layers_can_return_to_float_one_by_one() -> None:
    """With every layer returned the float step is left, but for the order in which a gate's products are added."""
    form = form_of("cpu", STEP, SPEC, RANGES, [])
    # Errors are at most 1 and sums have some hundred terms: a few units in float32's last place.
    np.testing.assert_allclose(errors_of(form.step, form.spec), errors_of(STEP), atol=1e-6)
    names = cpu_convolutions(STEP)
    apart = []
    for count in range(len(names) + 1):
        some = form_of("cpu", STEP, SPEC, RANGES, names[:count])
        apart.append(np.abs(errors_of(some.step, some.spec) - errors_of(STEP)).mean())
    assert apart[0] < 1e-6 < apart[1]
    assert all(np.isfinite(apart))


@pytest.mark.parametrize("name", [name for name in VARIANTS if name != "float"])
def test_every_variant_keeps_the_contract_of_the_step(name: str) -> None:
    """A pause passes states through to the bit, a reset equals a fresh start, and the neighbour is left alone."""
    form = made(name)
    runner, alone = (OnnxRunner(form.step, form.spec, slots, threads=1) for slots in (2, 1))
    for number, frame in enumerate(FRAMES):
        before = {key: state[0].copy() for key, state in runner.states().items()}
        advance, reset = np.array([number not in (3, 4), True]), np.array([number == 7, False])
        errors = runner.step(np.stack([frame, frame]), advance, reset).errors.copy()
        expected = alone.step(frame[None], np.ones(1, bool), np.zeros(1, bool)).errors[0]
        np.testing.assert_allclose(errors[1], expected, atol=0.02)  # another batch may tip a rounded number
        if number in (3, 4):
            for key, state in runner.states().items():
                np.testing.assert_array_equal(state[0], before[key])
        if number == 7:
            fresh = OnnxRunner(form.step, form.spec, 2, threads=1)
            started = fresh.step(np.stack([frame, frame]), np.ones(2, bool), np.zeros(2, bool)).errors
            np.testing.assert_array_equal(errors[0], started[0])


@pytest.mark.parametrize("name", ROUNDED)
def test_no_nan_of_a_state_survives_a_reset(name: str) -> None:
    """C full of NaN is chosen away, also where R and E are whole numbers."""
    form = made(name)
    runner = OnnxRunner(form.step, form.spec, 1, threads=1)
    for key, state in runner.states().items():
        if key.startswith("c"):
            state[:] = np.nan
    assert np.isfinite(runner.step(FRAMES[:1], np.ones(1, bool), np.ones(1, bool)).errors).all()


def test_leido_keeps_its_gates_float_because_they_see_c() -> None:
    """C is never INT8, and a leido gate sees it; A and Ahat may be whole."""
    leido = Architecture(height=16, width=24, channels=1, rate_hz=10, stack=(1, 4, 6), r_stack=(2, 4, 6), cell="leido")
    step = step_onnx(leido, random_weights(leido))
    assert quantisable(step) == [
        f"{kind}.{layer}" for layer in range(3) for kind in ("ahat", "a") if (kind, layer) != ("a", 2)
    ]
    for name in VARIANTS:
        spec = spec_from_architecture(leido)
        form = form_of(name, step, spec, dict.fromkeys(RANGES, 1.0), roundable(name, step))
        runner = OnnxRunner(form.step, form.spec, 1)
        assert np.isfinite(runner.step(FRAMES[:1, :16, :24], np.ones(1, bool), np.ones(1, bool)).errors).all()


def test_taps_show_the_activations_of_the_oracle() -> None:
    """What calibration observes are R and E as the float64 network has them, within float32's rounding."""
    runner = OnnxRunner(with_taps(STEP, ARCHITECTURE), SPEC, 1, threads=1)
    oracle = NumpyPredNet(ARCHITECTURE, WEIGHTS)
    for number, frame in enumerate(FRAMES[:5]):
        runner.step(frame[None], np.ones(1, bool), np.array([number == 0]))
        oracle.step(frame)
    assert runner.extras.keys() == tap_shapes(ARCHITECTURE).keys()
    assert {range_name(tap) for tap in runner.extras} == RANGES.keys()
    for layer in range(3):
        np.testing.assert_allclose(runner.extras[f"r{layer}_new"][0], oracle.R[layer], atol=1e-5)
        np.testing.assert_allclose(runner.extras[f"e{layer}_new"][0], oracle.E[layer], atol=1e-5)
