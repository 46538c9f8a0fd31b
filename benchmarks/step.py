"""The step on this machine's CPU: every way of running it that was tried, side by side in one run.

    python benchmarks/step.py [--networks edge kitti] [--rounds 15] [--threads 0] [--gap 0]

Needs `openvino` (`prednet-edge[bench]`) for its rows; they are left out without it. Each candidate lives in a process
of its own, because the threads of some spin for a while after a step and would take the processor from the next. Each
round asks every candidate in turn for ten steps, so that a busy neighbour hits all alike (processor time is there for a
machine that is busy all the time); the first two are not counted. Printed are medians, minima and ratios to ONNX
Runtime on the float step, the time of 4 cameras in one batch over 4 single steps (by the clock, and of the processors),
and the share of the arithmetic limit: of what one convolution that is nothing but arithmetic reaches here, in float32
or, where a candidate's convolutions are whole numbers, as QLinearConv. Weights are random, and time does not depend on
them.

With `--gap 0.09` every step waits for its frame, as on a device at 10 frames a second; then a thread that slept has to
be woken, and the processor's clock may have sunk.
"""

from __future__ import annotations

import argparse
import importlib.util
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from machine import measured_on
from onnx import TensorProto, helper, numpy_helper
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).parents[1]))

from edge.frames import FrameFormat
from edge.runner import StepSpec
from edge.runner_onnx import OnnxRunner
from export.architecture import Architecture
from export.learning.network import PredNet, load_weights
from export.step import spec_from_architecture, step_onnx
from export.variants.draft import closed, opened
from export.variants.forms import form_of, roundable
from export.variants.settling import costs_of
from tests.tiny import random_weights

Go = Callable[[], object]
Times = list[tuple[float, float]]
# Of each candidate in a round, and before the first.
STEPS, WARM_STEPS = 10, 10
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
# Those whose convolutions are whole numbers; Q/DQ as it is written is computed in float.
WHOLE = (
    "the CPU variant", "ONNX Runtime, Q/DQ int8 fused", "ONNX Runtime, Q/DQ uint8 data fused", "OpenVINO, Q/DQ int8",
)  # fmt: skip


def main() -> int:
    """Measure and print a table for each network."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=0, help="0: one for each core, as each library does by itself")
    parser.add_argument("--gap", type=float, default=0.0, metavar="SECONDS", help="between two steps (default: none)")
    parser.add_argument("--only", nargs="+", default=[""], metavar="NAME",
                        help="candidates whose names begin so, beside ONNX Runtime's float")  # fmt: skip
    parsed = parser.parse_args()
    print(f"{measured_on()}; {parsed.threads or os.cpu_count()} threads")
    print(
        f"ONNX Runtime {onnxruntime.__version__}, PyTorch {torch.__version__}; {parsed.rounds} interleaved rounds"
        f" of {STEPS} steps{f', {parsed.gap:g} s between them' if parsed.gap else ''}; each in a process of its own"
    )
    float_limit, whole_limit = limits(parsed.threads)
    print(f"arithmetic limit here: {float_limit:.0f} GMAC/s in float32, {whole_limit:.0f} GMAC/s in uint8 × int8\n")
    for name in parsed.networks:
        names = [one for one in makers(NETWORKS[name], 1) if one.startswith((REFERENCE, *parsed.only))]
        times = measured(name, names, parsed.threads, parsed.rounds, parsed.gap)
        print(table(name, NETWORKS[name], times, float_limit, whole_limit), flush=True)
    return 0


def makers(architecture: Architecture, threads: int) -> dict[str, Callable[[], Go]]:
    """Return what makes every candidate, by name, for one camera and for four."""
    weights, spec = random_weights(architecture, scale=0.03), spec_from_architecture(architecture)
    step = step_onnx(architecture, weights)
    ranges = {f"{kind}{layer}": 1.0 for layer in range(architecture.layers) for kind in ("r", "e", "a", "ahat")}
    cpu = form_of("cpu", step, spec, ranges, roundable("cpu", step))
    whole = form_of("int8", step, spec, ranges, roundable("int8", step))
    inputs_alone = with_uint8_data(whole.step)
    found: dict[str, Callable[[], Go]] = {}
    for cameras in CAMERAS:
        mark = f", {cameras} cameras" if cameras > 1 else ""
        for name, go in (
            (REFERENCE, partial(onnx_go, step, spec, cameras, threads)),
            (f"{REFERENCE}, branches below", partial(onnx_go, with_branches_below(step), spec, cameras, threads)),
            ("ONNX Runtime, Q/DQ int8 as written", partial(onnx_go, whole.step, whole.spec, cameras, threads)),
            ("ONNX Runtime, Q/DQ int8 fused", partial(fused_go, whole.step, whole.spec, cameras, threads)),
            ("ONNX Runtime, Q/DQ uint8 data fused", partial(fused_go, inputs_alone, whole.spec, cameras, threads)),
            ("the CPU variant", partial(onnx_go, cpu.step, cpu.spec, cameras, threads)),
            ("OpenVINO, float", partial(openvino_go, step, spec, cameras, threads, "f32")),
            ("OpenVINO, bfloat16", partial(openvino_go, step, spec, cameras, threads, "bf16")),
            ("OpenVINO, Q/DQ int8", partial(openvino_go, whole.step, whole.spec, cameras, threads, "f32")),
            ("PyTorch, eager", partial(torch_go, architecture, weights, cameras, compiled=False)),
            ("PyTorch, compiled", partial(torch_go, architecture, weights, cameras, compiled=True)),
        ):
            found[name + mark] = go
    if not importlib.util.find_spec("openvino"):
        found = {name: go for name, go in found.items() if not name.startswith("OpenVINO")}
    return found


def with_uint8_data(step: bytes) -> bytes:
    """Return a Q/DQ step whose data is uint8 with its zero in the middle, as ONNX Runtime's kernels like it."""
    draft = opened(step)
    middle = draft.graph.constant("uint8_middle", np.array(128, np.uint8))
    for node in draft.graph.nodes:
        if node.output[0].endswith((".data_int8", ".data_dequantised")):
            node.input[2] = middle
    return closed(draft)


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


