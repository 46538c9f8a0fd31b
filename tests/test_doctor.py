"""`prednet-edge doctor` on a sound device, as another user, and where what it reads is broken; faults are real here."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge import doctor, doctor_checks
from edge.cli import main
from edge.engine.making import make_engines, target_here
from edge.engine.memory import DeviceFacts
from edge.engine.wishes import wish_from_config
from edge.errors import DEVICE_UNAVAILABLE, OK, DeviceUnavailable
from tests import simulated
from tests.brokers import Mosquitto
from tests.needs import need_root, need_system_python
from tests.variant_bundle import write_variant_bundle

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle with one variant for TensorRT and one for the CPU."""
    return write_variant_bundle(tmp_path_factory.mktemp("bundle") / "press.prednet", ("fp16", "cpu"))


def write_config(folder: Path, bundle: Path, port: int, source: str = "test://factory", more: str = "") -> Path:
    """A device with one camera."""
    path = folder / "config.yaml"
    path.write_text(
        f"site: plant7\ndevice: edge1\nbundle: {bundle}\nstate_directory: {folder}/state\nthreads: 1\n"
        f"cameras: {{press3: {{source: '{source}'}}}}\nmqtt: {{port: {port}}}\n{more}"
    )
    return path


def lines(config: Path, capsys: pytest.CaptureFixture[str], code: int) -> dict[str, tuple[str, str]]:
    """State and words of each check, by its name."""
    assert main(["doctor", "--config", str(config), "--json", "--user", "root"]) == code
    return {one["name"]: (one["state"], one["told"]) for one in json.loads(capsys.readouterr().out)}


def test_a_sound_device_passes_with_real_inference_and_a_message_there_and_back(
    tmp_path: Path, bundle: Path, module_broker: Mosquitto
) -> None:
    """On a machine without a GPU: the CPU computes, the GPU's lines are skipped with their reason."""
    config = write_config(tmp_path, bundle, module_broker.port)
    command = [sys.executable, "-c", "import sys; from edge.cli import main; sys.exit(main())"]  # no driver was loaded
    told = subprocess.run(
        [*command, "doctor", "--config", str(config), "--user", "root", "--json"], capture_output=True, check=True
    )
    found = {one["name"]: (one["state"], one["told"]) for one in json.loads(told.stdout)}
    assert list(found) == [
        "user", "config", "driver", "library", "runner", "inference", "gstreamer", "camera press3", "broker", "disk",
        "clock", "heat",
    ]  # fmt: skip
    for name in ("config", "runner", "inference", "gstreamer", "camera press3", "broker", "disk"):
        assert found[name][0] == "ok", found[name]
    assert found["driver"][0] == found["library"][0] == "skipped"
    assert "onnxruntime-cpu, variant cpu: " in found["inference"][1]
    assert "golden answer right" in found["inference"][1]
    assert f"127.0.0.1:{module_broker.port}: there and back in" in found["broker"][1]


