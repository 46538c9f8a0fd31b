"""What helps to find why memory grows, as one file: what the process holds, what its threads do, the readings."""

from __future__ import annotations

import gc
import io
import logging
import sys
import threading
import time
import traceback
import zipfile
from collections import Counter
from pathlib import Path

from edge.files import write_whole

log = logging.getLogger(__name__)

FOLDER = "diagnostics"
MOST_FILES, MOST_TYPES = 3, 60
_OF_THE_KERNEL = ("status", "smaps_rollup", "limits")


def write_diagnosis(state_directory: Path, readings: list[tuple[float, float]], wall_seconds: float) -> Path | None:
    """Write `diagnostics/memory-<time>.zip` below the state directory and return it; None where the disk refuses.

    The newest ones are kept. It holds no picture, address or password: names of types and functions, and numbers.
    """
    folder = state_directory / FOLDER
    path = folder / f"memory-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime(wall_seconds))}.zip"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(path, _zipped(readings))
        for old in sorted(folder.glob("memory-*.zip"))[:-MOST_FILES]:
            old.unlink()
    except OSError as error:
        log.warning("diagnosis_refused path=%s error=%s", path, error)
        return None
    log.info("diagnosis_written path=%s", path)
    return path


def _zipped(readings: list[tuple[float, float]]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as whole:
        whole.writestr("readings.csv", "seconds,bytes\n" + "".join(f"{at:.0f},{size:.0f}\n" for at, size in readings))
        whole.writestr("objects.csv", _objects())
        whole.writestr("threads.txt", _threads())
        for name in _OF_THE_KERNEL:
            whole.writestr(f"{name}.txt", _of_the_kernel(name))
        descriptors = len(list(Path("/proc/self/fd").iterdir()))
        whole.writestr("descriptors.txt", f"{descriptors}\n")
    return buffer.getvalue()


def _objects() -> str:
    """How many objects of each type Python holds, the most first, with the bytes of their own."""
    counts, sizes = Counter[str](), Counter[str]()
    for one in gc.get_objects():
        name = f"{type(one).__module__}.{type(one).__qualname__}"
        counts[name] += 1
        sizes[name] += sys.getsizeof(one, 0)
    rows = "".join(f"{name},{count},{sizes[name]}\n" for name, count in counts.most_common(MOST_TYPES))
    return "type,objects,bytes\n" + rows


def _threads() -> str:
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    stacks = sys._current_frames().items()
    return "".join(f"{names.get(ident, ident)}\n{''.join(traceback.format_stack(stack))}\n" for ident, stack in stacks)


def _of_the_kernel(name: str) -> str:
    try:
        return Path(f"/proc/self/{name}").read_text(encoding="ascii", errors="replace")
    except OSError as error:
        return str(error)
