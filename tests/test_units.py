"""The units as systemd's own tools see them, what installation puts where, and what removal leaves."""

from __future__ import annotations

import configparser
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from edge import install
from edge.cli import main
from edge.config_sample import sample_text
from edge.errors import CONFIG_INVALID, OK, UsageError
from edge.restart_delay import LONGEST_SECONDS
from edge.supervision import FEED_SECONDS
from tests.needs import absent, need_root
from tests.tiny import write_tiny_bundle

ROOT = Path(__file__).parents[1]
UNITS = ("prednet-edge.service", "prednet-edge-engine.service")
# What systemd 247, older than the 249 of JetPack 6, was seen to take without a warning: benchmarks/units_under.sh.
# Run it before a key is added here.
TAKEN = frozenset(
    re.findall(
        r"\w+",
        """
Description Wants After StartLimitIntervalSec ConditionPathExists Type NotifyAccess User Group UMask ExecStart
ExecStartPost ExecReload WatchdogSec WatchdogSignal TimeoutAbortSec TimeoutStartSec TimeoutStopSec KillMode
Restart RestartSec RestartPreventExitStatus RuntimeDirectory RuntimeDirectoryMode RuntimeDirectoryPreserve
StateDirectory StateDirectoryMode Environment MemoryMax TasksMax LimitNOFILE OOMScoreAdjust Nice
CPUWeight IOSchedulingClass IOWeight NoNewPrivileges CapabilityBoundingSet
AmbientCapabilities ProtectSystem ReadWritePaths ProtectHome PrivateTmp PrivateMounts PrivateNetwork ProtectKernelTunables
ProtectKernelModules ProtectKernelLogs ProtectControlGroups ProtectHostname ProtectProc RestrictNamespaces
RestrictRealtime RestrictSUIDSGID RestrictAddressFamilies LockPersonality RemoveIPC KeyringMode
SystemCallArchitectures SystemCallFilter SystemCallErrorNumber WantedBy
        """,
    )
)
# They hide what CUDA on a Jetson opens: its devices, the clock's, /sys, parts of /proc; or forbid code that it makes.
BREAK_CUDA = {"PrivateDevices", "ProtectClock", "DevicePolicy", "DeviceAllow", "ProcSubset", "InaccessiblePaths",
              "MemoryDenyWriteExecute", "PrivateUsers", "TemporaryFileSystem", "RootDirectory"}  # fmt: skip


def need_systemd() -> None:
    """Skip the caller's test where systemd's tools are not installed, or fail it under CI."""
    if shutil.which("systemd-analyze") is None or shutil.which("systemd-sysusers") is None:
        absent("systemd's tools are not installed: apt-get install systemd")


def settings(unit: str) -> dict[str, list[str]]:
    """Return a unit's keys with all their values, whatever the section."""
    found: dict[str, list[str]] = {}
    for line in (ROOT / "systemd" / unit).read_text(encoding="utf-8").splitlines():
        key, is_there, value = line.partition("=")
        if is_there and not line.startswith("#"):
            found.setdefault(key, []).append(value)
    return found


def image(folder: Path) -> Path:
    """Return an image into which the service was installed, its program one that every machine has."""
    need_root()
    need_systemd()
    list(install.install(folder, "/bin/true"))
    return folder


def test_systemd_takes_the_units_without_a_word(tmp_path: Path) -> None:
    """`verify` ends with 0 on misspelt keys too: nothing may stand on stderr."""
    need_systemd()
    units = [str(image(tmp_path) / install.PLACES[unit]) for unit in UNITS]
    done = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    text = Path(units[0]).read_text().replace("\nRestart=", "\nRestrat=")
    Path(units[0]).write_text(text)
    assert (
        "Restrat"
        in subprocess.run(["systemd-analyze", "verify", units[0]], capture_output=True, text=True, check=False).stderr
    )


