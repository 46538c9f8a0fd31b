"""What the TensorRT runner does beyond the runners' common suite (tests/test_step.py): copies, graphs, refusals."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from edge.engine.building import BuildOptions, plan_from_onnx
from edge.engine.library import open_library
from edge.engine.memory import DeviceMemory, open_memory
from edge.engine.runner_tensorrt import Tensor, TensorRtRunner, check_tensors
from edge.errors import PrednetError
from edge.runner import TensorSpec
from edge.runner_onnx import OnnxRunner
from tests import simulated
from tests.step_runners import open_simulated
from tests.variant_steps import FRAMES, SPEC, made

ONE = np.ones(1, np.bool_)


class Counting:
    """A device's memory that counts what is copied; everything else is the real one's."""

    def __init__(self, memory: DeviceMemory) -> None:
        self._memory = memory
        self.copied: list[tuple[str, int]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._memory, name)

    def copy_in(self, address: int, host: np.ndarray) -> None:
        """Count and copy."""
        self.copied.append(("in", host.nbytes))
        self._memory.copy_in(address, host)

    def copy_out(self, host: np.ndarray, address: int) -> None:
        """Count and copy."""
        self.copied.append(("out", host.nbytes))
        self._memory.copy_out(host, address)


def counted(monkeypatch: pytest.MonkeyPatch, *, is_integrated: bool) -> tuple[TensorRtRunner, Counting]:
    """The float step for one camera over memory that counts; without graphs, which would copy uncounted."""
    simulated.install(monkeypatch).simulated_set(int(is_integrated), 1)
    trt, memory = open_library(), Counting(open_memory())
    plan = plan_from_onnx(trt, made("float").step, BuildOptions()).plan
    runner = TensorRtRunner(plan, SPEC, 1, trt, memory)  # type: ignore[arg-type]
    memory.copied.clear()
    return runner, memory


def test_on_a_jetson_a_step_copies_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames are read and errors written where host and device share memory; the prediction comes when asked for."""
    runner, memory = counted(monkeypatch, is_integrated=True)
    step = runner.step(FRAMES[:1], ONE, ONE)
    assert step.errors.any()
    assert memory.copied == []
    assert step.prediction.shape == (1, 32, 40, 1)
    assert memory.copied == [("out", 32 * 40)]


def test_a_gpu_with_memory_of_its_own_copies_frames_in_and_errors_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """States stay there: a step copies the frame, two flags and two error maps."""
    runner, memory = counted(monkeypatch, is_integrated=False)
    runner.step(FRAMES[:1], ONE, ONE)
    maps = int(np.prod(SPEC.maps)) * 4
    assert memory.copied == [("in", 32 * 40), ("in", 1), ("in", 1), ("out", maps), ("out", maps)]


