"""Stands in for TensorRT: the part of its interface that we use; an engine is computed by ONNX Runtime.

The environment variable SIMULATED_TENSORRT, a JSON object, says how it shall behave: `version`; `refuses_strong`
(10.3's failure of strong typing); `build_seconds`; `has_no_gpu`; `slow` (milliseconds that a step takes, by a word of its ONNX bytes); `wrong` (a
word of the ONNX bytes of steps that are computed wrongly); `crashes` (a word of the ONNX bytes
of steps whose engines kill the process that loads them).
"""

from __future__ import annotations

import ctypes
import enum
import hashlib
import json
import os
import time

import numpy as np
import onnx
import onnxruntime

_BEHAVIOUR = json.loads(os.environ.get("SIMULATED_TENSORRT", "{}"))
__version__ = str(_BEHAVIOUR.get("version", "10.3.0"))
_IS_11 = __version__.startswith("11")
_MAGIC = b"simulated engine "
_lib = ctypes.CDLL("libcuda.so.1")
_lib.simulated_host_pointer.restype = ctypes.c_void_p
_lib.simulated_host_pointer.argtypes = [ctypes.c_ulonglong, ctypes.c_size_t]
_WORK = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


class _Numbers(enum.IntEnum):
    """An enumeration of the library."""


class NetworkDefinitionCreationFlag(_Numbers):
    """How a network is made."""

    STRONGLY_TYPED = 0 if _IS_11 else 1


class MemoryPoolType(_Numbers):
    """Kinds of memory of the builder."""

    WORKSPACE = 0


class BuilderFlag(_Numbers):
    """What kernels may use; all but TF32 is gone in 11."""

    FP16 = 0
    INT8 = 1
    TF32 = 7


class TensorIOMode(_Numbers):
    """Input or output."""

    NONE = 0
    INPUT = 1
    OUTPUT = 2


class DataType(_Numbers):
    """Types of tensors."""

    FLOAT = 0
    HALF = 1
    INT8 = 2
    INT32 = 3
    BOOL = 4
    UINT8 = 5
    INT64 = 8


_FROM_ONNX = {
    1: DataType.FLOAT,
    2: DataType.UINT8,
    3: DataType.INT8,
    6: DataType.INT32,
    7: DataType.INT64,
    9: DataType.BOOL,
    10: DataType.HALF,
}
_NUMPY = {
    DataType.FLOAT: np.float32,
    DataType.UINT8: np.uint8,
    DataType.INT8: np.int8,
    DataType.BOOL: np.bool_,
    DataType.HALF: np.float16,
}


class ILogger:
    """Told what goes on."""

    INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = range(5)

    def __init__(self) -> None:
        self.is_made = True

    def log(self, severity: int, msg: str) -> None:
        """Take one message."""


class IProgressMonitor:
    """Told how far a build is."""

    def __init__(self) -> None:
        self.is_made = True


class IHostMemory(bytes):
    """Bytes that the library gives."""

    nbytes = property(len)


class ITimingCache:
    """What a builder learned."""

    def __init__(self, blob: bytes) -> None:
        self._blob = blob

    def serialize(self) -> IHostMemory:
        """Its bytes."""
        return IHostMemory(self._blob)


class ITensor:
    """A tensor of a network."""

    def __init__(self, name: str, dtype: DataType, shape: tuple[int, ...]) -> None:
        self.name, self.dtype, self.shape = name, dtype, shape


class ILayer:
    """A node of a network."""

    def __init__(self, outputs: list[ITensor]) -> None:
        self._outputs, self.num_outputs = outputs, len(outputs)

    def get_output(self, index: int) -> ITensor:
        """One of its outputs."""
        return self._outputs[index]


class INetworkDefinition:
    """What a parser fills."""

    def __init__(self, flags: int) -> None:
        self._is_strong = bool(flags & 1 << NetworkDefinitionCreationFlag.STRONGLY_TYPED)
        self._inputs: list[ITensor] = []
        self._layers: list[ILayer] = []
        self._step = b""

    num_inputs = property(lambda self: len(self._inputs))
    num_layers = property(lambda self: len(self._layers))

    def get_input(self, index: int) -> ITensor:
        """One of its inputs."""
        return self._inputs[index]

    def get_layer(self, index: int) -> ILayer:
        """One of its layers."""
        return self._layers[index]


def _tensor(info) -> ITensor:  # type: ignore[no-untyped-def]
    kind = info.type.tensor_type
    return ITensor(info.name, _FROM_ONNX[kind.elem_type], tuple(one.dim_value or -1 for one in kind.shape.dim))


