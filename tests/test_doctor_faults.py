"""`prednet-edge doctor` where something is missing or amiss: each fault has a line of its own, with its remedy.

GStreamer's Python, an element of a Jetson and the access lists are missing or amiss for real; what cannot be brought
about without harm to the machine (clock, full disk, heat, slowness, groups) is a stubbed reading of it.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from edge import doctor_checks
from edge.cli import main
from edge.doctor import SERVICE_USER
from edge.errors import DEVICE_UNAVAILABLE, OK
from edge.hardware import DISK_LOW_BYTES, is_throttled
from edge.launch import SOFTWARE
from tests.brokers import Mosquitto, mosquitto
from tests.rtsp_cameras import need_gstreamer
from tests.test_doctor import lines, write_config
from tests.variant_bundle import write_variant_bundle

Fault = Callable[[pytest.MonkeyPatch, Path], None]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle for the CPU."""
    return write_variant_bundle(tmp_path_factory.mktemp("bundle") / "press.prednet", ("cpu",))


def reading(name: str, value: object) -> Fault:
    """What `doctor_checks` calls by this name gives this value."""
    return lambda monkeypatch, folder: monkeypatch.setattr(doctor_checks, name, lambda *_: value)


def free_bytes(count: int) -> Fault:
    """The disk has so much room."""
    return lambda monkeypatch, folder: monkeypatch.setattr(
        shutil, "disk_usage", lambda path: SimpleNamespace(total=2**40, used=2**40 - count, free=count)
    )


def without_groups(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """A user who is in no group, on a machine that has `video` and `render`."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(os, "getgroups", list)
    monkeypatch.setattr(doctor_checks, "_has", lambda group: True)


def throttled(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """The kernel's own files say that a clock is lowered; a fan that turns is none of it."""
    for number, (kind, state) in enumerate([("pwm-fan", 3), ("gpu-throttle-alert", 1)]):
        device = folder / f"class/thermal/cooling_device{number}"
        device.mkdir(parents=True)
        (device / "type").write_text(kind)
        (device / "cur_state").write_text(str(state))
    monkeypatch.setattr(doctor_checks, "is_throttled", lambda: is_throttled(folder))


@pytest.mark.parametrize(
    ("check", "state", "fault", "told"),
    [
        ("user", "warned", without_groups, "groups none; for GPU and cameras: sudo usermod -aG video,render"),
        ("inference", "failed", reading("step_milliseconds", 1000.0), "too slow; watch fewer cameras, or use a smaller"),
        ("disk", "failed", free_bytes(DISK_LOW_BYTES - 1), "evidence is not kept any more: make room"),
        ("disk", "warned", free_bytes(DISK_LOW_BYTES), "make room before evidence is dropped"),
        ("disk", "ok", free_bytes(2**30), "1.1 GB free"),
        ("clock", "warned", reading("clock_state", "unsynced"), "sudo timedatectl set-ntp true"),
        ("clock", "ok", reading("clock_state", "synced"), "synced"),
        ("heat", "warned", throttled, "look at its cooling and its power mode (nvpmodel -q)"),
        ("heat", "ok", reading("is_throttled", False), "not throttled"),
        ("heat", "ok", reading("is_throttled", None), "the kernel does not tell"),
    ],
)  # fmt: skip
def test_each_fault_has_its_line(
    check: str, state: str, fault: Fault, told: str, tmp_path: Path, bundle: Path, module_broker: Mosquitto,
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """What fails ends with exit code 3; a warning alone with 0."""
    fault(monkeypatch, tmp_path / "sys")
    config = write_config(tmp_path, bundle, module_broker.port)
    found = lines(config, capsys, DEVICE_UNAVAILABLE if state == "failed" else OK)
    assert found[check][0] == state
    assert told in found[check][1]


def without_gstreamer(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment that does not see the system's packages."""
    monkeypatch.setitem(sys.modules, "gi", None)
    monkeypatch.delitem(sys.modules, "edge.capture_gst", raising=False)


def without_an_element(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that lacks gstreamer1.0-plugins-good."""
    need_gstreamer()
    monkeypatch.setattr("edge.capture_gst.elements_here", lambda: SOFTWARE - {"v4l2src"})


@pytest.mark.parametrize(
    ("source", "fault", "told"),
    [
        ("csi://0", without_gstreamer, "press3 need GStreamer's Python: sudo apt-get install python3-gi gir1.2-gst-plugins"),
        ("csi://0", lambda _: need_gstreamer(), "GStreamer lacks nvarguscamerasrc"),
        ("/dev/video9", without_an_element, "GStreamer lacks v4l2src; install gstreamer1.0-plugins-base, gstreamer1.0-plugins-good"),
    ],
)  # fmt: skip
def test_what_gstreamer_lacks_fails_with_its_package(
    source: str, fault: Callable[[pytest.MonkeyPatch], None], told: str, tmp_path: Path, bundle: Path,
    module_broker: Mosquitto, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Its Python, what is JetPack's alone (on any other machine), and what a Debian package brings."""
    fault(monkeypatch)
    found = lines(write_config(tmp_path, bundle, module_broker.port, source), capsys, DEVICE_UNAVAILABLE)
    assert found["gstreamer"][0] == "failed"
    assert told in found["gstreamer"][1]


@pytest.mark.parametrize("right", ["write", "read"])
def test_an_access_list_that_does_not_deliver_fails(
    right: str, tmp_path: Path, bundle: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real broker that grants every subscription and delivers nothing, or takes nothing."""
    monkeypatch.setattr(doctor_checks, "BROKER_SECONDS", 1.0)  # a message there and back takes milliseconds
    (tmp_path / "acl").write_text(f"topic {right} prednet/v1/#\n")
    with mosquitto(tmp_path, f"allow_anonymous true\nacl_file {tmp_path}/acl\n") as strict:
        found = lines(write_config(tmp_path, bundle, strict.port), capsys, DEVICE_UNAVAILABLE)
    assert found["broker"][0] == "failed"
    assert "check its access list (docs/mosquitto/acl)" in found["broker"][1]


def test_root_without_the_services_user_is_told(
    tmp_path: Path,
    bundle: Path,
    module_broker: Mosquitto,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What root may do says nothing of the daemon: the line says who is missing, and how that user is made."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    config = write_config(tmp_path, bundle, module_broker.port)
    assert main(["doctor", "--config", str(config), "--user", "no-such-user"]) == OK
    told = capsys.readouterr().out.splitlines()[0]
    assert told.startswith("WARN  user: ")
    assert "there is no user no-such-user, so all below was looked at with root's rights" in told
    page = (Path(__file__).parents[1] / "docs" / "jetson.md").read_text(encoding="utf-8")
    (making,) = [line for line in page.splitlines() if line.startswith("sudo useradd ")]
    assert making.replace(SERVICE_USER, "no-such-user") in told
