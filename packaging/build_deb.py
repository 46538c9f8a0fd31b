"""The Debian package of a device: an environment of its own from a folder of wheels, for one Python and machine.

    python3 packaging/build_deb.py --python 3.10 --arch arm64 --wheels wheels/3.10-arm64 --out dist

The folder holds this project's wheel and every wheel that it needs (packaging/fetch_wheels.sh fills one); nothing is
fetched here, and nothing of the other architecture is run. The same wheels and the same SOURCE_DATE_EPOCH (default: the
time of the last commit) give the same bytes. Needs pip 23 or later and dpkg-deb 1.21 or later.
"""

from __future__ import annotations

import argparse
import configparser
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
PYTHONS = ("3.10", "3.11", "3.12", "3.13")
MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
# The oldest C library of a device is Ubuntu 22.04's, 2.35 (JetPack 6).
PLATFORMS = ["manylinux2014", *(f"manylinux_2_{minor}" for minor in range(17, 36))]
HOME = "opt/prednet-edge"
COMMANDS = ("prednet-edge", "prednet-calibrate")
# What of the package goes where systemd looks for files of packages.
SYSTEM_FILES = {
    "prednet-edge.service": "usr/lib/systemd/system/prednet-edge.service",
    "prednet-edge-engine.service": "usr/lib/systemd/system/prednet-edge-engine.service",
    "prednet-edge.sysusers": "usr/lib/sysusers.d/prednet-edge.conf",
    "prednet-edge.tmpfiles": "usr/lib/tmpfiles.d/prednet-edge.conf",
}
GSTREAMER = (
    "python3-gi, gir1.2-gstreamer-1.0, gir1.2-gst-plugins-base-1.0, gstreamer1.0-plugins-base, "
    "gstreamer1.0-plugins-good, gstreamer1.0-plugins-bad, gstreamer1.0-libav"
)
# JetPack's own; where a machine has no such package, apt passes over a recommendation.
TENSORRT = {"arm64": ", python3-libnvinfer", "amd64": ""}
CONTROL = """\
Package: prednet-edge
Version: {version}
Architecture: {arch}
Maintainer: The prednet-edge authors <root@localhost>
Installed-Size: {kibibytes}
Depends: python{python}, systemd (>= 247), passwd, libc6 (>= {libc}), libstdc++6
Recommends: {gstreamer}{tensorrt}
Suggests: mosquitto, mosquitto-clients
Section: video
Priority: optional
Description: anomaly camera: PredNet watches, MQTT tells
 Watches cameras with a network that was trained on nothing but normal work, and
 publishes on MQTT what it did not expect. This package brings an environment of
 its own for Python {python} in /opt/prednet-edge and a systemd service. Configuration and
 events outlive upgrades and removal; purging deletes them.
"""


class BuildFault(Exception):
    """One sentence for who builds."""


@dataclass(frozen=True)
class Target:
    """The device's Python (`3.10`) and Debian architecture (`arm64`), and the package's version."""

    python: str
    arch: str
    version: str

    @property
    def file_name(self) -> str:
        """The name of the package's file."""
        return f"prednet-edge_{self.version}_{self.arch}.deb"


def build(python: str, arch: str, wheels: Path, out: Path, epoch: int) -> Path:
    """Build the package into the folder `out` and return its path. Raises BuildFault."""
    target = Target(python, arch, f"{version_of(wheels)}+py{python.replace('.', '')}")
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "root"
        site = root / HOME / "lib" / f"python{python}" / "site-packages"
        lay_wheels(target, wheels, site)
        lay_environment(target, root, site)
        lay_system(root, site)
        settle(root, epoch)
        lay_control(target, root)
        settle(root / "DEBIAN", epoch)
        return pack(root, out / target.file_name, epoch)


def version_of(wheels: Path) -> str:
    """Return the version of the one wheel of ours in the folder. Raises BuildFault where there is not one."""
    found = sorted(wheels.glob("prednet_edge-*.whl"))
    if len(found) != 1:
        raise BuildFault(
            f"{wheels}: holds {len(found)} wheels of prednet-edge where one was expected; "
            f"fill an empty folder: packaging/fetch_wheels.sh PYTHON ARCH FOLDER."
        )
    return found[0].name.split("-")[1]


def lay_wheels(target: Target, wheels: Path, site: Path) -> None:
    """Unpack every wheel of the folder for the device. Raises BuildFault where one is missing or does not fit."""
    platforms = [f"--platform={one}_{MACHINES[target.arch]}" for one in PLATFORMS]
    command = [sys.executable, "-m", "pip", "--isolated", "--disable-pip-version-check", "install", "--quiet",
               "--no-index", "--no-compile", "--find-links", str(wheels), "--only-binary=:all:", "--implementation=cp",
               "--ignore-requires-python",  # pip compares it with the Python that builds, not with the device's
               "--python-version", target.python, *platforms, "--target", str(site),
               *map(str, sorted(wheels.glob("*.whl")))]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - pip, of this Python
    if done.returncode != 0:
        told = " ".join(line for line in done.stderr.splitlines() if "ERROR" in line) or done.stderr.strip()
        raise BuildFault(
            f"{wheels}: does not make a device of Python {target.python} on {target.arch}: {told} "
            f"Fill it anew: packaging/fetch_wheels.sh {target.python} {target.arch} FOLDER."
        )


