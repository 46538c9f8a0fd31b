"""Where evidence lies, what goes first when the disk is full, and its deletion on request.

`evidence/<camera>/<event id>/` below the state directory; names that begin with a dot are not finished yet.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from edge.audit import AUDIT_FILE, AuditLog, Entry, asking_user
from edge.evidence_settings import Evidence
from edge.json_files import read_json
from edge.labels import seconds_from_event_id
from edge.messages import Event, utc_from_seconds

FOLDER, EVENT_FILE = "evidence", "event.json"
ALERT = "alert"
_DAY_SECONDS = 86400.0


@dataclass(frozen=True)
class Kept:
    """The evidence of one event: `files` are bytes by name, `begun_seconds` Unix time by the device's clock then."""

    folder: Path
    camera: str
    event_id: str
    begun_seconds: float
    severity: str
    is_clock_known: bool
    files: Mapping[str, int]

    @property
    def bytes(self) -> int:
        """All of it."""
        return sum(self.files.values())


def kept_evidence(root: Path, known: dict[Path, Kept] | None = None) -> list[Kept]:
    """Return what lies in an evidence folder, the oldest first; what cannot be read counts as of no importance.

    `known` is what was there the last time: it is not read again, and brought up to date.
    """
    known = {} if known is None else known
    there = {path for camera in root.glob("*") for path in camera.glob("[!.]*") if path.is_dir()}
    for gone in known.keys() - there:
        del known[gone]
    read = {folder: _kept(folder) for folder in there - known.keys()}
    known.update((folder, one) for folder, one in read.items() if one is not None)
    return sorted(known.values(), key=lambda one: (one.begun_seconds, one.event_id))


def _kept(folder: Path) -> Kept | None:
    """None where it is deleted meanwhile: the daemon makes room while a command lists, and the other way round."""
    event = read_json(folder / EVENT_FILE, Event, None)
    severity, clock = ("", "unsynced") if event is None else (event.severity or "", event.time.clock)
    files: dict[str, int] = {}
    with suppress(FileNotFoundError):
        for path in folder.iterdir():
            with suppress(FileNotFoundError):
                files[path.name] = path.stat().st_size
    if not folder.is_dir():
        return None
    begun = seconds_from_event_id(folder.name)
    return Kept(folder, folder.parent.name, folder.name, begun, severity, clock == "synced", files)


def sacrifices(kept: Sequence[Kept]) -> Iterator[tuple[Path, int]]:
    """Yield what is given up for want of room, in order, with its bytes.

    Clips of what is no alert, heat maps, clips of alerts, at last whole events: each from the oldest on.
    """
    yield from _files(kept, "clip.", lambda one: one.severity != ALERT)
    yield from _files(kept, "heatmap.", lambda _: True)
    yield from _files(kept, "clip.", lambda one: one.severity == ALERT)
    for one in kept:
        rest = sum(size for name, size in one.files.items() if not name.startswith(("clip.", "heatmap.")))
        yield one.folder, rest


def _files(kept: Sequence[Kept], prefix: str, wanted: Callable[[Kept], bool]) -> Iterator[tuple[Path, int]]:
    for one in kept:
        if wanted(one):
            yield from ((one.folder / name, size) for name, size in one.files.items() if name.startswith(prefix))


def make_room(
    root: Path,
    settings: Evidence,
    free_bytes: int,
    now_seconds: float,
    *,
    is_clock_known: bool,
    known: dict[Path, Kept] | None = None,
) -> int:
    """Delete what is too old, too much, or in the way of others; return the bytes that are then free.

    Age counts only where the clock was known when the event began and is known now. `known`: see `kept_evidence`.
    """
    known = {} if known is None else known
    kept = kept_evidence(root, known)
    old = [one for one in kept if is_clock_known and one.is_clock_known and _is_old(one, settings, now_seconds)]
    free_bytes += deleted_bytes(one.folder for one in old)
    gone = {one.folder for one in old}
    kept = [one for one in kept if one.folder not in gone]
    over = sum(one.bytes for one in kept) - settings.megabytes * 1e6
    lacking = max(over, settings.free_megabytes * 1e6 - free_bytes)
    for path, _ in sacrifices(kept):
        if lacking <= 0:
            break
        freed = deleted_bytes([path])
        known.pop(path, None)
        known.pop(path.parent, None)
        lacking, free_bytes = lacking - freed, free_bytes + freed
    return free_bytes


def _is_old(one: Kept, settings: Evidence, now_seconds: float) -> bool:
    days = settings.days if one.severity == ALERT else settings.days_of_minor
    return now_seconds - one.begun_seconds > days * _DAY_SECONDS


def deleted_bytes(paths: Iterable[Path]) -> int:
    """Delete files and whole folders, and return how many bytes are gone: what may not be deleted stays."""
    freed = 0
    for path in paths:
        before = _bytes_at(path)
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with suppress(OSError):
                path.unlink()
        freed += before - _bytes_at(path)
    return freed


def _bytes_at(path: Path) -> int:
    """The bytes of a file, or of all files of a folder; what has gone meanwhile counts 0."""
    total = 0
    with suppress(OSError):
        for one in path.iterdir() if path.is_dir() else [path]:
            with suppress(FileNotFoundError):
                total += one.stat().st_size
    return total


def chosen(
    kept: Sequence[Kept], camera: str | None, first_seconds: float | None, last_seconds: float | None
) -> list[Kept]:
    """Return the evidence of a camera (None: all) and of events that began from one time up to another, Unix time."""
    return [
        one
        for one in kept
        if (camera is None or one.camera == camera)
        and (first_seconds is None or one.begun_seconds >= first_seconds)
        and (last_seconds is None or one.begun_seconds < last_seconds)
    ]


def delete_logged(
    state_directory: Path, found: Sequence[Kept], films: Sequence[Path], asked: str, now_seconds: float
) -> tuple[int, list[Path]]:
    """Delete evidence and frames of the score ring on request, and write that to the audit log.

    Return the bytes that are gone, and what could not be deleted.
    """
    asked_for = [*(one.folder for one in found), *films]
    freed = deleted_bytes(asked_for)
    left = [path for path in asked_for if path.exists()]
    payload = f"{asked} by={asking_user()} events={len(found)} minutes_of_frames={len(films)} bytes={freed}"
    entry = Entry(
        time=utc_from_seconds(now_seconds), verb="evidence_delete", request_id=None,
        status="error" if left else "ok", code="failed" if left else "done", bytes=0,
        payload=f"{payload} not_deleted={len(left)}" if left else payload,
    )  # fmt: skip
    AuditLog(state_directory / AUDIT_FILE).write(entry)
    return freed, left


def remove_unfinished(root: Path) -> None:
    """Remove what an earlier start did not finish."""
    for folder in root.glob("*/.*.part"):
        shutil.rmtree(folder, ignore_errors=True)
