"""The Debian package: the same bytes from the same sources, and what its own scripts do to a system, without a network.

The dependencies are empty wheels; benchmarks/boot_deb.py does the same with the real ones under a real systemd.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.needs import need_program, need_root, need_system_python
from tests.overlaid import overlaid_root, run_in
from tests.packages import ROOT, build, built, copy_of_tree, here, wheel_folder

KEPT = "etc/prednet-edge/config.yaml", "var/lib/prednet-edge/evidence/event.json"
LIVES = ("opt/prednet-edge", "usr/bin/prednet-edge", "usr/lib/systemd/system/prednet-edge.service")


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clean copy of the project."""
    need_program("dpkg-deb", "dpkg")
    return copy_of_tree(tmp_path_factory.mktemp("tree") / "one")


@pytest.fixture(scope="module")
def wheels(tree: Path) -> Path:
    """What fetch_wheels.sh would have fetched, empty."""
    return wheel_folder(tree, tree.parent / "wheels")


@pytest.fixture(scope="module")
def package(tree: Path, wheels: Path) -> Path:
    """The package for this machine's own system."""
    need_root()
    need_system_python()
    return built(tree, wheels, tree.parent / "dist", *here())


@pytest.fixture(scope="module")
def jetsons(tree: Path, wheels: Path) -> Path:
    """The package for JetPack 6."""
    return built(tree, wheels, tree.parent / "jetson", "3.10", "arm64")


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    """This machine's system, for the test alone."""
    with overlaid_root(tmp_path) as folder:
        yield folder


def digest(path: Path) -> str:
    """SHA-256."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_two_clean_copies_give_the_same_bytes(jetsons: Path, tmp_path: Path) -> None:
    """Another folder, another umask, other times of the files, another moment: wheel and package are equal."""
    other = copy_of_tree(tmp_path / "other")
    for path in other.rglob("*"):
        os.utime(path, (1, time.time() - 10**6), follow_symlinks=False)
    before = os.umask(0o077)
    try:
        other_wheels = wheel_folder(other, tmp_path / "wheels")
        second = built(other, other_wheels, tmp_path / "second", "3.10", "arm64")
    finally:
        os.umask(before)
    assert digest(jetsons) == digest(second)
    (other_wheels / "tqdm-4.66-py3-none-any.whl").unlink()
    assert "tqdm" in build(other, other_wheels, tmp_path / "third", "3.10", "arm64").stderr


@pytest.mark.parametrize(("fixture", "python", "arch"), [("jetsons", "3.10", "arm64"), ("package", *here())])
def test_the_package_says_what_it_needs(request: pytest.FixtureRequest, fixture: str, python: str, arch: str) -> None:
    """The device's Python, its architecture, GStreamer, and a Jetson's TensorRT; every file is root's."""
    path = request.getfixturevalue(fixture)
    told = subprocess.run(["dpkg-deb", "-f", str(path)], capture_output=True, text=True, check=True).stdout
    assert f"\nArchitecture: {arch}\n" in told
    assert f"\nDepends: python{python}, systemd" in told
    assert "gir1.2-gst-plugins-base-1.0" in told
    assert ("python3-libnvinfer" in told) == (arch == "arm64")
    listed = subprocess.run(["dpkg-deb", "-c", str(path)], capture_output=True, text=True, check=True).stdout
    assert {line.split()[1] for line in listed.splitlines()} == {"root/root"}
    assert f"/opt/prednet-edge/bin/python3 -> /usr/bin/python{python}" in listed
    assert f"./opt/prednet-edge/lib/python{python}/site-packages/edge/cli.py" in listed


def test_a_wheel_is_asked_for_the_devices_python_and_not_for_the_builders(
    tree: Path, wheels: Path, tmp_path: Path
) -> None:
    """One that this machine's Python is too old or too new for."""
    folder = Path(shutil.copytree(wheels, tmp_path / "wheels"))
    info, here_is = "other-1.0.dist-info", f"3.{sys.version_info.minor}"
    with zipfile.ZipFile(folder / "other-1.0-py3-none-any.whl", "w") as archive:
        needs = f"Metadata-Version: 2.1\nName: other\nVersion: 1.0\nRequires-Python: !={here_is}.*\n"
        archive.writestr(f"{info}/METADATA", needs)
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    built(tree, folder, tmp_path / "out", "3.12" if here_is != "3.12" else "3.10", "arm64")


