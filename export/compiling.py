"""The compiler check: NVIDIA's own compiler takes each step and says which convolutions are INT8. No GPU is needed.

It runs the device's own builder on TensorRT for RTX, whose ahead-of-time build needs a CPU alone. SM 8.6 stands in for
the Orin's 8.7. It proves that a step is importable, well typed and really INT8; not its speed, and not its numbers.
"""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from edge.engine.building import BuildOptions, EngineRefused, plan_from_onnx
from edge.engine.child import own_output
from edge.engine.library import open_library
from edge.errors import DeviceUnavailable, PrednetError
from edge.runner import MOST_CAMERAS

LIBRARY: Final = "tensorrt_rtx"
REMEDY = "pip install tensorrt-rtx-cu13==1.7.1.116 (Linux on x86-64)"
_TIMEOUT_SECONDS = 600.0


class Compiled(msgspec.Struct, frozen=True):
    """What the compiler made of a step: its convolutions, those of them that are INT8, and the plan's size in bytes.

    `refusals` are the parser's own words where it took the step for wrong; nothing else is known then.
    """

    convolutions: tuple[str, ...] = ()
    int8: tuple[str, ...] = ()
    plan_bytes: int = 0
    refusals: tuple[str, ...] = ()


def can_compile() -> bool:
    """Say whether the compiler is installed."""
    return importlib.util.find_spec(LIBRARY) is not None


def compiled(step: bytes) -> Compiled:
    """Return what the compiler makes of a step, in a process of its own, whose crash costs nothing.

    Raises DeviceUnavailable where the compiler is not installed, PrednetError where it gives no answer.
    """
    if not can_compile():
        raise DeviceUnavailable(f"the compiler check needs {LIBRARY}: {REMEDY}.")
    command = [sys.executable, "-c", "from export.compiling import serve; serve()"]
    try:
        child = subprocess.run(command, input=step, capture_output=True, check=False, timeout=_TIMEOUT_SECONDS)  # noqa: S603
    except subprocess.TimeoutExpired as error:
        told = f"the compiler check took more than {_TIMEOUT_SECONDS:g} s; its result is unknown."
        raise PrednetError(told) from error
    if child.returncode:
        last = child.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["no word"]
        raise PrednetError(f"the compiler check ended with {child.returncode} ({last[0]}); its result is unknown.")
    return msgspec.json.decode(child.stdout, type=Compiled)


def serve() -> None:
    """Compile the step on stdin and write the answer to stdout: what the child process does."""
    with own_output() as output:  # the library talks on stdout
        output.write(msgspec.json.encode(_compiled_here(sys.stdin.buffer.read())))


def _compiled_here(step: bytes) -> Compiled:
    trt = open_library(LIBRARY)

    def for_orin(config: Any) -> None:
        config.num_compute_capabilities = 1
        config.set_compute_capability(trt.ComputeCapability.SM86, 0)

    try:
        built = plan_from_onnx(trt, step, BuildOptions(cameras=MOST_CAMERAS), configure=for_orin)
    except EngineRefused as refused:
        return Compiled(refusals=refused.words)
    convolutions, int8 = convolutions_of_plan(built.plan)
    return Compiled(convolutions, int8, len(built.plan))


# The plan's printable program: each convolution names its inputs, each tensor its type. It is not documented.
_TENSOR = re.compile(rb'tensor=\{[^\n]*?name="([^"]+)"[^\n]*?type=(\w+)')
_CONVOLUTION = re.compile(rb'corrltn=\{ name="([^"]+)"[^\n]*?input=\{([^}]*)\}[^\n]*?layers="([^"]*)"')
_LAYER = re.compile(rb"\[ONNX Layer: make_conv_([^\]\s]+)\]")


def convolutions_of_plan(plan: bytes) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return all convolutions of a plan by our names, and those whose data and weights are int8.

    Raises PrednetError where the plan cannot be read: then nothing is known, which is no pass.
    """
    kinds = dict(_TENSOR.findall(plan))
    names, int8 = [], []
    for own, inputs, layers in _CONVOLUTION.findall(plan):
        told = _LAYER.search(layers)
        values = re.findall(rb'"([^"]+)"', inputs)[:2]
        if told is None or len(values) < 2 or any(value not in kinds for value in values):
            raise PrednetError(f"the plan's convolution {own.decode()} cannot be read; the check's result is unknown.")
        names.append(told[1].decode())
        if all(kinds[value] == b"int8" for value in values):
            int8.append(names[-1])
    if not names:
        raise PrednetError("the plan names no convolution; the check's result is unknown.")
    return tuple(sorted(names)), tuple(sorted(int8))


def told_differences(compiled_step: Compiled, claimed: Sequence[str]) -> list[str]:
    """Return in words where the compiler disagrees with a claim of INT8 convolutions; empty where it agrees."""
    if compiled_step.refusals:
        return [f"the compiler refuses the step: {compiled_step.refusals[0]}"]
    found, said = set(compiled_step.int8), set(claimed)
    told = [f"{name} is said to be INT8 and is compiled in float" for name in sorted(said - found)]
    return told + [f"{name} is compiled in INT8 and not said to be" for name in sorted(found - said)]
