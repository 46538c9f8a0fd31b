"""A running daemon before a real broker: bundles are taken over, tried, rolled back, and watched with side by side."""

from __future__ import annotations

import json
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edge.bundle import read_bundle
from edge.cli import main
from edge.setup import read_device
from edge.updates.alive import ALIVE_FILE
from edge.updates.shadow import Report, Shadow, read_report
from edge.updates.store import BundleStore, State, short_digest
from edge.updates.told import lines_of_report
from tests.brokers import Mosquitto
from tests.bundles import spoil_answer, write_device, write_named_bundle, write_normal
from tests.commanding import Operator, R, running

# A trial of six seconds is judged from two seconds on; the shadow looks at every frame.
QUICK = "updates: {trial_minutes: 0.1, shadow_share: 1.0}\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the module's daemon and the bundles lie."""
    folder = tmp_path_factory.mktemp("updates")
    for name in ("b", "still", "wrong"):
        write_named_bundle(folder / f"{name}.prednet", still=name == "still")
    spoil_answer(folder / "wrong.prednet")
    return folder


@pytest.fixture(scope="module")
def operator(folder: Path, module_broker: Mosquitto) -> Iterator[Operator]:
    """Run one daemon for the module."""
    config = write_device(folder, module_broker.port, QUICK, normal=True)
    with Operator(module_broker.port) as operator, running(config):
        operator.wait("cam/cam/state", holding=b"watching")
        yield operator


def state_of(folder: Path) -> State:
    """What the device says is in use."""
    return BundleStore(folder / "state").state


def until(folder: Path, holds: Callable[[State], bool], seconds: float = 40.0) -> State:
    """Wait until the store says so, or fail."""
    deadline = time.monotonic() + seconds
    while not holds(state_of(folder)):
        assert time.monotonic() < deadline, state_of(folder)
        time.sleep(0.05)
    return state_of(folder)


def bundle(folder: Path, *words: str) -> int:
    """Run `prednet-edge bundle` as a user does."""
    return main(["bundle", *words, "--uncalibrated", "--config", str(folder / "config.yaml")])


def digest(folder: Path, name: str) -> str:
    """The digest of a bundle of the module."""
    return read_bundle(folder / f"{name}.prednet").digest


def outcome(state: State) -> str:
    """What became of the last bundle."""
    return "" if state.verdict is None else state.verdict.outcome


def test_an_activated_bundle_is_taken_over_and_passes_its_trial(operator: Operator, folder: Path) -> None:
    """The daemon says the new digest within seconds, watches with it, and ends the trial by itself."""
    assert bundle(folder, "install", str(folder / "b.prednet")) == 0
    before = len(operator.heard)
    assert bundle(folder, "activate", "b") == 0
    operator.wait("info", before, digest(folder, "b").encode())
    operator.wait("cam/cam/state", before, b"watching")
    operator.wait("faults", before, b"calibration_missing")
    state = until(folder, lambda state: state.trial is None)
    assert (outcome(state), state.live) == ("passed", digest(folder, "b"))


def test_rollback_over_mqtt_goes_back_to_the_bundle_before(operator: Operator, folder: Path) -> None:
    """The reply names it, and the daemon runs it."""
    before = len(operator.heard)
    reply = operator.ask("rollback")
    assert (reply["code"], reply["result"]["bundle"]) == ("done", digest(folder, "a"))
    operator.wait("info", before, digest(folder, "a").encode())
    operator.wait("cam/cam/state", before, b"watching")
    assert reply["result"]["uncalibrated"] == []
    operator.wait("faults", before, b"[]")
    assert state_of(folder).previous == digest(folder, "b")


def test_a_calibration_that_is_made_for_the_live_bundle_is_taken_over(operator: Operator, folder: Path) -> None:
    """The fault is there until the file that the configuration names belongs to the bundle that runs."""
    normal = folder / "cam.normal"
    good, before = normal.read_bytes(), len(operator.heard)
    assert bundle(folder, "activate", "b") == 0
    operator.wait("faults", before, b"calibration_missing")
    missing = len(operator.heard)
    write_normal(normal, read_bundle(folder / "b.prednet"))
    operator.wait("faults", missing, b"[]")
    normal.write_bytes(good)
    before = len(operator.heard)
    assert operator.ask("rollback")["result"]["uncalibrated"] == []
    operator.wait("info", before, digest(folder, "a").encode())


def test_a_damaged_bundle_that_is_put_right_is_no_fault_after_the_next_reload(operator: Operator, folder: Path) -> None:
    """Neither reload swaps anything: the live bundle is kept elsewhere too, and goes on."""
    own = folder / "a.prednet"
    good, before = own.read_bytes(), len(operator.heard)
    own.write_bytes(good[:2000])
    assert operator.ask("reload")["result"]["is_changed"] is False
    operator.wait("faults", before, b"bundle_refused")
    own.write_bytes(good)
    refused = len(operator.heard)
    assert operator.ask("reload")["result"]["is_changed"] is False
    operator.wait("faults", refused, b"[]")


def test_scores_that_do_not_fit_roll_a_bundle_back(operator: Operator, folder: Path) -> None:
    """A bundle whose normal is a still scene goes again by itself, with a fault, the reason, and no outage."""
    bundle(folder, "install", str(folder / "still.prednet"))
    before = len(operator.heard)
    assert bundle(folder, "activate", "still") == 0
    operator.wait("info", before, digest(folder, "still").encode())
    taken = len(operator.heard)
    operator.wait("faults", taken, b"bundle_refused")
    operator.wait("info", taken, digest(folder, "a").encode())
    operator.wait("cam/cam/state", taken, b"watching")
    state = state_of(folder)
    assert (outcome(state), state.live) == ("rolled_back", digest(folder, "a"))
    assert state.verdict is not None
    assert "the scores of cam do not fit its calibration" in state.verdict.reason