def test_a_wrong_folder_of_wheels_is_told(tree: Path, tmp_path: Path) -> None:
    """None of ours in it: the sentence says how to fill one."""
    done = build(tree, tmp_path, tmp_path / "out", "3.10", "arm64")
    assert done.returncode == 1
    assert "holds 0 wheels of prednet-edge where one was expected; fill an empty folder" in done.stderr


def test_upgrade_and_removal_keep_what_is_the_users(package: Path, root: Path) -> None:
    """Installed without a network, over a changed configuration, removed, installed again; only a purge deletes."""
    put = root / "var/tmp" / package.name
    put.write_bytes(package.read_bytes())
    install = ("dpkg", "--force-depends", "-i", f"/var/tmp/{package.name}")
    done = run_in(root, *install)
    assert done.returncode == 0, done.stderr
    assert run_in(root, "id", "-nG", "prednet-edge").stdout.split() == ["prednet-edge", "video", "render"]
    assert run_in(root, "stat", "-c", "%U %a", "/etc/prednet-edge/credentials").stdout == "root 700\n"
    assert run_in(root, "dpkg", "-V", "prednet-edge").stdout == ""
    lent = f"PYTHONPATH={sysconfig.get_path('purelib')}"  # what the empty wheels have not
    usage = run_in(root, "env", lent, "prednet-edge", "--help")
    assert (usage.returncode, "install-service" in usage.stdout) == (0, True), usage.stderr
    for name in KEPT:
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text("mine\n")
    for step in (install, ("dpkg", "-r", "prednet-edge"), install):
        done = run_in(root, *step)
        assert done.returncode == 0, done.stderr
        assert [(root / name).read_text() for name in KEPT] == ["mine\n", "mine\n"]
        assert {(root / name).is_symlink() or (root / name).exists() for name in LIVES} == {step == install}
    assert run_in(root, "dpkg", "-P", "prednet-edge").returncode == 0
    assert not any((root / name).exists() for name in (*KEPT, *LIVES, "etc/prednet-edge", "var/lib/prednet-edge"))
    assert run_in(root, "id", "prednet-edge").returncode != 0


def test_an_environment_that_pip_made_is_not_mixed_with(package: Path, root: Path) -> None:
    """The installation is refused before a file is laid, and says what to take away."""
    (root / "var/tmp" / package.name).write_bytes(package.read_bytes())
    (root / "opt/prednet-edge").mkdir()
    (root / "opt/prednet-edge/pyvenv.cfg").write_text("home = /usr/bin\n")
    done = run_in(root, "dpkg", "--force-depends", "-i", f"/var/tmp/{package.name}")
    assert done.returncode != 0
    assert "sudo rm -r /opt/prednet-edge" in done.stderr
    assert [path.name for path in (root / "opt/prednet-edge").iterdir()] == ["pyvenv.cfg"]


def test_wheels_are_fetched_for_every_system_that_the_package_takes(tmp_path: Path) -> None:
    """fetch_wheels.sh asks the index for the tags of build_deb.py, with the machine's name; here it fetches nothing."""
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\n[ "$1" = -m ] || exec {sys.executable} "$@"\necho "$@" >>{tmp_path}/asked\n')
    python.chmod(0o755)
    command = [ROOT / "packaging" / "fetch_wheels.sh", "3.10", "amd64", tmp_path / "wheels"]
    environment = os.environ | {"PYTHON": str(python), "SOURCE_DATE_EPOCH": "1"}
    subprocess.run(command, env=environment, check=True, capture_output=True)
    asked = (tmp_path / "asked").read_text().splitlines()[0].split()
    told = [asked[place + 1] for place, word in enumerate(asked) if word == "--platform"]
    assert told == [f"manylinux{tag}_x86_64" for tag in ("2014", *(f"_2_{minor}" for minor in range(17, 36)))]
