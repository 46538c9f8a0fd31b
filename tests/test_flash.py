"""Flashing: what is laid into an image, what is refused, and what the first boot makes of a module's serial number."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import edge
from edge import first_boot
from edge.errors import DeviceUnavailable
from edge.topics import default_device
from tests.needs import need_root, need_system_python
from tests.overlaid import overlaid_root, run_in
from tests.packages import ROOT, built, copy_of_tree, here, wheel_folder

sys.path.append(str(ROOT / "packaging"))  # scripts, beside the package
import flash

CONFIG = "site: plant7\nbundle: press.prednet\ncameras:\n  press3:\n    source: csi://0\nmqtt:\n  host: 10.0.0.2\n"
SECRETS = ("s3cret", "PRIVATE KEY")


def flashed(root: Path, package: Path, bundle: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run packaging/flash.py."""
    command = [sys.executable, str(ROOT / "packaging" / "flash.py"), "--root", str(root), "--package", str(package)]
    return subprocess.run([*command, "--bundle", str(bundle), *options], capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package for this machine's own system, its dependencies empty; it needs no more of the image than that has."""
    need_root()
    need_system_python()
    folder = tmp_path_factory.mktemp("package")
    tree = copy_of_tree(folder / "tree")
    return built(tree, wheel_folder(tree, folder / "wheels"), folder, *here())


@pytest.fixture
def image(tmp_path: Path) -> Iterator[Path]:
    """An image that was once a machine: with keys and an identity of its own."""
    with overlaid_root(tmp_path) as root:
        (root / "etc/ssh").mkdir(exist_ok=True)
        (root / "etc/ssh/ssh_host_ed25519_key").write_text("PRIVATE KEY\n")
        (root / "etc/machine-id").write_text("0123456789abcdef0123456789abcdef\n")
        yield root


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """Something to lay; without a configuration nothing opens it."""
    (tmp_path / "press.prednet").write_bytes(b"bundle")
    return tmp_path / "press.prednet"


def test_the_image_has_package_bundle_and_first_boot_and_nothing_of_one_machine(
    image: Path, package: Path, bundle: Path
) -> None:
    """Laid twice over the same image too; the bundle is the service's to read; no key, no machine id, no identity."""
    for _ in range(2):
        done = flashed(image, package, bundle)
        assert done.returncode == 0, done.stderr
    wants = image / "etc/systemd/system/multi-user.target.wants/prednet-edge-first-boot.service"
    assert wants.is_symlink()
    assert (
        "Requires=prednet-edge-first-boot.service"
        in (image / "etc/systemd/system/prednet-edge.service.d/first-boot.conf").read_text()
    )
    seen = run_in(
        image,
        "stat",
        "-c",
        "%U:%G %a",
        "/etc/prednet-edge/press.prednet",
        "/usr/lib/systemd/system/prednet-edge.service",
    )
    assert seen.stdout == "root:prednet-edge 640\nroot:root 644\n"
    assert (image / "etc/machine-id").read_bytes() == b""
    assert not (image / "etc/prednet-edge/identity").exists()
    grep = [
        "grep",
        "-rlE",
        "|".join(SECRETS),
        *(str(image / place) for place in ("etc/prednet-edge", "etc/ssh", "var/lib/prednet-edge", "etc/systemd")),
    ]
    assert subprocess.run(grep, capture_output=True, text=True, check=False).stdout == ""


def test_the_first_boot_of_the_image_runs_there(image: Path, package: Path, bundle: Path, tmp_path: Path) -> None:
    """By the image's own Python and the unit's own command: host name, hosts and mark are written, in that root alone."""
    assert flashed(image, package, bundle).returncode == 0
    (image / "var/tmp/serial").write_bytes(b"1424921012345\x00")
    before = socket.gethostname()
    command = first_boot_command()
    done = run_in(image, *command, "--serial-number-file", "/var/tmp/serial", "--root", "/")
    assert done.returncode == 0, done.stderr
    assert (image / "etc/hostname").read_text() == "prednet-1424921012345\n"
    assert socket.gethostname() == before  # it renames the machine that it runs on: never this one


def test_a_module_without_a_serial_number_can_be_logged_into() -> None:
    """The keys of SSH, which are no part of an image, are made before the command that fails on such a module."""
    unit = (ROOT / "packaging/first_boot/prednet-edge-first-boot.service").read_text()
    assert unit.index("ExecStart=-/usr/bin/ssh-keygen -A") < unit.index("-m edge.first_boot")


def first_boot_command() -> list[str]:
    """Return what the unit starts first."""
    unit = (ROOT / "packaging/first_boot/prednet-edge-first-boot.service").read_text()
    (line,) = [line for line in unit.splitlines() if line.startswith("ExecStart=/")]
    return line.partition("=")[2].split()


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("  password_file: mqtt.secret", "`password_file` would be the same on every device; leave it out, and put the secret"),
        ("  password_file: 'mqtt.secret'", "config.yaml:8: `password_file`"),
        ("hooks: {}\nstore:\n  secret_key_file: key", "config.yaml:10: `secret_key_file`"),
        ("  client_id: edge", "`client_id` would be the same on every device; leave it out: it comes from each module"),
        ('device: "press"', "`device` would be"),
    ],
)  # fmt: skip
def test_a_configuration_that_no_two_devices_may_share_is_refused(
    image: Path, package: Path, bundle: Path, tmp_path: Path, line: str, told: str
) -> None:
    """With the line and the remedy, before anything is laid."""
    (tmp_path / "config.yaml").write_text(CONFIG + line + "\n")
    done = flashed(image, package, bundle, "--config", str(tmp_path / "config.yaml"))
    assert (done.returncode, told in done.stderr) == (1, True), done.stderr
    assert not (image / "opt/prednet-edge").exists()
    assert (image / "etc/ssh/ssh_host_ed25519_key").exists()


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("mqtt: {host: 10.0.0.2, client_id: edge}", "client_id"),
        ("mqtt: {host: 10.0.0.2, username: edge,\n  'password_file': 'mqtt.secret'}", "password_file"),
        ('{site: a, "device": edge}', "device"),
        ("cameras: {a: {source: 'rtsp://me:s3cret@10.0.0.9/s'}}", "source"),
        ("cameras:\n  a:\n    source: rtsp://me:1234@10.0.0.9/s", "source"),
        ("cameras:\n  a:\n    source: rtsp://me:s/cret@10.0.0.9/s", "source"),
    ],
)
def test_no_way_of_writing_it_takes_a_secret_or_an_identity_through(tmp_path: Path, text: str, key: str) -> None:
    """Braces, quotes, a login in an address; the secret is not repeated."""
    (tmp_path / "config.yaml").write_text(text + "\n")
    with pytest.raises(flash.FlashFault, match=f"`{key}` would be the same on every device") as refused:
        flash.without_secrets(tmp_path / "config.yaml")
    assert "cret@" not in str(refused.value)


