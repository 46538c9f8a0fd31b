"""Chooses the runner of a step: the chooser in front of the inference doors."""

from __future__ import annotations

from edge.runner import Runner, StepSpec


def open_runner(model: bytes, spec: StepSpec, slots: int, threads: int = 0) -> Runner:
    """Return a runner with a state slot for each of `slots` cameras; `threads` 0 means one per core.

    Raises PrednetError where the model does not fit the spec.
    """
    from edge.runner_onnx import OnnxRunner  # noqa: PLC0415 - only a chooser opens a door

    return OnnxRunner(model, spec, slots, threads)
