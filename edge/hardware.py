"""The machine's own condition, as Linux tells it: temperatures, throttling, memory, room on the disk."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

SYSTEM = Path("/sys")
# With less than this left, the fault `disk_low` is told.
DISK_LOW_BYTES = 64 * 2**20


def temperatures_celsius(system: Path = SYSTEM) -> dict[str, float] | None:
    """Return the temperature of each thermal zone by its type (`cpu-thermal`); None where there are none."""
    found = {}
    for zone in sorted(system.glob("class/thermal/thermal_zone*")):
        kind, millidegrees = _text(zone / "type"), _number(zone / "temp")
        if kind and millidegrees is not None:
            name = kind if kind not in found else f"{kind}-{zone.name.removeprefix('thermal_zone')}"
            found[name] = round(millidegrees / 1000.0, 1)
    return found or None


def is_throttled(system: Path = SYSTEM) -> bool | None:
    """Return whether a cooling device other than a fan slows the machine now; None where none is told of.

    On a Jetson the kernel lists a cooling device for each clock that it may lower.
    """
    states = [
        _number(device / "cur_state")
        for device in sorted(system.glob("class/thermal/cooling_device*"))
        if "fan" not in _text(device / "type").lower()
    ]
    known = [state for state in states if state is not None]
    return any(state > 0 for state in known) if known else None


def memory_bytes() -> int | None:
    """Return the resident memory of this process; None where the kernel does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")


def free_bytes(folder: Path) -> int:
    """Return how much the disk of a folder has left."""
    return shutil.disk_usage(folder).free


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""


def _number(path: Path) -> float | None:
    try:
        return float(_text(path))
    except ValueError:
        return None
