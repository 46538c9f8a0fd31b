"""The bundles of a device without its daemon: which is in force, with which calibration, and what is refused."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from calibration.cli import main as calibrate
from edge.cli import main
from edge.config_file import read_config
from edge.errors import ConfigInvalid, DeviceUnavailable
from edge.setup import read_device
from edge.updates.acts import activate, install, promote, roll_back, shadow
from edge.updates.alive import Alive, wait_until_healthy, write_alive
from edge.updates.desk import MOST_STARTS, note_start, refuse, took_over
from edge.updates.store import MOST_SPARE, BundleStore, State
from edge.updates.told import told_updates
from export.bundle import MadeVariant, write_bundle
from export.step import spec_from_architecture, step_onnx
from tests.brokers import free_port
from tests.bundles import level_in_force, spoil_answer, write_device, write_named_bundle, write_normal
from tests.tiny import repeating_weights, tiny_architecture, tiny_calibration


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two good bundles, made once, and one whose answer is wrong."""
    folder = tmp_path_factory.mktemp("made")
    write_named_bundle(folder / "b.prednet")
    spoil_answer(write_named_bundle(folder / "wrong.prednet"))
    return folder


@pytest.fixture(scope="module")
def device(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A device with one calibrated camera whose daemon has run once, to be copied."""
    folder = tmp_path_factory.mktemp("device")
    path = write_device(folder, free_port(), normal=True)
    (folder / "state").mkdir()
    took_over(read_device(path))
    return folder


@pytest.fixture
def config(tmp_path: Path, device: Path) -> Path:
    """A copy of it."""
    shutil.copytree(device, tmp_path / "device")
    return tmp_path / "device" / "config.yaml"


def store_of(config: Path) -> BundleStore:
    """The device's store."""
    return BundleStore(Path(read_config(config).state_directory))


def test_what_is_activated_is_in_force_and_rollback_goes_back_with_its_calibration(config: Path, made: Path) -> None:
    """Each bundle has the calibration that was made for it, although both have one place in the configuration."""
    assert level_in_force(config) == ("a", 7.0, True)
    bundle = install(config, made / "b.prednet")
    assert level_in_force(config) == ("a", 7.0, True)
    write_normal(store_of(config).normal_of(bundle.digest, "cam"), bundle, highest=8.0)
    assert activate(config, "b").uncalibrated == ()
    assert level_in_force(config) == ("b", 8.0, True)
    write_normal(config.parent / "cam.normal", bundle, highest=9.0)
    assert level_in_force(config) == ("b", 9.0, True)
    assert roll_back(read_device(config)).bundle.manifest.name == "a"
    assert level_in_force(config) == ("a", 7.0, True)
    roll_back(read_device(config))
    assert level_in_force(config) == ("b", 9.0, True)


def test_a_camera_that_would_lose_its_calibration_stops_the_activation(
    config: Path, made: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Code 4 and the command that makes one; --uncalibrated goes on, and the device says which camera it is."""
    install(config, made / "b.prednet")
    words = ["bundle", "activate", "b", "--config", str(config)]
    assert main(words) == 4
    told = capsys.readouterr().err
    assert "no calibration of cam was made for it" in told
    assert f"prednet-calibrate site FOOTAGE --config {config} --camera cam --installed b" in told
    assert level_in_force(config)[0] == "a"
    assert main([*words, "--uncalibrated", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["uncalibrated"] == ["cam"]
    name, _, is_site = level_in_force(config)
    assert (name, is_site) == ("b", False)


def test_a_calibration_is_made_for_a_bundle_that_is_not_yet_live(
    config: Path, made: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """--installed writes it beside that bundle; the one in force stays, and the activation finds it."""
    bundle = install(config, made / "b.prednet")
    before = (config.parent / "cam.normal").read_bytes()
    words = ["site", f"{config.parent}/normal.mkv#t=0,20", "--config", str(config), "--camera", "cam"]
    assert calibrate([*words, "--installed", "b"]) == 0
    assert "in force at" not in capsys.readouterr().out
    assert store_of(config).normal_of(bundle.digest, "cam").exists()
    assert (config.parent / "cam.normal").read_bytes() == before
    assert activate(config, "b").uncalibrated == ()
    assert level_in_force(config)[2] is True


def test_another_file_in_the_configuration_is_the_newer_wish(config: Path, made: Path) -> None:
    """What a person puts where the configuration points counts before what was activated earlier."""
    install(config, made / "b.prednet")
    activate(config, "b", uncalibrated=True)
    (config.parent / "a.prednet").write_bytes(write_named_bundle(config.parent / "c.prednet").read_bytes())
    name, _, is_site = level_in_force(config)
    assert (name, is_site) == ("c", False)
    took_over(read_device(config))
    assert roll_back(read_device(config)).bundle.manifest.name == "b"
    assert level_in_force(config)[0] == "b"


DAMAGES = {
    "cut off": lambda data: data[: len(data) // 2],
    "no bundle": lambda _: b"<html>404</html>",
    "a byte turned": lambda data: data[:900] + bytes([data[900] ^ 255]) + data[901:],
    "empty": lambda _: b"",
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_bundle_is_passed_over_with_its_reason(config: Path, made: Path, damage: str) -> None:
    """The configuration's own file, and the live copy: the one before goes on in both cases."""
    own = config.parent / "a.prednet"
    good = own.read_bytes()
    own.write_bytes(DAMAGES[damage](good))
    device = read_device(config)
    assert (device.bundle.manifest.name, device.models["cam"].is_site) == ("a", True)
    assert list(device.refused) == [str(own)]
    own.write_bytes(good)
    bundle = install(config, made / "b.prednet")
    activate(config, "b", uncalibrated=True)
    kept = store_of(config).path_of(bundle.digest)
    kept.write_bytes(DAMAGES[damage](kept.read_bytes()))
    device = read_device(config)
    assert device.bundle.manifest.name == "a"
    assert list(device.refused) == [str(kept)]


def test_a_state_that_cannot_be_read_is_a_device_without_updates(config: Path, made: Path) -> None:
    """The configuration's own bundle is in force, and the store goes on from there."""
    install(config, made / "b.prednet")
    activate(config, "b", uncalibrated=True)
    (store_of(config).folder / "state.json").write_bytes(b"\0" * 100)
    assert level_in_force(config) == ("a", 7.0, True)
    took_over(read_device(config))
    activate(config, "b", uncalibrated=True)
    assert roll_back(read_device(config)).bundle.manifest.name == "a"


def test_a_full_disk_stops_no_daemon(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be written is logged, and everything stays as it is."""

    def refuses(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("edge.updates.store.write_whole", refuses)
    before = store_of(config).state
    assert refuse(store_of(config), before.live, "its scores do not fit.") is False
    note_start(config)
    took_over(read_device(config))
    assert store_of(config).state == before


def test_without_any_bundle_that_can_be_used_the_first_reason_is_told(config: Path) -> None:
    """The very first start with a damaged bundle stops with code 78."""
    (config.parent / "a.prednet").write_bytes(b"")
    for kept in store_of(config).folder.glob("*/bundle.prednet"):
        kept.write_bytes(b"")
    with pytest.raises(ConfigInvalid, match=r"a\.prednet: not a prednet-bundle archive"):
        read_device(config)


def test_a_wrong_golden_answer_is_not_even_installed(
    config: Path, made: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Code 4, and nothing is kept."""
    assert main(["bundle", "install", str(made / "wrong.prednet"), "--config", str(config)]) == 4
    assert "its golden answer is missed" in capsys.readouterr().err
    assert [one.manifest.name for one in store_of(config).installed()] == ["a"]


def test_a_daemon_that_does_not_last_with_a_new_bundle_gets_the_old_one_back(config: Path, made: Path) -> None:
    """The fourth start within a trial is one with the bundle before; a bundle that passed is not counted."""
    install(config, made / "b.prednet")
    activate(config, "b", uncalibrated=True)
    for _ in range(MOST_STARTS):
        note_start(config)
        assert level_in_force(config)[0] == "b"
    note_start(config)
    assert level_in_force(config)[0] == "a"
    state = store_of(config).state
    assert state.verdict is not None
    assert (state.verdict.outcome, state.trial) == ("rolled_back", None)
    assert "started 3 times with it" in state.verdict.reason


def test_starts_are_not_counted_where_there_is_no_trial_any_more(config: Path, made: Path) -> None:
    """updates.trial_minutes: 0 ends a trial that is under way."""
    install(config, made / "b.prednet")
    activate(config, "b", uncalibrated=True)
    config.write_text(config.read_text() + "updates: {trial_minutes: 0}\n")
    for _ in range(MOST_STARTS + 1):
        note_start(config)
    assert level_in_force(config)[0] == "b"


def test_diagnostics_read_no_bundle(config: Path, made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The river answers them, and would stand still for as many seconds as the bundles take."""
    shadow(config, install(config, made / "b.prednet").digest)

    def read(path: Path) -> None:
        raise AssertionError(path)

    monkeypatch.setattr("edge.updates.store.read_bundle", read)
    told = told_updates(read_config(config))
    assert told == {"live": store_of(config).state.live, "previous": ""}


def test_a_device_without_a_bundle_is_healthy_too(tmp_path: Path) -> None:
    """One that watches with a predictor has none that a digest could name; asked for one, it has not that."""
    write_alive(tmp_path, Alive(boot_id="b", bundle="builtin:flow-1:8x8-grey", name="flow", runner="flow",
                                is_on_trial=False, cameras={"cam": "watching"}, faults=()))  # fmt: skip
    assert wait_until_healthy(tmp_path, 0.0, print).name == "flow"
    with pytest.raises(DeviceUnavailable, match="it runs the bundle flow"):
        wait_until_healthy(tmp_path, 0.0, print, "sha256:" + "0" * 64)


def test_what_was_refused_is_taken_again_when_a_person_says_so(config: Path, made: Path) -> None:
    """It is passed over until then, also where the configuration itself names it."""
    bundle = install(config, made / "b.prednet")
    activate(config, "b", uncalibrated=True)
    refuse(store_of(config), bundle.digest, "its scores do not fit.")
    assert level_in_force(config)[0] == "a"
    (config.parent / "a.prednet").write_bytes((made / "b.prednet").read_bytes())
    device = read_device(config)
    assert (device.bundle.manifest.name, dict(device.refused)) == ("a", {bundle.digest: "its scores do not fit."})
    activate(config, "b", uncalibrated=True)
    assert store_of(config).state.live == bundle.digest


def test_a_shadow_is_promoted_by_one_command(config: Path, made: Path) -> None:
    """It becomes the live one, on trial, and is no shadow any more; without one there is nothing to promote."""
    assert main(["bundle", "promote", "--config", str(config)]) == 2
    bundle = install(config, made / "b.prednet")
    shadow(config, "b")
    assert store_of(config).state.shadow == bundle.digest
    assert level_in_force(config)[0] == "a"
    promote(config, uncalibrated=True)
    state = store_of(config).state
    assert (state.live, state.shadow) == (bundle.digest, "")
    assert state.trial is not None
    assert state.trial.digest == bundle.digest


REFUSALS = [
    (["activate", "nothing"], "nothing is not installed: a ("),
    (["shadow", "a"], "is the live one; a shadow is another"),
    (["remove", "a"], "it is in use"),
    (["rollback"], "there is no bundle before the live one to go back to"),
    (["install"], "bundle install wants a NAME"),
    (["status", "a"], "bundle status takes no NAME"),
    (["hooks"], "bundle hooks wants --write DIR"),
]


@pytest.mark.parametrize(("words", "message"), REFUSALS, ids=[" ".join(words) for words, _ in REFUSALS])
def test_what_cannot_be_done_is_refused_in_a_sentence(
    config: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    """Code 2 and what there is instead."""
    assert main(["bundle", *words, "--config", str(config)]) == 2
    assert message in capsys.readouterr().err


def test_a_shadow_with_other_frames_is_refused(config: Path) -> None:
    """It sees the live one's frames; the sentence says both and what to do."""
    slow = tiny_architecture(rate_hz=5.0)
    step = step_onnx(slow, repeating_weights(slow))
    variant = MadeVariant("float", step, tiny_calibration())
    write_bundle(config.parent / "slow.prednet", slow, spec_from_architecture(slow), [variant], {"seed": 0})
    install(config, config.parent / "slow.prednet")
    with pytest.raises(Exception, match="its frames are 40×32×1 at 5 a second, and the live bundle's 40×32×1 at 10"):
        shadow(config, "slow")


def test_installed_bundles_that_nobody_uses_make_room(config: Path) -> None:
    """The oldest go beyond a few; those in use stay."""
    for number in range(MOST_SPARE + 3):
        write_named_bundle(config.parent / f"n{number}.prednet")
        install(config, config.parent / f"n{number}.prednet")
    names = {one.manifest.name for one in store_of(config).installed()}
    assert {"a", f"n{MOST_SPARE + 2}"} <= names
    assert len(names) == MOST_SPARE + 2


KILLED = """
import itertools, os, signal, sys, threading
from pathlib import Path
import msgspec
from edge.updates.store import BundleStore
store = BundleStore(Path(sys.argv[1]))
def change(number):
    store.change(lambda state: msgspec.structs.replace(state, live=f"{number:06d}" * 500, previous=f"{number:06d}" * 500))
change(1)  # on a slow disk the kill would come before anything was kept
threading.Timer(float(sys.argv[2]), lambda: os.kill(os.getpid(), signal.SIGKILL)).start()
for number in itertools.count(2):
    change(number)
"""


def test_a_kill_at_any_instant_leaves_the_old_state_or_the_new_one(tmp_path: Path) -> None:
    """Live and previous always belong together, the lock dies with its process, and changes go on afterwards."""
    for number in range(3):
        killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), str(0.03 + 0.02 * number)], check=False)
        assert killed.returncode == -9
        state = BundleStore(tmp_path).state
        assert state.live == state.previous != ""
    assert BundleStore(tmp_path).change(lambda _: State(live="after")).live == "after"
