"""A real systemd, booted as process 1 of namespaces of its own over an overlay of this machine; gone when it is closed.

Needs root and cgroup2. Nothing that happens in it reaches this machine's files; it has no network but its own loopback.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

BOOT_SECONDS = 30.0
# /proc/sys is read-only: systemd's sysctl step would write this machine's.
_BOOT = r"""
set -e
mount --make-rprivate /
mount -t tmpfs -o size=4G tmpfs "$1"
mkdir -p "$1/upper" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
cd "$1/root"
mount -t proc proc proc
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount --rbind /dev dev
mount -t tmpfs tmpfs run
mount -t tmpfs tmpfs tmp
# systemd lays a service's credentials into the place by a mount that must propagate.
mount --make-rshared .
hostname booted
ip link set lo up
exec env -i container=test PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot . /lib/systemd/systemd --system \
  --unit=basic.target --log-target=journal --show-status=no
"""


class Booted:
    """A running machine; `process` is its process 1 as this machine counts."""

    def __init__(self, process: int) -> None:
        self.enter = ["nsenter", "--target", str(process), "--all", "--root", "--wd"]

    def start(self, *command: str, answers: bool = False) -> subprocess.Popen[str]:
        """Start a command in it."""
        pipe = subprocess.PIPE if answers else subprocess.DEVNULL
        return subprocess.Popen(
            [*self.enter, *command], stdin=pipe, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def run(self, *command: str, typed: str | None = None, seconds: float = 120.0) -> tuple[int, str]:
        """Run a command in it, with what is typed; return its exit code and all that it said."""
        process = self.start(*command, answers=typed is not None)
        told, _ = process.communicate(typed, timeout=seconds)
        return process.returncode, told.strip()

    def shell(self, line: str, seconds: float = 120.0) -> str:
        """Run a line of shell in it and return what it said; a failure ends the script."""
        code, told = self.run("sh", "-ec", line, seconds=seconds)
        if code != 0:
            raise SystemExit(f"{line}\nfailed with {code}: {told}")
        return told

    def property(self, unit: str, name: str) -> str:
        """Return a property of a unit."""
        return self.shell(f"systemctl show --value -p {name} {unit}")


@contextmanager
def booted() -> Iterator[Booted]:
    """Boot a machine, and end it."""
    with tempfile.TemporaryDirectory(prefix="booted-") as folder:
        namespaces = ["--mount", "--pid", "--fork", "--uts", "--ipc", "--net", "--cgroup", "--kill-child"]
        outer = subprocess.Popen(["unshare", *namespaces, "sh", "-c", _BOOT, "boot", folder])
        try:
            machine = Booted(_child_of(outer))
            until(lambda: machine.run("systemctl", "is-system-running")[1] == "running", BOOT_SECONDS, "the boot")
            yield machine
        finally:
            outer.kill()
            outer.wait()


def until(is_true: Callable[[], bool], seconds: float, what: str) -> float:
    """Wait until something is true and return how long it took; after so many seconds the script ends."""
    began = time.monotonic()
    while not is_true():
        if time.monotonic() - began > seconds:
            raise SystemExit(f"FAILED: {what} did not come within {seconds:g} s")
        time.sleep(0.1)
    return time.monotonic() - began


def _child_of(process: subprocess.Popen[bytes]) -> int:
    """Return the process 1 of the namespaces that `unshare` made."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    until(lambda: process.poll() is not None or bool(children.read_text().split()), BOOT_SECONDS, "process 1")
    found: Sequence[str] = children.read_text().split()
    return int(found[0])