class Candidate:
    """A candidate in a process of its own, which does nothing while others are measured."""

    def __init__(self, network: str, name: str, threads: int) -> None:
        """Begin to make it."""
        spawning = multiprocessing.get_context("spawn")  # a fork would inherit the threads of libraries half
        self._ours, theirs = spawning.Pipe()
        self._process = spawning.Process(target=serve, args=(theirs, network, name, threads), daemon=True)
        self._process.start()

    def told(self, steps: int, gap_seconds: float) -> Times | str:
        """Return what so many steps took, or why there are none."""
        self._ours.send((steps, gap_seconds))
        try:
            answer: Times | str = self._ours.recv()
        except EOFError:
            answer = f"its process ended with {self._process.exitcode}"
        return answer

    def end(self) -> None:
        """End its process."""
        self._process.terminate()
        self._process.join()


def serve(pipe: Connection, network: str, name: str, threads: int) -> None:
    """Make a candidate, and answer each request with the times of its steps, or with why it cannot."""
    torch.set_num_threads(threads or os.cpu_count() or 1)
    go, failure = None, ""
    try:
        go = makers(NETWORKS[network], threads)[name]()
        for _ in range(WARM_STEPS):
            go()
    except Exception as error:  # noqa: BLE001 - whatever a library cannot do here is a result
        failure = f"{type(error).__name__}: {str(error).splitlines()[0][:100]}"
    while True:
        steps, gap_seconds = pipe.recv()
        pipe.send(failure if go is None or failure else timed(go, steps, gap_seconds))


def timed(go: Go, steps: int, gap_seconds: float) -> Times:
    """Return seconds by the clock and of all processors for each step after two that are not counted."""
    taken = []
    for _ in range(2 + steps):
        time.sleep(gap_seconds)
        began = time.perf_counter(), time.process_time()
        go()
        taken.append((time.perf_counter() - began[0], time.process_time() - began[1]))
    return taken[2:]


def measured(
    network: str, names: Sequence[str], threads: int, rounds: int, gap_seconds: float
) -> dict[str, np.ndarray]:
    """Return each candidate's times in seconds, [rounds × STEPS, 2]: by the clock, and of all processors together.

    A candidate that fails is told and left out.
    """
    made, times = {name: Candidate(network, name, threads) for name in names}, {name: [] for name in names}
    for name, candidate in list(made.items()):
        if isinstance(failure := candidate.told(0, 0.0), str):
            print(f"left out: {name} ({failure})")
            candidate.end()
            del made[name]
    for _ in tqdm(range(rounds), desc=network, unit="round", disable=None, leave=False):
        for name, candidate in made.items():
            times[name] += candidate.told(STEPS, gap_seconds)
    for candidate in made.values():
        candidate.end()
    return {name: np.array(times[name]) for name in made}


