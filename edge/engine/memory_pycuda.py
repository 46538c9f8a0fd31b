"""The device's memory by pycuda, which JetPack's CUDA builds. The door of `pycuda`. It knows no CUDA graphs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pycuda.driver as cuda
from numpy.typing import NDArray

from edge.engine.memory import DeviceFacts, HostBuffer, Launch, version_from_cuda
from edge.errors import DeviceUnavailable, PrednetError


class PycudaMemory:
    """See `edge.engine.memory.DeviceMemory`."""

    name = "pycuda"

    def __init__(self) -> None:
        """Open the first GPU. Raises DeviceUnavailable where none answers."""
        try:
            cuda.init()
            device = cuda.Device(0)
            self._context = device.retain_primary_context()
            self._context.push()
        except cuda.Error as error:
            raise DeviceUnavailable(f"no GPU answers pycuda ({error}); check the driver and /dev/nvhost-*.") from error
        self.facts = _facts(device)
        self._stream = cuda.Stream()
        self.stream = int(self._stream.handle)
        self._held: list[Any] = []

    def allocate(self, byte_count: int) -> int:
        """Return the address of new memory of the device."""
        with _told():
            self._held.append(cuda.mem_alloc(byte_count))
        return int(self._held[-1])

    def host_buffer(self, byte_count: int) -> HostBuffer:
        """Return page-locked host memory, mapped into the device's addresses where the two share it."""
        with _told():
            array = cuda.pagelocked_empty(byte_count, np.uint8, mem_flags=cuda.host_alloc_flags.DEVICEMAP)
            array[:] = 0
            self._held.append(array)
            address = int(array.base.get_device_pointer()) if self.facts.is_integrated else None
        return HostBuffer(array, address)

    def copy_in(self, address: int, host: NDArray[Any]) -> None:
        """Queue a copy of a host array to the device."""
        with _told():
            cuda.memcpy_htod_async(address, host, self._stream)

    def copy_out(self, host: NDArray[Any], address: int) -> None:
        """Queue a copy from the device into a host array."""
        with _told():
            cuda.memcpy_dtoh_async(host, address, self._stream)

    def synchronise(self) -> None:
        """Wait until everything that was queued is done."""
        with _told():
            self._stream.synchronize()

    def captured(self, queue: Launch) -> Launch | None:
        """Return None: pycuda has no CUDA graphs."""
        return None

    def close(self) -> None:
        """Free everything."""
        self._held = []
        del self._stream
        self._context.pop()


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except cuda.Error as error:
        raise PrednetError(f"CUDA refuses: {error}.") from error


def _facts(device: Any) -> DeviceFacts:
    with _told():
        return DeviceFacts(
            name=str(device.name()),
            compute_capability="{}.{}".format(*device.compute_capability()),
            multiprocessors=int(device.get_attribute(cuda.device_attribute.MULTIPROCESSOR_COUNT)),
            memory_mib=int(device.total_memory()) >> 20,
            cuda=version_from_cuda(int(cuda.get_driver_version())),
            is_integrated=bool(device.get_attribute(cuda.device_attribute.INTEGRATED)),
        )