def test_empty_values_and_certificates_of_the_broker_are_no_secrets(tmp_path: Path) -> None:
    """The sample configuration, which names every key with nothing in it, passes."""
    (tmp_path / "config.yaml").write_text(
        CONFIG + '  ca_file: ca.pem\n  password_file: ""\n  client_id: ""\n  # key_file: k\n'
        "hooks: {webhook: 'https://a:8443/b@c', webhook_token_file: \"\"}  # device: x\n"
    )
    flash.without_secrets(tmp_path / "config.yaml")
    flash.without_secrets(ROOT / "edge/data/config.sample.yaml")


def test_an_image_with_our_secrets_and_a_root_that_is_none_are_refused(
    image: Path, package: Path, bundle: Path, tmp_path: Path
) -> None:
    """A live device's file system is no image; neither is an empty folder, nor this machine itself."""
    (image / "etc/prednet-edge/credentials").mkdir(parents=True)
    (image / "etc/prednet-edge/credentials/mqtt_password").write_text("s3cret")
    assert "no secret and no identity may be in an image" in flashed(image, package, bundle).stderr
    assert "no root file system" in flashed(tmp_path, package, bundle).stderr
    assert "no root file system" in flashed(Path("/"), package, bundle).stderr


def test_a_bundle_that_is_not_there_is_said_before_anything_is_changed(tmp_path: Path) -> None:
    """The image's keys and identity are as they were, and nothing is installed."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/machine-id").write_text("0123456789abcdef0123456789abcdef\n")
    with pytest.raises(flash.FlashFault, match=r"press\.prednet: there is no such file"):
        list(flash.flash(tmp_path, tmp_path / "prednet-edge.deb", tmp_path / "press.prednet", None))
    assert (tmp_path / "etc/machine-id").stat().st_size == 33


@pytest.mark.parametrize(
    ("serial", "name"),
    [
        (b"1424921012345\x00", "prednet-1424921012345"),
        (b"AB_7/9\n", "prednet-ab-7-9"),
        (b"9" * 60, "prednet-" + "9" * 48),
    ],
)
def test_the_host_name_is_that_of_the_topics(tmp_path: Path, serial: bytes, name: str) -> None:
    """What a module's serial number says is its name on the network, in topics, and as the client of the broker."""
    (tmp_path / "serial").write_bytes(serial)
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/hosts").write_text("127.0.0.1\tlocalhost\n127.0.1.1\ttegra-ubuntu\n10.0.0.2\tbroker")
    assert first_boot.settle(tmp_path, tmp_path / "serial") == name
    assert (tmp_path / "etc/hostname").read_text() == f"{name}\n"
    assert (tmp_path / "etc/hosts").read_text() == f"127.0.0.1\tlocalhost\n10.0.0.2\tbroker\n127.0.1.1\t{name}\n"
    assert f"prednet-{default_device(tmp_path / 'serial')}".replace("_", "-") == name
    assert len(name) <= 63  # RFC 1123


