"""Events held against known accidents: what was found, what was missed, how late, and what was false."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edge.scene.incidents import Incident

# An event may begin this much before an accident's first frame (its worker walks in) and still be of it.
EARLY_SECONDS = 1.0
# The level falls back this long after an accident has gone; an event that begins later is not of it.
LATE_SECONDS = 2.0


@dataclass(frozen=True)
class Seen:
    """One event as it was published; seconds of media time, `announced_seconds` that of its `new`."""

    camera: str
    start_seconds: float
    end_seconds: float
    announced_seconds: float


@dataclass(frozen=True)
class Finding:
    """One known accident. `delay_seconds` is from its first frame to the announcement, None if missed."""

    camera: str
    incident: Incident
    delay_seconds: float | None


@dataclass(frozen=True)
class Account:
    """All accidents with what became of them, and the events that belong to none."""

    findings: tuple[Finding, ...]
    false_events: tuple[Seen, ...]

    @property
    def found(self) -> int:
        """How many accidents were found."""
        return sum(finding.delay_seconds is not None for finding in self.findings)


def account_for(events: Sequence[Seen], incidents: Mapping[str, Sequence[Incident]]) -> Account:
    """Return what became of each camera's incidents.

    An event is of an incident when it begins while that is visible, give or take; one that began before and
    merely lasts into it has found nothing. An event that is of no incident is false.
    """
    findings = [
        Finding(camera, incident, _delay(incident, [event for event in events if event.camera == camera]))
        for camera, planted in incidents.items()
        for incident in planted
        if incident.is_accident
    ]
    strays = [event for event in events if not any(_is_of(event, one) for one in incidents[event.camera])]
    return Account(tuple(findings), tuple(strays))


def _is_of(event: Seen, incident: Incident) -> bool:
    return incident.start_seconds - EARLY_SECONDS <= event.start_seconds <= incident.end_seconds + LATE_SECONDS


def _delay(incident: Incident, events: Sequence[Seen]) -> float | None:
    """Seconds from the incident's first frame to the first announcement of an event that is of it."""
    delays = [event.announced_seconds - incident.start_seconds for event in events if _is_of(event, incident)]
    return max(min(delays), 0.0) if delays else None
