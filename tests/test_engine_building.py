"""The builder: real on TensorRT for RTX without a GPU, and its branches for other versions on a stand-in."""

from __future__ import annotations

import builtins
import platform
from typing import Any

import numpy as np
import pytest

from edge.engine import library
from edge.engine.building import BuildOptions, EngineRefused, plan_from_onnx, profile_cameras
from edge.engine.library import open_library
from edge.errors import DeviceUnavailable, PrednetError
from export.step import step_onnx
from tests import simulated
from tests.needs import need
from tests.tiny import random_weights, tiny_architecture
from tests.variant_steps import made


def for_sm86(trt: Any) -> Any:
    """What makes TensorRT for RTX compile for a GPU that is not here."""

    def configure(config: Any) -> None:
        config.num_compute_capabilities = 1
        config.set_compute_capability(trt.ComputeCapability.SM86, 0)

    return configure


@pytest.fixture
def rtx() -> Any:
    """TensorRT for RTX, whose ahead-of-time build needs no GPU."""
    need("tensorrt_rtx")
    return open_library("tensorrt_rtx")


def test_the_builder_builds_for_a_real_compiler_and_tells_its_progress(rtx: Any) -> None:
    """Strongly typed, each phase told from 0 to 1; what one build gives as its timing cache the next one takes."""
    told: list[tuple[str, float]] = []
    step = made("int8.fp16").step
    first = plan_from_onnx(
        rtx, step, BuildOptions(cameras=2), progress=lambda *one: told.append(one), configure=for_sm86(rtx)
    )
    assert first.typing == "strong"
    assert len(first.plan) > len(step) // 4  # the weights are in it
    assert told
    for phase in {name for name, _ in told}:
        shares = [share for name, share in told if name == phase]
        assert shares[0] == 0.0
        assert shares[-1] == 1.0
        assert all(0.0 <= share <= 1.0 for share in shares)
    again = plan_from_onnx(rtx, step, BuildOptions(cameras=2), timing_cache=first.timing_cache, configure=for_sm86(rtx))
    assert again.typing == "strong"


def test_the_options_reach_the_builder(rtx: Any) -> None:
    """The workspace and the effort stand in the configuration that builds."""
    seen = {}

    def configure(config: Any) -> None:
        for_sm86(rtx)(config)
        seen["workspace"] = config.get_memory_pool_limit(rtx.MemoryPoolType.WORKSPACE)
        seen["level"] = config.builder_optimization_level
        seen["profiles"] = config.num_optimization_profiles

    plan_from_onnx(rtx, made("float").step, BuildOptions(workspace_mib=96, level=2), configure=configure)
    assert seen == {"workspace": 96 << 20, "level": 2, "profiles": 1}


@pytest.mark.parametrize(("name", "has_tf32"), [("float", False), ("fp16", True), ("int8", True)])
def test_a_step_of_float32_alone_is_computed_in_float32(rtx: Any, name: str, has_tf32: bool) -> None:
    """TF32 has ten bits: the float step would miss its golden answer by it; beside INT8 it costs nothing that counts."""
    seen = []

    def configure(config: Any) -> None:
        for_sm86(rtx)(config)
        seen.append(config.get_flag(rtx.BuilderFlag.TF32))

    plan_from_onnx(rtx, made(name).step, BuildOptions(), configure=configure)
    assert seen == [has_tf32]


def test_what_is_no_step_is_refused_in_the_librarys_words(rtx: Any) -> None:
    """A damaged ONNX file gives the parser's reason, not a crash."""
    with pytest.raises(EngineRefused, match=r"TensorRT .* makes no engine of the step: strong typing: "):
        plan_from_onnx(rtx, b"no onnx", BuildOptions(), configure=for_sm86(rtx))


