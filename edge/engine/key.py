"""The key of an engine: everything that it depends on. Where a part of it changes, the engine is another one."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import msgspec

from edge.engine.building import BuildOptions
from edge.engine.memory import DeviceFacts

# Raise it whenever the builder makes another engine of the same step and options.
BUILDER_REVISION = 1
_L4T_FILE = Path("/etc/nv_tegra_release")


class EngineKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an engine was built from, by what, and for which machine. `onnx` is the SHA-256 of the step's bytes."""

    onnx: str
    options: BuildOptions
    tensorrt: str
    cuda: str
    compute_capability: str
    multiprocessors: int
    device: str
    l4t: str
    memory_mib: int
    builder: int = BUILDER_REVISION

    @property
    def digest(self) -> str:
        """Sixteen hex digits that change with any part."""
        return hashlib.sha256(msgspec.json.encode(self)).hexdigest()[:16]


def engine_key(step: bytes, options: BuildOptions, tensorrt: str, facts: DeviceFacts, l4t: str) -> EngineKey:
    """Return the key of the engine of a step on a device."""
    return EngineKey(
        onnx=hashlib.sha256(step).hexdigest(),
        options=options,
        tensorrt=tensorrt,
        cuda=facts.cuda,
        compute_capability=facts.compute_capability,
        multiprocessors=facts.multiprocessors,
        device=facts.name,
        l4t=l4t,
        memory_mib=facts.memory_mib,
    )


def changed_parts(before: EngineKey, now: EngineKey) -> list[str]:
    """Return in words which parts of a key changed."""
    old, new = msgspec.structs.asdict(before), msgspec.structs.asdict(now)
    old |= msgspec.structs.asdict(old.pop("options"))
    new |= msgspec.structs.asdict(new.pop("options"))
    return [f"{part} {_short(old[part])} -> {_short(new[part])}" for part in new if old[part] != new[part]]


def l4t_release(file: Path = _L4T_FILE) -> str:
    """Return the release of Linux for Tegra, such as 36.4.3; empty where this is no Jetson."""
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    found = re.search(r"# R(\d+) \(release\), REVISION: ([\d.]+)", text)
    return f"{found[1]}.{found[2]}" if found else "unknown"


def _short(value: object) -> str:
    text = str(value) or "none"
    return text[:12] if re.fullmatch(r"[0-9a-f]{64}", text) else text
