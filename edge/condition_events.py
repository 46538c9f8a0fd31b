"""Events of the kind `condition`: a camera's condition begins, changes and ends, queued like any other event."""

from __future__ import annotations

from dataclasses import dataclass, replace

from edge.detection import Box
from edge.events import Teller, Told
from edge.flood import Flood
from edge.messages import Condition, ConditionName, Event, EventMedia, EventScore, EventTime, utc_from_seconds
from edge.moments import Moment


@dataclass(frozen=True)
class ToldConditions:
    """The open condition event of a camera: its identity, when it began (seconds of the camera), what it says."""

    told: Told
    start_seconds: float
    names: tuple[ConditionName, ...]


def conditions_of(moment: Moment) -> tuple[Condition, ...]:
    """Return the camera's conditions at a moment; none of a camera that gives no frames."""
    return () if moment.sensed is None else moment.sensed.conditions


def event_from_conditions(
    teller: Teller, before: ToldConditions | None, moment: Moment, published_seconds: float
) -> tuple[ToldConditions | None, Event | None]:
    """Return what is open after this moment, and the message to publish where the conditions have changed.

    `published_seconds` is Unix time. One event lasts from the first condition until none is left.
    """
    names = tuple(sorted(one.name for one in conditions_of(moment)))
    if names == (() if before is None else before.names):
        return before, None
    if before is None:
        start = moment.seconds
        now = ToldConditions(Told(teller.new_id(start + teller.wall_offset_seconds), 1), start, names)
    else:
        now = replace(before, told=replace(before.told, rev=before.told.rev + 1), names=names or before.names)
    return (now if names else None), _event(teller, now, moment, published_seconds, is_new=before is None, names=names)


def _event(
    teller: Teller,
    now: ToldConditions,
    moment: Moment,
    published_seconds: float,
    *,
    is_new: bool,
    names: tuple[ConditionName, ...],
) -> Event:
    offset, media = teller.wall_offset_seconds, teller.media_offset_seconds
    end_seconds = None if names else moment.seconds
    return Event(
        type="new" if is_new else "update" if names else "end",
        event_id=now.told.event_id,
        rev=now.told.rev,
        site=teller.site,
        device=teller.device,
        camera=teller.camera,
        kind="condition",
        severity="warning",
        end_reason=None if names else moment.lost or "cleared",
        conditions=now.names,
        time=EventTime(
            clock=teller.clock,
            start=utc_from_seconds(now.start_seconds + offset),
            end=None if end_seconds is None else utc_from_seconds(end_seconds + offset),
            published=utc_from_seconds(published_seconds),
        ),
        media=None
        if media is None
        else EventMedia(
            start=round(now.start_seconds + media, 3),
            end=None if end_seconds is None else round(end_seconds + media, 3),
        ),
    )


def test_event(teller: Teller, wall_seconds: float, score: EventScore | None, box: Box | None) -> Event:
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
        score=score,
        bbox=None if box is None else (round(box[0], 3), round(box[1], 3), round(box[2], 3), round(box[3], 3)),
        calibrated=teller.calibrated,
        model=teller.model,
    )


def flood_event(teller: Teller, flood: Flood, wall_seconds: float) -> Event:
    """Return the one summary of the events that a flood held back; it begins with the first of them and ends now."""
    return Event(
        type="end",
        event_id=teller.new_id(wall_seconds),
        site=teller.site,
        device=teller.device,
        camera=teller.camera,
        kind="flood",
        severity="warning",
        end_reason="cleared",
        suppressed=flood.suppressed,
        time=EventTime(
            clock=teller.clock,
            start=utc_from_seconds(flood.since_seconds + teller.wall_offset_seconds),
            end=utc_from_seconds(wall_seconds),
        ),
        calibrated=teller.calibrated,
        model=teller.model,
    )