class OnnxParser:
    """Reads ONNX into a network."""

    def __init__(self, network: INetworkDefinition, logger: ILogger) -> None:
        self._network, self._errors = network, []

    num_errors = property(lambda self: len(self._errors))

    def parse(self, model: bytes) -> bool:
        """Whether it could be read."""
        try:
            graph = onnx.shape_inference.infer_shapes(onnx.load_from_string(model)).graph
        except Exception as error:  # noqa: BLE001 - whatever the file makes onnx raise
            self._errors.append(f"not ONNX: {error}")
            return False
        self._network._step = model
        self._network._inputs = [_tensor(info) for info in graph.input]
        self._network._layers = [ILayer([_tensor(info)]) for info in graph.value_info]
        return True

    def get_error(self, index: int) -> str:
        """One of the errors."""
        return self._errors[index]


class IOptimizationProfile:
    """Shapes that an engine takes."""

    def __init__(self) -> None:
        self._shapes: dict[str, tuple] = {}

    def set_shape(self, input: str, min: tuple, opt: tuple, max: tuple) -> None:  # noqa: A002 - TensorRT's names
        """Set least, usual and largest shape."""
        self._shapes[input] = (min, opt, max)


class IBuilderConfig:
    """How to build."""

    def __init__(self) -> None:
        self.builder_optimization_level, self.progress_monitor = 3, None
        self._cache, self._flags, self._limits, self._profiles = ITimingCache(b""), {BuilderFlag.TF32}, {}, []

    def set_memory_pool_limit(self, pool: MemoryPoolType, pool_size: int) -> None:
        """Limit a kind of memory."""
        self._limits[pool] = pool_size

    def set_flag(self, flag: BuilderFlag) -> None:
        """Allow something."""
        if _IS_11:
            raise AttributeError("removed in 11")
        self._flags.add(flag)

    def clear_flag(self, flag: BuilderFlag) -> None:
        """Forbid something."""
        self._flags.discard(flag)

    def get_flag(self, flag: BuilderFlag) -> bool:
        """Whether it is allowed."""
        return flag in self._flags

    def create_timing_cache(self, serialized_timing_cache: bytes) -> ITimingCache:
        """Read one."""
        return ITimingCache(serialized_timing_cache)

    def set_timing_cache(self, cache: ITimingCache, ignore_mismatch: bool) -> bool:
        """Whether it is this device's."""
        is_own = cache._blob in (b"",) or cache._blob.startswith(__version__.encode())
        self._cache = cache if is_own else self._cache
        return is_own

    def get_timing_cache(self) -> ITimingCache:
        """The one in use."""
        return self._cache

    def add_optimization_profile(self, profile: IOptimizationProfile) -> int:
        """Add shapes."""
        self._profiles.append(profile)
        return 0


class Builder:
    """Makes engines."""

    def __init__(self, logger: ILogger) -> None:
        if not getattr(logger, "is_made", False):
            raise TypeError("ILogger.__init__ was not called")
        if _BEHAVIOUR.get("has_no_gpu"):
            logger.log(ILogger.ERROR, "createInferBuilder: Error Code 6: CUDA initialization failure with error: 100")
            raise TypeError("pybind11::init(): factory function returned nullptr")
        self._logger = logger

    def create_network(self, flags: int = 0) -> INetworkDefinition:
        """An empty network."""
        return INetworkDefinition(flags)

    def create_builder_config(self) -> IBuilderConfig:
        """A configuration."""
        return IBuilderConfig()

    def create_optimization_profile(self) -> IOptimizationProfile:
        """A profile."""
        return IOptimizationProfile()

    def build_serialized_network(self, network: INetworkDefinition, config: IBuilderConfig) -> IHostMemory | None:
        """The engine's bytes; None where it cannot be built."""
        has_int8 = any(layer.get_output(0).dtype == DataType.INT8 for layer in network._layers)
        if network._is_strong and _BEHAVIOUR.get("refuses_strong"):
            self._logger.log(ILogger.ERROR, "could not find any implementation for node {ForeignNode}")
            return None
        if not network._is_strong and has_int8 and BuilderFlag.INT8 not in config._flags:
            self._logger.log(ILogger.ERROR, "Int8 precision has been set for a layer, but int8 is not configured")
            return None
        monitor = config.progress_monitor
        monitor.phase_start("Building", None, 4)
        for number in range(4):
            time.sleep(_BEHAVIOUR.get("build_seconds", 0.0) / 4)
            monitor.phase_start("Timing", "Building", 1)
            monitor.step_complete("Timing", 0)
            monitor.phase_finish("Timing")
            monitor.step_complete("Building", number)
        monitor.phase_finish("Building")
        config._cache = ITimingCache(f"{__version__} knows {hashlib.sha256(network._step).hexdigest()}".encode())
        shapes = {name: [list(shape) for shape in three] for name, three in config._profiles[0]._shapes.items()}
        head = json.dumps(
            {"version": __version__, "shapes": shapes, "digest": hashlib.sha256(network._step).hexdigest()}
        )
        return IHostMemory(_MAGIC + head.encode() + b"\n" + network._step)


