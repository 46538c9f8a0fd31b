"""From a checkpoint and footage to a complete bundle: the gate, what it returns to float, the report, the demand."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import msgspec
import numpy as np
import pytest

import export.cli
from calibration.parity import roll_out
from calibration.ranges import OBSERVERS, Histogram, joined, ranges_from_histograms
from edge.bundle import read_bundle
from edge.errors import GateFailed
from edge.golden import check_golden
from edge.model import chosen_variant, read_model, runner_of
from edge.runners import open_runner
from export import making
from export.bundle_cli import manifest_schema
from export.checkpoint import save_checkpoint
from export.compiling import Compiled
from export.step import spec_from_architecture, step_onnx
from export.variants import settling
from export.variants.forms import VARIANTS
from export.variants.lint import Breach
from export.variants.settling import Ranges, Returned, Source, fitted, measured_ranges, settle
from tests.tiny import clip_from, normal_images, random_weights, tiny_architecture
from tests.variant_steps import made

ARCHITECTURE = tiny_architecture()
# Small enough that nothing is chaotic: every variant passes the gate with all its layers whole.
WEIGHTS = random_weights(ARCHITECTURE, scale=0.08)
WEIGHTS["ahat.0.weight"] *= 4.0  # the picture depends on what the network knows
CLIPS = [clip_from(normal_images(90, seed=1)), clip_from(normal_images(60, seed=2))]
SOURCE = Source(ARCHITECTURE, step_onnx(ARCHITECTURE, WEIGHTS), spec_from_architecture(ARCHITECTURE), CLIPS, 160)
FLOAT = SOURCE.float_form
GOOD = {
    f"{kind}{layer}": reach for layer in range(3) for kind, reach in (("r", 1.0), ("e", 1.0), ("a", 1.5), ("ahat", 1.5))
}
# So wide that INT8 knows nothing of layer 0 but 0: what sees it computes something else.
BLIND = GOOD | {"r0": 500.0, "e0": 500.0}
SEEING = {"ahat.0", "gates.0", "a.0"}


def quiet(_name: str, _done: int, _total: int) -> None:
    """Tell nobody of a stage."""


@pytest.fixture(scope="module")
def reference():  # type: ignore[no-untyped-def]
    """The float step's rollout."""
    return fitted(SOURCE, FLOAT, quiet)[1]


def test_a_good_variant_passes_with_every_layer_whole(reference) -> None:  # type: ignore[no-untyped-def]
    """Nothing returns to float where nothing needs to."""
    found = settle(SOURCE, "int8", GOOD, reference, may_return=True, told=quiet)
    assert found.parity.failures == []
    assert found.returned == []
    assert len(found.form.convolutions) == 8


def test_layers_return_to_float_in_the_order_of_their_sensitivity(reference) -> None:  # type: ignore[no-untyped-def]
    """Those that see the blinded state go first, each with what it costs, and the gate is passed without them."""
    found = settle(SOURCE, "int8", BLIND, reference, may_return=True, told=quiet)
    assert found.parity.failures == []
    gone = [one.convolution for one in found.returned]
    assert set(gone) <= SEEING
    assert gone
    assert not set(gone) & set(found.form.convolutions)
    assert len(found.form.convolutions) == 8 - len(gone)
    deviations = [one.deviation for one in found.returned]
    assert deviations == sorted(deviations, reverse=True)
    order = settling.sensitivities(SOURCE, "int8", BLIND, quiet)
    assert [one.convolution for one in order[: len(gone)]] == gone
    # The costs, counted by hand: ahat.0 is 2 → 1 channels, gates.0 is 2 + 2 + 4 → 4 · 2, both 3 × 3.
    weights = {one.convolution: one.bytes / 3 for one in order}
    assert (weights["ahat.0"], weights["gates.0"]) == (2 * 9, 8 * 8 * 9)
    assert sum(one.share for one in order) == pytest.approx(1.0)


def test_without_permission_the_failure_stays(reference) -> None:  # type: ignore[no-untyped-def]
    """The gate says in words what is below what was promised."""
    found = settle(SOURCE, "int8", BLIND, reference, may_return=False, told=quiet)
    assert found.returned == []
    assert any(told.startswith("rank correlation of the surprise") for told in found.parity.failures)


def test_the_observer_is_chosen_by_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    """The observer whose INT8 step is closest wins, whichever; ranges are those of both passes, float and INT8 states."""
    passes: dict[str, dict[str, Histogram]] = {}
    monkeypatch.setattr(settling, "_observed", lambda *given: passes.setdefault(given[1].name, observed(*given)))
    source = replace(SOURCE, clips=CLIPS[:1])
    for closest in OBSERVERS:
        passes.clear()
        told = [0.1 if name == closest else 0.2 for name in OBSERVERS]
        monkeypatch.setattr(settling, "deviation", lambda *_, left=[*told]: left.pop(0))
        found = measured_ranges(source, quiet)
        assert found.observer == closest
        assert found.deviations == dict(zip(OBSERVERS, told, strict=True))
        assert list(passes) == ["float", "int8"]
        assert found.ranges == ranges_from_histograms(joined(passes["float"], passes["int8"]), closest)
        assert found.ranges != ranges_from_histograms(passes["float"], closest)
    assert found.ranges.keys() == GOOD.keys() - {"a0", "ahat0"}
    assert found.frames == 180


