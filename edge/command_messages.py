"""Commands and replies of the MQTT contract: what may be asked of a device, and what it answers."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from edge.messages import SCHEMA_VERSION, EventId, Utc, _always
from edge.switches import SNOOZE_SECONDS_LIMIT

RequestId = Annotated[
    str, msgspec.Meta(pattern="^[A-Za-z0-9._-]{1,64}$", description="Chosen by the sender, fresh for each command")
]
Name = Annotated[str, msgspec.Meta(pattern="^[a-z0-9_-]{1,48}$")]
Status = Literal["ok", "error"]
Result = dict[str, Any]
Code = Literal[
    "done",
    "too_large",
    "malformed",
    "retained",
    "unknown_verb",
    "expired",
    "bad_expiry",
    "not_allowed",
    "bad_arguments",
    "out_of_bounds",
    "unknown_camera",
    "unsupported",
    "busy",
    "failed",
]


class Args(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The arguments of a verb that takes none."""


class CameraArgs(Args, frozen=True, kw_only=True):
    """The camera that is meant."""

    camera: Name


class SnoozeArgs(CameraArgs, frozen=True, kw_only=True):
    """How long the camera is left alone: it watches again by itself, within 24 h."""

    seconds: Annotated[float, msgspec.Meta(gt=0.0, le=SNOOZE_SECONDS_LIMIT)]


class ThresholdArgs(CameraArgs, frozen=True, kw_only=True):
    """The level above which an event begins; null gives the calibration's own limit back."""

    on: Annotated[float, msgspec.Meta(gt=0.0)] | None


class SnapshotArgs(CameraArgs, frozen=True, kw_only=True):
    """Whose picture, and whether the broker shall keep it."""

    retain: bool = False


class AcknowledgeArgs(Args, frozen=True, kw_only=True):
    """The event that a person has seen, and what it was, where they can tell."""

    event_id: EventId
    verdict: Literal["real", "false", "unsure"] | None = None


class DiagnosticsArgs(Args, frozen=True, kw_only=True):
    """An hour of the past (`2026-11-22T14`, UTC) whose coverage is wanted beside the device's own state."""

    hour: Annotated[str, msgspec.Meta(pattern=r"^\d{4}-\d\d-\d\dT\d\d$")] | None = None


VERBS: dict[str, type[Args]] = {
    "enable": CameraArgs,
    "disable": CameraArgs,
    "snooze": SnoozeArgs,
    "threshold": ThresholdArgs,
    "acknowledge": AcknowledgeArgs,
    "snapshot": SnapshotArgs,
    "test_event": CameraArgs,
    "self_test": Args,
    "reload": Args,
    "diagnostics": DiagnosticsArgs,
    "rebuild_engine": Args,
    "rollback": Args,
}
ADMIN_VERBS = frozenset({"rebuild_engine", "rollback"})


class Command(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The payload of `R/cmd/<verb>`: never retained, at most 4096 bytes, refused once `expires` has passed."""

    request_id: RequestId
    expires: Annotated[
        str, msgspec.Meta(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z$", description="UTC, within 24 h")
    ]
    args: dict[str, Any] = msgspec.field(default_factory=dict)


class Reply(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="schema", tag="prednet.reply"):
    """The payload of `R/reply/<request_id>`; `hint` is a sentence for a person, `result` belongs to the verb."""

    schema_version: str = _always(SCHEMA_VERSION)
    request_id: RequestId
    verb: str
    status: Status
    code: Code
    time: Utc
    hint: str | None = None
    result: dict[str, Any] | None = None
