"""Engines made in child processes: built, proved, timed, the fastest right one kept. TensorRT and CUDA are simulated."""

from __future__ import annotations

import json
import platform
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import msgspec
import pytest

from edge.bundle import read_bundle
from edge.cli import main
from edge.engine import making
from edge.engine.making import Wish, fastest, is_foreign, kept_engines, make_engines, prove, target_here
from edge.engine.store import Found
from edge.errors import DEVICE_UNAVAILABLE, GATE_FAILED, OK, PrednetError
from export.cli import main as export_main
from tests import simulated
from tests.variant_bundle import write_variant_bundle

INT8 = "QuantizeLinear"  # stands in the bytes of steps that are INT8
QUIET = lambda *_: None  # noqa: E731 - nobody watches


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of what TensorRT builds from."""
    return write_variant_bundle(tmp_path_factory.mktemp("bundle") / "press.prednet", ("float", "int8", "fp16"))


def wish(bundle: Path, folder: Path, *variants: str) -> Wish:
    """Engines for two cameras."""
    return Wish(read_bundle(bundle), variants or ("int8", "fp16"), 2, folder)


def test_the_faster_variant_that_is_right_is_kept(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """INT8 takes 80 ms here: FP16 is kept, both times are told, and nothing is built a second time."""
    simulated.install(monkeypatch, slow={INT8: 80})
    wanted, told = wish(bundle, tmp_path), []
    records = make_engines(wanted, target_here(), lambda *one: told.append(one))
    best = fastest(records)
    assert best is not None
    assert best.variant == "fp16"
    slow, fast = (one.proof.step_milliseconds for one in records if one.proof)
    assert slow > max(80, fast)  # on a busy machine a step of the stand-in may take tens of milliseconds too
    assert [path.name.split(".")[0] for path in tmp_path.glob("*.plan")] == ["fp16"]
    assert {(variant, phase) for variant, phase, _ in told} >= {("int8", "Building"), ("fp16", "proving")}
    assert kept_engines(wanted, target_here()).ready is not None
    monkeypatch.setattr(making, "asked", lambda *_: pytest.fail("built again"))
    assert fastest(make_engines(wanted, target_here(), QUIET)) == best


def test_a_variant_that_answers_wrongly_is_left_out(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The golden answer decides before the first frame: INT8 computes nonsense, FP16 is kept."""
    simulated.install(monkeypatch, wrong=INT8)
    records = make_engines(wish(bundle, tmp_path), target_here(), QUIET)
    best = fastest(records)
    assert best is not None
    assert best.variant == "fp16"
    assert "golden answer is missed" in records[0].failure