def test_a_second_boot_changes_nothing(tmp_path: Path) -> None:
    """Not even on another module: the names that people gave since are theirs."""
    (tmp_path / "serial").write_bytes(b"1\x00")
    (tmp_path / "etc").mkdir()
    first_boot.settle(tmp_path, tmp_path / "serial")
    (tmp_path / "etc/hostname").write_text("press-hall\n")
    (tmp_path / "serial").write_bytes(b"2\x00")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert first_boot.main(["--root", str(tmp_path), "--serial-number-file", str(tmp_path / "serial")]) == 0
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("serial", [None, b"\x00\n"])
def test_a_module_that_tells_no_serial_number_gets_no_name(tmp_path: Path, serial: bytes | None) -> None:
    """No guess: nothing is written, and the next boot asks again."""
    if serial is not None:
        (tmp_path / "serial").write_bytes(serial)
    with pytest.raises(DeviceUnavailable, match="no serial number there"):
        first_boot.settle(tmp_path, tmp_path / "serial")
    assert not (tmp_path / "etc").exists()


def test_the_page_says_what_is_true(tmp_path: Path) -> None:
    """docs/flash.md: options, the package's name, a configuration that is let in, names as the first boot gives them."""
    page = (ROOT / "docs/flash.md").read_text()
    usage = subprocess.run(
        [sys.executable, str(ROOT / "packaging/flash.py"), "--help"], capture_output=True, text=True, check=True
    )
    assert set(re.findall(r"--[a-z]+", page)) <= set(re.findall(r"--[a-z]+", usage.stdout))
    assert f"prednet-edge_{edge.__version__}+py310_arm64.deb" in page
    (example,) = re.findall(r"```yaml\n(.*?)```", page, re.S)
    (tmp_path / "config.yaml").write_text(example)
    flash.without_secrets(tmp_path / "config.yaml")
    assert f"`{first_boot.host_name_from('1424921012345')}`" in page
    assert f"`/{first_boot.IDENTITY}`" in page
    makefile = (ROOT / "Makefile").read_text()
    assert "DEB_PYTHON ?= 3.10\nDEB_ARCH ?= arm64\n" in makefile
