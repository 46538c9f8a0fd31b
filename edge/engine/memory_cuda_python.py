"""The device's memory by cuda-python, with CUDA graphs. The door of `cuda`."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
from cuda.bindings import driver as cuda
from numpy.typing import NDArray

from edge.engine.memory import DeviceFacts, HostBuffer, Launch, version_from_cuda
from edge.errors import DeviceUnavailable, PrednetError


class CudaPythonMemory:
    """See `edge.engine.memory.DeviceMemory`."""

    name = "cuda-python"

    def __init__(self) -> None:
        """Open the first GPU. Raises DeviceUnavailable where none answers."""
        try:
            _done(cuda.cuInit(0))
            self._device = _done(cuda.cuDeviceGet(0))
            self._context = _done(cuda.cuDevicePrimaryCtxRetain(self._device))
            _done(cuda.cuCtxSetCurrent(self._context))
        except (PrednetError, RuntimeError) as error:  # RuntimeError: the driver's library is not here
            told = f"no GPU answers cuda-python ({error}); check the driver and /dev/nvhost-*."
            raise DeviceUnavailable(told) from error
        self.facts = _facts(self._device)
        self._stream = _done(cuda.cuStreamCreate(cuda.CUstream_flags.CU_STREAM_NON_BLOCKING))
        self.stream = int(self._stream)
        self._allocations: list[Any] = []
        self._host: list[int] = []
        self._graphs: list[Any] = []

    def allocate(self, byte_count: int) -> int:
        """Return the address of new memory of the device."""
        self._allocations.append(_done(cuda.cuMemAlloc(byte_count)))
        return int(self._allocations[-1])

    def host_buffer(self, byte_count: int) -> HostBuffer:
        """Return page-locked host memory, mapped into the device's addresses where the two share it."""
        pointer = int(_done(cuda.cuMemHostAlloc(byte_count, cuda.CU_MEMHOSTALLOC_DEVICEMAP)))
        self._host.append(pointer)
        array = np.ctypeslib.as_array((ctypes.c_uint8 * byte_count).from_address(pointer))
        array[:] = 0
        address = int(_done(cuda.cuMemHostGetDevicePointer(pointer, 0))) if self.facts.is_integrated else None
        return HostBuffer(array, address)

    def copy_in(self, address: int, host: NDArray[Any]) -> None:
        """Queue a copy of a host array to the device."""
        _done(cuda.cuMemcpyHtoDAsync(address, host.ctypes.data, host.nbytes, self._stream))

    def copy_out(self, host: NDArray[Any], address: int) -> None:
        """Queue a copy from the device into a host array."""
        _done(cuda.cuMemcpyDtoHAsync(host.ctypes.data, address, host.nbytes, self._stream))

    def synchronise(self) -> None:
        """Wait until everything that was queued is done."""
        _done(cuda.cuStreamSynchronize(self._stream))

    def captured(self, queue: Launch) -> Launch | None:
        """Return what does again all that `queue` queues; None where CUDA or the engine cannot be captured."""
        try:
            graph = self._recorded(queue)
            executable = _done(cuda.cuGraphInstantiate(graph, 0))
            _done(cuda.cuGraphDestroy(graph))
        except PrednetError:
            return None
        self._graphs.append(executable)
        return lambda: _done(cuda.cuGraphLaunch(executable, self._stream))

    def _recorded(self, queue: Launch) -> Any:
        _done(cuda.cuStreamBeginCapture(self._stream, cuda.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL))
        try:
            queue()
        except PrednetError:
            cuda.cuStreamEndCapture(self._stream)  # the stream is of use again; its graph is broken
            raise
        return _done(cuda.cuStreamEndCapture(self._stream))

    def close(self) -> None:
        """Free everything."""
        for executable in self._graphs:
            _done(cuda.cuGraphExecDestroy(executable))
        for address in self._allocations:
            _done(cuda.cuMemFree(address))
        for pointer in self._host:
            _done(cuda.cuMemFreeHost(pointer))
        _done(cuda.cuStreamDestroy(self._stream))
        _done(cuda.cuDevicePrimaryCtxRelease(self._device))
        self._graphs, self._allocations, self._host = [], [], []


def _done(answer: tuple[Any, ...]) -> Any:
    """Return what a call of CUDA gives; PrednetError where its first word is not success."""
    if answer[0] != cuda.CUresult.CUDA_SUCCESS:
        raise PrednetError(f"CUDA refuses: {getattr(answer[0], 'name', answer[0])}.")
    return answer[1] if len(answer) == 2 else None


def _facts(device: Any) -> DeviceFacts:
    kinds = cuda.CUdevice_attribute

    def asked(attribute: Any) -> int:
        return int(_done(cuda.cuDeviceGetAttribute(attribute, device)))

    major = asked(kinds.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)
    minor = asked(kinds.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)
    return DeviceFacts(
        name=_done(cuda.cuDeviceGetName(128, device)).split(b"\0")[0].decode(),
        compute_capability=f"{major}.{minor}",
        multiprocessors=asked(kinds.CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT),
        memory_mib=int(_done(cuda.cuDeviceTotalMem(device))) >> 20,
        cuda=version_from_cuda(int(_done(cuda.cuDriverGetVersion()))),
        is_integrated=bool(asked(kinds.CU_DEVICE_ATTRIBUTE_INTEGRATED)),
    )
