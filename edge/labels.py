"""Times back from their labels: UTC of the contract, the time within an event's id, spans such as 7d."""

from __future__ import annotations

from datetime import datetime, timezone

from edge.errors import UsageError
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


_SPANS = {"m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}


def seconds_from_span(text: str) -> float:
    """Return the seconds of a span such as 30m, 12h, 7d or 2w. Raises UsageError for what is none."""
    number, unit = text[:-1], text[-1:]
    try:
        seconds = float(number) * _SPANS[unit]
    except (KeyError, ValueError) as error:
        raise UsageError(f"{text!r} is no span of time; write 30m, 12h, 7d or 2w.") from error
    if not 0.0 < seconds < 1e9:
        raise UsageError(f"{text!r} is not above 0, 30 years at most.")
    return seconds
