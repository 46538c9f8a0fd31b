"""Stand-ins for what a Jetson has: a CUDA driver on the host's memory, TensorRT and pycuda over it.

The code under test is the very code that runs on a Jetson; only what these libraries do is simulated. Every name
that the stand-ins have is held against the real bindings in `tests/test_conformance.py`.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.needs import need_program

FOLDER = Path(__file__).parent


def compiled_library(source: Path, target: Path, soname: str) -> Path:
    """Compile one C file into a shared library, unless that is done."""
    if not target.exists() or target.stat().st_mtime < source.stat().st_mtime:
        target.parent.mkdir(parents=True, exist_ok=True)
        aside = target.with_suffix(".part")
        command = ["gcc", "-shared", "-fPIC", "-O1", f"-Wl,-soname,{soname}", str(source), "-o", str(aside)]
        subprocess.run(command, check=True)
        aside.replace(target)
    return target


def driver_folder() -> Path:
    """Return the folder that holds the simulated libcuda.so.1; skip, or fail in CI, where there is no compiler."""
    need_program("gcc")
    folder = Path(sysconfig.get_path("data")) / "share" / "simulated"
    return compiled_library(FOLDER / "libcuda.c", folder / "libcuda.so.1", "libcuda.so.1").parent


def load_driver() -> ctypes.CDLL:
    """Load the simulated driver into this process; whoever asks for libcuda.so.1 afterwards gets it."""
    library = ctypes.CDLL(str(driver_folder() / "libcuda.so.1"), ctypes.RTLD_GLOBAL)
    library.simulated_allocations.restype = ctypes.c_size_t
    return library


def environment(memory: str = "cuda-python", **behaviour: object) -> dict[str, str]:
    """Return what a child process needs in its environment to find the stand-ins."""
    folders = [FOLDER / "with_tensorrt"] + ([FOLDER / "with_pycuda"] if memory == "pycuda" else [])
    return {
        "PYTHONPATH": os.pathsep.join([*map(str, folders), str(FOLDER.parents[1])]),
        "LD_LIBRARY_PATH": str(driver_folder()),
        "SIMULATED_TENSORRT": json.dumps(behaviour),
    }


def install(monkeypatch: pytest.MonkeyPatch, memory: str = "cuda-python", **behaviour: object) -> ctypes.CDLL:
    """Put the stand-ins in place for one test, in this process and its children; return the simulated driver."""
    driver = load_driver()
    driver.simulated_set(1, 0)
    for key, value in environment(memory, **behaviour).items():
        monkeypatch.setenv(key, value)
    for folder in environment(memory)["PYTHONPATH"].split(os.pathsep)[:-1]:
        monkeypatch.syspath_prepend(folder)
    names = ["tensorrt"] + (["pycuda", "pycuda.driver", "edge.engine.memory_pycuda"] if memory == "pycuda" else [])
    for name in ("tensorrt", "pycuda", "pycuda.driver", "edge.engine.memory_pycuda"):
        sys.modules.pop(name, None)
    fresh = {name: importlib.import_module(name) for name in names}
    for name, module in fresh.items():  # gone again after the test
        del sys.modules[name]
        monkeypatch.setitem(sys.modules, name, module)
    return driver
