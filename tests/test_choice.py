"""Which runner computes: what `auto` takes, what it says of the others, and that nothing falls back in silence."""

from __future__ import annotations

import platform
import re
from collections.abc import Callable
from pathlib import Path

import onnxruntime
import pytest
from msgspec.structs import replace

from edge import runner_onnx
from edge.bundle import Bundle, read_bundle
from edge.choice import choose, variant_in_use
from edge.chosen import EngineUnfit, keeps_up, open_chosen
from edge.config import Config
from edge.config_file import read_config
from edge.engine.making import make_engines, target_here
from edge.engine.wishes import wish_of
from edge.errors import ConfigInvalid, DeviceUnavailable
from edge.runner_onnx import OnnxRunner
from edge.runners import open_runner
from edge.setup import read_device
from edge.topics import default_device
from tests import simulated
from tests.variant_bundle import write_variant_bundle
from tests.variant_steps import SPEC, made

MakeConfig = Callable[..., Config]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A bundle of three variants."""
    names = ("float", "int8", "fp16", "cpu")
    return read_bundle(write_variant_bundle(tmp_path_factory.mktemp("bundle") / "press.prednet", names))


@pytest.fixture
def config(bundle: Bundle, tmp_path: Path) -> MakeConfig:
    """A configuration with more keys as they are given."""

    def make(**keys: str) -> Config:
        more = "".join(f"{key}: {value}\n" for key, value in keys.items())
        path = tmp_path / "config.yaml"
        path.write_text(
            f"site: plant7\nbundle: {bundle.path}\nstate_directory: state\nthreads: 1\n"
            f"cameras: {{press3: {{source: 'test://factory'}}}}\n{more}"
        )
        return read_config(path)

    return make


def build(config: Config, bundle: Bundle, variant: str | None = None) -> None:
    """Build the engines that a configuration wants."""
    make_engines(wish_of(config, bundle, variant), target_here(), lambda *_: None)


def test_without_a_gpu_the_cpu_is_taken_and_every_other_reason_told(config: MakeConfig, bundle: Bundle) -> None:
    """This machine: no TensorRT, no provider; the variant is the one laid out for the CPU."""
    choice = choose(config(), bundle)
    assert (choice.runner, choice.variant, choice.engines) == ("onnxruntime-cpu", "cpu", None)
    assert [reason.split(":")[0] for reason in choice.reasons] == [
        "not tensorrt", "not onnxruntime-tensorrt", "not onnxruntime-cuda",
    ]  # fmt: skip
    assert "tensorrt is not installed" in choice.told
    assert "the installed ONNX Runtime has no such provider" in choice.told


@pytest.mark.parametrize(
    ("machine", "told"),
    [
        ("x86_64", "pip uninstall -y onnxruntime onnxruntime-gpu, which fill one folder, and then pip install 'onnxruntime-gpu"),
        ("aarch64", "on a Jetson there is none to install with pip: take runner: tensorrt"),
    ],
)  # fmt: skip
def test_a_missing_provider_is_told_with_what_to_take_away_first(
    machine: str, told: str, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Installed beside the package for the CPU the one for the GPU would be found by luck alone."""
    monkeypatch.setattr(platform, "machine", lambda: machine)
    with pytest.raises(DeviceUnavailable, match=re.escape(told)):
        open_runner(bundle.step("cpu"), bundle.spec_of("cpu"), 1, name="onnxruntime-cuda")


@pytest.mark.parametrize("runner", ["tensorrt", "onnxruntime-tensorrt", "onnxruntime-cuda"])
def test_a_runner_that_is_asked_for_is_taken_or_refused(runner: str, config: MakeConfig, bundle: Bundle) -> None:
    """Never another one: the configuration is refused with the reason and the remedy."""
    with pytest.raises(ConfigInvalid, match=f"runner: {runner} cannot be had: not {runner}: .*'runner: auto' takes"):
        choose(config(runner=runner), bundle)


