"""The clips of events that people judged, copied as footage, and an index that says what each was."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from edge.event_ledger import LedgerEvent, Verdict
from edge.evidence_store import kept_evidence
from edge.files import write_whole
from edge.json_files import read_json

INDEX = "events.json"


def export_clips(
    root: Path, events: Sequence[LedgerEvent], verdict: Verdict, folder: Path
) -> tuple[dict[str, list[str]], int]:
    """Copy the clips of events with a verdict to `folder/<verdict>/<camera>/`, and an index of them beside.

    Return the names by camera, and how many events have no clip any more.
    """
    chosen = [one for one in events if one.verdict == verdict]
    clips = {kept.event_id: clip for kept in kept_evidence(root) for clip in sorted(kept.folder.glob("clip.*"))}
    copied: dict[str, list[str]] = {}
    for event in chosen:
        clip = clips.get(event.event_id)
        target = None if clip is None else _copied(clip, folder / verdict / event.camera / event.event_id)
        if target is not None:
            copied.setdefault(event.camera, []).append(target.name)
    for camera in copied:
        _write_index(folder / verdict / camera, chosen)
    return copied, len(chosen) - sum(map(len, copied.values()))


def _copied(clip: Path, place: Path) -> Path | None:
    """Return where a copy of a clip lies now; None where the clip has gone for want of room meanwhile."""
    target = place.with_name(f"{place.name}{clip.suffix}")
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        shutil.copyfile(clip, target)
    except FileNotFoundError:
        return None
    return target


def _write_index(folder: Path, events: Iterable[LedgerEvent]) -> None:
    """Write what each clip in a camera's folder was: of those that an earlier export brought, what it said."""
    path = folder.with_name(f"{folder.name}.{INDEX}")
    known = {one.event_id: one for one in [*read_json(path, list[LedgerEvent], []), *events]}
    there = {clip.stem for clip in folder.iterdir()}
    told = [known[event_id] for event_id in sorted(known.keys() & there)]  # an id begins with its time
    write_whole(path, msgspec.json.format(msgspec.json.encode(told), indent=1))