class Runtime:
    """Loads engines."""

    def __init__(self, logger: ILogger) -> None:
        self._logger = logger

    def deserialize_cuda_engine(self, serialized_engine: bytes) -> ICudaEngine | None:
        """The engine; None where it is not one of this version."""
        if _BEHAVIOUR.get("crashes") and _BEHAVIOUR["crashes"].encode() in serialized_engine:
            os.abort()
        head, _, step = serialized_engine.removeprefix(_MAGIC).partition(b"\n")
        try:
            told = json.loads(head)
        except ValueError:
            told = {}
        if told.get("version") != __version__ or hashlib.sha256(step).hexdigest() != told.get("digest"):
            self._logger.log(ILogger.ERROR, "Serialization assertion failed: version or content does not match")
            return None
        return ICudaEngine(step, told["shapes"])


class ICudaEngine:
    """A loaded engine."""

    def __init__(self, step: bytes, shapes: dict) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.add_session_config_entry("session.disable_quant_qdq", "1")
        self._session = onnxruntime.InferenceSession(step, options, providers=["CPUExecutionProvider"])
        self._shapes = shapes
        self._inputs = {one.name: one for one in self._session.get_inputs()}
        self._outputs = {one.name: one for one in self._session.get_outputs()}
        self._seconds = (
            max([float(ms) for word, ms in _BEHAVIOUR.get("slow", {}).items() if word.encode() in step], default=0.0)
            / 1e3
        )
        self._is_wrong = bool(_BEHAVIOUR.get("wrong")) and _BEHAVIOUR["wrong"].encode() in step

    num_io_tensors = property(lambda self: len(self._inputs) + len(self._outputs))

    def _one(self, name: str):  # type: ignore[no-untyped-def]
        return self._inputs.get(name) or self._outputs[name]

    def get_tensor_name(self, index: int) -> str:
        """The name of one."""
        return [*self._inputs, *self._outputs][index]

    def get_tensor_mode(self, name: str) -> TensorIOMode:
        """Input or output."""
        return TensorIOMode.INPUT if name in self._inputs else TensorIOMode.OUTPUT

    def get_tensor_dtype(self, name: str) -> DataType:
        """Its type."""
        names = {"float": "FLOAT", "float16": "HALF"}
        kind = self._one(name).type[7:-1]
        return DataType[names.get(kind, kind.upper())]

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        """Its shape; −1 where it may vary."""
        return (-1, *self._one(name).shape[1:])

    def create_execution_context(self) -> IExecutionContext:
        """What runs it."""
        return IExecutionContext(self)


class IExecutionContext:
    """An engine with its addresses."""

    def __init__(self, engine: ICudaEngine) -> None:
        self._engine, self._addresses, self._batch = engine, {}, {}
        self._work = _WORK(lambda _: self._run())

    def set_input_shape(self, name: str, shape: tuple) -> bool:
        """Whether the profile has it."""
        least, _, most = self._engine._shapes[name]
        self._batch[name] = shape[0]
        return list(shape[1:]) == most[1:] and least[0] <= shape[0] <= most[0]

    def set_tensor_address(self, name: str, memory: int) -> bool:
        """Whether there is such a tensor."""
        self._addresses[name] = memory
        return name in self._engine._inputs or name in self._engine._outputs

    def execute_async_v3(self, stream_handle: int) -> bool:
        """Queue the work; every tensor must have its address."""
        if len(self._addresses) != self._engine.num_io_tensors or not stream_handle:
            return False
        return _lib.cuLaunchHostFunc(ctypes.c_void_p(stream_handle), self._work, None) == 0

    def _array(self, name: str) -> np.ndarray:
        (batch,) = set(self._batch.values())
        shape = (batch, *self._engine.get_tensor_shape(name)[1:])
        dtype = np.dtype(_NUMPY[self._engine.get_tensor_dtype(name)])
        size = int(np.prod(shape)) * dtype.itemsize
        at = _lib.simulated_host_pointer(self._addresses[name], size)
        if at is None:
            raise MemoryError(f"{name} is not in the device's memory")
        return np.frombuffer((ctypes.c_uint8 * size).from_address(at), dtype).reshape(shape)

    def _run(self) -> None:
        time.sleep(self._engine._seconds)
        inputs = {name: self._array(name).copy() for name in self._engine._inputs}
        names = list(self._engine._outputs)
        for name, values in zip(names, self._engine._session.run(names, inputs), strict=True):
            self._array(name)[...] = values * 3 if self._engine._is_wrong and name == "errors" else values
