"""The events that the outbox makes itself: the end of what an earlier start left open, and what was lost."""

from __future__ import annotations

import msgspec

from edge.messages import ClockState, Event, EventTime, new_event_id, utc_from_seconds
from edge.outbox_file import Loss


def closing(event: Event) -> Event:
    """End an event whose device died within it, at the last moment that is known of it."""
    known = event.time.published or event.time.peak or event.time.start
    return msgspec.structs.replace(
        event,
        type="end",
        rev=event.rev + 1,
        historical=False,
        end_reason="restart",
        time=msgspec.structs.replace(event.time, end=known),
    )


def gap_from_loss(loss: Loss, wall_seconds: float, random_bytes: bytes, clock: ClockState) -> Event:
    """Return the `gap` that tells of a loss; site, device, boot and number are the outbox's to fill in."""
    return Event(
        type="gap",
        event_id=new_event_id(wall_seconds, random_bytes),
        site="",
        device="",
        time=EventTime(clock=clock, published=utc_from_seconds(wall_seconds)),
        from_seq=loss.from_seq,
        to_seq=loss.to_seq,
        reason=loss.reason,
        lost_boot_id=loss.boot_id,
    )
