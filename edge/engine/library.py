"""TensorRT as it is installed, or a sentence that says what is missing. The door of `tensorrt` and `tensorrt_rtx`.

TensorRT for RTX has the same builder and compiles without a GPU: the tests and the export's compiler check run our
builder on it.
"""

from __future__ import annotations

from typing import Any, Literal

from edge import gpu_remedies
from edge.errors import DeviceUnavailable

LibraryName = Literal["tensorrt", "tensorrt_rtx"]
_JETPACK = (
    "on a Jetson: sudo apt-get install python3-libnvinfer, and a virtual environment made with --system-site-packages"
)
_RTX = "pip install tensorrt-rtx-cu13==1.7.1.116 (Linux on x86-64)"


def open_library(name: LibraryName = "tensorrt") -> Any:
    """Return the module. Raises DeviceUnavailable with the remedy.

    Not installed, not this Python's or these libraries' bindings, and a system's library that does not load are told
    apart.
    """
    try:
        return _imported(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise DeviceUnavailable(f"{name} needs {error.name}, which is not installed; {_install(name)}.") from error
        raise DeviceUnavailable(f"{name} is not installed; {_install(name)}.") from error
    except ImportError as error:
        raise DeviceUnavailable(f"{name} does not import ({error}): {_reinstall(name)}.") from error
    except OSError as error:
        raise DeviceUnavailable(f"{name} cannot load a library ({error}): {gpu_remedies.driver()}.") from error


def _install(name: LibraryName) -> str:
    return _RTX if name == "tensorrt_rtx" else gpu_remedies.by_machine(_JETPACK, gpu_remedies.extra())


def _reinstall(name: LibraryName) -> str:
    package = "tensorrt-rtx-cu13==1.7.1.116" if name == "tensorrt_rtx" else "tensorrt"
    return "the package is there and its libraries are not, or are another version's; " + gpu_remedies.by_machine(
        "on a Jetson: sudo apt-get install --reinstall tensorrt python3-libnvinfer",
        f"pip install --force-reinstall {package}",
    )


def _imported(name: LibraryName) -> Any:
    if name == "tensorrt_rtx":
        import tensorrt_rtx  # noqa: PLC0415 - 100 MB that only who compiles loads

        return tensorrt_rtx
    import tensorrt  # noqa: PLC0415 - absent on every machine without an NVIDIA GPU

    return tensorrt


def given(trt: Any, kind: str, logger: Any) -> Any:
    """Return a Builder or a Runtime. Raises DeviceUnavailable where TensorRT gives none: its driver is not usable."""
    try:
        return getattr(trt, kind)(logger)
    except TypeError as error:  # what the bindings make of nothing
        raise DeviceUnavailable(
            f"TensorRT {trt.__version__} gives no {kind} ({(logger.words or [str(error)])[-1]}); is the GPU's driver "
            f"loaded, new enough, and open to this user? prednet-edge doctor looks."
        ) from error


def version_of(trt: Any) -> tuple[int, int]:
    """Return major and minor version."""
    major, minor = str(trt.__version__).split(".")[:2]
    return int(major), int(minor)
