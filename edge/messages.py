"""The payloads of the MQTT contract, version 1: what an integrator reads, as frozen structs.

A field that a message always carries has no default, or one from `_always`; an optional field
is `None` when absent, and is then left out of the JSON.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from typing import Annotated, Any, Literal, TypeVar

import msgspec
import numpy as np

from edge.errors import PrednetError

SCHEMA_VERSION = "1.0"
SCHEMAS = ("event", "info", "health", "command", "reply")
EVENT_BYTES_LIMIT = 8192
ULID_RANDOM_BYTES = 10

Utc = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$",
        description="UTC with milliseconds",
        examples=["2026-11-22T14:03:11.480Z"],
    ),
]
Fraction = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]
EventId = Annotated[str, msgspec.Meta(pattern="^[0-9A-Z]{1,26}$", description="A ULID: ids sort by time")]
EventType = Literal["new", "update", "end", "evidence", "gap"]
Kind = Literal["surprise", "stall", "condition", "flood", "test"]
EndReason = Literal["cleared", "condition", "camera_lost", "disabled", "restart", "stopped"]
ClockState = Literal["synced", "unsynced"]
ConditionName = Literal["lighting", "moved", "blocked", "blurred", "frozen", "frame_gap"]

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_Value = TypeVar("_Value")


class MessageError(PrednetError, ValueError):
    """A message that the contract forbids: a number that is not finite, or too many bytes."""


def _always(value: _Value) -> Any:
    """Return a default that is written too: `omit_defaults` leaves out every plain one."""
    return msgspec.field(default_factory=lambda: value)


class EventTime(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """When it happened, as labels: UTC with milliseconds, and whether the clock was set."""

    clock: ClockState
    start: Utc | None = None
    peak: Utc | None = None
    end: Utc | None = None
    published: Utc | None = None


class EventScore(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How surprising it was: the level, its limits, and what such a score means on normal footage."""

    peak: float
    mean: float
    threshold_on: float
    threshold_off: float
    valid_frames: int
    z_peak: float | None = None
    rate_per_hour: float | None = None
    skill: float | None = None