def lay_environment(target: Target, root: Path, site: Path) -> None:
    """Make the folder of packages an environment that also sees the system's (TensorRT, GStreamer)."""
    home = root / HOME
    shutil.rmtree(site / "bin", ignore_errors=True)  # they name the Python that builds
    for bytecode in [*site.rglob("__pycache__")]:  # some wheels bring theirs; the device makes its own
        shutil.rmtree(bytecode)
    for record in [*site.glob("*.dist-info/RECORD"), *site.glob("*.dist-info/direct_url.json")]:
        record.unlink()  # the files are dpkg's, and are no pip's to remove
    (home / "bin").mkdir()
    (home / "bin" / "python3").symlink_to(f"/usr/bin/python{target.python}")
    (home / "bin" / "python").symlink_to("python3")
    config = f"home = /usr/bin\ninclude-system-site-packages = true\nversion = {target.python}\n"
    (home / "pyvenv.cfg").write_text(config, encoding="ascii")
    points = configparser.ConfigParser()
    points.read(next(site.glob("prednet_edge-*.dist-info")) / "entry_points.txt", encoding="ascii")
    for name in COMMANDS:
        module, _, function = points["console_scripts"][name].partition(":")
        text = f"#!/{HOME}/bin/python3\nimport sys\n\nfrom {module} import {function}\n\nsys.exit({function}())\n"
        (home / "bin" / name).write_text(text, encoding="ascii")
        (home / "bin" / name).chmod(0o755)


def lay_system(root: Path, site: Path) -> None:
    """Put units, user and folders where systemd finds them, the commands onto the path, and the licence."""
    for name, place in SYSTEM_FILES.items():
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(site / "edge" / "data" / "systemd" / name, root / place)
    (root / "usr" / "bin").mkdir()
    for name in COMMANDS:
        (root / "usr" / "bin" / name).symlink_to(f"/{HOME}/bin/{name}")
    doc = root / "usr" / "share" / "doc" / "prednet-edge"
    doc.mkdir(parents=True)
    licence = next(site.glob("prednet_edge-*.dist-info")) / "licenses" / "LICENSE"
    others = f"\nThe packages beside it have licences of their own: /{HOME}/lib/python*/site-packages/*.dist-info.\n"
    (doc / "copyright").write_text(licence.read_text(encoding="utf-8") + others, encoding="utf-8")


def settle(root: Path, epoch: int) -> None:
    """Give everything below `root` the modes of a package and one time, whatever the builder's umask and clock."""
    for path in [root, *root.rglob("*")]:
        if not path.is_symlink():
            is_open = path.is_dir() or path.stat().st_mode & 0o100
            path.chmod(0o755 if is_open else 0o644)
        os.utime(path, (epoch, epoch), follow_symlinks=False)


def lay_control(target: Target, root: Path) -> None:
    """Write what dpkg asks of a package: the control file, digests, and the scripts of packaging/debian."""
    files = list(_files(root))
    kibibytes = sum((path.stat().st_size + 1023) // 1024 for path in files)
    control = root / "DEBIAN"
    control.mkdir()
    text = CONTROL.format(version=target.version, arch=target.arch, python=target.python, kibibytes=kibibytes,
                          libc="2.28", gstreamer=GSTREAMER, tensorrt=TENSORRT[target.arch])  # fmt: skip
    (control / "control").write_text(text, encoding="ascii")
    sums = [f"{hashlib.md5(path.read_bytes()).hexdigest()}  {path.relative_to(root)}\n" for path in files]  # noqa: S324 - dpkg's form
    (control / "md5sums").write_text("".join(sums), encoding="utf-8")
    for script in sorted((HERE / "debian").iterdir()):
        shutil.copyfile(script, control / script.name)
        (control / script.name).chmod(0o755)


def pack(root: Path, out: Path, epoch: int) -> Path:
    """Pack the root and return the package. Raises BuildFault with what dpkg-deb said."""
    # One thread: several divide the stream by their number. zstd: dpkg of Ubuntu 22.04 and of Debian 12 read it.
    settings = os.environ | {"SOURCE_DATE_EPOCH": str(epoch), "DPKG_DEB_THREADS_MAX": "1"}
    command = ["dpkg-deb", "--root-owner-group", "-Zzstd", "-z9", "--build", str(root), str(out)]
    done = subprocess.run(command, env=settings, capture_output=True, text=True, check=False)  # noqa: S603 - our own
    if done.returncode != 0:
        raise BuildFault(f"{out}: dpkg-deb says {done.stderr.strip()}")
    return out


def epoch_here() -> int:
    """Return SOURCE_DATE_EPOCH, or the time of the last commit. Raises BuildFault where there is neither."""
    given = os.environ.get("SOURCE_DATE_EPOCH")
    if given is None:
        command = ["git", "-C", str(HERE), "log", "-1", "--format=%ct"]
        given = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()  # noqa: S603 - our own
    if not given.isdigit():
        raise BuildFault("No time for the package's files; set SOURCE_DATE_EPOCH to seconds since 1970.")
    return int(given)


def _files(root: Path) -> Iterator[Path]:
    return (path for path in sorted(root.rglob("*")) if path.is_file() and not path.is_symlink())


def main() -> int:
    """Parse, build, print the package's path and its digest."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", required=True, choices=PYTHONS, help="the device's: JetPack 6 has 3.10, 7 has 3.12")
    parser.add_argument("--arch", required=True, choices=sorted(MACHINES), help="arm64 for a Jetson")
    parser.add_argument("--wheels", required=True, type=Path, help="the folder that fetch_wheels.sh filled")
    parser.add_argument("--out", type=Path, default=Path("dist"), help="where the package goes (default: dist)")
    parsed = parser.parse_args()
    try:
        package = build(parsed.python, parsed.arch, parsed.wheels, parsed.out, epoch_here())
    except BuildFault as fault:
        print(f"build_deb.py: {fault}", file=sys.stderr)
        return 1
    print(f"{hashlib.sha256(package.read_bytes()).hexdigest()}  {package}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
