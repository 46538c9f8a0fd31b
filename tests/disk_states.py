"""A disk that loses what was not synced: every state that a power cut may leave, made from what a program asked.

Rules, as hard as POSIX allows: what was written to a file is safe once the file was synced; before that each write may
be there, be missing, be torn between two sectors, or have left its length and zeros. A name that was made, changed or
removed is safe once its folder was synced; before that they take effect in their order, up to any of them.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.disk_trace import Op

SECTOR = 512
_NAMES = ("create", "rename", "remove", "folder")
Fate = Callable[[Op], str]


@dataclass
class Disk:
    """What is safe, and what waits; fed with a program's changes one by one."""

    safe: dict[int, bytearray] = field(default_factory=dict)
    waiting: dict[int, list[Op]] = field(default_factory=dict)
    names: dict[str, int] = field(default_factory=dict)
    waiting_names: list[Op] = field(default_factory=list)

    def do(self, op: Op) -> None:
        """Take one change in."""
        if op.what in _NAMES:
            self.waiting_names.append(op)
        elif op.what == "sync_folder":
            for one in self.waiting_names:
                _rename(self.names, one)
            self.waiting_names.clear()
        elif op.what == "sync":
            image = self.safe.setdefault(op.inode, bytearray())
            for one in self.waiting.pop(op.inode, []):
                _write(image, one, "whole")
        else:
            self.waiting.setdefault(op.inode, []).append(op)

    def after_a_cut(self, names: int, fate: Fate) -> dict[str, bytes | None]:
        """Return the files that are there then (a folder is None): so many of the waiting names took effect."""
        left = dict(self.names)
        for one in self.waiting_names[:names]:
            _rename(left, one)
        images: dict[str, bytes | None] = {}
        for path, inode in left.items():
            image = bytearray(self.safe.get(inode, b""))
            for one in self.waiting.get(inode, []):
                _write(image, one, fate(one))
            images[path] = bytes(image) if inode else None
        return images


def _rename(names: dict[str, int], op: Op) -> None:
    if op.what in ("create", "folder"):
        names[op.path] = op.inode
    for name in [one for one in names if one == op.path or one.startswith(op.path + "/")]:
        if op.what == "rename":
            names[op.target + name.removeprefix(op.path)] = names.pop(name)
        elif op.what == "remove":
            del names[name]


def _write(image: bytearray, op: Op, fate: str) -> None:
    """Let a write take effect: whole, torn, as zeros of its length, or not at all."""
    if fate == "lost":
        return
    if op.what == "size":
        del image[op.offset :]
        image.extend(bytes(op.offset - len(image)))
        return
    kept = len(op.data) // 2 // SECTOR * SECTOR if fate == "torn" else len(op.data)
    image.extend(bytes(max(op.offset + len(op.data) - len(image), 0)))
    if fate != "zeros":
        image[op.offset : op.offset + kept] = op.data[:kept]


def fates(kind: str, chance: random.Random) -> Fate:
    """Return what becomes of the writes that were not synced: all the same, or each its own."""
    if kind == "mixed":
        return lambda _: chance.choice(("whole", "lost", "torn", "zeros"))
    return lambda _: kind


def lay_out(images: Mapping[str, bytes | None], root: Path, place: Path) -> None:
    """Write a state's files from below `root` to another place."""
    place.mkdir(parents=True, exist_ok=True)
    for name, data in images.items():
        path = place / Path(name).relative_to(root)
        if data is None:
            path.mkdir(parents=True, exist_ok=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
