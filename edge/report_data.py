"""What a report tells of a device and a time: coverage, events, false alarms beside the promise, faults."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from edge import __version__
from edge.coverage_ledger import COLUMNS, CoveredHour, Ledger, hour_of, proven_hours, seconds_of_hour
from edge.desk import LEDGER_FILE
from edge.event_ledger import JUDGED_KINDS, LedgerEvent, open_existing
from edge.evidence_store import EVENT_FILE, FOLDER
from edge.fault_ledger import FAULTS_FILE, PastFault, past_faults
from edge.json_files import read_json
from edge.labels import seconds_from_utc
from edge.messages import Event
from edge.setup import Device
from edge.small_database import open_to_read
from edge.verdicts import Realised, realised_by_camera

HOUR_SECONDS, DAY_SECONDS = 3600.0, 86400.0


class CameraReport(msgspec.Struct, frozen=True):
    """A camera: its hours, and what became of its promise in the whole time and in the last 24 hours."""

    camera: str
    hours: list[CoveredHour]
    realised: Realised
    realised_last_day: Realised

    @property
    def seconds(self) -> dict[str, float]:
        """Seconds by what the camera did (`watched_seconds`, …, `off_seconds`), of all hours."""
        return {name: sum(getattr(hour, name) for hour in self.hours) for name in (*COLUMNS, "off_seconds")}


class EventReport(msgspec.Struct, frozen=True):
    """An event; times are Unix time. What its evidence no longer says is None or empty. Pictures are files."""

    event_id: str
    camera: str
    kind: str
    begun_seconds: float
    lasted_seconds: float | None
    peak: float | None
    limit: float | None
    zones: tuple[str, ...]
    conditions: tuple[str, ...]
    suppressed: int
    verdict: str | None
    strip: str | None
    heat_map: str | None

    @property
    def is_judged(self) -> bool:
        """Whether it is of a kind that a limit promises a rate of."""
        return self.kind in JUDGED_KINDS


class Report(msgspec.Struct, frozen=True):
    """A device and a time, Unix time; `asked_seconds` is from when on it was asked for, before its records began."""

    site: str
    device: str
    bundle: str
    version: str
    asked_seconds: float
    first_seconds: float
    last_seconds: float
    is_clock_known: bool
    cameras: list[CameraReport]
    events: list[EventReport]
    faults: list[PastFault]
    earlier_cameras: tuple[str, ...]

    @property
    def watched_share(self) -> float | None:
        """The part of all cameras' time in which they were watched."""
        sums = [camera.seconds for camera in self.cameras]
        total = sum(sum(one.values()) for one in sums)
        return sum(one["watched_seconds"] for one in sums) / total if total > 0.0 else None


def gather(device: Device, asked_seconds: float, last_seconds: float) -> Report:
    """Return what there is to tell. Raises UsageError where the device has never run, or a ledger cannot be read."""
    state = Path(device.config.state_directory)
    with open_existing(state) as ledger:
        noted = ledger.events(asked_seconds - asked_seconds % HOUR_SECONDS, last_seconds)
    begun = _first_hours(state)
    first = max(asked_seconds - asked_seconds % HOUR_SECONDS, min(begun.values(), default=0.0))
    hours = proven_hours(state / LEDGER_FILE, list(device.models), hour_of(first), hour_of(last_seconds), last_seconds)
    return Report(
        site=device.topics.site,
        device=device.topics.device,
        bundle=device.bundle.manifest.name,
        version=__version__,
        asked_seconds=asked_seconds,
        first_seconds=first,
        last_seconds=last_seconds,
        is_clock_known=all(hour.is_clock_synced for hour in hours),
        cameras=_cameras(device, state, first, last_seconds, [one for one in hours if _is_known(one, begun)]),
        events=[_event(state, one) for one in reversed(noted) if one.kind != "test"],
        faults=past_faults(state / FAULTS_FILE, first, last_seconds)[::-1],
        earlier_cameras=tuple(sorted({one.camera for one in noted} - device.models.keys())),
    )


def _first_hours(state: Path) -> dict[str, float]:
    """Return when each camera's records begin, Unix time."""
    with Ledger(state / LEDGER_FILE, open_to_read) as ledger:
        return {camera: seconds_of_hour(hour) for camera, hour in ledger.first_hours().items()}


def _is_known(hour: CoveredHour, begun: Mapping[str, float]) -> bool:
    """Before its first hour a camera was not off: it was not there yet."""
    return seconds_of_hour(hour.hour) >= begun.get(hour.camera, 0.0)


def _cameras(
    device: Device, state: Path, first_seconds: float, last_seconds: float, hours: Iterable[CoveredHour]
) -> list[CameraReport]:
    of_camera: dict[str, list[CoveredHour]] = {camera: [] for camera in device.models}
    for hour in hours:
        of_camera[hour.camera].append(_within(hour, last_seconds))
    whole = realised_by_camera(device, state, first_seconds, last_seconds)
    last_day = realised_by_camera(device, state, max(first_seconds, last_seconds - DAY_SECONDS), last_seconds)
    return [
        CameraReport(one.camera, of_camera[one.camera], one, recent)
        for one, recent in zip(whole, last_day, strict=True)
    ]


def _within(hour: CoveredHour, last_seconds: float) -> CoveredHour:
    """An hour that is not over yet: what is still to come is not «off»."""
    to_come = max(0.0, seconds_of_hour(hour.hour) + HOUR_SECONDS - last_seconds)
    return msgspec.structs.replace(hour, off_seconds=max(0.0, hour.off_seconds - to_come))


def _event(state: Path, noted: LedgerEvent) -> EventReport:
    folder = state / FOLDER / noted.camera / noted.event_id
    event = read_json(folder / EVENT_FILE, Event, None)
    files = {path.stem: str(path) for path in folder.glob("*.*")} if event is not None else {}
    time, score = (None, None) if event is None else (event.time, event.score)
    ended = None if time is None or time.end is None or time.start is None else time.end
    return EventReport(
        event_id=noted.event_id,
        camera=noted.camera,
        kind=noted.kind,
        begun_seconds=noted.begun_seconds,
        lasted_seconds=None if ended is None or time is None else _between(time.start, ended),
        peak=noted.peak,
        limit=None if score is None else score.threshold_on,
        zones=() if event is None else tuple(zone.id for zone in event.zones),
        conditions=() if event is None else event.conditions,
        suppressed=0 if event is None else event.suppressed,
        verdict=noted.verdict,
        strip=files.get("strip"),
        heat_map=files.get("heatmap"),
    )


def _between(start: str | None, end: str) -> float | None:
    return None if start is None else max(0.0, seconds_from_utc(end) - seconds_from_utc(start))


def counted_verdicts(events: Sequence[EventReport]) -> Mapping[str, int]:
    """Return how many events of the kinds that are promised were real, false, unsure, or not answered (`open`)."""
    said = [one.verdict or "open" for one in events if one.is_judged]
    return {name: said.count(name) for name in ("real", "false", "unsure", "open")}
