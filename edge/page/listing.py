"""Events as the page lists them: what was last said of each, the verdict, and the evidence that is there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from edge.event_ledger import LedgerEvent, latest_events
from edge.evidence_store import EVENT_FILE, FOLDER
from edge.json_files import read_json
from edge.labels import seconds_from_event_id, seconds_from_utc
from edge.messages import Event
from edge.page.serving import Serving
from edge.topics import NAME_LENGTH_LIMIT

MOST_EVENTS = 100
# The files of evidence, by name, with their types; nothing else is served.
TYPES = {
    "clip.mp4": "video/mp4",
    "clip.mkv": "video/x-matroska",
    "strip.jpg": "image/jpeg",
    "heatmap.png": "image/png",
    "trace.csv": "text/csv",
    EVENT_FILE: "application/json",
}
_PLACE = re.compile(rf"([a-z0-9_-]{{1,{NAME_LENGTH_LIMIT}}})/([0-9A-Z]{{26}})/([a-z]+\.[a-z0-9]+)")


def evidence_file(state_directory: Path, place: str) -> Path | None:
    """Return the file of evidence at `<camera>/<event_id>/<name>`; None for every other place, and of none."""
    found = _PLACE.fullmatch(place)
    if found is None or found[3] not in TYPES:
        return None
    root = (state_directory / FOLDER).resolve()
    path = root / found[1] / found[2] / found[3]
    return path if path.is_file() and path.resolve() == path else None


def listed(
    serving: Serving, before_id: str, camera: str | None, is_judged: bool | None, limit: int
) -> list[dict[str, Any]]:
    """Return the last events before one, the newest first: of the ledger, as far back as it goes."""
    found = latest_events(serving.state_directory, before_id, camera, is_judged, limit)
    return [told_noted(serving, noted) for noted in found]


def told_noted(serving: Serving, noted: LedgerEvent) -> dict[str, Any]:
    """Return an event of the ledger with what was last published of it, as far as that is still there."""
    event = serving.board.event(noted.event_id) or _kept_event(serving.state_directory, noted)
    verdict = {"verdict": noted.verdict}
    if event is not None:
        return told_event(serving, event) | verdict
    told = {"event_id": noted.event_id, "camera": noted.camera, "kind": noted.kind, "peak": noted.peak}
    return told | {"begun": noted.begun_seconds, "is_open": False, "evidence": None, "conditions": []} | verdict


def told_event(serving: Serving, event: Event) -> dict[str, Any]:
    """Return what the page shows of an event; times are seconds since 1970."""
    score, time = event.score, event.time
    return {
        "event_id": event.event_id,
        "camera": event.camera,
        "kind": event.kind,
        "severity": event.severity,
        "begun": seconds_from_event_id(event.event_id) if time.start is None else seconds_from_utc(time.start),
        "end": None if time.end is None else seconds_from_utc(time.end),
        "end_reason": event.end_reason,
        "is_open": event.type in ("new", "update"),
        "peak": None if score is None else score.peak,
        "limit": None if score is None else score.threshold_on,
        "rate_per_hour": None if score is None else score.rate_per_hour,
        "zones": [zone.id for zone in event.zones],
        "conditions": event.conditions,
        "suppressed": event.suppressed,
        "calibrated": event.calibrated,
        "evidence": _evidence(serving.state_directory, event.camera or "", event.event_id),
    }


def _evidence(state_directory: Path, camera: str, event_id: str) -> dict[str, str] | None:
    """Where the evidence lies that is there now, on the page as below the state directory; None where none is."""
    folder = state_directory / FOLDER / camera / event_id
    names = [name for name in TYPES if (folder / name).is_file()]
    return {name.split(".")[0]: f"{FOLDER}/{camera}/{event_id}/{name}" for name in names} or None


def _kept_event(state_directory: Path, noted: LedgerEvent) -> Event | None:
    return read_json(state_directory / FOLDER / noted.camera / noted.event_id / EVENT_FILE, Event, None)
