r"""Lays package, bundle, configuration and first boot into a Jetson's root file system, before it is flashed.

    sudo python3 packaging/flash.py --root Linux_for_Tegra/rootfs --package prednet-edge_0.1.0+py310_arm64.deb \
        --bundle press.prednet --config config.yaml

Run it after L4T's apply_binaries.sh and before l4t_initrd_flash.sh or the SDK manager writes the image. The package
is installed by the image's own dpkg, under emulation where the image is of another architecture (qemu-user-static).
The image holds no identity and no secret: a configuration that names one is refused. It may be run again over the
same image.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).parent
FOLDER = "etc/prednet-edge"
UNIT = "prednet-edge-first-boot.service"
PLACES = {
    UNIT: f"etc/systemd/system/{UNIT}",
    "first-boot.conf": "etc/systemd/system/prednet-edge.service.d/first-boot.conf",
}
# What every device of one image would share, with what to do instead.
_ON_EACH = "leave it out, and put the secret on each device: /etc/prednet-edge/credentials (docs/configuration.md)"
_IDENTITY = "leave it out: it comes from each module's serial number"
_LOGIN = "write it without the password, and put that on each device: /etc/prednet-edge/credentials"
# A key of YAML, in a block or within braces, and that it has a value.
_BEFORE, _VALUE = r"^(?:[^#\n]*[{,])?[ \t]*-?[ \t]*[\"']?", r"[\"']?[ \t]*:[ \t]*(?:[\"'][^\"']|[^\s#\"'{\[,}])"
REFUSED = {
    re.compile(rf"{_BEFORE}(\w*(?:password|secret|token|key)\w*){_VALUE}", re.M): _ON_EACH,
    re.compile(rf"{_BEFORE}(device|client_id){_VALUE}", re.M): _IDENTITY,
    re.compile(rf"{_BEFORE}(\w+)[\"']?:[^#\n]*//[^/\s\"'?#:\[]*:(?!\d+[/?#\s\"'])[^\s\"']*@", re.M): _LOGIN,
}


class FlashFault(Exception):
    """One sentence for who flashes."""


def flash(root: Path, package: Path, bundle: Path, config: Path | None) -> Iterator[str]:
    """Lay everything into the image and yield what was done. Raises FlashFault."""
    if not bundle.is_file():
        raise FlashFault(f"{bundle}: there is no such file; give the network that the devices begin with.")
    fits(root, package)
    if config is not None:
        without_secrets(config)
    yield from without_identity(root)
    with kernel_folders(root):
        lent = laid(package, root / "root" / package.name)
        inside(root, "dpkg", "-i", f"/root/{package.name}")
        lent.unlink()
        yield f"{package.name} is installed"
        for source in filter(None, (bundle, config)):
            name = source.name if source == bundle else "config.yaml"
            yield f"/{laid(source, root / FOLDER / name).relative_to(root)} is laid"
        inside(root, "systemd-tmpfiles", "--create", "prednet-edge.conf")  # owners and modes
        for name, place in PLACES.items():
            laid(HERE / "first_boot" / name, root / place)
        inside(root, "systemctl", "--quiet", "enable", UNIT)
        if config is not None:
            inside(root, "systemctl", "--quiet", "enable", "prednet-edge.service")
            # The store's key is put on each device: here it is no mistake that it is missing.
            stand_in = ("env", "PREDNET_STORE_SECRET_KEY=unseen")
            inside(root, *stand_in, "prednet-edge", "check", "--config", f"/{FOLDER}/config.yaml")
            yield "the configuration is good, and watches from the first boot on"
    yield f"{UNIT} names the device by its module's serial number; secrets are to be put on each device"


def fits(root: Path, package: Path) -> None:
    """Raise FlashFault where the image is none, or is not of the package's Python and architecture."""
    if root.resolve() == Path("/") or not (root / "var/lib/dpkg/status").exists():
        raise FlashFault(f"{root}: no root file system of Debian's or Ubuntu's; give Linux_for_Tegra/rootfs.")
    arch, depends = (asked(package, field) for field in ("Architecture", "Depends"))
    python = depends.split(",")[0]
    if not (root / "usr/bin" / python).exists():
        raise FlashFault(
            f"{root}: has no {python}, for which {package.name} is; build the package for the image's Python."
        )
    have = inside(root, "dpkg", "--print-architecture").strip()
    if arch != have:
        raise FlashFault(f"{root}: is of {have}, and {package.name} of {arch}; build the package for {have}.")


