"""The step on TensorRT: states stay on the device, frames come from memory that it shares, only errors come out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.engine.building import logger_of
from edge.engine.library import given
from edge.engine.memory import DeviceMemory, Launch
from edge.errors import PrednetError
from edge.runner import Step, StepSpec, check_inputs

_INPUTS = ("frames", "advance", "reset")
_TOLD = ("errors", "peaks")
_PREDICTION = "prediction"
_DTYPES = {"FLOAT": "float32", "HALF": "float16", "INT8": "int8", "UINT8": "uint8", "BOOL": "bool"}


@dataclass(frozen=True)
class Tensor:
    """An engine's input or output: numpy dtype name, and shape without the batch axis."""

    dtype: str
    shape: tuple[int, ...]
    is_input: bool


@dataclass(frozen=True)
class _Shared:
    """A host array and where the device has it; `is_mapped` where both are the same bytes."""

    array: NDArray[Any]
    address: int
    is_mapped: bool


class ReadLater(Step):
    """A step whose prediction stays on the device until it is asked for."""

    def __init__(
        self, errors: NDArray[np.float32], peaks: NDArray[np.float32], read: Callable[[], NDArray[Any]]
    ) -> None:
        object.__setattr__(self, "errors", errors)
        object.__setattr__(self, "peaks", peaks)
        object.__setattr__(self, "_read", read)

    @property
    def prediction(self) -> NDArray[np.uint8]:
        """Copy the prediction out, uint8 [N, H, W, C]; valid until the runner's next step."""
        read: Callable[[], NDArray[np.uint8]] = self._read  # type: ignore[attr-defined]
        return read()


class TensorRtRunner:
    """Two sets of state buffers on the device trade places: what one step writes, the next one reads.

    Each direction has an execution context of its own whose addresses never change, and a CUDA graph where the
    memory knows graphs. `trt` is the module of `edge.engine.library`; the runner owns the memory and closes it.
    """

    def __init__(self, plan: bytes, spec: StepSpec, slots: int, trt: Any, memory: DeviceMemory) -> None:
        """Load an engine for `slots` cameras. Raises PrednetError where it does not load or does not fit the spec."""
        self.spec, self.slots = spec, slots
        self._trt, self._memory = trt, memory
        self.name = "tensorrt"  # and, once it is open, its version, what gives it memory, and whether a step is a graph
        try:
            self._open(plan)
        except BaseException:
            self.close()
            raise

    def _open(self, plan: bytes) -> None:
        self._logger = logger_of(self._trt)
        self._runtime = given(self._trt, "Runtime", self._logger)  # held as long as the engine
        self._engine = self._runtime.deserialize_cuda_engine(plan)
        if self._engine is None:
            told = (self._logger.words or ["no word of why"])[-1]
            raise PrednetError(
                f"TensorRT {self._trt.__version__} does not load the engine ({told}); build it anew on this device: "
                f"prednet-edge engine build."
            )
        self.tensors = tensors_of(self._trt, self._engine)
        check_tensors(self.tensors, self.spec)
        self._inputs = {name: self._shared(name) for name in _INPUTS}
        self._told = {name: self._shared(name) for name in _TOLD}
        self._prediction_address = self._memory.allocate(self._bytes(_PREDICTION))
        self._prediction = self._memory.host_buffer(self._bytes(_PREDICTION)).array
        self._states = [self._state_buffers(), self._state_buffers()]
        extras = [name for name in self.tensors if name not in self._known()]
        self._extras = {name: self._memory.allocate(self._bytes(name)) for name in extras}
        self._contexts = [self._context(0, 1), self._context(1, 0)]
        self._launches = [self._launch(turn) for turn in (0, 1)]
        for states in self._states:
            self._begin(states)
        graphs = ", CUDA graphs" if self.has_graphs else ""
        self.name = f"tensorrt {self._trt.__version__} ({self._memory.name}{graphs})"
        self._turn = 0

    def step(self, frames: NDArray[np.uint8], advance: NDArray[np.bool_], reset: NDArray[np.bool_]) -> Step:
        """Advance the slots with a new frame; see `edge.runner.Runner`."""
        check_inputs(self.spec, self.slots, frames, advance, reset)
        for name, values in zip(_INPUTS, (frames, advance, reset), strict=True):
            np.copyto(self._inputs[name].array, values)
        self._launches[self._turn]()
        self._memory.synchronise()
        self._turn = 1 - self._turn
        return ReadLater(self._told["errors"].array, self._told["peaks"].array, self._read_prediction)

    def states(self) -> dict[str, NDArray[np.generic]]:
        """Return copies of the states that the next step will read, by name."""
        found = {name: self._host_array(name) for name in self._states[self._turn]}
        for name, array in found.items():
            self._memory.copy_out(array, self._states[self._turn][name])
        self._memory.synchronise()
        return dict(found)

    def set_states(self, states: dict[str, NDArray[Any]]) -> None:
        """Overwrite states that the next step will read, by name; whole arrays [N, …]."""
        for name, array in states.items():
            self._memory.copy_in(self._states[self._turn][name], np.ascontiguousarray(array))
        self._memory.synchronise()

    def close(self) -> None:
        """Free the engine, then the memory."""
        self._launches, self._contexts = [], []
        self._inputs, self._told, self._prediction = {}, {}, np.zeros(0, np.uint8)  # views of the memory
        self._engine = self._runtime = None
        self._memory.close()

    def _known(self) -> set[str]:
        states = {state.name for state in self.spec.states}
        return {*_INPUTS, *_TOLD, _PREDICTION} | states | {f"{name}_next" for name in states}

    def _bytes(self, name: str) -> int:
        tensor = self.tensors[name]
        return int(np.prod((self.slots, *tensor.shape))) * np.dtype(tensor.dtype).itemsize

    def _host_array(self, name: str) -> NDArray[Any]:
        return np.zeros((self.slots, *self.tensors[name].shape), self.tensors[name].dtype)

    def _shaped(self, name: str, array: NDArray[np.uint8]) -> NDArray[Any]:
        return array.view(self.tensors[name].dtype).reshape(self.slots, *self.tensors[name].shape)

    def _shared(self, name: str) -> _Shared:
        buffer = self._memory.host_buffer(self._bytes(name))
        address = buffer.device_address
        is_mapped = address is not None
        return _Shared(self._shaped(name, buffer.array), address or self._memory.allocate(self._bytes(name)), is_mapped)

    def _state_buffers(self) -> dict[str, int]:
        return {state.name: self._memory.allocate(self._bytes(state.name)) for state in self.spec.states}

    def _begin(self, states: dict[str, int]) -> None:
        for state in self.spec.states:
            start = np.full((self.slots, *state.shape), state.zero, state.dtype)
            self._memory.copy_in(states[state.name], start)
            self._memory.synchronise()

    def _context(self, read: int, written: int) -> Any:
        context = self._engine.create_execution_context()
        if context is None:
            raise PrednetError("TensorRT gives no execution context; the device's memory is full. Watch fewer cameras.")
        addresses = {name: shared.address for name, shared in (self._inputs | self._told).items()}
        addresses |= {_PREDICTION: self._prediction_address} | self._extras | self._states[read]
        addresses |= {f"{name}_next": address for name, address in self._states[written].items()}
        for name, tensor in self.tensors.items():
            if tensor.is_input and not context.set_input_shape(name, (self.slots, *tensor.shape)):
                raise PrednetError(
                    f"the engine does not take {self.slots} cameras; build it: prednet-edge engine build."
                )
            if not context.set_tensor_address(name, addresses[name]):
                raise PrednetError(f"TensorRT refuses the address of {name}; build it anew: prednet-edge engine build.")
        return context

    def _launch(self, turn: int) -> Launch:
        """Return what queues one step; a graph of it after one run outside, as TensorRT asks for."""
        self._queue(turn)
        self._memory.synchronise()
        graph = self._memory.captured(lambda: self._queue(turn))
        self.has_graphs = graph is not None
        return graph or (lambda: self._queue(turn))

    def _queue(self, turn: int) -> None:
        for shared in self._inputs.values():
            if not shared.is_mapped:
                self._memory.copy_in(shared.address, shared.array)
        if not self._contexts[turn].execute_async_v3(self._memory.stream):
            told = (self._logger.words or ["no word of why"])[-1]
            raise PrednetError(f"TensorRT does not run the step ({told}).")
        for shared in self._told.values():
            if not shared.is_mapped:
                self._memory.copy_out(shared.array, shared.address)

    def _read_prediction(self) -> NDArray[Any]:
        self._memory.copy_out(self._prediction, self._prediction_address)
        self._memory.synchronise()
        return self._shaped(_PREDICTION, self._prediction)


