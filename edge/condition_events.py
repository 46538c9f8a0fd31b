"""Events of a camera's own condition: from the first condition to the last one's end is one event."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from edge.detection import EndReason
from edge.events import Teller, Told
from edge.messages import Condition, ConditionName, Event, EventTime, utc_from_seconds


def names_of(conditions: Sequence[Condition]) -> tuple[ConditionName, ...]:
    """Return the names, sorted: an event is told again only when these change."""
    return tuple(sorted({condition.name for condition in conditions}))


def event_from_conditions(
    teller: Teller,
    told: Told | None,
    names: tuple[ConditionName, ...],
    wall_clock: Callable[[], float],
    end_reason: EndReason = "cleared",
) -> tuple[Told | None, Event | None]:
    """Return the identity of the event that is open from now on, and the message to publish, if any."""
    if told is None and not names:
        return None, None
    now = wall_clock()
    following = Told(teller.new_id(now), 1) if told is None else Told(told.event_id, told.rev + 1)
    label = utc_from_seconds(now)
    event = Event(
        type="end" if not names else "new" if told is None else "update",
        event_id=following.event_id,
        rev=following.rev,
        site=teller.site,
        device=teller.device,
        camera=teller.camera,
        kind="condition",
        severity="warning",
        end_reason=None if names else end_reason,
        time=EventTime(clock=teller.clock, start=label if told is None else None, end=None if names else label),
        conditions=names,
        calibrated=teller.calibrated,
        model=teller.model,
    )
    return (following if names else None), event


def test_event(teller: Teller, wall_seconds: float) -> Event:
    """Return an event that says of itself that it is a test; it begins and ends at once."""
    label = utc_from_seconds(wall_seconds)
    return Event(
        type="end",
        event_id=teller.new_id(wall_seconds),
        test=True,
        site=teller.site,
        device=teller.device,
        camera=teller.camera,
        kind="test",
        severity="info",
        end_reason="cleared",
        time=EventTime(clock=teller.clock, start=label, end=label),
        calibrated=teller.calibrated,
        model=teller.model,
    )