def asked(package: Path, field: str) -> str:
    """Return a field of the package's control file. Raises FlashFault where it is no package."""
    done = subprocess.run(["dpkg-deb", "-f", str(package), field], capture_output=True, text=True, check=False)  # noqa: S603, S607 - dpkg's own
    if done.returncode != 0:
        raise FlashFault(f"{package}: is no Debian package: {done.stderr.strip()}")
    return done.stdout.strip()


def without_secrets(config: Path) -> None:
    """Raise FlashFault, with the line, where the configuration holds what no two devices may share."""
    text = config.read_text(encoding="utf-8")
    for pattern, instead in REFUSED.items():
        found = pattern.search(text)
        if found is not None:
            line = text.count("\n", 0, found.start(1)) + 1
            raise FlashFault(f"{config}:{line}: `{found[1]}` would be the same on every device; {instead}.")


def without_identity(root: Path) -> Iterator[str]:
    """Take out of the image what names one machine; FlashFault where secrets of ours were laid there."""
    folder = root / FOLDER
    secrets = [*folder.glob("credentials/*"), *folder.glob("*.secret"), *folder.glob("identity")]
    if secrets:
        raise FlashFault(f"{secrets[0]}: no secret and no identity may be in an image; take it away.")
    for key in sorted(root.glob("etc/ssh/ssh_host_*")):
        key.unlink()
        yield f"{key.name} is taken out; the device makes its own"
    (root / "etc/machine-id").write_text("", encoding="ascii")  # systemd makes one at the first boot


@contextmanager
def kernel_folders(root: Path) -> Iterator[None]:
    """Give the image /proc and /sys while its own programs run."""
    process, system = str(root / "proc"), str(root / "sys")
    mount("-t", "proc", "proc", process)
    try:
        mount("--rbind", "--make-rslave", "/sys", system)
        try:
            yield
        finally:
            subprocess.run(["umount", "--lazy", system], check=True)  # noqa: S603, S607 - the system's own
    finally:
        subprocess.run(["umount", process], check=True)  # noqa: S603, S607 - as above


def mount(*options: str) -> None:
    """Mount something."""
    subprocess.run(["mount", *options], check=True)  # noqa: S603, S607 - the system's own


def inside(root: Path, *command: str) -> str:
    """Run a program of the image in the image and return what it said. Raises FlashFault with that."""
    settings = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}
    settings |= {"PYTHONDONTWRITEBYTECODE": "1"}  # the device makes its own
    done = subprocess.run(["chroot", str(root), *command], env=settings, capture_output=True, text=True, check=False)  # noqa: S603, S607 - the image's own
    if "xec format error" in done.stderr:
        raise FlashFault(
            f"{root}: this machine cannot run the image's programs; sudo apt-get install qemu-user-static."
        )
    if done.returncode != 0:
        raise FlashFault(f"{root}: {' '.join(command)} failed: {(done.stderr or done.stdout).strip()}")
    return done.stdout


def laid(source: Path, place: Path) -> Path:
    """Copy a file to its place and return that."""
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, place)
    return place


def main() -> int:
    """Parse, lay, say what was done."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", required=True, type=Path, help="the root file system, Linux_for_Tegra/rootfs")
    parser.add_argument("--package", required=True, type=Path, help="the .deb for the image's Python (make deb)")
    parser.add_argument("--bundle", required=True, type=Path, help="the network that the devices begin with")
    parser.add_argument(
        "--config", type=Path, help="a configuration for all devices; without it: prednet-edge init on each"
    )
    parsed = parser.parse_args()
    try:
        for told in flash(parsed.root, parsed.package, parsed.bundle, parsed.config):
            print(told, flush=True)
    except (FlashFault, OSError, subprocess.CalledProcessError) as fault:
        print(f"flash.py: {fault}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
