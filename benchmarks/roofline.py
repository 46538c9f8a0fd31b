"""A plan, not a measurement: how fast a bundle's step could be at best on each Jetson, by its arithmetic and memory.

    python benchmarks/roofline.py [BUNDLE] [--variant int8] [--cameras 1] [--layers] [--json]
    python benchmarks/roofline.py --network kitti

A network of `step_candidates.py` stands for a bundle with every convolution INT8: counts do not depend on weights.

Counts the operations and the bytes of every convolution of the step as the ONNX graph has them: its input and its
output cross the memory once. So do frames, C, maps and the states that are written (those of R and E that are read are
the convolutions' inputs). Everything else is taken to be fused into these, and launches to cost nothing: a device that
fuses no more than that can only be slower. Tensor cores compute float16 at half and TF32 at a quarter of INT8's rate,
as on every Ampere; a step of float32 alone does without them, at a sixteenth. `prednet-edge bench` prints the measured
line in the same format, on the device.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import numpy as np
import onnx
from machine import commit

from edge.bench import Speed, cameras_that_fit, told_speeds
from edge.bundle import read_bundle
from edge.chosen import MOST_SHARE
from edge.shipped import BUNDLE
from export.step import spec_from_architecture, step_onnx
from export.variants.forms import FOR_TENSORRT, form_of, roundable
from tests.tiny import random_weights

MOST_CAMERAS = 4096


@dataclass(frozen=True)
class Board:
    """A Jetson module: dense INT8 operations a second of its GPU, and bytes a second of its memory."""

    name: str
    int8_per_second: float
    bytes_per_second: float


BOARDS = (
    Board("Orin Nano 8 GB Super", 33.4e12, 102e9),
    Board("Orin NX 16 GB", 30.1e12, 102e9),
    Board("AGX Orin 64 GB", 85e12, 205e9),
    Board("Thor T5000 (unconfirmed)", 500e12, 273e9),
)
# Operations a second over those of INT8, by the bytes of an element; TF32 is not taken where all is float32.
SHARE_OF_INT8 = {1: 1.0, 2: 0.5, 4: 0.25}
SHARE_OF_FLOAT = 1 / 16
_ELEMENT_BYTES = {
    onnx.TensorProto.FLOAT: 4, onnx.TensorProto.FLOAT16: 2, onnx.TensorProto.INT8: 1, onnx.TensorProto.UINT8: 1,
    onnx.TensorProto.BOOL: 1,
}  # fmt: skip


@dataclass(frozen=True)
class Load:
    """What one layer asks for: operations and bytes a camera, bytes of weights a step, bytes of an element.

    `share` is how many operations a second it is computed with, over those of INT8.
    """

    name: str
    operations: int
    camera_bytes: int
    weight_bytes: int
    element_bytes: int
    share: float

    def seconds(self, board: Board, cameras: int) -> float:
        """The least time on a board: its arithmetic or its memory, whichever takes longer."""
        arithmetic = cameras * self.operations / (board.int8_per_second * self.share)
        return max(arithmetic, (cameras * self.camera_bytes + self.weight_bytes) / board.bytes_per_second)


def loads_of(step: bytes) -> list[Load]:
    """Return the loads of a step: one of each convolution, and one of what goes in and out, states above all.

    Two operations are a multiplication and its addition. `cpu`, which no Jetson computes on its GPU, is none of them.
    """
    model = onnx.shape_inference.infer_shapes(onnx.load_from_string(step))
    graph = model.graph
    infos = {one.name: one.type.tensor_type for one in (*graph.value_info, *graph.input, *graph.output)}
    made = {name: node for node in graph.node for name in node.output}
    weights = {one.name: one for one in graph.initializer}
    loads = [_convolution(node, infos, made, weights) for node in graph.node if node.op_type == "Conv"]
    read = [
        one for one in graph.input if not one.name.startswith(("r", "e")) or one.name == "reset"
    ]  # R and E: the convolutions count them
    outside = sum(_bytes(infos[one.name]) for one in (*read, *graph.output))
    if all(load.element_bytes == _ELEMENT_BYTES[onnx.TensorProto.FLOAT] for load in loads):
        loads = [replace(load, share=SHARE_OF_FLOAT) for load in loads]
    return [*loads, Load("frames, states, maps", 0, outside, 0, 4, 1.0)]


def _convolution(node, infos, made, weights) -> Load:  # type: ignore[no-untyped-def]
    data, weight = node.input[:2]
    stored = _before_dequantising(data, made)
    kernel = weights[_before_dequantising(weight, made)]
    out_channels, in_channels, rows, columns = kernel.dims
    height, width = (one.dim_value for one in infos[node.output[0]].shape.dim[2:])
    element = _ELEMENT_BYTES[kernel.data_type]
    return Load(
        node.output[0].removeprefix("conv_"),
        2 * out_channels * in_channels * rows * columns * height * width,
        _bytes(infos[stored]) + _bytes(infos[node.output[0]]),
        int(np.prod(kernel.dims)) * element,
        element,
        SHARE_OF_INT8[element],
    )


def _before_dequantising(name: str, made: dict[str, onnx.NodeProto]) -> str:
    """The value as it lies in memory: the whole numbers before a DequantizeLinear."""
    while name in made and made[name].op_type in ("DequantizeLinear", "Cast"):
        name = made[name].input[0]
    return name


def _bytes(tensor: onnx.TypeProto.Tensor) -> int:
    sizes = [one.dim_value or 1 for one in tensor.shape.dim]  # the batch axis is a camera
    return int(np.prod(sizes)) * _ELEMENT_BYTES[tensor.elem_type]


def planned(loads: list[Load], variant: str, rate_hz: float, cameras: int) -> Iterator[Speed]:
    """Yield each board's plan."""
    for board in BOARDS:
        milliseconds = step_milliseconds(loads, board, cameras)
        fit = most_cameras(loads, board, rate_hz)
        yield Speed("plan", board.name, "roofline", variant, cameras, round(milliseconds, 4), rate_hz, fit)


