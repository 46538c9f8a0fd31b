"""What `prednet-edge watch` knows: devices, cameras and events, made of the messages that a device publishes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from edge.errors import JsonError
from edge.event_ledger import LedgerEvent
from edge.fleet import site_filter
from edge.labels import seconds_from_event_id, seconds_from_utc
from edge.messages import Condition, Coverage, Event, Fault, Health, Info, Score
from edge.mqtt import Received
from edge.topics import EVENTS, FAULTS, HEALTH, INFO, PREFIX, STATUS, checked_name

MOST_EVENTS = 50
MOST_HISTORY = 60
CAMERA_LEAVES = ("state", "anomaly", "score", "condition", "coverage")

_replace = msgspec.structs.replace


class CameraView(msgspec.Struct, frozen=True, kw_only=True):
    """One camera. `history` are its last levels as parts of their limits, the newest last; seconds are monotonic."""

    state: str = "unknown"
    is_anomalous: bool = False
    level: float | None = None
    limit: float | None = None
    level_time: str = ""
    level_seconds: float = 0.0
    history: tuple[float, ...] = ()
    conditions: tuple[str, ...] = ()
    watched_share: float | None = None
    fps: float | None = None
    latency_ms: float | None = None
    held_back: str | None = None


class DeviceView(msgspec.Struct, frozen=True, kw_only=True):
    """One device: its status, faults, cameras by name, and what `health` says of the whole."""

    status: str = "unknown"
    faults: tuple[Fault, ...] = ()
    cameras: dict[str, CameraView] = {}
    outbox_depth: int | None = None
    known_cameras: tuple[str, ...] | None = None

    @property
    def shown_cameras(self) -> dict[str, CameraView]:
        """Those that the device has now, by its birth; retained states of others are of the past."""
        names = self.cameras if self.known_cameras is None else self.known_cameras
        return {name: self.cameras.get(name, CameraView()) for name in names}


class EventView(msgspec.Struct, frozen=True, kw_only=True):
    """One event, by its last message; `seconds` is how long it lasted, None while it is open or where nobody says."""

    event_id: str
    who: str
    camera: str
    kind: str
    rev: int
    begun_seconds: float
    is_open: bool = False
    seconds: float | None = None
    peak: float | None = None
    limit: float | None = None
    zones: tuple[str, ...] = ()
    is_test: bool = False


class View(msgspec.Struct, frozen=True, kw_only=True):
    """Everything: devices by `site/device`, events by id, the newest first."""

    devices: dict[str, DeviceView] = {}
    events: dict[str, EventView] = {}


def watch_filters(site: str | None, device: str | None) -> list[str]:
    """Return the subscriptions of one device, of a site's, or of all. Raises UsageError."""
    root = f"{PREFIX}/{site_filter(site)}/{'+' if device is None else checked_name(device, 'device')}"
    leaves = [STATUS, INFO, HEALTH, FAULTS, EVENTS, *(f"cam/+/{leaf}" for leaf in CAMERA_LEAVES)]
    return [f"{root}/{leaf}" for leaf in leaves]


def with_messages(view: View, messages: Iterable[Received], now_seconds: float) -> View:
    """Return the view after messages that came now (monotonic); one that cannot be read changes nothing."""
    for message in messages:
        try:
            view = _with(view, message, now_seconds)
        except JsonError:
            continue
    return view


def with_earlier(view: View, who: str, events: Iterable[LedgerEvent]) -> View:
    """Return the view with events of a device's ledger, of which no message is known."""
    earlier = {
        one.event_id: EventView(
            event_id=one.event_id, who=who, camera=one.camera, kind=one.kind, rev=0, begun_seconds=one.begun_seconds,
            peak=one.peak,
        )
        for one in events
    }  # fmt: skip
    return _replace(view, events=_newest(earlier | view.events))


