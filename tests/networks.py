"""Two network namespaces with a cable between them that a test can pull; needs root and iproute2."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.needs import absent, need_program

FAR_ADDRESS = "10.213.7.1"
NEAR_ADDRESS = "10.213.7.2"


@dataclass(frozen=True)
class Cable:
    """`far` and `near` are the words that enter each end's namespace."""

    far: list[str]
    near: list[str]
    plug: str

    def pull(self) -> None:
        """Cut it: packets vanish without a word, as in a pulled cable."""
        self._set("down")

    def plug_in(self) -> None:
        """Mend it."""
        self._set("up")

    def _set(self, state: str) -> None:
        subprocess.run([*self.near, "ip", "link", "set", self.plug, state], check=True)


@contextmanager
def cable() -> Iterator[Cable]:
    """Make the namespaces, and remove them at the end; skip where that is not allowed, fail under CI."""
    ip = need_program("ip", "iproute2")
    far, near, plug = (f"{name}{os.getpid()}" for name in ("pfar", "pnear", "pv"))
    made = subprocess.run([ip, "netns", "add", far], capture_output=True, text=True, check=False)
    if made.returncode != 0:
        absent(f"network namespaces are not allowed here: {made.stderr.strip()}")
    try:
        commands = [
            f"netns add {near}",
            f"-n {near} link add {plug} type veth peer name {plug}f netns {far}",
            f"-n {far} addr add {FAR_ADDRESS}/30 dev {plug}f",
            f"-n {near} addr add {NEAR_ADDRESS}/30 dev {plug}",
            *(f"-n {name} link set {device} up" for name, device in ((far, "lo"), (near, "lo"), (far, plug + "f"), (near, plug))),
        ]  # fmt: skip
        for command in commands:
            subprocess.run([ip, *command.split()], check=True)
        yield Cable([ip, "netns", "exec", far], [ip, "netns", "exec", near], plug)
    finally:
        for name in (near, far):
            subprocess.run([ip, "netns", "del", name], check=False, capture_output=True)
