"""The step on ONNX Runtime: the embedded default that runs anywhere. The door of `onnxruntime`."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

# Wheels from 1.29 on send telemetry unless told otherwise before the import; a plant's network must not see it.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from edge.errors import DeviceUnavailable, PrednetError
from edge.gpu_remedies import onnxruntime_gpu
from edge.runner import Step, StepSpec, check_inputs

_CPU = "CPUExecutionProvider"
_FLAGS = ("advance", "reset")
_PROVIDERS = {
    "onnxruntime-cpu": _CPU,
    "onnxruntime-cuda": "CUDAExecutionProvider",
    "onnxruntime-tensorrt": "TensorrtExecutionProvider",
}
# Where each keeps its states.
DEVICES = {"onnxruntime-cpu": "cpu", "onnxruntime-cuda": "cuda", "onnxruntime-tensorrt": "cuda"}
_Buffer = NDArray[Any]


def offers(name: str) -> bool:
    """Say whether the installed ONNX Runtime was built with the provider of a runner; it may not work all the same."""
    return _PROVIDERS[name] in onnxruntime.get_available_providers()


class OnnxRunner:
    """States stay in two sets of buffers that trade places: what one step writes, the next one reads.

    On a GPU's provider they stay in the GPU's memory; frames, flags and errors are the host's. A model without the
    flags, laid out for the CPU, advances every slot: states that start anew or have no new frame are set here.

    `extras` holds what the model gives beyond the contract, by name: float32 [N, …], valid until the next step.
    """

    def __init__(
        self, model: bytes, spec: StepSpec, slots: int, threads: int = 0, name: str = "onnxruntime-cpu"
    ) -> None:
        """Load a model for `slots` cameras; `threads` 0 means one per core; `name` is that of a provider's runner.

        Raises PrednetError where the model does not fit, or where ONNX Runtime gives another provider.
        """
        self.spec, self.slots, self.name = spec, slots, name
        self._session = _session(model, threads, _PROVIDERS[name], slots)
        self._device = DEVICES[name]
        given = _check_model(self._session, spec)
        self._has_flags = given.issuperset(_FLAGS)
        if not self._has_flags and self._device != "cpu":
            raise PrednetError(f"the step is laid out for the CPU, and {name} was asked for; choose another variant.")
        self._inputs = {name: one for name, one in _input_buffers(spec, slots).items() if name in given}
        self._outputs = self._output_buffers()
        self.extras = self._extra_buffers()
        self._states = [_state_buffers(spec, slots), _state_buffers(spec, slots)]
        self._held = [self._on_device(states) for states in self._states]
        self._bindings = [self._bound(0, 1), self._bound(1, 0)]
        self._turn = 0

    def step(self, frames: NDArray[np.uint8], advance: NDArray[np.bool_], reset: NDArray[np.bool_]) -> Step:
        """Advance the slots with a new frame; see `edge.runner.Runner`."""
        check_inputs(self.spec, self.slots, frames, advance, reset)
        for name, values in (("frames", frames), ("advance", advance), ("reset", reset)):
            if name in self._inputs:
                np.copyto(self._inputs[name], values)
        if not self._has_flags:
            self._begin_anew(reset)
        try:
            self._session.run_with_iobinding(self._bindings[self._turn])
        except Exception as error:
            raise PrednetError(f"ONNX Runtime {onnxruntime.__version__} cannot compute the step: {error}") from error
        if not self._has_flags:
            self._pass_through(~advance)
        self._turn = 1 - self._turn
        return Step(self._outputs["errors"], self._outputs["peaks"], self._outputs["prediction"])

    def states(self) -> dict[str, NDArray[np.generic]]:
        """Return the states that the next step will read, by name: on the CPU as views that the runner owns."""
        if self._device == "cpu":
            return dict(self._states[self._turn])
        return {name: value.numpy() for name, value in self._held[self._turn].items()}

    def close(self) -> None:
        """Free the session and the buffers."""
        self._bindings, self._held = [], []
        del self._session

    def _begin_anew(self, slots: NDArray[np.bool_]) -> None:
        """Give slots, bool [N], the states of a start: whatever they held, not even a NaN is left."""
        if slots.any():
            for state in self.spec.states:
                self._states[self._turn][state.name][slots] = state.zero

    def _pass_through(self, slots: NDArray[np.bool_]) -> None:
        """Give slots, bool [N], the states after the step that they had before it."""
        if slots.any():
            for name, before in self._states[self._turn].items():
                self._states[1 - self._turn][name][slots] = before[slots]

    def _output_buffers(self) -> dict[str, NDArray[Any]]:
        form, maps = self.spec.form, (self.slots, self.spec.layers, *self.spec.grid)
        kinds = {output.name: output.type for output in self._session.get_outputs()}
        pixel = np.uint8 if kinds["prediction"] == "tensor(uint8)" else np.float32
        return {
            "errors": np.zeros(maps, np.float32),
            "peaks": np.zeros(maps, np.float32),
            "prediction": np.zeros((self.slots, form.height, form.width, form.channels), pixel),
        }

    def _extra_buffers(self) -> dict[str, NDArray[np.float32]]:
        known = self._outputs.keys() | {f"{state.name}_next" for state in self.spec.states}
        return {
            output.name: np.zeros((self.slots, *output.shape[1:]), np.float32)
            for output in self._session.get_outputs()
            if output.name not in known
        }

    def _on_device(self, states: dict[str, _Buffer]) -> dict[str, Any]:
        """The states as ONNX Runtime holds them: on the CPU over the very arrays, on a GPU in its memory."""
        make = onnxruntime.OrtValue.ortvalue_from_numpy
        return {name: make(buffer, self._device, 0) for name, buffer in states.items()}

    def _bound(self, read: int, written: int) -> Any:
        binding = self._session.io_binding()
        for name, buffer in self._inputs.items():
            binding.bind_input(name, "cpu", 0, buffer.dtype, buffer.shape, buffer.ctypes.data)
        for name, value in self._held[read].items():
            binding.bind_ortvalue_input(name, value)
        for name, buffer in (self._outputs | self.extras).items():
            binding.bind_output(name, "cpu", 0, buffer.dtype, buffer.shape, buffer.ctypes.data)
        for name, value in self._held[written].items():
            binding.bind_ortvalue_output(f"{name}_next", value)
        return binding


def _session(model: bytes, threads: int, provider: str, slots: int) -> Any:
    options = onnxruntime.SessionOptions()
    options.add_free_dimension_override_by_name("N", slots)  # with every size known, more is fused
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Threads that wait must sleep: spinning would cost a core of a device that waits most of the time, and where the
    # other cores have work, a step with spinning threads takes twice as long (docs/decisions/0012-int8.md).
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # One block for all of a step's results, planned ahead, is no faster and takes half as much memory again.
    options.enable_mem_pattern = False
    # Q/DQ graphs are computed as they are written: fused, they would give other numbers on every kind of processor.
    if provider == _CPU:
        options.add_session_config_entry("session.disable_quant_qdq", "1")
    try:
        session = onnxruntime.InferenceSession(model, options, providers=list(dict.fromkeys([provider, _CPU])))
    except Exception as error:
        raise PrednetError(f"ONNX Runtime {onnxruntime.__version__} refuses the step: {error}") from error
    found = session.get_providers()
    if found[0] != provider:  # it falls back to the CPU in silence
        raise DeviceUnavailable(
            f"ONNX Runtime {onnxruntime.__version__} gave {found[0]} where {provider} was asked for: its release "
            f"is not this CUDA's; {onnxruntime_gpu()}, of this CUDA; or set runner: onnxruntime-cpu."
        )
    return session


def _check_model(session: Any, spec: StepSpec) -> set[str]:
    """Hold names, shapes and types of the model to the manifest before a frame is seen; return its inputs' names."""
    form, states = spec.form, [(one.name, _KINDS[one.dtype], list(one.shape)) for one in spec.states]
    picture, maps = [form.height, form.width, form.channels], list(spec.maps)
    inputs = {"frames": ("tensor(uint8)", picture), "advance": ("tensor(bool)", []), "reset": ("tensor(bool)", [])}
    inputs |= {name: (kind, shape) for name, kind, shape in states}
    found = _told_tensors(session.get_inputs())
    given = set(found)
    if given.isdisjoint(_FLAGS):
        inputs = {name: one for name, one in inputs.items() if name not in _FLAGS}
    _check_tensors("input", inputs, found, inputs.keys() | found.keys())
    found = _told_tensors(session.get_outputs())
    pixel = "tensor(float)" if found.get("prediction", ("",))[0] == "tensor(float)" else "tensor(uint8)"
    outputs = {"errors": ("tensor(float)", maps), "peaks": ("tensor(float)", maps), "prediction": (pixel, picture)}
    outputs |= {f"{name}_next": (kind, shape) for name, kind, shape in states}
    _check_tensors("output", outputs, found, outputs.keys())
    for name in found.keys() - outputs.keys():
        kind, shape = found[name]
        if kind != "tensor(float)" or not all(isinstance(size, int) and size > 0 for size in shape):
            raise PrednetError(f"the step's output {name} is {kind} {shape}, of no known size. Export the bundle anew.")
    return given


_KINDS = {"float32": "tensor(float)", "uint8": "tensor(uint8)", "int8": "tensor(int8)"}
_Tensors = dict[str, tuple[str, list[Any]]]


def _told_tensors(tensors: Any) -> _Tensors:
    return {tensor.name: (tensor.type, list(tensor.shape[1:])) for tensor in tensors}


def _check_tensors(what: str, expected: _Tensors, found: _Tensors, names: Iterable[str]) -> None:
    for name in sorted(names):
        if expected.get(name) != found.get(name):
            raise PrednetError(
                f"the step's {what} {name} is {found.get(name, 'missing')}; "
                f"its manifest says {expected.get(name, 'nothing of it')}. Export the bundle anew."
            )


def _input_buffers(spec: StepSpec, slots: int) -> dict[str, NDArray[Any]]:
    form = spec.form
    return {
        "frames": np.zeros((slots, form.height, form.width, form.channels), np.uint8),
        "advance": np.zeros(slots, np.bool_),
        "reset": np.zeros(slots, np.bool_),
    }


def _state_buffers(spec: StepSpec, slots: int) -> dict[str, NDArray[Any]]:
    return {state.name: np.full((slots, *state.shape), state.zero, state.dtype) for state in spec.states}
