"""A root file system that is this machine's own, without what a test changes in it; gone when it is closed."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.needs import absent, need_root


@contextmanager
def overlaid_root(folder: Path) -> Iterator[Path]:
    """Yield a root whose changes lie in memory; programs run in it by chroot, without a service manager."""
    need_root()
    memory = folder / "memory"
    memory.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(memory)], check=True)
    try:
        for name in ("upper", "work", "root"):
            (memory / name).mkdir()
        layers = f"lowerdir=/,upperdir={memory / 'upper'},workdir={memory / 'work'}"
        done = subprocess.run(["mount", "-t", "overlay", "overlay", "-o", layers, str(memory / "root")], check=False)
        if done.returncode != 0:
            absent("this kernel lays no overlay over its root")
        try:
            yield memory / "root"
        finally:
            subprocess.run(["umount", str(memory / "root")], check=True)
    finally:
        subprocess.run(["umount", str(memory)], check=True)


def run_in(root: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a program in a root without any network."""
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}
    mounted = 'mount -t proc proc "$0/proc" && exec chroot "$0" "$@"'
    line = ["unshare", "--net", "--uts", "--mount", "--pid", "--fork", "sh", "-c", mounted, str(root), *command]
    return subprocess.run(line, env=environment, capture_output=True, text=True, check=False, timeout=120)
