"""How much of the disk the score ring takes, and what of it goes first: frames before scores, each the oldest first."""

from __future__ import annotations

import math
from pathlib import Path

from edge.ring import FILM, SCORES, SEGMENT_SECONDS, begun_seconds
from edge.ring_settings import RingSettings

# Scores alone may take so much of the budget: they are small, and tell of a longer time than the frames do.
SCORES_SHARE = 0.25


def kept_bytes(folder: Path) -> dict[Path, int]:
    """Return the bytes of every finished file of a ring, the oldest first; what was left unfinished is removed."""
    for part in folder.glob("*/.*.part"):
        part.unlink(missing_ok=True)
    found = [path for path in folder.glob("*/[!.]*") if path.suffix in (SCORES, FILM)]
    return {path: path.stat().st_size for path in sorted(found, key=begun_seconds)}


def films_within(
    folder: Path, camera: str | None, first_seconds: float | None, last_seconds: float | None
) -> list[Path]:
    """Return the frames of the minutes that reach into a time (Unix time), of a camera or of all."""
    first = -math.inf if first_seconds is None else first_seconds - SEGMENT_SECONDS
    last = math.inf if last_seconds is None else last_seconds
    films = [path for path in folder.glob(f"*/[!.]*{FILM}") if camera in (None, path.parent.name)]
    return [path for path in films if first < begun_seconds(path) < last]


def make_room(kept: dict[Path, int], open_bytes: int, settings: RingSettings, free_bytes: int) -> int:
    """Delete what is too much or in the way of others, from the disk and from `kept`; return the bytes then free.

    `kept` are finished files with their bytes, of all cameras, the oldest first; `open_bytes` those of what is
    being written.
    """
    scores = sum(size for path, size in kept.items() if path.suffix == SCORES)
    freed = _given_up(kept, SCORES, scores - SCORES_SHARE * settings.megabytes * 1e6)
    lacking = max(
        sum(kept.values()) + open_bytes - settings.megabytes * 1e6,
        settings.free_megabytes * 1e6 - free_bytes - freed,
    )
    films = _given_up(kept, FILM, lacking)
    return free_bytes + freed + films + _given_up(kept, SCORES, lacking - films)


def _given_up(kept: dict[Path, int], suffix: str, lacking: float) -> int:
    """Delete the oldest files of a kind until they made so much room; return what all that was deleted took.

    Frames without their scores say nothing, and go with them.
    """
    made = freed = 0
    for path in [path for path in kept if path.suffix == suffix]:
        if made >= lacking:
            break
        made += kept[path]
        for one in {path, path.with_suffix(FILM)} & kept.keys():
            one.unlink(missing_ok=True)
            freed += kept.pop(one)
    return freed
