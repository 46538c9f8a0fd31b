"""One suite for both ways to the device's memory; the driver below them is simulated."""

from __future__ import annotations

import builtins
import platform
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from edge.engine import memory as memory_room
from edge.engine.memory import DeviceMemory, open_memory
from edge.errors import DeviceUnavailable, PrednetError
from tests import simulated


@pytest.fixture(params=["pycuda", "cuda-python"])
def memory(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> DeviceMemory:
    """The device's memory by one library."""
    simulated.install(monkeypatch, request.param)
    opened = open_memory()
    assert opened.name == request.param
    return opened


def test_the_device_tells_what_it_is(memory: DeviceMemory) -> None:
    """Name, SM, multiprocessors, memory, CUDA: the device's part of an engine's key."""
    facts = memory.facts
    assert (facts.name, facts.compute_capability, facts.multiprocessors) == ("Simulated", "8.7", 8)
    assert (facts.memory_mib, facts.cuda, facts.is_integrated) == (8192, "12.6", True)
    memory.close()


def test_copies_are_done_in_order_when_synchronised(memory: DeviceMemory) -> None:
    """In and out again gives the same bytes, the later above the earlier ones, and nothing is there before."""
    address, sent, received = memory.allocate(64), np.arange(64, dtype=np.uint8), np.zeros(64, np.uint8)
    memory.copy_in(address, sent)
    memory.copy_in(address + 16, sent[:16])
    memory.copy_out(received[:32], address)
    assert not received.any()
    memory.synchronise()
    np.testing.assert_array_equal(received[:32], [*range(16), *range(16)])
    memory.close()


def test_shared_memory_is_one_and_the_same(memory: DeviceMemory) -> None:
    """What the host writes into a mapped buffer the device reads without a copy."""
    buffer, received = memory.host_buffer(16), np.zeros(16, np.uint8)
    assert buffer.device_address is not None
    assert not buffer.array.any()
    buffer.array[:] = 9
    memory.copy_out(received, buffer.device_address)
    memory.synchronise()
    assert (received == 9).all()
    memory.close()


def test_a_gpu_with_memory_of_its_own_shares_none(memory: DeviceMemory, monkeypatch: pytest.MonkeyPatch) -> None:
    """There the frames must be copied."""
    memory.close()
    simulated.load_driver().simulated_set(0, 0)
    other = open_memory()
    assert not other.facts.is_integrated
    assert other.host_buffer(16).device_address is None
    other.close()


def test_a_copy_beyond_its_memory_is_refused(memory: DeviceMemory) -> None:
    """CUDA's refusal is an error of ours."""
    address = memory.allocate(16)
    with pytest.raises(PrednetError, match="CUDA refuses"):
        memory.copy_in(address + 8, np.zeros(16, np.uint8))
    memory.close()


def test_a_captured_queue_is_done_again_at_each_launch(memory: DeviceMemory) -> None:
    """cuda-python records and replays, pycuda says that it cannot; capturing does nothing by itself."""
    buffer, target, received = memory.host_buffer(16), memory.allocate(16), np.zeros(16, np.uint8)
    launch = memory.captured(lambda: memory.copy_in(target, buffer.array))
    assert (launch is None) == (memory.name == "pycuda")
    for number in (3, 4) if launch else ():
        buffer.array[:] = number
        launch()  # type: ignore[misc]
        memory.copy_out(received, target)
        memory.synchronise()
        assert (received == number).all()
    memory.close()


def test_a_queue_that_fails_while_it_is_captured_leaves_the_stream_of_use(memory: DeviceMemory) -> None:
    """No graph, and the next copy works."""
    target, received = memory.allocate(16), np.zeros(16, np.uint8)

    def fails() -> None:
        raise PrednetError("TensorRT does not run the step")

    assert memory.captured(fails) is None
    memory.copy_in(target, np.full(16, 5, np.uint8))
    memory.copy_out(received, target)
    memory.synchronise()
    assert (received == 5).all()
    memory.close()


@pytest.mark.parametrize("kind", ["pycuda", "cuda-python"])
def test_closing_frees_everything(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is allocated afterwards that was not before."""
    driver = simulated.install(monkeypatch, kind)
    before = driver.simulated_allocations()
    opened = open_memory()
    opened.allocate(16)
    opened.host_buffer(16)
    assert driver.simulated_allocations() == before + 2
    opened.close()
    assert driver.simulated_allocations() == before


def importing_fails(monkeypatch: pytest.MonkeyPatch, faults: dict[str, Exception]) -> None:
    """Let imports of some modules raise."""
    true_import = builtins.__import__

    def importing(name: str, *arguments: Any, **options: Any) -> Any:
        if name in faults:
            raise faults[name]
        return true_import(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", importing)


@pytest.mark.parametrize(
    ("faults", "told"),
    [
        ({"pycuda": ModuleNotFoundError(), "cuda": ModuleNotFoundError()}, r"neither pycuda nor cuda-python is installed: pip install 'prednet-edge\[gpu\]'"),
        ({"pycuda": ImportError("libcurand.so.10: cannot open")}, "pycuda does not import.*no driver, or it was built for another CUDA"),
        ({"pycuda": OSError("libcuda.so.1: denied")}, r"pycuda cannot load a library \(libcuda.so.1: denied\): .*until nvidia-smi answers\.$"),
        ({"pycuda": ModuleNotFoundError(), "cuda": ImportError("undefined symbol")}, r"cuda-python does not import.*'cuda-bindings==12.\*' \(CUDA 12, JetPack 6\)"),
        ({"pycuda": ModuleNotFoundError(), "cuda": OSError("libcuda.so.1")}, r"cuda-python cannot load a library .*with the NVIDIA runtime; here: install NVIDIA's driver"),
    ],
)  # fmt: skip
def test_what_is_missing_of_cuda_is_told_with_its_remedy(
    faults: dict[str, Exception], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not installed, not this CUDA's and not loadable are different sentences; only what is not installed makes way."""
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    doors = {"pycuda": "edge.engine.memory_pycuda", "cuda": "edge.engine.memory_cuda_python"}
    importing_fails(monkeypatch, {doors[library]: fault for library, fault in faults.items()})
    with pytest.raises(DeviceUnavailable, match=told):
        memory_room.open_memory()


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (ModuleNotFoundError(), r"is installed: pip install 'prednet-edge\[jetson\]'\.$"),
        (OSError("libcuda.so.1"), "on a Jetson: sudo apt-get install nvidia-jetpack"),
    ],
)
def test_on_a_jetson_the_remedy_is_jetpacks(fault: Exception, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What pip brings for servers would not run there."""
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    doors = ("edge.engine.memory_pycuda", "edge.engine.memory_cuda_python")
    importing_fails(monkeypatch, {doors[0]: ModuleNotFoundError(), doors[1]: fault})
    with pytest.raises(DeviceUnavailable, match=told):
        memory_room.open_memory()


def test_without_a_driver_the_device_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without a GPU: exit code 3 and a remedy, no traceback."""
    simulated.install(monkeypatch, "pycuda")
    import pycuda.driver  # noqa: PLC0415 - the stand-in

    monkeypatch.setattr(pycuda.driver, "_lib", SimpleNamespace(cuInit=lambda flags: 100))
    with pytest.raises(
        DeviceUnavailable, match=r"^no GPU answers pycuda \(.*\); check the driver and /dev/nvhost-\*\.$"
    ):
        open_memory()


def test_without_a_driver_cuda_python_says_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """It raises by itself where the driver's library is missing."""
    simulated.install(monkeypatch, "cuda-python")
    from edge.engine import memory_cuda_python  # noqa: PLC0415 - the door of the stand-in

    def missing(_: int) -> None:
        raise RuntimeError("libcuda.so.1 is missing")

    monkeypatch.setattr(memory_cuda_python, "cuda", SimpleNamespace(cuInit=missing))
    told = r"^no GPU answers cuda-python \(libcuda\.so\.1 is missing\); check the driver and /dev/nvhost-\*\.$"
    with pytest.raises(DeviceUnavailable, match=told):
        open_memory()
