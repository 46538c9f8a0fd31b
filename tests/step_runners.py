"""Every runner of a step under one name, for the suite that all of them must pass."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from edge.engine.building import BuildOptions, plan_from_onnx, profile_cameras
from edge.engine.library import open_library
from edge.engine.memory import open_memory
from edge.engine.runner_tensorrt import TensorRtRunner
from edge.runner import StepSpec
from edge.runner_onnx import OnnxRunner
from tests import simulated

StepRunner = OnnxRunner | TensorRtRunner
OpenStep = Callable[[bytes, StepSpec, int], StepRunner]
# ONNX Runtime, and our TensorRT runner over each memory; what TensorRT and CUDA do is simulated.
KINDS = {
    "onnxruntime-cpu": None,
    "tensorrt, cuda-python, graphs": ("cuda-python", 1, 0),
    "tensorrt, cuda-python, no graphs, memory of its own": ("cuda-python", 0, 1),
    "tensorrt, pycuda": ("pycuda", 1, 0),
    "tensorrt, pycuda, memory of its own": ("pycuda", 0, 0),
}  # fmt: skip


@pytest.fixture(params=KINDS)
def open_step(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> OpenStep:
    """Open a step's ONNX bytes for so many slots on one kind of runner."""
    setting = KINDS[request.param]
    if setting is None:
        return lambda model, spec, slots: OnnxRunner(model, spec, slots, threads=1)
    memory, is_integrated, refuses_graphs = setting
    simulated.install(monkeypatch, memory).simulated_set(is_integrated, refuses_graphs)
    return open_simulated


def open_simulated(model: bytes, spec: StepSpec, slots: int) -> TensorRtRunner:
    """Build an engine by our builder and open it by our runner, on whatever stands in for TensorRT."""
    trt = open_library()
    built = plan_from_onnx(trt, model, BuildOptions(cameras=profile_cameras(slots)))
    return TensorRtRunner(built.plan, spec, slots, trt, open_memory())


def overwrite(runner: StepRunner, slot: int, number: float) -> None:
    """Fill a slot's float states with a number."""
    states = {name: state for name, state in runner.states().items() if state.dtype == np.float32}
    for state in states.values():
        state[slot] = number
    if isinstance(runner, TensorRtRunner):
        runner.set_states(states)
