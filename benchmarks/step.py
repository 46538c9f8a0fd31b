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
import contextlib
import multiprocessing
import os
import sys
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection

import numpy as np
import onnxruntime
import torch
from machine import measured_on
from onnx import TensorProto, helper, numpy_helper
from step_candidates import NETWORKS, REFERENCE, Go, makers
from tqdm import tqdm

from export.architecture import Architecture
from export.variants.settling import costs_of

Times = list[tuple[float, float]]
# Of each candidate in a round, and before the first.
STEPS, WARM_STEPS = 10, 10
END_SECONDS = 10.0
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
        try:
            self._ours.send((steps, gap_seconds))
            answer: Times | str = self._ours.recv()
        except (EOFError, BrokenPipeError, ConnectionResetError):
            self._process.join()
            answer = f"its process ended with {self._process.exitcode}"
        return answer

    def end(self) -> None:
        """End its process; one that does not answer is killed."""
        with contextlib.suppress(BrokenPipeError):
            self._ours.send(None)
        self._process.join(END_SECONDS)
        self._process.kill()
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
    while (asked := pipe.recv()) is not None:
        steps, gap_seconds = asked
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
    made = {name: Candidate(network, name, threads) for name in names}
    times: dict[str, Times] = {name: [] for name in names}
    for steps in tqdm([0] + [STEPS] * rounds, desc=network, unit="round", disable=None, leave=False):
        for name, candidate in list(made.items()):
            told = candidate.told(steps, gap_seconds)
            if isinstance(told, str):
                print(f"left out: {name} ({told})")
                made.pop(name).end()
            else:
                times[name] += told
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
