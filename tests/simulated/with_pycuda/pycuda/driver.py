"""The part of pycuda's driver interface that we use, over the simulated libcuda."""

from __future__ import annotations

import ctypes

import numpy as np

_lib = ctypes.CDLL("libcuda.so.1")


class Error(Exception):
    """CUDA refuses."""


class device_attribute:  # noqa: N801 - pycuda's name
    """Numbers of CUDA's device attributes."""

    MULTIPROCESSOR_COUNT = 16
    INTEGRATED = 18


class host_alloc_flags:  # noqa: N801 - pycuda's name
    """Flags of page-locked memory."""

    DEVICEMAP = 2


def _check(result: int) -> None:
    if result:
        raise Error(f"cuda call failed: {result}")


def _handle(handle: int) -> ctypes.c_void_p:
    return ctypes.c_void_p(handle)


def _address(address: object) -> ctypes.c_ulonglong:
    return ctypes.c_ulonglong(int(address))  # type: ignore[call-overload]


def init() -> None:
    """Begin."""
    _check(_lib.cuInit(0))


def get_driver_version() -> int:
    """CUDA's number of its version."""
    version = ctypes.c_int()
    _check(_lib.cuDriverGetVersion(ctypes.byref(version)))
    return version.value


class Context:
    """The primary context: pushed and popped by its thread."""

    depth = 0

    def push(self) -> None:
        """Make it the thread's."""
        Context.depth += 1

    @staticmethod
    def pop() -> None:
        """Give the thread's last one back."""
        if not Context.depth:
            raise Error("context::pop failed: invalid device context")
        Context.depth -= 1


class Device:
    """One GPU."""

    def __init__(self, number: int) -> None:
        device = ctypes.c_int()
        _check(_lib.cuDeviceGet(ctypes.byref(device), number))

    def name(self) -> str:
        """Its name."""
        text = ctypes.create_string_buffer(128)
        _check(_lib.cuDeviceGetName(text, 128, 0))
        return text.value.decode()

    def compute_capability(self) -> tuple[int, int]:
        """Major and minor."""
        return self.get_attribute(75), self.get_attribute(76)

    def total_memory(self) -> int:
        """Bytes."""
        size = ctypes.c_size_t()
        _check(_lib.cuDeviceTotalMem_v2(ctypes.byref(size), 0))
        return size.value

    def get_attribute(self, attribute: int) -> int:
        """One of CUDA's device attributes."""
        value = ctypes.c_int()
        _check(_lib.cuDeviceGetAttribute(ctypes.byref(value), attribute, 0))
        return value.value

    def retain_primary_context(self) -> Context:
        """The context that CUDA's runtime uses too."""
        return Context()


class Stream:
    """A queue of work."""

    def __init__(self) -> None:
        self._queue = ctypes.c_void_p()
        _check(_lib.cuStreamCreate(ctypes.byref(self._queue), 0))

    @property
    def handle(self) -> int:
        """The number that TensorRT is given."""
        return int(self._queue.value or 0)

    def synchronize(self) -> None:
        """Wait."""
        _check(_lib.cuStreamSynchronize(self._queue))

    def __del__(self) -> None:
        _lib.cuStreamDestroy_v2(self._queue)


class DeviceAllocation:
    """Memory of the device, freed with this object."""

    def __init__(self, size: int) -> None:
        self._at = ctypes.c_ulonglong()
        _check(_lib.cuMemAlloc_v2(ctypes.byref(self._at), ctypes.c_size_t(size)))

    def __int__(self) -> int:
        return self._at.value

    def __del__(self) -> None:
        _lib.cuMemFree_v2(self._at)


def mem_alloc(bytes: int) -> DeviceAllocation:  # noqa: A002 - pycuda's name
    """New memory of the device."""
    return DeviceAllocation(bytes)


class PagelockedHostAllocation:
    """Page-locked memory, freed with this object."""

    def __init__(self, size: int) -> None:
        self._at = ctypes.c_void_p()
        _check(_lib.cuMemHostAlloc(ctypes.byref(self._at), ctypes.c_size_t(size), 2))
        self.__array_interface__ = {"data": (self._at.value, False), "shape": (size,), "typestr": "|u1", "version": 3}

    def get_device_pointer(self) -> int:
        """Where the device has it."""
        device = ctypes.c_ulonglong()
        _check(_lib.cuMemHostGetDevicePointer_v2(ctypes.byref(device), self._at, 0))
        return device.value

    def __del__(self) -> None:
        _lib.cuMemFreeHost(self._at)


def pagelocked_empty(shape: int, dtype: type, order: str = "C", mem_flags: int = 0) -> np.ndarray:
    """An array over page-locked memory, its base."""
    if dtype is not np.uint8 or mem_flags != host_alloc_flags.DEVICEMAP:
        raise Error("the simulation knows mapped memory of uint8 alone")
    return np.asarray(PagelockedHostAllocation(shape))


def memcpy_htod_async(dest: int, src: np.ndarray, stream: Stream | None = None) -> None:
    """Queue a copy to the device."""
    at = src.__array_interface__["data"][0]
    _check(_lib.cuMemcpyHtoDAsync_v2(_address(dest), _handle(at), ctypes.c_size_t(src.nbytes), stream._queue))  # type: ignore[union-attr]


def memcpy_dtoh_async(dest: np.ndarray, src: int, stream: Stream | None = None) -> None:
    """Queue a copy from the device."""
    at = dest.__array_interface__["data"][0]
    _check(_lib.cuMemcpyDtoHAsync_v2(_handle(at), _address(src), ctypes.c_size_t(dest.nbytes), stream._queue))  # type: ignore[union-attr]