@pytest.mark.parametrize("unit", UNITS)
def test_the_units_are_hardened(unit: str) -> None:
    """By systemd's own measure, 0 (safe) to 100: 20 and 11 were seen; what CUDA needs is the most of it."""
    need_systemd()
    limit = {"prednet-edge.service": "20", "prednet-edge-engine.service": "11"}[unit]
    command = ["systemd-analyze", "security", "--offline=true", f"--threshold={limit}", str(ROOT / "systemd" / unit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-200:]


@pytest.mark.parametrize("unit", UNITS)
def test_no_key_is_newer_than_jetpack_6_and_none_breaks_cuda(unit: str) -> None:
    """Every key was taken by an older systemd; those that hide a GPU or a camera are left out."""
    keys = set(settings(unit))
    assert keys - TAKEN == set()
    assert keys & BREAK_CUDA == set()
    assert unit != "prednet-edge.service" or "PrivateTmp" not in keys  # it hides the socket of CSI cameras
    assert "ORT_DISABLE_TELEMETRY=1" in " ".join(settings(unit)["Environment"])


def test_the_daemons_unit_keeps_what_the_code_relies_on() -> None:
    """Names and times on both sides of the border are the same."""
    unit = settings("prednet-edge.service")
    for key, value in {
        "Type": "notify", "NotifyAccess": "main", "Restart": "on-failure", "RestartPreventExitStatus": "78",
        "RuntimeDirectory": "prednet-edge", "RuntimeDirectoryPreserve": "restart", "StateDirectory": "prednet-edge",
        "User": "prednet-edge", "StartLimitIntervalSec": "0", "KillMode": "mixed", "TimeoutStopSec": "10",
    }.items():  # fmt: skip
        assert unit[key] == [value], key
    assert float(unit["WatchdogSec"][0]) > 2 * FEED_SECONDS
    assert float(unit["TimeoutStartSec"][0]) > 2 * LONGEST_SECONDS
    (start,) = unit["ExecStart"]
    assert f"--config /{install.CONFIG} " in start
    assert start.startswith(f"{install.PROGRAM} run ")
    assert "--last-good /var/lib/prednet-edge/" in start
    assert unit["ExecReload"][1] == "/bin/kill -HUP $MAINPID"


def test_a_reload_is_not_refused_for_a_credential_that_it_cannot_see(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command of the unit, as systemd 257 runs it: without the service's credentials."""
    write_tiny_bundle(tmp_path / "press.prednet")
    text = sample_text().replace('bucket: ""', "bucket: plant").replace('access_key_id: ""', "access_key_id: edge")
    (tmp_path / "config.yaml").write_text(text)
    program, variable, *command = settings("prednet-edge.service")["ExecReload"][0].split()
    assert (program, command[:2]) == ("/usr/bin/env", [install.PROGRAM, "check"])
    assert main(["check", "--config", str(tmp_path / "config.yaml")]) == CONFIG_INVALID
    monkeypatch.setenv(*variable.split("="))
    assert main(["check", "--config", str(tmp_path / "config.yaml")]) == OK


def test_the_engines_unit_is_the_least_of_the_machines_work() -> None:
    """Once, at the lowest priority, without a network, and only where there is a GPU."""
    unit = settings("prednet-edge-engine.service")
    seen = {key: unit[key] for key in ("Type", "Nice", "CPUWeight", "IOSchedulingClass", "PrivateNetwork")}
    assert seen == {"Type": ["oneshot"], "Nice": ["19"], "CPUWeight": ["10"],
                    "IOSchedulingClass": ["idle"], "PrivateNetwork": ["yes"]}  # fmt: skip
    assert unit["ConditionPathExists"] == [f"/{install.CONFIG}", "|/dev/nvmap", "|/dev/nvidia0"]


def test_pip_and_a_debian_package_have_the_same_files() -> None:
    """The package's folder is the tree's, each file of it has its place, and the wheel is told to take it."""
    files = {path.name for path in (ROOT / "systemd").iterdir()}
    assert files == set(install.PLACES)
    assert all((install.FILES / name).read_text() == (ROOT / "systemd" / name).read_text() for name in files)
    assert '"data/systemd/*"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")


def test_installation_makes_the_user_its_groups_and_its_folders(tmp_path: Path) -> None:
    """Cameras and GPU by group; configuration readable by the service, credentials by root alone, state its own."""
    root = image(tmp_path)
    users = dict(line.split(":", 1) for line in (root / "etc/passwd").read_text().splitlines())
    groups = {line.split(":")[0]: line.split(":")[3] for line in (root / "etc/group").read_text().splitlines()}
    assert users["prednet-edge"].endswith("/var/lib/prednet-edge:/usr/sbin/nologin")
    assert (groups["video"], groups["render"]) == ("prednet-edge", "prednet-edge")
    owner, group = map(int, users["prednet-edge"].split(":")[1:3])
    found = {
        name: (
            (root / name).stat().st_uid,
            (root / name).stat().st_gid,
            oct(stat.S_IMODE((root / name).stat().st_mode)),
        )
        for name in ("etc/prednet-edge", "etc/prednet-edge/credentials", "var/lib/prednet-edge")
    }
    assert found == {
        "etc/prednet-edge": (0, group, "0o750"),
        "etc/prednet-edge/credentials": (0, 0, "0o700"),
        "var/lib/prednet-edge": (owner, group, "0o750"),
    }
    assert (root / "etc/systemd/system/multi-user.target.wants/prednet-edge.service").is_symlink()
    assert "ExecStart=/bin/true run --config" in (root / install.PLACES["prednet-edge.service"]).read_text()


def test_credentials_and_a_state_directory_elsewhere_become_part_of_the_service(tmp_path: Path) -> None:
    """Each file of the folder is a credential; what is written elsewhere may be written; both go with their reason."""
    root = image(tmp_path)
    assert not (root / install.DROP_IN).exists()
    (root / install.CREDENTIALS / "mqtt_password").write_text("s3cret")
    (root / install.CONFIG).write_text(sample_text().replace("/var/lib/prednet-edge", "/data/prednet"))
    told = "\n".join(install.install(root, "/bin/true"))
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(root / install.DROP_IN)
    assert dict(unit["Service"]) == {
        "LoadCredential": "mqtt_password:/etc/prednet-edge/credentials/mqtt_password",
        "ReadWritePaths": "/data/prednet",
    }
    assert "s3cret" not in told + (root / install.DROP_IN).read_text()
    (root / install.CREDENTIALS / "mqtt_password").unlink()
    (root / install.CONFIG).unlink()
    list(install.install(root, "/bin/true"))
    assert not (root / install.DROP_IN).exists()


def test_a_credential_with_a_name_that_nothing_asks_for_is_told(tmp_path: Path) -> None:
    """A slip of the pen would be a login that fails; the names that this configuration knows are said."""
    root = image(tmp_path)
    (root / install.CONFIG).write_text(sample_text())
    for name in ("mqtt-password", "camera_press3_password"):
        (root / install.CREDENTIALS / name).write_text("s3cret")
    told = [line for line in install.install(root, "/bin/true") if "is no secret" in line]
    assert told == [
        f"{root}/etc/prednet-edge/credentials/mqtt-password: is no secret of this configuration; those are: "
        f"mqtt_password, hooks_webhook_token, page_token, store_secret_key, camera_press3_password"
    ]


def test_upgrade_and_removal_keep_configuration_and_events(tmp_path: Path) -> None:
    """Installed anew, removed, installed again: what is not the package's own is as it was."""
    root = image(tmp_path)
    config, event = root / install.CONFIG, root / "var/lib/prednet-edge/outbox.sqlite"
    config.write_text("site: mine\n")
    event.write_bytes(b"events")
    list(install.install(root, "/bin/true"))
    told = list(install.remove(root))
    assert (config.read_text(), event.read_bytes()) == ("site: mine\n", b"events")
    left = [path for path in root.rglob("*prednet*") if path.is_file() and "/lib/" not in str(path)]
    assert left == []
    assert told[-1].startswith("kept: /etc/prednet-edge /var/lib/prednet-edge and the user prednet-edge")
    list(install.install(root, "/bin/true"))
    assert (config.read_text(), event.read_bytes()) == ("site: mine\n", b"events")


def test_the_units_of_a_debian_package_are_left_alone(tmp_path: Path) -> None:
    """No second copy that would hide them; user, folders, credentials and enabling are the same."""
    (tmp_path / "etc").mkdir()
    unit = tmp_path / "usr/lib/systemd/system" / "prednet-edge.service"
    unit.parent.mkdir(parents=True)
    unit.write_text((ROOT / "systemd" / "prednet-edge.service").read_text())
    root = image(tmp_path)
    assert [place for place in install.PLACES.values() if (root / place).exists()] == []
    assert (root / install.CREDENTIALS).is_dir()
    assert (root / "etc/systemd/system/multi-user.target.wants/prednet-edge.service").is_symlink()


def test_a_program_that_the_service_cannot_see_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment in a home directory, or one made with a Python that lies in one."""
    monkeypatch.setattr(sys, "executable", "/usr/bin/env")
    monkeypatch.setattr(sys, "prefix", "/home/me/venv")
    with pytest.raises(UsageError, match="the service cannot see /home; install into a folder for all"):
        install.program_here()
    monkeypatch.setattr(sys, "prefix", "/opt/prednet-edge")
    assert install.program_here() == install.PROGRAM
    monkeypatch.setattr(sys, "executable", "/root/python/bin/python3")
    with pytest.raises(UsageError, match="the service cannot see /root"):
        install.program_here()


def test_what_is_not_started_says_what_is_to_be_done_first(tmp_path: Path) -> None:
    """No configuration, or one that is not good."""
    (told,) = install.start(tmp_path)
    assert re.fullmatch(r"not started: .*config\.yaml: cannot be read .*\nwrite one: sudo prednet-edge init; .*", told)


def test_the_command_installs_into_an_image(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As the flash of a device does it, with the program where a package puts it."""
    need_root()
    need_systemd()
    assert main(["install-service", "--root", str(tmp_path)]) == 0
    assert "is enabled" in capsys.readouterr().out
    assert f"ExecStart={install.PROGRAM} run" in (tmp_path / install.PLACES["prednet-edge.service"]).read_text()
    assert main(["uninstall-service", "--root", str(tmp_path)]) == 0


def test_a_written_sample_is_what_the_service_would_start_with(tmp_path: Path) -> None:
    """The sample's bundle put in its place, it is good as it stands."""
    write_tiny_bundle(tmp_path / "press.prednet")
    document = yaml.safe_load(sample_text())
    assert document["state_directory"] == "/var/lib/prednet-edge"
    (tmp_path / "config.yaml").write_text(sample_text())
    assert main(["check", "--config", str(tmp_path / "config.yaml")]) == 0