def step_milliseconds(loads: list[Load], board: Board, cameras: int) -> float:
    """The floor of a step: its layers one after the other."""
    return 1000.0 * sum(load.seconds(board, cameras) for load in loads)


def most_cameras(loads: list[Load], board: Board, rate_hz: float) -> int:
    """How many cameras fit, in batches as large as they like."""
    counts = range(1, MOST_CAMERAS + 1)
    fitting = [n for n in counts if step_milliseconds(loads, board, n) <= MOST_SHARE * 1000.0 / rate_hz]
    return max(fitting, default=cameras_that_fit(1, step_milliseconds(loads, board, 1), rate_hz))


def told_layers(loads: list[Load]) -> Iterator[str]:
    """Yield each layer's operations and bytes for one camera."""
    yield f"{'layer':<24}{'million operations':>20}{'kB a camera':>14}{'kB of weights':>15}{'bits':>6}"
    for one in loads:
        kilobytes, weights = one.camera_bytes / 1e3, one.weight_bytes / 1e3
        yield f"{one.name:<24}{one.operations / 1e6:>20.2f}{kilobytes:>14.1f}{weights:>15.1f}{8 * one.element_bytes:>6}"
    total = sum(one.operations for one in loads) / 1e6
    kilobytes = sum(one.camera_bytes for one in loads) / 1e3
    yield f"{'all':<24}{total:>20.2f}{kilobytes:>14.1f}{sum(one.weight_bytes for one in loads) / 1e3:>15.1f}"


def steps_of_bundle(path: Path) -> tuple[dict[str, bytes], float]:
    """Return the steps that TensorRT builds from, by variant, and the frame rate."""
    bundle = read_bundle(path)
    names = [name for name in FOR_TENSORRT if name in bundle.manifest.variants]
    return {name: bundle.step(name) for name in names}, bundle.spec.form.rate_hz


def steps_of_network(name: str) -> tuple[dict[str, bytes], float]:
    """Return the same of a network of `step_candidates.py`, with random weights."""
    from step_candidates import NETWORKS  # noqa: PLC0415 - PyTorch comes with it

    architecture = NETWORKS[name]
    step, spec = step_onnx(architecture, random_weights(architecture)), spec_from_architecture(architecture)
    ranges = {f"{kind}{layer}": 1.0 for layer in range(architecture.layers) for kind in ("r", "e", "a", "ahat")}
    made = {one: form_of(one, step, spec, ranges, roundable(one, step)).step for one in FOR_TENSORRT}
    return made, architecture.rate_hz


def main() -> int:
    """Print the plan of a bundle."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path, nargs="?", default=BUNDLE, help="(default: the demo's)")
    parser.add_argument("--network", choices=("edge", "kitti"), help="instead of a bundle, with random weights")
    parser.add_argument("--variant", nargs="+", help="(default: all that TensorRT builds from)")
    parser.add_argument("--cameras", type=int, default=1, help="in one step (default: 1)")
    parser.add_argument("--layers", action="store_true", help="each layer's operations and bytes")
    parser.add_argument("--json", action="store_true", help="print the plans as JSON")
    parsed = parser.parse_args()
    steps, rate_hz = steps_of_network(parsed.network) if parsed.network else steps_of_bundle(parsed.bundle)
    names = parsed.variant or list(steps)
    if set(names) - steps.keys():
        parser.error(f"there are the variants {', '.join(steps)}.")
    loads = {name: loads_of(steps[name]) for name in names}
    speeds = [one for name in names for one in planned(loads[name], name, rate_hz, parsed.cameras)]
    if parsed.json:
        print(msgspec.json.encode(speeds).decode())
        return 0
    print(f"A PLAN, not a measurement: the floor of {parsed.network or parsed.bundle.name}; commit {commit()}")
    for name in names if parsed.layers else ():
        print(f"\n{name}\n" + "\n".join(told_layers(loads[name])))
    print("\n".join(told_speeds(speeds)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