@pytest.mark.parametrize(("version", "typing"), [("10.3.0", "weak"), ("10.13.3.9", None), ("11.4.0.106", None)])
def test_weak_typing_is_the_fallback_of_10_3_alone(
    version: str, typing: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where strong typing fails, 10.3 takes INT8|FP16; a later release says why it fails."""
    simulated.install(monkeypatch, version=version, refuses_strong=True)
    trt = open_library()
    if typing is None:
        with pytest.raises(EngineRefused, match="strong typing: it was parsed") as refused:
            plan_from_onnx(trt, made("int8").step, BuildOptions())
        assert "could not find any implementation for node {ForeignNode}" in refused.value.words
    else:
        assert plan_from_onnx(trt, made("int8").step, BuildOptions()).typing == typing


@pytest.mark.parametrize("version", ["10.3.0", "10.13.3.9", "10.16.1.11", "11.4.0.106"])
def test_strong_typing_is_asked_for_by_each_versions_own_number(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The flag is 1 << 1 in 10 and 1 << 0 in 11; an INT8 step built weakly without flags would be refused."""
    simulated.install(monkeypatch, version=version)
    assert plan_from_onnx(open_library(), made("int8").step, BuildOptions()).typing == "strong"


def test_without_a_usable_gpu_there_is_no_builder_and_the_reason_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bindings raise a TypeError that says nothing; TensorRT's own last word does."""
    simulated.install(monkeypatch, has_no_gpu=True)
    with pytest.raises(
        DeviceUnavailable, match=r"gives no Builder \(createInferBuilder: .*CUDA initialization failure"
    ):
        plan_from_onnx(open_library(), made("float").step, BuildOptions())


def test_another_versions_timing_cache_is_left_aside(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache that does not fit is no reason not to build."""
    simulated.install(monkeypatch, version="10.3.0")
    trt = open_library()
    built = plan_from_onnx(trt, made("float").step, BuildOptions(), timing_cache=b"9.1.0 knows something")
    assert built.timing_cache.startswith(b"10.3.0")


def test_an_engine_takes_the_next_power_of_two_of_cameras() -> None:
    """Nine cameras and sixteen share an engine; seventeen are refused."""
    assert [profile_cameras(count) for count in (1, 2, 3, 4, 5, 9, 16)] == [1, 2, 4, 4, 8, 16, 16]
    with pytest.raises(PrednetError, match="17 cameras; one step takes 1 to 16"):
        profile_cameras(17)


@pytest.mark.parametrize(
    ("machine", "fault", "told"),
    [
        ("aarch64", ModuleNotFoundError("No module", name="tensorrt"), "tensorrt is not installed; on a Jetson: sudo apt-get install python3-libnvinfer"),
        ("x86_64", ModuleNotFoundError("No module", name="tensorrt"), r"tensorrt is not installed; pip install 'prednet-edge\[gpu\]'\.$"),
        ("x86_64", ModuleNotFoundError("No module", name="tensorrt_libs"), r"tensorrt needs tensorrt_libs, which is not installed; pip install 'prednet-edge\[gpu\]'"),
        ("aarch64", ImportError("libnvinfer.so.10: cannot open"), r"does not import \(libnvinfer.so.10: cannot open\): .* sudo apt-get install --reinstall tensorrt"),
        ("x86_64", ImportError("libnvinfer.so.10: cannot open"), r"does not import .* another version's; pip install --force-reinstall tensorrt\.$"),
        ("aarch64", OSError("libcudart.so.12: cannot open"), r"cannot load a library \(libcudart.so.12: cannot open\): .* NVIDIA runtime; on a Jetson: sudo apt-get install nvidia-jetpack"),
        ("x86_64", OSError("libcudart.so.12: cannot open"), r"cannot load a library .* NVIDIA runtime; here: install NVIDIA's driver, until nvidia-smi answers\.$"),
    ],
)  # fmt: skip
def test_what_is_missing_of_tensorrt_is_told_with_its_remedy(
    machine: str, fault: Exception, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not installed, installed without its libraries, and libraries that do not load: a remedy each, by the machine."""
    monkeypatch.setattr(platform, "machine", lambda: machine)
    true_import = builtins.__import__

    def importing(name: str, *arguments: Any, **options: Any) -> Any:
        if name == "tensorrt":
            raise fault
        return true_import(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", importing)
    with pytest.raises(DeviceUnavailable, match=told):
        library.open_library()


def test_the_simulation_really_computes_the_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong engine of the stand-in is told apart from a right one, or it would prove nothing."""
    from tests.step_runners import open_simulated  # noqa: PLC0415 - needs the stand-ins

    architecture = tiny_architecture()
    step = step_onnx(architecture, random_weights(architecture))
    found = []
    for behaviour in ({}, {"wrong": "ahat"}):
        simulated.install(monkeypatch, **behaviour)
        runner = open_simulated(step, made("float").spec, 1)
        found.append(runner.step(np.zeros((1, 32, 40, 1), np.uint8), np.ones(1, bool), np.ones(1, bool)).errors.copy())
        runner.close()
    np.testing.assert_allclose(found[1], 3 * found[0])
    assert found[0].max() > 0
