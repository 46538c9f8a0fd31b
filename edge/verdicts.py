"""What people said of events, counted: realised false events a day beside the promise."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from edge.audit import AUDIT_FILE, AuditLog, Entry, asking_user, excerpt
from edge.coverage_ledger import Ledger, hour_of
from edge.desk import LEDGER_FILE
from edge.event_ledger import JUDGED_KINDS, LedgerEvent, Verdict, open_existing
from edge.messages import utc_from_seconds
from edge.model import Model
from edge.setup import Device
from edge.small_database import open_to_read

# From less than this no rate a day is reckoned.
LEAST_SECONDS = 3600.0
_DAY_SECONDS = 86400.0


class Realised(msgspec.Struct, frozen=True):
    """What became of a camera's promise.

    `false_per_day` counts events that people called false, a day watched; `most_per_day` those too of which nobody said
    anything certain. None while less than LEAST_SECONDS were watched. `promised_per_day` is None where nothing was
    promised.
    """

    camera: str
    watched_days: float
    events: int
    real: int
    false: int
    unsure: int
    unanswered: int
    false_per_day: float | None
    most_per_day: float | None
    promised_per_day: float | None


def realised(
    camera: str, events: Iterable[LedgerEvent], watched_seconds: float, promised_per_day: float | None
) -> Realised:
    """Return what people said of a camera's surprises and stalls, over the seconds in which it was watched."""
    said = [one.verdict for one in events if one.camera == camera and one.kind in JUDGED_KINDS]
    real, false, unsure = (said.count(verdict) for verdict in ("real", "false", "unsure"))
    days, is_enough = watched_seconds / _DAY_SECONDS, watched_seconds >= LEAST_SECONDS
    return Realised(
        camera=camera,
        watched_days=round(days, 4),
        events=len(said),
        real=real,
        false=false,
        unsure=unsure,
        unanswered=said.count(None),
        false_per_day=round(false / days, 3) if is_enough else None,
        most_per_day=round((len(said) - real) / days, 3) if is_enough else None,
        promised_per_day=promised_per_day,
    )


def realised_by_camera(
    device: Device, state_directory: Path, first_seconds: float, last_seconds: float
) -> list[Realised]:
    """Return what became of each camera's promise in a time, which is taken from the full hour on."""
    first_seconds -= first_seconds % 3600.0
    with open_existing(state_directory) as ledger:
        events = ledger.events(first_seconds, last_seconds)
    with Ledger(state_directory / LEDGER_FILE, open_to_read) as coverage:
        hours = coverage.hours(hour_of(first_seconds), hour_of(last_seconds))
    return [
        realised(camera, events, sum(hour.watched_seconds for hour in hours if hour.camera == camera), _promised(model))
        for camera, model in device.models.items()
    ]


def _promised(model: Model) -> float | None:
    """Return how many false events a day were promised of a camera; None where nothing was."""
    limits = model.calibration.limits
    return limits.promise.asked_per_day if limits.is_promise and limits.promise is not None else None


def audit_verdict(state: Path, event_id: str, verdict: Verdict, now_seconds: float, *, is_known: bool) -> None:
    """Write to the audit log what was said of an event, and by which user."""
    entry = Entry(
        time=utc_from_seconds(now_seconds), verb="acknowledge", request_id=None,
        status="ok" if is_known else "error", code="done" if is_known else "failed", bytes=0,
        payload=excerpt(f"event_id={event_id} verdict={verdict} by={asking_user()}".encode()),
    )  # fmt: skip
    AuditLog(state / AUDIT_FILE).write(entry)


def line_of_realised(one: Realised) -> str:
    """Return one line for people."""
    said = f"{one.real} real, {one.false} false, {one.unsure} unsure, {one.unanswered} without an answer"
    if one.false_per_day is None:
        minutes = one.watched_days * _DAY_SECONDS / 60.0
        rate = (
            f"watched for {minutes:.0f} minutes, which is too short for a rate"
            if minutes
            else "not watched in this time"
        )
    else:
        rate = f"{one.false_per_day:g} false events a day in {one.watched_days:.2f} days watched"
        if one.most_per_day != one.false_per_day:
            rate += f", {one.most_per_day:g} if all that is open was false"
    promise = (
        "nothing promised" if one.promised_per_day is None else f"promised: at most {one.promised_per_day:g} a day"
    )
    return f"{one.camera}: {one.events} events ({said}); {rate}; {promise}"