def tensors_of(trt: Any, engine: Any) -> dict[str, Tensor]:
    """Return an engine's inputs and outputs by name."""
    dtypes = {getattr(trt.DataType, kind): dtype for kind, dtype in _DTYPES.items()}
    found = {}
    for number in range(engine.num_io_tensors):
        name = engine.get_tensor_name(number)
        dtype = dtypes.get(engine.get_tensor_dtype(name), "another type")
        is_input = engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT
        found[name] = Tensor(dtype, tuple(engine.get_tensor_shape(name))[1:], is_input)
    return found


def check_tensors(found: dict[str, Tensor], spec: StepSpec) -> None:
    """Raise PrednetError where an engine's inputs and outputs are not those of the manifest."""
    image = (spec.form.height, spec.form.width, spec.form.channels)
    expected = {"frames": Tensor("uint8", image, True), "errors": Tensor("float32", spec.maps, False)}
    expected |= {name: Tensor("bool", (), True) for name in ("advance", "reset")}
    expected |= {"peaks": Tensor("float32", spec.maps, False)}
    expected |= {_PREDICTION: Tensor("uint8", image, False)}
    for state in spec.states:
        expected[state.name] = Tensor(state.dtype, state.shape, True)
        expected[f"{state.name}_next"] = Tensor(state.dtype, state.shape, False)
    if found.get(_PREDICTION) == Tensor("float32", image, False):  # an export made for verification
        del expected[_PREDICTION]
    for name in sorted(expected):
        if found.get(name) != expected[name]:
            raise PrednetError(
                f"the engine's {name} is {_told(found.get(name))}; the bundle's manifest says {_told(expected[name])}. "
                f"It is another step's engine; build it anew: prednet-edge engine build."
            )
    for name in sorted(found.keys() - expected.keys()):
        if found[name].is_input:
            raise PrednetError(f"the engine wants {name}, which the bundle's manifest does not know. Build it anew.")


def _told(tensor: Tensor | None) -> str:
    if tensor is None:
        return "missing"
    return f"{'input' if tensor.is_input else 'output'} {tensor.dtype} {list(tensor.shape)}"
