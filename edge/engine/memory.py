"""The device's memory and its queue of work, behind one small protocol; and the chooser in front of its two doors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edge import gpu_remedies
from edge.errors import DeviceUnavailable

Launch = Callable[[], None]


@dataclass(frozen=True)
class DeviceFacts:
    """The GPU and its driver. `is_integrated`: it shares the processor's memory, as on every Jetson."""

    name: str
    compute_capability: str
    multiprocessors: int
    memory_mib: int
    cuda: str
    is_integrated: bool


@dataclass(frozen=True)
class HostBuffer:
    """Page-locked memory of the host as uint8 [bytes].

    `device_address` is where the GPU reads and writes the very same bytes; None where they must be copied.
    """

    array: NDArray[np.uint8]
    device_address: int | None


class DeviceMemory(Protocol):
    """One GPU's memory and one queue (stream) of work; whoever opens it closes it, in the same thread.

    What `copy_…` and the engine queue is done in order, and done when `synchronise` returns, not before. Host arrays
    of copies must live until then, and are contiguous. Every method raises PrednetError where CUDA refuses.
    """

    name: str
    facts: DeviceFacts
    stream: int

    def allocate(self, byte_count: int) -> int:
        """Return the address of new memory of the device, owned by this object."""

    def host_buffer(self, byte_count: int) -> HostBuffer:
        """Return page-locked host memory, owned by this object."""

    def copy_in(self, address: int, host: NDArray[Any]) -> None:
        """Queue a copy of a host array to the device."""

    def copy_out(self, host: NDArray[Any], address: int) -> None:
        """Queue a copy from the device into a host array."""

    def synchronise(self) -> None:
        """Wait until everything that was queued is done."""

    def captured(self, queue: Launch) -> Launch | None:
        """Return what does again, in one call, all that `queue` puts into the queue (a CUDA graph).

        None where graphs are not to be had here. Nothing of it is done now.
        """

    def close(self) -> None:
        """Free everything."""


def version_from_cuda(number: int) -> str:
    """Return CUDA's number 12060 as 12.6."""
    return f"{number // 1000}.{number % 1000 // 10}"


def open_memory() -> DeviceMemory:
    """Return the memory of the first GPU by pycuda, or by cuda-python where pycuda is not installed.

    Raises DeviceUnavailable with the remedy: neither is there, or no GPU answers.
    """
    try:
        from edge.engine.memory_pycuda import PycudaMemory  # noqa: PLC0415 - only a chooser opens a door
    except ModuleNotFoundError:
        return _open_cuda_python()
    except ImportError as error:
        raise DeviceUnavailable(
            f"pycuda does not import ({error}): there is no driver, or it was built for another CUDA; build it anew: "
            f"pip install --force-reinstall --no-binary pycuda pycuda. Or remove it, and cuda-python is taken."
        ) from error
    except OSError as error:
        raise DeviceUnavailable(f"pycuda cannot load a library ({error}): {gpu_remedies.driver()}.") from error
    return PycudaMemory()


def _open_cuda_python() -> DeviceMemory:
    try:
        from edge.engine.memory_cuda_python import CudaPythonMemory  # noqa: PLC0415 - only a chooser opens a door
    except ModuleNotFoundError as error:
        raise DeviceUnavailable(f"neither pycuda nor cuda-python is installed: {gpu_remedies.extra()}.") from error
    except ImportError as error:
        raise DeviceUnavailable(
            f"cuda-python does not import ({error}); install the release of this CUDA: pip install "
            f"'cuda-bindings==12.*' (CUDA 12, JetPack 6) or 'cuda-bindings==13.*' (CUDA 13, JetPack 7)."
        ) from error
    except OSError as error:
        raise DeviceUnavailable(f"cuda-python cannot load a library ({error}): {gpu_remedies.driver()}.") from error
    return CudaPythonMemory()
