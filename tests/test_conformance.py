"""Every name that we use of TensorRT, pycuda and cuda-python, held against the real interfaces of each release.

An upgrade that removes one fails here, and so does a stand-in that has a name which the real library lacks.
"""

from __future__ import annotations

import importlib
import inspect
import json
import re
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests import simulated
from tests.needs import absent
from tests.used_names import chains, members, overridden

ROOT = Path(__file__).parents[1]
BINDINGS = Path(sys.prefix) / "bindings"
ENGINE = ROOT / "edge" / "engine"
USES_TENSORRT = [ENGINE / "building.py", ENGINE / "library.py", ENGINE / "runner_tensorrt.py"]
VERSIONS = ("10.3.0", "10.13.3.9", "10.16.1.11", "11.4.0.106")
# What a variable of this name holds, in the files above.
OWNERS = {
    "builder": "Builder", "network": "INetworkDefinition", "parser": "OnnxParser", "config": "IBuilderConfig",
    "profile": "IOptimizationProfile", "layer": "ILayer", "engine": "ICudaEngine", "_engine": "ICudaEngine",
    "_runtime": "Runtime", "context": "IExecutionContext", "_contexts": "IExecutionContext",
}  # fmt: skip
# Weak typing, which 10.3 alone is ever asked for.
GONE_IN_11 = {"BuilderFlag.INT8", "BuilderFlag.FP16"}
# Looks at real bindings in a process of its own.
_SURFACE = """
import json, sys
import tensorrt_bindings as library
found = {"release": library.__version__}
for name in json.loads(sys.stdin.read()):
    owner = getattr(library, name, None)
    if owner is not None:
        members = {one: str(getattr(getattr(owner, one), "__doc__", "")) for one in dir(owner) if one[0] != "_"}
        values = getattr(owner, "__members__", {})
        found[name] = {"members": members, "values": {one: int(value) for one, value in values.items()}}
class Silent(library.ILogger):
    def __init__(self):
        library.ILogger.__init__(self)
    def log(self, severity, message):
        pass
found["raised"] = []
for kind in (library.Builder, library.Runtime):  # the empty libraries give none
    try:
        kind(Silent())
    except Exception as error:
        found["raised"].append(type(error).__name__)
print(json.dumps(found))
"""


def need_bindings(name: str) -> Path:
    """Return a fetched interface; skip without it, or fail in CI."""
    path = BINDINGS / name
    if not path.exists():
        absent(f"{path} is missing: make bindings")
    return path


def used() -> set[str]:
    """All names of TensorRT that our code uses, as `Class.member` or a name of the module."""
    found = {"Builder", "Runtime"}  # `given` makes them by their names
    for path in USES_TENSORRT:
        found |= chains(path, "trt") | chains(path, "self._trt") | members(path, OWNERS) | overridden(path, "trt")
    return {name for name in found if not name.endswith(".__init__")}