def test_a_shadow_reports_where_it_disagrees_and_is_promoted(operator: Operator, folder: Path) -> None:
    """It fires where the live one is quiet: camera, time, place and scores are told; one command makes it live."""
    assert bundle(folder, "shadow", "still") == 0

    def report() -> Report | None:
        return read_report(BundleStore(folder / "state").folder_of(digest(folder, "still")))

    deadline = time.monotonic() + 60
    while (found := report()) is None or not found.disagreements:
        assert time.monotonic() < deadline, found
        time.sleep(0.1)
    (first, *_) = found.disagreements
    assert (first.camera, first.only) == ("cam", "shadow")
    assert first.shadow_score > first.shadow_limit
    assert first.live_score <= first.live_limit
    assert found.cameras["cam"].only_shadow >= 1
    assert found.frames <= found.live_frames
    told = operator.ask("diagnostics")["result"]["bundles"]["shadow"]
    assert told["digest"] == digest(folder, "still")
    before = len(operator.heard)
    assert bundle(folder, "promote") == 0
    operator.wait("info", before, digest(folder, "still").encode())
    until(folder, lambda state: outcome(state) == "rolled_back")
    operator.wait("info", len(operator.heard) - 1, digest(folder, "a").encode())


@pytest.mark.parametrize("harm", ["wrong answer", "damaged"])
def test_a_bundle_that_cannot_be_used_is_refused_and_the_last_good_one_goes_on(
    operator: Operator, folder: Path, harm: str
) -> None:
    """Put where the configuration points and read by `reload`: a fault, and the cameras go on with the one before."""
    own = folder / "a.prednet"
    good, bad = own.read_bytes(), (folder / "wrong.prednet").read_bytes()
    before = len(operator.heard)
    assert bundle(folder, "activate", "b") == 0
    operator.wait("faults", before, b"calibration_missing")
    operator.wait("info", holding=digest(folder, "b").encode())
    before = len(operator.heard)
    own.write_bytes(bad if harm == "wrong answer" else good[:2000])
    operator.ask("reload")
    operator.wait("faults", before, b"bundle_refused")
    operator.wait("cam/cam/score", len(operator.heard), b'"valid":true')
    birth = [json.loads(one.payload) for one in operator.heard if one.topic == f"{R}/info"][-1]
    assert birth["bundle"] == digest(folder, "b")
    own.write_bytes(good)


def test_support_gets_what_the_running_daemon_says(operator: Operator, folder: Path, tmp_path: Path) -> None:
    """States, faults and health with the outbox's depth, whose file nobody else can read then; no snapshot."""
    assert operator.ask("snapshot", {"camera": "cam"})["code"] == "done"
    assert main(["support-bundle", "--config", str(folder / "config.yaml"), "-o", str(tmp_path / "s.zip")]) == 0
    with zipfile.ZipFile(tmp_path / "s.zip") as archive:
        told = json.loads(archive.read("state/told.json"))
    assert told[f"{R}/cam/cam/state"] in ("watching", "warming_up", "degraded")
    assert json.loads(told[f"{R}/health"])["outbox"]["depth"] >= 0
    assert not [topic for topic in told if topic.endswith(("/snapshot", "/events"))]


def test_a_shadow_that_computes_no_more_says_so(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever its library raises stands in the report, and its next start begins without that."""

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr("edge.updates.shadow.runner_of", broken)
    device = read_device(folder / "config.yaml")
    judges = {camera: model.judge(device.config.detection.rules) for camera, model in device.models.items()}
    Shadow(device.models, judges, 1.0, tmp_path).close()
    found = read_report(tmp_path)
    assert found is not None
    assert "FAILED: out of memory" in "\n".join(lines_of_report(found))
    monkeypatch.undo()
    again = Shadow(device.models, judges, 1.0, tmp_path)
    assert again.report.failure == ""
    again.close()


def test_health_is_said_on_the_device_itself(
    operator: Operator, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """While the daemon sees it is healthy; an old word of it is not, and another version neither."""
    words = ["healthy", "--config", str(folder / "config.yaml")]
    assert main([*words, "--within", "30"]) == 0
    assert "cam watching" in capsys.readouterr().out
    live = state_of(folder).live
    for digest_, code in ((live, 0), (short_digest(live), 0), ("0" * 12, 3)):
        assert main([*words, "--bundle", digest_]) == code
    assert "it runs the bundle" in capsys.readouterr().err
    file = folder / "state" / ALIVE_FILE
    good = json.loads(file.read_text())
    for key, value, told in (
        ("seconds", time.monotonic() - 60, "was last alive 60 s ago"),
        ("version", "0.0.1", "the daemon that runs is 0.0.1"),
        ("machine_boot", "other", "has not run since the machine was started"),
        ("cameras", {"cam": "blind"}, "it sees nothing: cam is blind"),
        ("faults", ["engine_mismatch"], "it has the fault engine_mismatch"),
    ):
        file.write_text(json.dumps(good | {"seconds": time.monotonic(), key: value}))
        assert main(words) == 3
        assert told in capsys.readouterr().err
