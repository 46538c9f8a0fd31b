"""A package of this tree whose dependencies are empty wheels: small enough to build in every test run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
ROOMS = ("edge", "calibration", "export", "packaging", "pyproject.toml", "README.md", "LICENSE", "systemd")
EPOCH = 1_700_000_000


def copy_of_tree(folder: Path) -> Path:
    """Return a clean copy of what the package is made of."""
    folder.mkdir()
    for name in ROOMS:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, folder / name)
    return folder


def wheel_folder(tree: Path, folder: Path) -> Path:
    """Return a folder with the tree's own wheel and an empty one for each package that it asks for."""
    folder.mkdir()
    settings = os.environ | {"SOURCE_DATE_EPOCH": str(EPOCH)}
    options = [
        "--no-deps",
        "--no-build-isolation",
        "--quiet",
        "--disable-pip-version-check",
        "--wheel-dir",
        str(folder),
    ]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options, str(tree)], check=True, env=settings)
    (own,) = folder.glob("prednet_edge-*.whl")
    with zipfile.ZipFile(own) as archive:
        (name,) = [one for one in archive.namelist() if one.endswith(".dist-info/METADATA")]
        asked = re.findall(r"^Requires-Dist: (.*)$", archive.read(name).decode(), re.M)
    for line in asked:
        if "extra ==" not in line:
            empty_wheel(Requirement(line), folder)
    return folder


def empty_wheel(asked: Requirement, folder: Path) -> None:
    """Write a wheel that has a name and a version that was asked for, and nothing in it."""
    version = next(one.version for one in asked.specifier if one.operator in (">=", "=="))
    name = asked.name.replace("-", "_")
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {asked.name}\nVersion: {version}\n")
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")


def build(tree: Path, wheels: Path, out: Path, python: str, arch: str) -> subprocess.CompletedProcess[str]:
    """Run the tree's build_deb.py."""
    command = [sys.executable, str(tree / "packaging" / "build_deb.py"), "--python", python, "--arch", arch,
               "--wheels", str(wheels), "--out", str(out)]  # fmt: skip
    settings = os.environ | {"SOURCE_DATE_EPOCH": str(EPOCH)}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=settings)


def built(tree: Path, wheels: Path, out: Path, python: str, arch: str) -> Path:
    """Return the package that build_deb.py wrote."""
    done = build(tree, wheels, out, python, arch)
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.split()[1])


def here() -> tuple[str, str]:
    """Return the Python and the architecture of this machine's own system."""
    arch = subprocess.run(["dpkg", "--print-architecture"], capture_output=True, text=True, check=True).stdout.strip()
    return f"3.{sys.version_info.minor}", arch