def table(
    name: str, architecture: Architecture, times: dict[str, np.ndarray], float_limit: float, whole_limit: float
) -> str:
    """Return the table of one network, in Markdown."""
    products = sum(one for one, _ in costs_of(architecture).values()) / 1e9
    clock = {candidate: np.median(one[:, 0]) for candidate, one in times.items()}
    work = {candidate: np.median(one[:, 1]) for candidate, one in times.items()}
    lines = [f"{name}: {products:.2f} GMAC a frame", "",
             "| candidate | median ms | least ms | processor ms | float ÷ it | by processor time | 4 cameras ÷ 4 × 1 "
             "(processor) | of the limit |",
             "|---|---|---|---|---|---|---|---|"]  # fmt: skip
    for candidate, one in times.items():
        single = candidate.removesuffix(", 4 cameras")
        cameras = 4 if candidate != single else 1
        reference = f"{REFERENCE}{', 4 cameras' if cameras > 1 else ''}"
        batches = [kind[candidate] / (cameras * kind[single]) for kind in (clock, work)]
        batch = "" if cameras == 1 else f"{batches[0]:.2f} ({batches[1]:.2f})"
        limit = whole_limit if single in WHOLE else float_limit
        share = cameras * products / one[:, 0].min() / limit
        median, least, used = 1e3 * clock[candidate], 1e3 * one[:, 0].min(), 1e3 * work[candidate]
        lines.append(
            f"| {candidate} | {median:.1f} | {least:.1f} | {used:.1f} | "
            f"{clock[reference] / clock[candidate]:.2f} | {work[reference] / work[candidate]:.2f} | {batch} | "
            f"{100 * share:.0f} % |"
        )
    return "\n".join(lines) + "\n"


def limits(threads: int) -> tuple[float, float]:
    """Return the GMAC/s that ONNX Runtime reaches on a convolution of float32 and of whole numbers."""
    channels, side = 256, 48
    products = channels * channels * 9 * side * side / 1e9
    plain, whole = (best(convolution(kind, channels, side, threads)) for kind in ("Conv", "QLinearConv"))
    return products / plain, products / whole


def best(go: Go) -> float:
    """Return the least time of 15 runs, in seconds."""
    times = []
    for _ in range(15):
        began = time.perf_counter()
        go()
        times.append(time.perf_counter() - began)
    return min(times)


def convolution(kind: str, channels: int, side: int, threads: int) -> Go:
    """Return one convolution of 3 × 3, Conv or QLinearConv, as ONNX Runtime runs it."""
    rng = np.random.default_rng(0)
    weight = rng.integers(-64, 65, (channels, channels, 3, 3))
    rows = np.full(channels, 0.001, np.float32)
    arrays = {"s": np.float32(0.01), "z": np.uint8(128), "w": weight.astype(np.int8), "ws": rows,
              "wz": np.zeros(channels, np.int8), "b": np.zeros(channels, np.int32)}  # fmt: skip
    inputs = ["x", "s", "z", "w", "ws", "wz", "s", "z", "b"]
    if kind == "Conv":
        arrays, inputs = {"w": weight.astype(np.float32), "b": rows}, ["x", "w", "b"]
    element = TensorProto.FLOAT if kind == "Conv" else TensorProto.UINT8
    node = helper.make_node(kind, inputs, ["y"], kernel_shape=[3, 3], pads=[1] * 4)
    values = [helper.make_tensor_value_info(name, element, [1, channels, side, side]) for name in "xy"]
    constants = [numpy_helper.from_array(np.asarray(array), name) for name, array in arrays.items()]
    graph = helper.make_graph([node], "limit", values[:1], values[1:], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    x = rng.integers(0, 256, (1, channels, side, side)).astype(np.float32 if kind == "Conv" else np.uint8)
    return lambda: session.run(None, {"x": x})


if __name__ == "__main__":
    sys.exit(main())
