"""Chooses the runner of a step: the chooser in front of the inference doors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edge.errors import DeviceUnavailable, UsageError
from edge.frames import FrameFormat
from edge.gpu_remedies import onnxruntime_gpu
from edge.runner import Runner, StepSpec

# What may be asked to compute the steps; `auto` is `edge.choice`'s.
RunnerName = Literal["auto", "tensorrt", "onnxruntime-tensorrt", "onnxruntime-cuda", "onnxruntime-cpu"]
SpeedBetween = Callable[[NDArray[np.uint8], NDArray[np.uint8]], NDArray[np.float32]]

# What predicts without a network, in the order of what it costs.
PREDICTORS = ("last-frame", "moving-block", "flow-coarse", "flow-light", "flow")


def open_runner(
    model: bytes, spec: StepSpec, slots: int, threads: int = 0, name: RunnerName = "onnxruntime-cpu"
) -> Runner:
    """Return a runner of ONNX Runtime with a state slot for each of `slots` cameras; `threads` 0: one per core.

    Raises PrednetError where the model does not fit the spec, DeviceUnavailable where its provider is not to be had.
    """
    from edge.runner_onnx import OnnxRunner, offers  # noqa: PLC0415 - only a chooser opens a door

    if not offers(name):
        raise DeviceUnavailable(f"{name}: the installed ONNX Runtime has no such provider; {onnxruntime_gpu()}.")
    return OnnxRunner(model, spec, slots, threads, name)


def open_predictor(name: str, form: FrameFormat, slots: int) -> Runner:
    """Return the runner of a predictor that needs no network (see PREDICTORS); UsageError for another name."""
    if name not in PREDICTORS:
        raise UsageError(f"the predictor '{name}' is not known; there are {', '.join(PREDICTORS)}.")
    from edge.runner_last_frame import last_frame_runner, moving_block_runner  # noqa: PLC0415

    if name == "last-frame":
        return last_frame_runner(form, slots)
    if name == "moving-block":
        return moving_block_runner(form, slots)
    from edge.flow import COARSE, FINE, LIGHT  # noqa: PLC0415 - only a chooser opens a door
    from edge.runner_flow import FlowRunner  # noqa: PLC0415

    efforts = {"flow-coarse": COARSE, "flow-light": LIGHT, "flow": FINE}
    return FlowRunner(form, slots, efforts[name], name)


def open_speed() -> SpeedBetween:
    """Return what finds the speed of the flow from one image to the next, for one thread.

    Its result is float32 [H, W] in pixels a frame; images are uint8 [H, W, C].
    """
    from edge.flow import LIGHT, DenseFlow, speed_from_flow  # noqa: PLC0415 - only a chooser opens a door

    flow = DenseFlow(LIGHT)
    return lambda last, image: speed_from_flow(flow.between(image, last))
