"""The growing delay of starts that fail: kept in the folder that systemd keeps over a restart, and not over a stop.

systemd itself can let it grow from version 254 on (RestartSteps); JetPack 6 has 249, which warns of that key.
"""

from __future__ import annotations

import logging
from pathlib import Path

import msgspec

from edge.files import write_whole
from edge.json_files import read_json

log = logging.getLogger(__name__)

LONGEST_SECONDS = 120.0
# A daemon that has watched for so long has started well.
PROVEN_SECONDS = 600.0
FILE = "starts.json"


class Starts(msgspec.Struct, frozen=True):
    """How many starts one after another did not prove good."""

    failed: int = 0


def delay_seconds(failed: int) -> float:
    """Return how long the next start is put off: 0 after one failure, then 4, 8, 16 … 120 seconds."""
    return 0.0 if failed < 2 else min(2.0 ** min(failed, 10), LONGEST_SECONDS)


def begin(folder: Path | None) -> int:
    """Return how many starts failed before this one, which counts as failed until `forget`; None: nothing is kept."""
    if folder is None:
        return 0
    failed = _read(folder / FILE).failed
    try:
        write_whole(folder / FILE, msgspec.json.encode(Starts(failed + 1)))
    except OSError as error:
        log.warning("starts_not_kept folder=%s error=%s", folder, error)
    return failed


def forget(folder: Path | None) -> None:
    """Let the next start come at once: this one was good, or ended as it should."""
    if folder is not None:
        (folder / FILE).unlink(missing_ok=True)


def _read(file: Path) -> Starts:
    return read_json(file, Starts, Starts())
