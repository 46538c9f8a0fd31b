"""A device's acceptance over hours: its ledgers read, its promises judged, everything that stands on the page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import msgspec

from edge import __version__
from edge.acceptance.judging import Clause, Promised, Uptime, clauses_of
from edge.acceptance.ledger import FILE, Loss, PromiseLedger
from edge.coverage_ledger import CoveredHour, Ledger, hour_of, proven_hours
from edge.desk import LEDGER_FILE
from edge.errors import UsageError
from edge.event_ledger import EVENTS_FILE, LedgerEvent, open_existing
from edge.labels import seconds_from_utc
from edge.messages import utc_from_seconds
from edge.self_tests.results import SelfTest, read_tests
from edge.setup import Device
from edge.small_database import open_to_read
from edge.verdicts import Realised, realised_by_camera

HOUR_SECONDS = 3600.0
LEAST_HOURS, MOST_HOURS = 2, 24 * 90
# The ledger of coverage is written once a minute.
UNWRITTEN_SECONDS = 90.0
FIRST_HOUR = "2000-01-01T00"


class Acceptance(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the page says; times are UTC, `first` is a full hour."""

    site: str
    device: str
    version: str
    bundle: str
    bundle_name: str
    runner: str
    made: str
    first: str
    hours: float
    clauses: tuple[Clause, ...]
    coverage: tuple[CoveredHour, ...]
    events: tuple[LedgerEvent, ...]
    losses: tuple[Loss, ...]
    tests: tuple[SelfTest, ...]

    @property
    def counts(self) -> dict[str, int]:
        """How many promises were kept, broken, and not judged."""
        verdicts = [clause.verdict for clause in self.clauses]
        return {verdict: verdicts.count(verdict) for verdict in ("kept", "broken", "not judged")}

    @property
    def is_kept(self) -> bool:
        """Whether nothing was broken, and something could be judged."""
        return self.counts["broken"] == 0 and self.counts["kept"] > 0


def acceptance_of(device: Device, hours: float, promised: Promised, now_seconds: float) -> Acceptance:
    """Return the acceptance of a device over its last hours, from the next full hour on, by its own ledgers.

    Raises UsageError where the hours are out of bounds, the daemon has not run, or a ledger cannot be read.
    """
    if not LEAST_HOURS <= hours <= MOST_HOURS:
        raise UsageError(f"--hours {hours:g} is not within {LEAST_HOURS} to {MOST_HOURS}.")
    state = Path(device.config.state_directory)
    first = HOUR_SECONDS * math.ceil(now_seconds / HOUR_SECONDS - hours)
    covered = proven_hours(state / LEDGER_FILE, list(device.models), hour_of(first), hour_of(now_seconds), now_seconds)
    with PromiseLedger(state / FILE, open_to_read) as ledger:
        frames = ledger.latency(hour_of(first), hour_of(now_seconds))
        kept_since = ledger.first_hours(hour_of(first), hour_of(now_seconds))
        losses = ledger.losses(first, now_seconds)
    tests = [one for one in read_tests(state) if first <= seconds_from_utc(one.time) <= now_seconds]
    clauses = clauses_of(
        _realised(device, state, first, now_seconds),
        _uptimes(device, state, covered, first, now_seconds),
        losses,
        frames,
        {camera: hour for camera, hour in kept_since.items() if hour > hour_of(first)},
        tests,
        promised,
    )
    return Acceptance(
        site=device.topics.site,
        device=device.topics.device,
        version=__version__,
        bundle=device.bundle.digest,
        bundle_name=device.bundle.manifest.name,
        runner=device.choice.told,
        made=utc_from_seconds(now_seconds),
        first=utc_from_seconds(first),
        hours=round((now_seconds - first) / HOUR_SECONDS, 2),
        clauses=tuple(clauses),
        coverage=tuple(covered),
        events=tuple(_events(state, first, now_seconds)),
        losses=tuple(losses),
        tests=tuple(tests),
    )


def _realised(device: Device, state: Path, first: float, now: float) -> list[Realised]:
    return realised_by_camera(device, state, first, now) if (state / EVENTS_FILE).exists() else []


def _events(state: Path, first: float, now: float) -> list[LedgerEvent]:
    with open_existing(state) as ledger:
        return ledger.events(first, now)


def _uptimes(device: Device, state: Path, covered: Sequence[CoveredHour], first: float, now: float) -> list[Uptime]:
    with Ledger(state / LEDGER_FILE, open_to_read) as ledger:
        is_whole = any(ledger.hours(FIRST_HOUR, hour_of(first - 1.0))) or _is_full(ledger.hours(*2 * [hour_of(first)]))
    total = max(now - first - UNWRITTEN_SECONDS, 0.0)
    return [
        _uptime(camera, [one for one in covered if one.camera == camera], total, is_whole) for camera in device.models
    ]


def _is_full(hours: Sequence[CoveredHour]) -> bool:
    """Whether the device was there for all of its first hour."""
    return bool(hours) and all(hour.off_seconds < UNWRITTEN_SECONDS for hour in hours)


def _uptime(camera: str, hours: Sequence[CoveredHour], total: float, is_whole: bool) -> Uptime:
    sums = {
        name: sum(getattr(hour, f"{name}_seconds") for hour in hours)
        for name in ("watched", "warming", "degraded", "blind", "disabled")
    }
    known = sum(sums.values())
    return Uptime(
        camera=camera,
        off=max(total - known, 0.0),
        total=max(total, known),
        is_whole=is_whole,
        is_clock_sure=all(hour.is_clock_synced for hour in hours),
        **sums,
    )
