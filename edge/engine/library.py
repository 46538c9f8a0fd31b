"""TensorRT as it is installed, or a sentence that says what is missing. The door of `tensorrt` and `tensorrt_rtx`.

TensorRT for RTX has the same builder and compiles without a GPU: the tests and the export's compiler check run our
builder on it.
"""

from __future__ import annotations

from typing import Any, Literal

from edge.errors import DeviceUnavailable

LibraryName = Literal["tensorrt", "tensorrt_rtx"]
_INSTALL = {
    "tensorrt": (
        "on a Jetson: sudo apt-get install python3-libnvinfer, and a virtual environment made with "
        "--system-site-packages; on a workstation: pip install 'prednet-edge[gpu]'"
    ),
    "tensorrt_rtx": "pip install tensorrt-rtx-cu13==1.7.1.116 (Linux on x86-64)",
}
_MEND = (
    "the package is there and its libraries are not, or are another version's; on a Jetson: sudo apt-get install "
    "--reinstall tensorrt; in a container: start it with the NVIDIA runtime"
)


def open_library(name: LibraryName = "tensorrt") -> Any:
    """Return the module. Raises DeviceUnavailable: not installed and not loadable are told apart, with the remedy."""
    try:
        return _imported(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise DeviceUnavailable(f"{name} needs {error.name}, which is not installed; {_INSTALL[name]}.") from error
        raise DeviceUnavailable(f"{name} is not installed; {_INSTALL[name]}.") from error
    except ImportError as error:
        raise DeviceUnavailable(f"{name} does not import ({error}): {_MEND}.") from error
    except OSError as error:
        raise DeviceUnavailable(f"{name} cannot load a library ({error}): {_MEND}.") from error


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