class EventZone(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A zone's highest score, and its share (0–1) of the whole surprise."""

    id: str
    peak: float
    share: Fraction


class EventModel(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The network that judged: bundle digest, name, variant and frame rate in frames a second."""

    bundle: str
    name: str
    variant: str
    fps: float


class EventLatency(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Milliseconds from the frame's capture to its score and to the event's publication."""

    capture_to_score: float
    capture_to_publish: float | None = None


class EventEvidence(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was kept to look at: paths or addresses, once `status` is `ready`."""

    status: Literal["pending", "ready", "dropped"]
    clip: str | None = None
    strip: str | None = None
    heatmap: str | None = None
    trace: str | None = None


class EventMedia(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where in a replayed file it happened: seconds of media time."""

    start: float
    peak: float | None = None
    end: float | None = None


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="schema", tag="prednet.event"):
    """One message of `R/events`; the outbox gives it `seq` and `boot_id`.

    `bbox` is x0, y0, x1, y1 in 0–1 of the camera's own picture. A message that begins and ends at
    once (a flood's summary, a test) has the type `end`. `gap` messages alone carry `from_seq`,
    `to_seq` and `reason`; the lost numbers belong to the boot `lost_boot_id`.
    """

    schema_version: str = _always(SCHEMA_VERSION)
    type: EventType
    event_id: EventId
    rev: int = _always(1)
    seq: int = _always(0)
    boot_id: str = _always("")
    historical: bool = _always(False)
    test: bool = _always(False)
    site: str
    device: str
    camera: str | None = None
    kind: Kind | None = None
    severity: str | None = None
    end_reason: EndReason | None = None
    time: EventTime
    score: EventScore | None = None
    zones: tuple[EventZone, ...] = ()
    bbox: tuple[Fraction, Fraction, Fraction, Fraction] | None = None
    conditions: tuple[ConditionName, ...] = _always(())
    calibrated: bool | None = None
    suppressed: int = _always(0)
    model: EventModel | None = None
    latency_ms: EventLatency | None = None
    evidence: EventEvidence | None = None
    media: EventMedia | None = None
    from_seq: int | None = None
    to_seq: int | None = None
    reason: str | None = None
    lost_boot_id: str | None = None


class Info(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="schema", tag="prednet.info"):
    """The birth: who this device is. `versions` and `schemas` are by name; the publisher gives `conn_seq`."""

    schema_version: str = _always(SCHEMA_VERSION)
    boot_id: str
    conn_seq: int = _always(0)
    versions: dict[str, str]
    schemas: dict[str, str] = _always({f"prednet.{name}": SCHEMA_VERSION for name in SCHEMAS})
    cameras: tuple[str, ...]
    capabilities: tuple[str, ...]
    config_hash: str
    engine: str
    bundle: str | None = None
    serial: str | None = None


class OutboxHealth(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How many messages wait on disk, their bytes, and the oldest one's age in seconds."""

    depth: int
    bytes: int
    oldest_seconds: float | None = None


class CameraHealth(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A camera's capture and judgement: `held_back` says why there is none, `drift` how far it left its calibration."""

    fps: float
    latency_ms: float | None = None
    last_frame_age_seconds: float | None = None
    capture: str | None = None
    profile: str | None = None
    held_back: str | None = None
    drift: Fraction | None = None


class Health(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="schema", tag="prednet.health"):
    """The device's own condition, every 30 s; an absent number could not be read on this machine."""

    schema_version: str = _always(SCHEMA_VERSION)
    time: Utc
    uptime_seconds: float
    outbox: OutboxHealth
    drops: dict[str, int]
    cameras: dict[str, CameraHealth]
    temperatures_celsius: dict[str, float] | None = None
    throttled: bool | None = None
    memory_bytes: int | None = None
    disk_free_bytes: int | None = None
    uploads_waiting: int | None = None


class Fault(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An active fault: its code, since when (UTC), whose, and what a person can do about it."""

    code: str
    since: Utc
    hint: str
    camera: str | None = None


class Score(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A camera's score now; without `score` while none is valid."""

    time: Utc
    valid: bool
    score: float | None = None
    rate_per_hour: float | None = None
    z: float | None = None
    threshold: float | None = None


class Condition(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A condition of the camera and the confidence in it, 0–1."""

    name: ConditionName
    confidence: Fraction


class CoverageSpan(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Seconds spent seeing, warming up, seeing less, blind, and switched off by a person or held back by a profile."""

    watched_seconds: float
    warming_seconds: float
    degraded_seconds: float
    blind_seconds: float
    disabled_seconds: float = _always(0.0)


class Coverage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What silence is worth: the last hour and the last day."""

    hour: CoverageSpan
    day: CoverageSpan


def encode(message: msgspec.Struct | Sequence[msgspec.Struct]) -> bytes:
    """Return the JSON of one message, or of a list of faults or conditions.

    Raises MessageError for NaN, Infinity, or an event of 8192 bytes and more.
    """
    plain = msgspec.to_builtins(message, enc_hook=_number_from_numpy)
    _refuse_non_finite(plain, type(message).__name__)
    payload = msgspec.json.encode(plain)
    if isinstance(message, Event) and len(payload) >= EVENT_BYTES_LIMIT:
        raise MessageError(
            f"Event {message.event_id} takes {len(payload)} bytes, and the contract allows fewer than "
            f"{EVENT_BYTES_LIMIT}. Give it fewer zones or shorter paths."
        )
    return payload


def _number_from_numpy(value: object) -> object:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"A message holds a {type(value).__name__}, which JSON has no form for.")


def _refuse_non_finite(value: object, where: str) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise MessageError(f"{where} is {value}; a message carries finite numbers only. Leave it out.")
    if isinstance(value, dict):
        for name, part in value.items():
            _refuse_non_finite(part, f"{where}.{name}")
    elif isinstance(value, (list, tuple)):
        for index, part in enumerate(value):
            _refuse_non_finite(part, f"{where}[{index}]")


def new_event_id(wall_seconds: float, random_bytes: bytes) -> str:
    """Return a ULID: 26 characters that sort by time. `random_bytes` are 10, fresh for each event."""
    if len(random_bytes) != ULID_RANDOM_BYTES:
        raise ValueError(f"An event id takes {ULID_RANDOM_BYTES} random bytes, not {len(random_bytes)}.")
    milliseconds = max(0, int(wall_seconds * 1000)) & ((1 << 48) - 1)
    number = (milliseconds << 80) | int.from_bytes(random_bytes, "big")
    return "".join(_CROCKFORD[(number >> shift) & 31] for shift in range(125, -1, -5))


def utc_from_seconds(wall_seconds: float) -> str:
    """Return `2026-11-22T14:03:11.480Z` from seconds since 1970, rounded down to the millisecond."""
    moment = _EPOCH + timedelta(milliseconds=math.floor(wall_seconds * 1000))
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