def test_tensorrt_is_taken_once_an_engine_is_proven(
    config: MakeConfig, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before that the CPU serves, the engine is to be built, and the site is calibrated for what is coming."""
    simulated.install(monkeypatch)
    before = choose(config(), bundle)
    assert (before.runner, before.variant) == ("onnxruntime-cpu", "cpu")
    assert before.engines is not None
    assert before.engines.kept.unmade == ("int8", "fp16")
    assert before.reasons[0].startswith("not tensorrt: no engine (int8: none was built yet; fp16: none was built yet)")
    assert variant_in_use(config(), bundle) == "int8"
    build(config(), bundle)
    after = choose(config(), bundle)
    assert (after.runner, after.reasons) == ("tensorrt", ())
    assert variant_in_use(config(), bundle) == after.variant
    runner = open_chosen(after, bundle, 1, 1)
    assert runner.name.startswith("tensorrt 10.3.0")
    runner.close()


@pytest.mark.parametrize("asked", ["variant", "calibrated"])
def test_the_variant_that_is_asked_or_calibrated_for_is_the_one(
    asked: str, config: MakeConfig, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A limit is measured on the variant that runs: FP16's engine alone is built, and until then FP16 on the CPU."""
    simulated.install(monkeypatch)
    keys, calibrated = ({"variant": "fp16"}, ()) if asked == "variant" else ({}, ("fp16",))
    before = choose(config(**keys), bundle, calibrated)
    assert (before.runner, before.variant) == ("onnxruntime-cpu", "fp16")
    assert before.engines is not None
    assert before.engines.kept.unmade == ("fp16",)
    build(config(**keys), bundle, "fp16")
    assert choose(config(**keys), bundle, calibrated).runner == "tensorrt"


def test_cameras_calibrated_for_the_cpus_variant_stay_on_the_cpu(
    config: MakeConfig, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their limits hold there alone; what to do is told."""
    simulated.install(monkeypatch)
    choice = choose(config(), bundle, ("cpu",))
    assert (choice.runner, choice.variant, choice.engines) == ("onnxruntime-cpu", "cpu", None)
    assert "calibrate cameras anew that were calibrated for it (prednet-calibrate site)" in choice.told
    assert variant_in_use(config(), bundle) == "int8"  # so that calibrating anew brings TensorRT


def test_where_no_engine_is_right_the_cpu_serves_and_it_is_told(
    config: MakeConfig, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every variant misses its golden answer: nothing is built again, and the reasons are there."""
    simulated.install(monkeypatch, wrong="ahat")
    build(config(), bundle)
    choice = choose(config(), bundle)
    assert choice.runner == "onnxruntime-cpu"
    assert choice.engines is not None
    assert choice.engines.has_failed
    assert choice.told.count("golden answer is missed") == 2


def test_an_engine_that_went_wrong_is_dropped_before_its_first_score(
    config: MakeConfig, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was right when it was built; today it answers wrongly: the CPU takes over, and it is built once more."""
    simulated.install(monkeypatch)
    build(config(variant="fp16"), bundle)
    simulated.install(monkeypatch, wrong="ahat")
    with pytest.raises(EngineUnfit, match="golden answer is missed"):
        open_chosen(choose(config(variant="fp16"), bundle), bundle, 1, 1)
    choice = choose(config(variant="fp16"), bundle)
    assert (choice.runner, choice.variant) == ("onnxruntime-cpu", "fp16")
    assert choice.engines is not None
    assert choice.engines.kept.unmade == ("fp16",)


def test_a_damaged_engine_is_never_loaded_and_built_anew(
    config: MakeConfig, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A flipped byte on the disk: the CPU serves, the reason is told, and a build makes it whole again."""
    simulated.install(monkeypatch)
    wanted = config(variant="fp16")
    build(wanted, bundle)
    (plan,) = (Path(wanted.state_directory) / "engines").glob("*.plan")
    plan.write_bytes(plan.read_bytes()[:-1] + b"?")
    choice = choose(wanted, bundle)
    assert choice.runner == "onnxruntime-cpu"
    assert "fp16: its file is damaged" in choice.told
    assert choice.engines is not None
    assert choice.engines.kept.unmade == ("fp16",)
    build(wanted, bundle)
    assert choose(wanted, bundle).runner == "tensorrt"


def test_a_foreign_engine_is_proved_in_a_child_before_it_watches(
    config: MakeConfig, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Copied from a twin of this device: one that kills whoever loads it is found there, dropped, and this lives on."""
    simulated.install(monkeypatch)
    wanted = config(variant="fp16")
    build(wanted, bundle)
    store = wish_of(wanted, bundle).store
    (record,) = store.records()
    assert record.proof is not None
    store.note(replace(record, proof=replace(record.proof, machine="its twin")))
    open_chosen(choose(wanted, bundle), bundle, 1, 1).close()
    (ours,) = store.records()
    assert ours.proof is not None
    assert ours.proof.machine == default_device()
    store.note(replace(record, proof=replace(record.proof, machine="its twin")))
    simulated.install(monkeypatch, crashes="ahat")
    with pytest.raises(EngineUnfit, match="its first load ended with -6"):
        open_chosen(choose(wanted, bundle), bundle, 1, 1)
    assert choose(wanted, bundle).runner == "onnxruntime-cpu"


def test_a_provider_that_is_listed_and_does_not_work_is_not_taken(
    config: MakeConfig, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ONNX Runtime gives the CPU in silence; what it gave is compared with what was asked for."""
    monkeypatch.setattr(
        onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"]
    )
    with pytest.raises(DeviceUnavailable, match="gave CPUExecutionProvider where CUDAExecutionProvider was asked for"):
        OnnxRunner(made("float").step, SPEC, 1, 1, "onnxruntime-cuda")
    choice = choose(config(), bundle)
    assert choice.runner == "onnxruntime-cpu"
    assert "gave CPUExecutionProvider where CUDAExecutionProvider was asked for" in choice.told


def test_a_provider_that_works_is_taken_with_a_variant_of_its_own(
    config: MakeConfig, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a session that says CUDA, `auto` takes it, and FP16; no such GPU is here, so that the CPU computes."""
    monkeypatch.setattr(runner_onnx, "offers", lambda name: name != "onnxruntime-tensorrt")
    true_session = runner_onnx._session
    monkeypatch.setattr(
        runner_onnx, "_session", lambda model, threads, _, slots: true_session(model, threads, runner_onnx._CPU, slots)
    )
    monkeypatch.setattr(runner_onnx, "DEVICES", {"onnxruntime-cpu": "cpu", "onnxruntime-cuda": "cpu"})
    choice = choose(config(), bundle)
    assert (choice.runner, choice.variant) == ("onnxruntime-cuda", "fp16")
    assert open_chosen(choice, bundle, 1, 1).name == "onnxruntime-cuda"


def test_a_runner_keeps_up_or_does_not() -> None:
    """The tiny step takes milliseconds: enough at ten frames a second, too long at a hundred thousand."""
    runner = OnnxRunner(made("float").step, SPEC, 1, 1)
    assert keeps_up(runner, 1.0)
    assert not keeps_up(runner, 100_000.0)


def test_check_tells_the_choice(config: MakeConfig, bundle: Bundle, tmp_path: Path) -> None:
    """A device that is read knows it."""
    config()
    assert read_device(tmp_path / "config.yaml").choice.runner == "onnxruntime-cpu"