observed = settling._observed


def test_a_network_that_cannot_be_rounded_is_no_int8(reference, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    """One convolution stays whole to the end: with none the float step would pass under the name of INT8."""
    monkeypatch.setattr(
        settling, "sensitivities", lambda *_: [Returned(name, 0.1, 0.1, 1) for name in ("a.1", "ahat.0")]
    )
    monkeypatch.setattr(settling, "roundable", lambda *_: ["a.1", "ahat.0"])
    found = settle(SOURCE, "int8", BLIND, reference, may_return=True, told=quiet)
    assert found.parity.failures
    assert found.form.convolutions == ("ahat.0",)


def test_rollouts_do_not_depend_on_the_clips_being_long_enough() -> None:
    """160 closed-loop steps of 150 frames: the footage begins again."""
    runner = open_runner(SOURCE.step, SOURCE.spec, 1)
    calibration, _ = fitted(SOURCE, FLOAT, quiet)
    assert len(roll_out(CLIPS, runner, calibration, 160).surprise) == 160


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a checkpoint and the bundle that `prednet-export bundle` makes of it, with everything."""
    folder = tmp_path_factory.mktemp("making")
    save_checkpoint(folder / "tiny.safetensors", ARCHITECTURE, WEIGHTS, {"seed": 3})
    command = ["bundle", str(folder / "tiny.safetensors"), "--footage", "test://factory?seed=3&seconds=12",
               "-o", str(folder / "tiny.prednet"), "--gate-steps", "150", "--licence", "MIT"]  # fmt: skip
    assert export.cli.main(command) == 0
    return folder


def test_one_command_makes_a_complete_bundle(folder: Path) -> None:
    """Every variant with step, normality, limits and golden answer; provenance, report, and a manifest by its schema."""
    bundle = read_bundle(folder / "tiny.prednet")
    manifest = bundle.manifest
    assert list(manifest.variants) == list(VARIANTS)
    jsonschema.validate(json.loads(msgspec.json.encode(manifest)), manifest_schema())
    assert manifest.command.startswith("prednet-export bundle ")
    assert manifest.licence == "MIT"
    assert manifest.tools.keys() >= {"numpy", "onnx", "onnxruntime"}
    assert manifest.reports == ("report.json", "report.html")
    returned = {one["name"]: len(one["returned"]) for one in json.loads(bundle.files["report.json"])["variants"]}
    for name, variant in manifest.variants.items():
        runner_of(bundle, name, slots=2).close()  # its golden answer is right
        assert len(variant.int8) == {"int8": 8, "int8.fp16": 8, "cpu": 5}.get(name, 0) - returned[name]
        assert variant.convolutions == 8
    limits = {name: bundle.calibration(name).limits for name in VARIANTS}
    assert len({one.on for one in limits.values()}) > 2  # fitted on each variant by itself
    assert len({one.footage_digest for one in limits.values()}) == 1


def test_the_report_says_what_was_found(folder: Path) -> None:
    """JSON and page lie in the bundle and beside it: figures, pictures, and the command that made them."""
    files = read_bundle(folder / "tiny.prednet").files
    report = json.loads(files["report.json"])
    assert [one["name"] for one in report["variants"]] == list(VARIANTS)
    assert report["seconds"]["float: watching normal footage"] > 0
    for one in report["variants"][1:]:
        assert one["parity"]["rank_correlation"] >= 0.99
        assert one["parity"]["steps"] == 150
    page = files["report.html"].decode()
    assert page == (folder / "tiny.report.html").read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") == 5  # predictions, and the surprise of four variants
    assert "prednet-export bundle " in page
    assert "--gate-steps 150" in page
    assert "A trial: the gate ran over 150 steps, and 1000 are needed." in page
    for one in report["variants"][1:]:  # every bound of the gate has its figure
        assert f"<td>{100 * one['parity']['quantile_agreement']:.2f} %</td>" in page
    assert "http" not in page.replace("https://json", "")  # it needs no other file


def test_the_device_takes_the_cpu_variant_by_itself(folder: Path) -> None:
    """`auto` is the variant laid out for the CPU where there is one, and float where there is none."""
    bundle = read_bundle(folder / "tiny.prednet")
    assert chosen_variant(bundle, "auto") == "cpu"
    assert chosen_variant(bundle, "int8") == "int8"
    assert read_model(folder / "tiny.prednet", "auto", None).variant == "cpu"
    demo = Path(export.cli.__file__).parents[1] / "edge" / "data" / "demo.prednet"
    assert read_model(demo, "auto", None).variant in ("float", "cpu")


def test_a_runner_that_computes_something_else_is_refused(folder: Path) -> None:
    """The int8 step does not give the cpu variant's golden answer of another network; nor does a wrong one pass."""
    bundle = read_bundle(folder / "tiny.prednet")
    golden = bundle.golden("float")
    assert golden is not None
    other = step_onnx(ARCHITECTURE, random_weights(ARCHITECTURE, seed=9, scale=0.08))
    with pytest.raises(Exception, match=r"here: its golden answer is missed: errors by "):
        check_golden(open_runner(other, bundle.spec, 1), golden, "here")
    broken = replace(golden, answer=replace(golden.answer, errors=golden.answer.errors * np.float32(np.nan)))
    with pytest.raises(Exception, match="errors by inf"):
        check_golden(open_runner(bundle.step("float"), bundle.spec, 1), broken, "here")


@pytest.fixture
def _uncompiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine without the compiler, and quick."""
    monkeypatch.setattr(making, "can_compile", lambda: False)


@pytest.fixture
def _blind(_uncompiled: None, monkeypatch: pytest.MonkeyPatch) -> None:
    ranges = Ranges("largest", BLIND, {"largest": 0.1}, 10)
    monkeypatch.setattr(making, "measured_ranges", lambda *_: ranges)


@pytest.mark.usefixtures("_blind")
def test_int8_that_was_demanded_and_fails_is_exit_code_4(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No bundle is written, the report is; with permission to fall back there is a bundle, and a note of what it cost."""
    out = tmp_path / "demanded.prednet"
    command = ["bundle", str(folder / "tiny.safetensors"), "--footage", "test://factory?seed=3&seconds=12", "-o", str(out),
               "--gate-steps", "150", "--variants", "int8", "--precision", "int8"]  # fmt: skip
    assert export.cli.main(command) == 4
    assert "int8 fails the gate: rank correlation of the surprise" in capsys.readouterr().err
    assert not out.exists()
    assert "rank correlation" in (tmp_path / "demanded.report.html").read_text(encoding="utf-8")
    assert export.cli.main([*command, "--allow-fallback"]) == 0
    assert "int8 passes with " in capsys.readouterr().err
    assert 0 < len(read_bundle(out).manifest.variants["int8"].int8) < 8
    page = read_bundle(out).files["report.html"].decode()
    assert "int8: returned to float, the most sensitive first" in page
    (int8,) = (one for one in json.loads(read_bundle(out).files["report.json"])["variants"] if one["name"] == "int8")
    for back in int8["returned"]:  # each with its own deviation, what it multiplies and what it weighs
        costs = f"{100 * back['deviation']:.2f} %", f"{100 * back['share']:.1f} %", f"{back['bytes'] / 1e3:.1f} kB"
        assert "".join(f"<td>{cell}</td>" for cell in (back["convolution"], *costs)) in page


def test_what_lint_or_compiler_contradict_is_no_bundle(monkeypatch: pytest.MonkeyPatch) -> None:
    """A convolution that is said to be INT8 and compiled in float ends the export with code 4; so does a broken rule."""
    form = made("int8")
    monkeypatch.setattr(making, "can_compile", lambda: True)
    monkeypatch.setattr(making, "compiled", lambda _: Compiled(form.convolutions, form.convolutions[1:]))
    with pytest.raises(GateFailed, match=f"{form.convolutions[0]} is said to be INT8 and is compiled in float"):
        making._checked(form)
    monkeypatch.setattr(making, "can_compile", lambda: False)
    monkeypatch.setattr(making, "lint", lambda *_: [Breach("scales", "a list of scales")])
    with pytest.raises(GateFailed, match="breaks the rules of INT8 for TensorRT: scales: a list of scales") as refused:
        making._checked(form)
    assert refused.value.exit_code == 4


@pytest.mark.usefixtures("_uncompiled")
def test_variants_are_chosen_and_float_is_always_there(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--variants cpu` makes float and cpu; an unknown name is a usage error."""
    out = tmp_path / "few.prednet"
    command = [
        "bundle",
        str(folder / "tiny.safetensors"),
        "--footage",
        "test://factory?seed=3&seconds=12",
        "-o",
        str(out),
    ]
    assert export.cli.main([*command, "--gate-steps", "100", "--variants", "cpu"]) == 0
    printed = capsys.readouterr()
    assert list(read_bundle(out).manifest.variants) == ["float", "cpu"]
    assert "tensorrt-rtx is not installed" in out.with_suffix(".report.json").read_text(encoding="utf-8")
    assert "cpu: the gate" in printed.err  # the stages, and how long each took
    assert "note: A trial: the gate ran over 100 steps" in printed.err
    assert "all " in printed.err
    assert export.cli.main([*command, "--variants", "int9"]) == 2
    assert export.cli.main([*command, "--gate-steps", "5"]) == 2
    assert export.cli.main([*command, "--variants", "fp16", "--precision", "int8"]) == 2
    assert export.cli.main([*command, "-o", str(tmp_path / "nowhere" / "few.prednet")]) == 2
    refused = capsys.readouterr().err
    assert "'int9' is not known; there are float, int8, fp16, int8.fp16, cpu." in refused
    assert "--precision int8 demands something of int8, int8.fp16, cpu" in refused
    assert "there is no folder " in refused
    assert "watching" not in refused  # before the work, not after it
