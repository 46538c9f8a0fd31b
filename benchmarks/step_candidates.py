"""The ways of running the step that step.py measures, each as a function that makes one step.

Weights are random: time does not depend on them.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import onnxruntime
import torch

from edge.frames import FrameFormat
from edge.runner import StepSpec
from edge.runner_onnx import OnnxRunner
from export.architecture import Architecture
from export.learning.network import PredNet, load_weights
from export.step import spec_from_architecture, step_onnx
from export.variants.draft import closed, opened
from export.variants.forms import Form, form_of, roundable
from tests.tiny import random_weights

Go = Callable[[], object]
NETWORKS = {
    "edge": Architecture(
        height=128,
        width=160,
        channels=1,
        rate_hz=10,
        stack=(1, 16, 32, 64),
        r_stack=(4, 16, 32, 64),
        head="residual",
        error_gain=5.0,
    ),
    "kitti": Architecture(
        height=128, width=160, channels=3, rate_hz=10, stack=(3, 48, 96, 192), r_stack=(3, 48, 96, 192)
    ),
}
CAMERAS = (1, 4)
# What every other candidate is held against.
REFERENCE = "ONNX Runtime, float"


def makers(architecture: Architecture, threads: int) -> dict[str, Callable[[], Go]]:
    """Return what makes every candidate, by name, for one camera and for four; nothing is made before it is called."""
    weights, spec = random_weights(architecture, scale=0.03), spec_from_architecture(architecture)

    def step() -> bytes:
        return step_onnx(architecture, weights)

    def form(name: str) -> Form:
        ranges = {f"{kind}{layer}": 1.0 for layer in range(architecture.layers) for kind in ("r", "e", "a", "ahat")}
        return form_of(name, step(), spec, ranges, roundable(name, step()))

    kinds: dict[str, Callable[[int], Go]] = {
        REFERENCE: lambda n: onnx_go(step(), spec, n, threads),
        f"{REFERENCE}, branches below": lambda n: onnx_go(with_branches_below(step()), spec, n, threads),
        "ONNX Runtime, Q/DQ int8 as written": lambda n: onnx_go(*of(form("int8")), n, threads),
        "ONNX Runtime, Q/DQ int8 fused": lambda n: fused_go(*of(form("int8")), n, threads),
        "ONNX Runtime, Q/DQ uint8 data fused": lambda n: fused_go(*of(with_uint8_data(form("int8"))), n, threads),
        "the CPU variant": lambda n: onnx_go(*of(form("cpu")), n, threads),
        "OpenVINO, float": lambda n: openvino_go(step(), spec, n, threads, "f32"),
        "OpenVINO, bfloat16": lambda n: openvino_go(step(), spec, n, threads, "bf16"),
        "OpenVINO, Q/DQ int8": lambda n: openvino_go(*of(form("int8")), n, threads, "f32"),
        "PyTorch, eager": lambda n: torch_go(architecture, weights, n, compiled=False),
        "PyTorch, compiled": lambda n: torch_go(architecture, weights, n, compiled=True),
    }
    has_openvino = importlib.util.find_spec("openvino") is not None
    return {
        f"{name}, {cameras} cameras" if cameras > 1 else name: partial(kind, cameras)
        for cameras in CAMERAS
        for name, kind in kinds.items()
        if has_openvino or not name.startswith("OpenVINO")
    }


def of(form: Form) -> tuple[bytes, StepSpec]:
    """Return a variant's step and its contract."""
    return form.step, form.spec


def with_uint8_data(form: Form) -> Form:
    """Return a Q/DQ variant whose data is uint8 with its zero in the middle, as ONNX Runtime's kernels like it."""
    draft = opened(form.step)
    middle = draft.graph.constant("uint8_middle", np.array(128, np.uint8))
    for node in draft.graph.nodes:
        if node.output[0].endswith((".data_int8", ".data_dequantised")):
            node.input[2] = middle
    return replace(form, step=closed(draft))