def _with(view: View, message: Received, now_seconds: float) -> View:
    site, device, leaf = message.topic.removeprefix(f"{PREFIX}/").split("/", 2)
    who = f"{site}/{device}"
    if leaf == EVENTS:
        return _with_event(view, who, msgspec.json.decode(message.payload, type=Event))
    known = view.devices.get(who, DeviceView())
    if leaf.startswith("cam/"):
        _, camera, part = leaf.split("/", 2)
        told = _camera_with(known.cameras.get(camera, CameraView()), part, message.payload, now_seconds)
        known = _replace(known, cameras=known.cameras | {camera: told})
    else:
        known = _device_with(known, leaf, message.payload)
    return _replace(view, devices=view.devices | {who: known})


def _device_with(known: DeviceView, leaf: str, payload: bytes) -> DeviceView:
    if leaf == STATUS:
        return _replace(known, status=payload.decode())
    if leaf == FAULTS:
        return _replace(known, faults=msgspec.json.decode(payload, type=tuple[Fault, ...]))
    if leaf == INFO:
        return _replace(known, known_cameras=msgspec.json.decode(payload, type=Info).cameras)
    if leaf != HEALTH:
        return known
    health = msgspec.json.decode(payload, type=Health)
    cameras = {
        name: _replace(
            known.cameras.get(name, CameraView()), fps=one.fps, latency_ms=one.latency_ms, held_back=one.held_back
        )
        for name, one in health.cameras.items()
    }
    return _replace(
        known,
        cameras=known.cameras | cameras,
        outbox_depth=health.outbox.depth,
    )


def _camera_with(known: CameraView, part: str, payload: bytes, now_seconds: float) -> CameraView:
    if part == "state":
        return _replace(known, state=payload.decode())
    if part == "anomaly":
        return _replace(known, is_anomalous=payload == b"ON")
    if part == "condition":
        found = msgspec.json.decode(payload, type=tuple[Condition, ...])
        return _replace(known, conditions=tuple(one.name for one in found))
    if part == "coverage":
        return _replace(known, watched_share=_watched_share(msgspec.json.decode(payload, type=Coverage)))
    if part == "score":
        return _with_score(known, msgspec.json.decode(payload, type=Score), now_seconds)
    return known


def _watched_share(coverage: Coverage) -> float | None:
    """The part of the last hour, as far as it is accounted for, in which the camera was watched."""
    total = sum(msgspec.structs.astuple(coverage.hour))
    return coverage.hour.watched_seconds / total if total > 0.0 else None


def _with_score(known: CameraView, score: Score, now_seconds: float) -> CameraView:
    if score.time == known.level_time:  # the same one, seen again
        return known
    level = score.score if score.valid else None
    history = known.history
    if level is not None and score.threshold:
        history = (*history, level / score.threshold)[-MOST_HISTORY:]
    limit = known.limit if score.threshold is None else score.threshold  # an invalid score tells none
    return _replace(known, level=level, limit=limit, level_time=score.time, level_seconds=now_seconds, history=history)


def _with_event(view: View, who: str, event: Event) -> View:
    known = view.events.get(event.event_id)
    if event.type == "gap" or (known is not None and known.rev >= event.rev):
        return view
    return _replace(view, events=_newest(view.events | {event.event_id: _event_view(who, event)}))


def _event_view(who: str, event: Event) -> EventView:
    time, score = event.time, event.score
    begun = seconds_from_utc(time.start) if time.start else seconds_from_event_id(event.event_id)
    return EventView(
        event_id=event.event_id,
        who=who,
        camera=event.camera or "",
        kind=event.kind or "",
        rev=event.rev,
        begun_seconds=begun,
        is_open=event.type in ("new", "update"),
        seconds=None if time.end is None else max(0.0, seconds_from_utc(time.end) - begun),
        peak=None if score is None else score.peak,
        limit=None if score is None else score.threshold_on,
        zones=tuple(zone.id for zone in event.zones),
        is_test=event.test,
    )


def _newest(events: Mapping[str, EventView]) -> dict[str, EventView]:
    ordered = sorted(events.items(), key=lambda item: (item[1].begun_seconds, item[0]), reverse=True)
    return dict(ordered[:MOST_EVENTS])
