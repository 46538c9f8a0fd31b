"""What a program asks of its disk, in order: its system calls, as strace wrote them down."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

CALLS = (
    "open,openat,creat,close,dup,lseek,write,pwrite64,ftruncate,fallocate,fsync,fdatasync,"
    "rename,renameat,renameat2,unlink,unlinkat,rmdir,mkdir,mkdirat"
)
_LINE = re.compile(r"^(\d+)\s+(.*)$")
_CALL = re.compile(r"^(\w+)\((.*)\)\s+=\s+(-?\d+|\?)", re.DOTALL)
_PART = re.compile(r'"(?:\\x[0-9a-f]{2})*"|[^,"]+')


@dataclass(frozen=True)
class Op:
    """One change. `what`: write, size, sync, create, rename, remove, folder, sync_folder.

    `inode` is a number of our own for a file, whatever it is called then; `path` and `target` are names.
    """

    what: str
    path: str = ""
    target: str = ""
    inode: int = 0
    offset: int = 0
    data: bytes = b""


def strace(log: Path) -> list[str]:
    """Return the words that run a program and write down what it asks of its disk."""
    return ["strace", "-f", "--seccomp-bpf", "-qq", "-xx", "-s", "8388608", "-e", f"trace={CALLS}", "-o", str(log)]


def calls_of(log: Path) -> Iterator[tuple[str, list[str], int]]:
    """Yield the calls that succeeded, each when it came back: name, arguments, result."""
    begun: dict[str, str] = {}
    with log.open(encoding="ascii", errors="replace") as lines:
        for line in lines:
            found = _LINE.match(line.rstrip("\n"))
            if found is None:
                continue
            process, text = found.groups()
            if text.endswith("<unfinished ...>"):
                begun[process] = text.removesuffix("<unfinished ...>").rstrip()
                continue
            if text.startswith("<..."):
                text = begun.pop(process, "") + text.partition("resumed>")[2]
            call = _CALL.match(text)
            if call is not None and call[3] != "?" and int(call[3]) >= 0:
                yield call[1], [part.strip() for part in _PART.findall(call[2]) if part.strip()], int(call[3])


@dataclass
class _Open:
    """A descriptor: the file behind it, and where the next write goes."""

    path: str
    inode: int
    offset: int = 0
    appends: bool = False


@dataclass
class _Process:
    """What is open in one process, which files there are below `root`, and how long each is."""

    root: str
    here: str
    descriptors: dict[int, _Open] = field(default_factory=dict)
    inodes: dict[str, int] = field(default_factory=dict)
    sizes: dict[int, int] = field(default_factory=dict)
    count: int = 0


def ops_of(log: Path, root: Path, here: Path) -> list[Op]:
    """Return the changes below `root` that one traced program made; `here` is where it was started."""
    state, ops = _Process(str(root), str(here)), list[Op]()
    for name, words, result in calls_of(log):
        ops += _ops_of_call(state, name, words, result)
    return ops


def _ops_of_call(state: _Process, name: str, words: list[str], result: int) -> list[Op]:
    if name in ("open", "openat", "creat"):
        return _opened(state, name, words, result)
    if name in ("rename", "renameat", "renameat2"):
        return _renamed(state, *_paths(state, name, words, 2))
    if name in ("unlink", "unlinkat", "rmdir"):
        (path,) = _paths(state, name, words, 1)
        return [Op("remove", path)] if state.inodes.pop(path, None) is not None or _is_below(state, path) else []
    if name in ("mkdir", "mkdirat"):
        (path,) = _paths(state, name, words, 1)
        return [Op("folder", path)] if _is_below(state, path) else []
    descriptor = int(words[0])
    if name == "close":
        state.descriptors.pop(descriptor, None)
    elif name == "dup" and descriptor in state.descriptors:
        state.descriptors[result] = state.descriptors[descriptor]
    elif descriptor in state.descriptors:
        return _of_descriptor(state, state.descriptors[descriptor], name, words, result)
    return []


def _opened(state: _Process, name: str, words: list[str], result: int) -> list[Op]:
    (path,), flags = _paths(state, name, words, 1), " ".join(words[1:])
    if not _is_below(state, path):
        state.descriptors.pop(result, None)
        return []
    if "O_DIRECTORY" in flags:
        state.descriptors[result] = _Open(path, 0)
        return []
    made = list[Op]()
    if path not in state.inodes:
        if "O_CREAT" not in flags and name != "creat":
            state.descriptors[result] = _Open(path, 0)  # a folder that is opened to be synced
            return []
        state.count += 1
        state.inodes[path], state.sizes[state.count] = state.count, 0
        made.append(Op("create", path, inode=state.count))
    inode = state.inodes[path]
    if "O_TRUNC" in flags and state.sizes[inode]:
        state.sizes[inode] = 0
        made.append(Op("size", path, inode=inode, offset=0))
    state.descriptors[result] = _Open(path, inode, appends="O_APPEND" in flags)
    return made


def _renamed(state: _Process, path: str, target: str) -> list[Op]:
    if not _is_below(state, path):
        return []
    for name in [one for one in state.inodes if one == path or one.startswith(path + "/")]:
        state.inodes[target + name.removeprefix(path)] = state.inodes.pop(name)
    return [Op("rename", path, target)]


def _of_descriptor(state: _Process, file: _Open, name: str, words: list[str], result: int) -> list[Op]:
    if name == "lseek":
        file.offset = result
        return []
    if name in ("fsync", "fdatasync"):
        return [Op("sync", file.path, inode=file.inode) if file.inode else Op("sync_folder", file.path)]
    size = state.sizes[file.inode]
    if name in ("ftruncate", "fallocate"):
        wanted = int(words[1]) if name == "ftruncate" else max(size, int(words[2]) + int(words[3]))
        state.sizes[file.inode] = wanted
        return [Op("size", file.path, inode=file.inode, offset=wanted)]
    offset = int(words[3]) if name == "pwrite64" else (size if file.appends else file.offset)
    if name == "write":
        file.offset = offset + result
    state.sizes[file.inode] = max(size, offset + result)
    return [Op("write", file.path, inode=file.inode, offset=offset, data=_bytes(words[1])[:result])]


def _paths(state: _Process, name: str, words: list[str], count: int) -> list[str]:
    """The absolute paths among a call's first arguments; a name beside a descriptor lies in that folder."""
    found, folder = list[str](), state.here
    for word in words:
        if word.startswith('"'):
            text = _bytes(word).decode(errors="replace")
            found.append(text if text.startswith("/") else f"{folder}/{text}")
        elif word.isdigit() and int(word) in state.descriptors:
            folder = state.descriptors[int(word)].path
        elif word == "AT_FDCWD":
            folder = state.here
        if len(found) == count:
            break
    return [path.rstrip("/") for path in found]


def _is_below(state: _Process, path: str) -> bool:
    return path == state.root or path.startswith(state.root + "/")


def _bytes(word: str) -> bytes:
    return bytes.fromhex(word[1:-1].replace("\\x", ""))