def test_on_a_gpu_the_engine_is_run(
    tmp_path: Path,
    bundle: Path,
    module_broker: Mosquitto,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Before an engine is there a warning says how to build it; with it TensorRT itself answers rightly."""
    simulated.install(monkeypatch)
    config = write_config(tmp_path, bundle, module_broker.port)
    before = lines(config, capsys, OK)
    assert before["driver"] == ("ok", "Simulated, SM 8.7, 8192 MiB, CUDA 12.6")
    assert before["library"] == ("ok", "TensorRT 10.3.0 for SM 8.7")
    assert before["inference"][0] == "warned"
    assert "build it: prednet-edge engine build" in before["inference"][1]
    make_engines(wish_from_config(config, None), target_here(), lambda *_: None)
    after = lines(config, capsys, OK)
    assert after["inference"][0] == "ok"
    assert "tensorrt 10.3.0 (cuda-python, CUDA graphs), variant fp16" in after["inference"][1]


@pytest.mark.parametrize(
    ("check", "change", "told"),
    [
        ("broker", {"port": 1}, "The MQTT broker 127.0.0.1:1 cannot be used"),
        ("camera press3", {"source": "rtsp://127.0.0.1:1/none"}, "the camera cannot be opened"),
        ("config", {"more": "bundel: x\n"}, "unknown key 'bundel'"),
        ("config", {"more": "runner: tensorrt\n"}, "runner: tensorrt cannot be had: not tensorrt: tensorrt is not installed"),
    ],
)  # fmt: skip
def test_what_is_broken_fails_with_its_sentence(
    check: str, change: dict[str, object], told: str, tmp_path: Path, bundle: Path, module_broker: Mosquitto,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Exit code 3, that line failed, and the others looked at all the same."""
    config = write_config(tmp_path, bundle, **({"port": module_broker.port} | change))  # type: ignore[arg-type]
    found = lines(config, capsys, DEVICE_UNAVAILABLE)
    assert found[check][0] == "failed"
    assert told in found[check][1]
    assert "clock" in found


def test_a_state_directory_that_cannot_be_written_fails(
    tmp_path: Path, bundle: Path, module_broker: Mosquitto, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file stands in its place."""
    config = write_config(tmp_path, bundle, module_broker.port)
    (tmp_path / "state").write_text("")
    found = lines(config, capsys, DEVICE_UNAVAILABLE)
    assert found["disk"][0] == "failed"
    assert "cannot be written" in found["disk"][1]


def test_lines_for_people_have_their_mark(
    tmp_path: Path, bundle: Path, module_broker: Mosquitto, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line each."""
    config = write_config(tmp_path, bundle, 1)
    assert main(["doctor", "--config", str(config), "--user", "root"]) == DEVICE_UNAVAILABLE
    told = capsys.readouterr().out.splitlines()
    assert len(told) == 12
    assert any(line.startswith("FAIL  broker: ") for line in told)


@pytest.mark.parametrize(
    ("version", "capability", "told"),
    [("10.3.0", "11.0", "does not know SM 11.0; it takes 10.13 or later"), ("10.13.3", "11.0", None), ("10.3.0", "8.7", None)],
)  # fmt: skip
def test_a_library_that_does_not_know_the_gpu_is_told(
    version: str, capability: str, told: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """JetPack 6's TensorRT on a Thor would not build anything."""
    simulated.install(monkeypatch, version=version)
    monkeypatch.setattr(
        doctor_checks, "gpu", lambda: DeviceFacts("Thor", capability, 20, 125_000, "13.0", is_integrated=True)
    )
    if told is None:
        assert doctor_checks.library() == f"TensorRT {version} for SM {capability}"
    else:
        with pytest.raises(DeviceUnavailable, match=told):
            doctor_checks.library()


def test_a_servers_tensorrt_on_a_jetson_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pip's arm64 wheels refuse the Orin; JetPack's lies in dist-packages."""
    simulated.install(monkeypatch)
    monkeypatch.setattr(doctor_checks, "l4t_release", lambda: "36.4.3")
    with pytest.raises(DeviceUnavailable, match=r"a build for servers that refuses SM 8\.7: pip uninstall tensorrt"):
        doctor_checks.library()


def doctor_as_nobody(python: str, config: Path) -> subprocess.CompletedProcess[str]:
    """Run `doctor` as root with `nobody` as the service's user, under an interpreter."""
    return subprocess.run(
        [python, "-c", "import sys; from edge.cli import main; sys.exit(main())", "doctor", "--config", str(config), "--user", "nobody", "--json"],
        capture_output=True, text=True, check=False, cwd="/",
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), sysconfig.get_path("purelib")])},
    )  # fmt: skip


@pytest.fixture
def public_config(bundle: Path, module_broker: Mosquitto) -> Iterator[Path]:
    """A configuration in a folder that everyone may read and root alone may write; only root becomes another user."""
    need_root()
    folder = Path(tempfile.mkdtemp(prefix="doctor-"))
    folder.chmod(0o755)
    shutil.copy(bundle, folder / "press.prednet")
    yield write_config(folder, folder / "press.prednet", module_broker.port)
    shutil.rmtree(folder)


def test_as_root_the_checks_run_as_the_services_user(public_config: Path) -> None:
    """The lines say who looked, real inference runs with its rights, and what root alone may write fails.

    The system's interpreter runs it, since the tests' own may lie where `nobody` cannot go.
    """
    found = doctor_as_nobody(need_system_python(), public_config)
    told = {one["name"]: one for one in json.loads(found.stdout)}
    assert told["user"]["state"] == "warned"
    assert told["user"]["told"].startswith("nobody, groups ")
    assert re.search(r"sudo usermod -aG video(,render)? nobody$", told["user"]["told"])
    assert told["inference"]["state"] == "ok"
    assert told["disk"]["state"] == "failed"
    assert "give it to nobody: sudo chown" in told["disk"]["told"]
    assert found.returncode == DEVICE_UNAVAILABLE


def test_an_environment_that_the_services_user_cannot_run_is_told(tmp_path: Path, public_config: Path) -> None:
    """An interpreter in root's own folder is the commonest way to a service that does not start."""
    hidden = Path(tempfile.mkdtemp(prefix="root-only-"))
    try:
        (hidden / "python").symlink_to(sys.executable)
        found = doctor_as_nobody(str(hidden / "python"), public_config)
    finally:
        shutil.rmtree(hidden)
    assert found.returncode == DEVICE_UNAVAILABLE
    assert "cannot be run by nobody" in found.stderr
    assert "install it for all" in found.stderr


def test_no_such_user_or_no_root_means_to_look_oneself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the service is installed the checks run as whoever calls."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert doctor.other_user("no-such-user") is None
    assert doctor.other_user("root") is None
    assert doctor.other_user("nobody") == "nobody"
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert doctor.other_user("nobody") is None
