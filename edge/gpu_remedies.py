"""What to do where a GPU's software is missing or does not load, by the machine: a Jetson's comes from JetPack."""

from __future__ import annotations

import platform

# Both packages fill one folder: what is installed last is found, and taking away either leaves half of it.
_ONNXRUNTIME_GPU = (
    "on an NVIDIA GPU: pip uninstall -y onnxruntime onnxruntime-gpu, which fill one folder, and then "
    "pip install 'onnxruntime-gpu>=1.23,<2'"
)
_NO_ONNXRUNTIME_GPU = "on a Jetson there is none to install with pip: take runner: tensorrt (docs/jetson.md)"
# A library that the loader of the system does not give, though the package is there.
_DRIVER = (
    "the package is there, and the driver's or CUDA's library is missing or closed to this user; in a container: "
    "start it with the NVIDIA runtime; "
)


def by_machine(jetson: str, workstation: str) -> str:
    """Return the remedy that is right here; an arm64 machine is taken for a Jetson."""
    return jetson if platform.machine() == "aarch64" else workstation


def extra() -> str:
    """Return how the extra with a door to the GPU's memory is installed."""
    return f"pip install 'prednet-edge[{by_machine('jetson', 'gpu')}]'"


def onnxruntime_gpu() -> str:
    """Return how ONNX Runtime gets its GPU's providers."""
    return by_machine(_NO_ONNXRUNTIME_GPU, _ONNXRUNTIME_GPU)


def driver() -> str:
    """Return what to do where a system's library does not load."""
    return _DRIVER + by_machine(
        "on a Jetson: sudo apt-get install nvidia-jetpack, and the groups video and render",
        "here: install NVIDIA's driver, until nvidia-smi answers",
    )
