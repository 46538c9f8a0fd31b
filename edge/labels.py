"""Times back from their labels: UTC of the contract, and the time within an event's id."""

from __future__ import annotations

from datetime import datetime, timezone

from edge.messages import _CROCKFORD, _EPOCH


def seconds_from_utc(label: str) -> float:
    """Return seconds since 1970 of a time such as `2026-11-22T14:03:11.480Z`."""
    moment = datetime.strptime(label, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=timezone.utc)
    return (moment - _EPOCH).total_seconds()


def seconds_from_event_id(event_id: str) -> float:
    """Return the time that a ULID was made at, seconds since 1970; 0 of what is none."""
    try:
        return sum(_CROCKFORD.index(letter) << (45 - 5 * place) for place, letter in enumerate(event_id[:10])) / 1000.0
    except ValueError:
        return 0.0