def surface(version: str) -> dict[str, Any]:
    """What the real bindings of a release have, found by importing them over empty libraries."""
    place = need_bindings(version)
    folder = BINDINGS / "empty"
    for name in ("nvinfer", "nvinfer_plugin", "nvonnxparser"):
        library = f"lib{name}.so.{version.split('.', maxsplit=1)[0]}"
        simulated.compiled_library(simulated.FOLDER / "libnvinfer.c", folder / library, library)
    classes = sorted({name.split(".")[0] for name in used()} | set(vars(stand_in())))
    found = subprocess.run(
        [sys.executable, "-c", _SURFACE],
        input=json.dumps(classes),
        env={"PYTHONPATH": str(place), "LD_LIBRARY_PATH": str(folder)},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(found.stdout)


def stand_in() -> Any:
    """The simulated TensorRT's module."""
    simulated.load_driver()
    sys.path.insert(0, str(simulated.FOLDER / "with_tensorrt"))
    try:
        return importlib.import_module("tensorrt")
    finally:
        sys.path.pop(0)
        sys.modules.pop("tensorrt", None)


def stand_in_members() -> dict[str, Any]:
    """Every public class and member of the stand-in as `Class.member`, with the member."""
    simulated.need_program("gcc")
    found = {}
    for name, owner in vars(stand_in()).items():
        if inspect.isclass(owner) and not name.startswith("_") and owner.__module__ == "tensorrt":
            found |= {f"{name}.{one}": value for one, value in vars(owner).items() if not one.startswith("_")}
    return found


def has(real: dict[str, Any], name: str) -> bool:
    """Whether the real bindings have a name of the module or a `Class.member`."""
    owner, _, member = name.partition(".")
    return owner in real and (not member or member in real[owner]["members"])


def test_our_use_of_tensorrt_is_found() -> None:
    """The reading of our source sees calls on objects, enumerations and what we override."""
    assert {
        "NetworkDefinitionCreationFlag.STRONGLY_TYPED", "IBuilderConfig.set_timing_cache", "ICudaEngine.num_io_tensors",
        "IExecutionContext.execute_async_v3", "Runtime.deserialize_cuda_engine", "IProgressMonitor.step_complete",
        "ILogger.log", "OnnxParser.get_error", "DataType.INT8", "BuilderFlag.FP16", "TensorIOMode.INPUT",
    } <= used()  # fmt: skip
    assert len(used()) > 35


@pytest.mark.parametrize("version", VERSIONS)
def test_every_name_of_tensorrt_that_we_use_exists(version: str) -> None:
    """In the real bindings of each release; weak typing's flags are allowed to be gone in 11, and are."""
    real = surface(version)
    assert real["release"] == version
    missing = {name for name in used() if not has(real, name)}
    assert missing == (GONE_IN_11 if version.startswith("11") else set())


@pytest.mark.parametrize("version", VERSIONS)
def test_the_stand_in_has_nothing_that_the_real_bindings_lack(version: str) -> None:
    """So a test that passes on it calls nothing that is not there, with the arguments in their order."""
    real, wrong = surface(version), []
    for name, value in stand_in_members().items():
        if version.startswith("11") and name in GONE_IN_11:
            continue
        if not has(real, name):
            wrong.append(f"{name} is missing")
        elif inspect.isfunction(value):
            owner, member = name.split(".")
            wrong += [f"{name}: {told}" for told in differing(value, real[owner]["members"][member])]
    assert wrong == []


def differing(ours: Any, documentation: str) -> list[str]:
    """Return where the stand-in's arguments are not the first ones of the real function, whose others have defaults."""
    first = documentation.splitlines()[0]
    told = re.search(r"\((.*)\) ->", first)
    if told is None:
        return []
    depth, parts = 0, [""]
    for sign in told[1]:
        depth += (sign in "[(<") - (sign in "])>")
        parts = [*parts, ""] if sign == "," and depth == 0 else [*parts[:-1], parts[-1] + sign]
    real = [part.strip() for part in parts if part.strip()][1:]
    names = [name for name in inspect.signature(ours).parameters if name != "self"]
    if [part.split(":")[0].split("=")[0].strip() for part in real[: len(names)]] != names:
        return [f"takes {names}, really {real}"]
    return [f"lacks {part}" for part in real[len(names) :] if "=" not in part]


def test_arguments_in_another_order_are_noticed() -> None:
    """The comparison above reads the bindings' own documentation."""
    real = "set_shape(self: A, input: str, min: Dims = Dims(1, 2), opt: Dims) -> None\n\nSets."
    assert differing(lambda self, input, min, opt: None, real) == []  # noqa: A006 - TensorRT's names
    assert differing(lambda self, input, opt: None, real) == [  # noqa: A006
        "takes ['input', 'opt'], really ['input: str', 'min: Dims = Dims(1, 2)', 'opt: Dims']"
    ]
    assert differing(lambda self, input, min: None, real) == ["lacks opt: Dims"]  # noqa: A006
    documented = surface("10.3.0")["IBuilderConfig"]["members"]["set_memory_pool_limit"]
    assert differing(lambda self, size: None, documented) != []


@pytest.mark.parametrize("version", VERSIONS)
def test_strong_typing_has_the_number_that_we_reckon_with(version: str) -> None:
    """1 in 10 and 0 in 11, which is why it is always shifted."""
    number = surface(version)["NetworkDefinitionCreationFlag"]["values"]["STRONGLY_TYPED"]
    assert number == (0 if version.startswith("11") else 1)


@pytest.mark.parametrize("version", VERSIONS)
def test_where_a_library_gives_nothing_the_bindings_raise_what_we_catch(version: str) -> None:
    """Without a usable GPU neither a builder nor a runtime comes back: a TypeError, never None."""
    assert surface(version)["raised"] == ["TypeError", "TypeError"]


@pytest.mark.parametrize("place", ["cuda-12", "installed"])
def test_every_name_of_cuda_python_that_we_use_exists(place: str) -> None:
    """In the release for JetPack 6 (CUDA 12) and in the one that is installed here."""
    names = sorted(chains(ENGINE / "memory_cuda_python.py", "cuda"))
    assert {"cuMemHostAlloc", "CUresult.CUDA_SUCCESS", "cuGraphLaunch"} <= set(names)
    program = (
        "import json, operator, sys; from cuda.bindings import driver\n"
        "print(json.dumps([name for name in json.loads(sys.stdin.read()) if not _has(name)]))"
    )
    has_name = (
        "def _has(name):\n try: operator.attrgetter(name)(driver); return True\n except AttributeError: return False\n"
    )
    path = {"PYTHONPATH": str(need_bindings("cuda-12"))} if place == "cuda-12" else {}
    found = subprocess.run(
        [sys.executable, "-c", program.replace("\n", "\n" + has_name, 1)],
        input=json.dumps(names), env=path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert json.loads(found.stdout) == []


def test_every_name_of_pycuda_that_we_use_exists() -> None:
    """In its sources: what C++ gives to Python, with the names of the arguments; it does not build without CUDA."""
    (archive,) = need_bindings(".ready").parent.glob("pycuda-*.tar.gz")
    with tarfile.open(archive) as opened:
        (name,) = [one for one in opened.getnames() if one.endswith("src/wrapper/wrap_cudadrv.cpp")]
        source = opened.extractfile(name).read().decode()  # type: ignore[union-attr]
    given = set(re.findall(r'"(\w+)"', source)) | set(re.findall(r"DEF_SIMPLE_\w+\((\w+)", source))
    path = ENGINE / "memory_pycuda.py"
    owners = dict.fromkeys(("device", "_context", "_stream"), "")
    names = {part for name in chains(path, "cuda") | members(path, owners) for part in name.split(".") if part}
    names |= {"get_device_pointer"}  # of the base of a page-locked array
    assert {"pagelocked_empty", "DEVICEMAP", "retain_primary_context", "memcpy_dtoh_async", "handle"} <= names
    # `cls.attr("DEVICEMAP")`, `.value("INTEGRATED", …)`, `py::def("mem_alloc", …)`; the exception is made by a macro.
    errors = set(re.findall(r"DECLARE_EXC\((\w+)", source))
    assert names - given - errors == set()
    assert re.search(r'"pagelocked_empty".*?"shape".*?"dtype".*?"order".*?"mem_flags"', source, re.S)
    for function, order in (("htod", ("dest", "src")), ("dtoh", ("dest", "src"))):
        listed = ", ".join(f'"{one}"' for one in order)
        assert re.search(rf'"memcpy_{function}_async", \w+,\s*\(py::args\({listed}\), py::arg\("stream"\)', source) or (
            re.search(
                rf'"memcpy_{function}_async", \w+,\s*\(py::args\("dest"\), py::arg\("src"\), py::arg\("stream"\)',
                source,
            )
        )