def test_an_engine_that_kills_its_process_takes_nothing_with_it(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash at loading is a failure of that variant, with the signal's number; then no engine is ready."""
    simulated.install(monkeypatch, crashes=INT8)
    (record,) = make_engines(wish(bundle, tmp_path, "int8"), target_here(), QUIET)
    assert f"ended with {-signal.SIGABRT}" in record.failure
    found = kept_engines(wish(bundle, tmp_path, "int8"), target_here())
    assert (found.ready, found.unmade, found.told) == (None, (), f"int8: {record.failure}")


def test_an_upgrade_misses_is_built_anew_and_can_be_taken_back(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last good engine stays beside the new one; the downgraded device finds it without building."""
    wanted = wish(bundle, tmp_path, "int8")
    for version in ("10.3.0", "10.16.1.11"):
        simulated.install(monkeypatch, version=version)
        before = kept_engines(wanted, target_here())
        assert (before.ready, before.unmade) == (None, ("int8",))
        assert before.told == (
            "int8: none was built yet" if version == "10.3.0" else "int8: changed: tensorrt 10.3.0 -> 10.16.1.11"
        )
        make_engines(wanted, target_here(), QUIET)
        assert kept_engines(wanted, target_here()).ready is not None
    simulated.install(monkeypatch, version="10.3.0")
    assert kept_engines(wanted, target_here()).ready is not None


def test_a_foreign_engine_is_proved_in_a_child_before_it_is_loaded_here(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An engine that another machine proved is asked again; one that kills is found there, not in the daemon."""
    simulated.install(monkeypatch)
    wanted = wish(bundle, tmp_path, "int8")
    (record,) = make_engines(wanted, target_here(), QUIET)
    assert record.proof is not None
    assert not is_foreign(record)
    theirs = msgspec.structs.replace(record, proof=msgspec.structs.replace(record.proof, machine="another"))
    wanted.store.note(theirs)
    assert is_foreign(theirs)
    assert not is_foreign(prove(wanted.order("int8")))
    simulated.install(monkeypatch, crashes=INT8)
    with pytest.raises(PrednetError, match="its first load ended with -6"):
        prove(wanted.order("int8"))


def test_another_steps_engine_is_told_by_its_tensors(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The float step's engine under the INT8 step's name has float states: refused by name, type and shape."""
    simulated.install(monkeypatch)
    wanted = wish(bundle, tmp_path, "int8", "float")
    target = target_here()
    plans = {}
    for variant in wanted.variants:
        (record,) = make_engines(wish(bundle, tmp_path / variant, variant), target, QUIET)
        found = wish(bundle, tmp_path / variant, variant).store.find(variant, record.key)
        assert isinstance(found, Found)
        plans[variant] = found
    wanted.store.keep(plans["int8"].record, plans["float"].plan)
    with pytest.raises(PrednetError, match=r"the engine's e0 is input float32 .*manifest says input int8"):
        prove(wanted.order("int8"))


def test_a_rebuild_that_is_killed_leaves_the_engine(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGKILL at any moment: the engine's file is the old one or a whole new one, never a part, and it is ready."""
    simulated.install(monkeypatch)
    wanted, target = wish(bundle, tmp_path, "fp16"), target_here()
    make_engines(wanted, target, QUIET)
    before = next(tmp_path.glob("*.plan")).read_bytes()
    command = [sys.executable, "-c", "from edge.engine.making import serve_build; serve_build()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin is not None
        child.stdin.write(msgspec.json.encode(wanted.order("fp16")))
        child.stdin.close()
        assert child.stdout is not None
        child.stdout.readline()  # it has begun
        child.kill()
    assert next(tmp_path.glob("*.plan")).read_bytes() == before
    assert kept_engines(wanted, target).ready is not None


def test_a_rebuild_that_fails_leaves_the_engine(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The new one answers wrongly: it is told, and the last good engine stays; a rebuild that goes well replaces it."""
    simulated.install(monkeypatch)
    wanted = wish(bundle, tmp_path, "int8")
    (first,) = make_engines(wanted, target_here(), QUIET)
    simulated.install(monkeypatch, wrong=INT8)
    (kept,) = make_engines(wanted, target_here(), QUIET, anew=("int8",))
    assert kept == first
    assert "engine_not_rebuilt variant=int8" in caplog.text
    simulated.install(monkeypatch)
    (second,) = make_engines(wanted, target_here(), QUIET, anew=("int8",))
    assert second.created > first.created
    assert kept_engines(wanted, target_here()).ready is not None


def test_the_commands_build_show_and_clean(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`engine build`, `status` and `clean` by their exit codes and their JSON."""
    simulated.install(monkeypatch, wrong=INT8)
    common = ["--bundle", str(bundle), "--folder", str(tmp_path), "--json"]
    assert main(["engine", "build", *common]) == OK
    assert json.loads(capsys.readouterr().out)["kept"] == "fp16"
    assert main(["engine", "status", *common]) == OK
    told = json.loads(capsys.readouterr().out)
    assert (told["tensorrt"], told["device"]) == ("10.3.0", "Simulated")
    assert told["engines"]["fp16"]["ready"]
    assert "golden answer is missed" in told["engines"]["int8"]["why"]
    assert main(["engine", "clean", *common]) == OK
    assert json.loads(capsys.readouterr().out) == []
    assert main(["engine", "clean", "--all", *common]) == OK
    assert len(json.loads(capsys.readouterr().out)) == 3
    assert main(["engine", "build", *common, "--variant", "int8"]) == GATE_FAILED
    assert export_main(["engine", str(bundle), "--folder", str(tmp_path), "--variant", "float"]) == OK
    assert "float: " in capsys.readouterr().out


def test_without_tensorrt_the_command_says_so(bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 3 and the remedy; nothing is written."""
    assert main(["engine", "build", "--bundle", str(bundle), "--folder", str(tmp_path / "no")]) == DEVICE_UNAVAILABLE
    told = capsys.readouterr().err
    assert f"tensorrt is not installed; {'on a Jetson' if platform.machine() == 'aarch64' else 'pip install'}" in told
    assert not (tmp_path / "no").exists()


def test_an_engine_that_turns_out_wrong_is_built_once_more(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dropped once it is worth building, dropped a second time it is not; then the slower one is worth it again."""
    simulated.install(monkeypatch, slow={INT8: 80})
    wanted, target = wish(bundle, tmp_path), target_here()
    for attempt in (1, 2):
        make_engines(wanted, target, QUIET)
        ready = kept_engines(wanted, target).ready
        assert ready is not None
        assert (ready.record.variant, ready.record.attempt) == ("fp16", attempt)
        wanted.store.drop(ready.record, "its golden answer is missed")
        assert kept_engines(wanted, target).unmade == (("int8", "fp16") if attempt == 1 else ("int8",))
    make_engines(wanted, target, QUIET)
    ready = kept_engines(wanted, target).ready
    assert ready is not None
    assert ready.record.variant == "int8"


def test_a_build_can_be_stopped(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A daemon that ends does not wait for minutes, and nothing is noted as failed."""
    simulated.install(monkeypatch, build_seconds=60)
    stop, wanted = threading.Event(), wish(bundle, tmp_path, "fp16")
    begun = time.monotonic()
    with pytest.raises(PrednetError, match="builder ended with -9"):
        make_engines(wanted, target_here(), lambda *_: stop.set(), stop)
    assert time.monotonic() - begun < 30
    assert kept_engines(wanted, target_here()).unmade == ("fp16",)