@pytest.mark.parametrize("name", ["int8", "int8.fp16", "fp16"])
def test_every_variant_gives_what_onnx_runtime_gives(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """States of int8 and uint8 ping-pong too: the same numbers over twelve steps, predictions included."""
    simulated.install(monkeypatch)
    form = made(name)
    runner, plain = open_simulated(form.step, form.spec, 1), OnnxRunner(form.step, form.spec, 1, threads=1)
    for number, frame in enumerate(FRAMES):
        one, other = (each.step(frame[None], ONE, np.array([number == 0])) for each in (runner, plain))
        np.testing.assert_array_equal(one.errors, other.errors)
        np.testing.assert_array_equal(one.peaks, other.peaks)
        np.testing.assert_array_equal(one.prediction, other.prediction)


def test_each_step_is_one_launch_of_a_graph_where_there_are_graphs(monkeypatch: pytest.MonkeyPatch) -> None:
    """cuda-python: a launch a step; where capturing is refused the name says nothing of graphs, and it works."""
    driver = simulated.install(monkeypatch)
    runner = open_simulated(made("float").step, SPEC, 1)
    assert runner.name == "tensorrt 10.3.0 (cuda-python, CUDA graphs)"
    for count in (1, 2, 3):
        runner.step(FRAMES[:1], ONE, ONE)
        assert driver.simulated_graph_launches() == count
    driver.simulated_set(1, 1)
    assert open_simulated(made("float").step, SPEC, 1).name == "tensorrt 10.3.0 (cuda-python)"


@pytest.mark.parametrize("memory", ["pycuda", "cuda-python"])
def test_a_closed_runner_gives_everything_back(memory: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one that was refused while it was opened."""
    driver = simulated.install(monkeypatch, memory)
    before = driver.simulated_allocations()
    runner = open_simulated(made("float").step, SPEC, 2)
    assert driver.simulated_allocations() > before
    runner.close()
    assert driver.simulated_allocations() == before
    with pytest.raises(PrednetError, match="does not load the engine"):
        TensorRtRunner(b"nothing", SPEC, 1, open_library(), open_memory())
    assert driver.simulated_allocations() == before


def test_an_engine_for_fewer_cameras_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its profile ends at two."""
    simulated.install(monkeypatch)
    trt = open_library()
    plan = plan_from_onnx(trt, made("float").step, BuildOptions(cameras=2)).plan
    with pytest.raises(PrednetError, match="the engine does not take 3 cameras; build it"):
        TensorRtRunner(plan, SPEC, 3, trt, open_memory())


def test_another_versions_engine_is_refused_in_tensorrts_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """An upgrade that slipped past the key is a sentence, not a crash."""
    simulated.install(monkeypatch, version="10.3.0")
    plan = plan_from_onnx(open_library(), made("float").step, BuildOptions()).plan
    simulated.install(monkeypatch, version="10.13.3.9")
    with pytest.raises(PrednetError, match=r"TensorRT 10\.13\.3\.9 does not load the engine \(Serialization"):
        TensorRtRunner(plan, SPEC, 1, open_library(), open_memory())


def tensors() -> dict[str, Tensor]:
    """What an engine of SPEC has."""
    image = (SPEC.form.height, SPEC.form.width, SPEC.form.channels)
    found = {"frames": Tensor("uint8", image, True), "prediction": Tensor("uint8", image, False)}
    found |= {name: Tensor("bool", (), True) for name in ("advance", "reset")}
    found |= {name: Tensor("float32", SPEC.maps, False) for name in ("errors", "peaks")}
    for state in SPEC.states:
        found[state.name] = Tensor(state.dtype, state.shape, True)
        found[f"{state.name}_next"] = Tensor(state.dtype, state.shape, False)
    return found


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"errors": None}, r"the engine's errors is missing; the bundle's manifest says output float32 \[3, 4, 5\]"),
        ({"c0": Tensor("int8", (2, 32, 40), True)}, r"the engine's c0 is input int8 \[2, 32, 40\]; the bundle's manifest says input float32"),
        ({"r1_next": Tensor("float32", (9, 16, 20), False)}, r"the engine's r1_next is output float32 \[9, 16, 20\]"),
        ({"frames": Tensor("uint8", (32, 40, 1), False)}, "the engine's frames is output uint8"),
        ({"more": Tensor("float32", (1,), True)}, "the engine wants more, which the bundle's manifest does not know"),
    ],
)  # fmt: skip
def test_names_shapes_and_types_are_held_to_the_manifest(change: dict[str, Tensor | None], told: str) -> None:
    """Each difference is its own sentence; an output beyond the contract is allowed."""
    check_tensors(tensors() | {"features": Tensor("float32", (7,), False)}, SPEC)
    changed = {name: tensor for name, tensor in (tensors() | change).items() if tensor is not None}
    with pytest.raises(PrednetError, match=told):
        check_tensors(changed, SPEC)


def test_a_state_begins_with_the_number_that_stands_for_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole states whose zero is not 0 start there, as on ONNX Runtime."""
    simulated.install(monkeypatch)
    states = tuple(replace(one, zero=0) if one.dtype == "float32" else one for one in made("int8").spec.states)
    spec = replace(made("int8").spec, states=(replace(states[0], zero=7), *states[1:]))
    assert isinstance(states[0], TensorSpec)
    assert states[0].dtype == "int8"
    runner = open_simulated(made("int8").step, spec, 1)
    assert (runner.states()[states[0].name] == 7).all()