def with_branches_below(step: bytes) -> bytes:
    """Return a float step whose gates convolve the layer above at its own resolution, and double what comes of it.

    A convolution of 3 × 3 over a doubled picture is, for each of the four places that one became, a convolution of at
    most 2 × 2 over the picture itself: less than half of the multiplications, if zeros cost nothing.
    """
    draft = opened(step)
    for name, node in draft.convolutions():
        concat = draft.maker(node.input[0])
        above = draft.maker(concat.input[-1]) if concat is not None and name.startswith("gates.") else None
        if concat is None or above is None or above.op_type != "Resize":
            continue
        weight, bias = (np.asarray(draft.array(one), np.float32) for one in node.input[1:])
        own = weight.shape[1] - draft.state_channels()[f"r{int(name[-1]) + 1}"]
        joined = draft.graph.add("Concat", list(concat.input)[:-1], f"{name}.own", axis=1)
        parts = [draft.graph.convolution(joined, f"{name}.own", weight[:, :own], bias)]
        kernel = four_places(weight[:, own:])
        below = draft.graph.convolution(above.input[0], f"{name}.below", kernel, np.zeros(len(kernel), np.float32))
        parts.append(draft.graph.add("DepthToSpace", [below], blocksize=2, mode="CRD"))
        draft.remove_maker(node.output[0])
        draft.graph.add("Add", parts, node.output[0])
    return closed(draft)


def four_places(weight: np.ndarray) -> np.ndarray:
    """Return the kernels below [4 · out, in, 3, 3] of a kernel [out, in, 3, 3] over a doubled picture."""
    kernel = np.zeros((len(weight), 2, 2, *weight.shape[1:]), np.float32)
    for row, column, y, x in np.ndindex(2, 2, 3, 3):  # the place in the doubled picture, and the kernel's
        kernel[:, row, column, :, (row + y + 1) // 2, (column + x + 1) // 2] += weight[:, :, y, x]
    return kernel.reshape(4 * len(weight), *weight.shape[1:])


def images(form: FrameFormat, cameras: int) -> np.ndarray:
    """Return frames of noise."""
    shape = (cameras, form.height, form.width, form.channels)
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def onnx_go(step: bytes, spec: StepSpec, cameras: int, threads: int) -> Go:
    """Return the step by our own runner: states bound from output to input."""
    runner, frames = OnnxRunner(step, spec, cameras, threads), images(spec.form, cameras)
    flags = np.ones(cameras, bool), np.zeros(cameras, bool)
    return lambda: runner.step(frames, *flags)


def fused_go(step: bytes, spec: StepSpec, cameras: int, threads: int) -> Go:
    """Return a Q/DQ step as ONNX Runtime would fuse it, which our runner forbids."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(step, options, providers=["CPUExecutionProvider"])
    feed = {state.name: np.full((cameras, *state.shape), state.zero, state.dtype) for state in spec.states}
    feed |= {"frames": images(spec.form, cameras), "advance": np.ones(cameras, bool), "reset": np.zeros(cameras, bool)}
    return lambda: session.run(None, feed)


def openvino_go(step: bytes, spec: StepSpec, cameras: int, threads: int, precision: str) -> Go:
    """Return the step by OpenVINO, states in two sets of buffers that trade places as in our own runner."""
    import openvino  # noqa: PLC0415 - the benchmark runs without it

    core = openvino.Core()
    model = core.read_model(step)
    model.reshape(
        {one.any_name: [cameras, *(d.get_length() for d in list(one.partial_shape)[1:])] for one in model.inputs}
    )
    options = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": precision}
    options |= {"INFERENCE_NUM_THREADS": threads} if threads else {}
    compiled = core.compile_model(model, "CPU", options)
    fixed = {"frames": images(spec.form, cameras), "advance": np.ones(cameras, bool), "reset": np.zeros(cameras, bool)}
    states = [{one.name: np.zeros((cameras, *one.shape), one.dtype) for one in spec.states} for _ in range(2)]
    requests = [compiled.create_infer_request() for _ in range(2)]
    for turn, request in enumerate(requests):
        for name, buffer in (fixed | states[turn]).items():
            request.set_tensor(name, openvino.Tensor(buffer, shared_memory=True))
        for name, buffer in states[1 - turn].items():
            request.set_tensor(f"{name}_next", openvino.Tensor(buffer, shared_memory=True))
    held, turns = (fixed, states, compiled), [0]

    def go() -> object:
        turns[0] = 1 - turns[0]
        requests[turns[0]].infer()
        return held  # the buffers live as long as what uses them

    return go


def torch_go(architecture: Architecture, weights: dict[str, np.ndarray], cameras: int, compiled: bool) -> Go:
    """Return the step by the network that trains; it pools no error maps, which is in its favour."""
    network = PredNet(architecture).eval()
    load_weights(network, weights)
    run = torch.compile(network) if compiled else network
    form = spec_from_architecture(architecture).form
    frames = torch.from_numpy(images(form, cameras)).permute(0, 3, 1, 2).float() / 255.0
    states = [network.start(cameras)]

    def go() -> object:
        with torch.inference_mode():
            _, states[0] = run(frames, states[0])
        return states

    return go
