"""Events: what the river detects, told in the words of the MQTT contract."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from edge.detection import Detection
from edge.messages import (
    Event,
    EventLatency,
    EventMedia,
    EventModel,
    EventScore,
    EventTime,
    EventZone,
    Score,
    utc_from_seconds,
)
from edge.moments import Finding, Kind, Moment
from edge.rates import Rates, rate_at
from edge.zones import named_zones


@dataclass(frozen=True)
class Teller:
    """What every event of one camera says of its device, its model and its clock.

    `wall_offset_seconds` added to a frame's seconds gives Unix time.
    `media_offset_seconds` added to a frame's seconds gives a file's media time, None for a live camera.
    """

    site: str
    device: str
    camera: str
    model: EventModel
    rates: Mapping[Kind, Rates | None]
    calibrated: bool
    wall_offset_seconds: float
    clock: Literal["synced", "unsynced"]
    media_offset_seconds: float | None
    new_id: Callable[[float], str]


@dataclass(frozen=True)
class Told:
    """The open event's identity: a consumer keeps the highest `rev` of an `event_id`."""

    event_id: str
    rev: int


def events_from_moment(
    teller: Teller, told: Mapping[Kind, Told], moment: Moment, published_seconds: float, latency_ms: float | None
) -> tuple[Mapping[Kind, Told], list[Event]]:
    """Return the identities of the events that are open after this moment, and the messages to publish.

    `published_seconds` is Unix time; `latency_ms` runs from the frame's capture to its score.
    """
    still_open, events = dict(told), []
    for finding in moment.findings:
        one, event = _event(teller, still_open.pop(finding.kind, None), moment, finding, published_seconds, latency_ms)
        events.append(event)
        if one is not None:
            still_open[finding.kind] = one
    return still_open, events


def _event(
    teller: Teller,
    told: Told | None,
    moment: Moment,
    finding: Finding,
    published_seconds: float,
    latency_ms: float | None,
) -> tuple[Told | None, Event]:
    detection = finding.detection
    if detection.type == "new" or told is None:
        told = Told(teller.new_id(detection.episode.start_seconds + teller.wall_offset_seconds), 0)
    told = replace(told, rev=told.rev + 1)
    event = Event(
        type=detection.type,
        event_id=told.event_id,
        rev=told.rev,
        site=teller.site,
        device=teller.device,
        camera=teller.camera,
        kind=finding.kind,
        severity="alert",
        end_reason=detection.end_reason,
        time=_time(teller, detection, published_seconds),
        score=score_from_finding(finding, teller.rates, moment.sensed.skill if moment.sensed else None),
        zones=tuple(_zone(*one) for one in named_zones(detection.episode.zones, detection.episode.frames)),
        bbox=_rounded(detection.episode.box),
        calibrated=teller.calibrated,
        model=teller.model,
        latency_ms=None if latency_ms is None else EventLatency(capture_to_score=round(latency_ms, 1)),
        media=_media(teller, detection),
    )
    return (None if detection.type == "end" else told), event


def _time(teller: Teller, detection: Detection, published_seconds: float) -> EventTime:
    offset, end_seconds = teller.wall_offset_seconds, detection.end_seconds
    return EventTime(
        clock=teller.clock,
        start=utc_from_seconds(detection.episode.start_seconds + offset),
        peak=utc_from_seconds(detection.episode.peak_seconds + offset),
        end=None if end_seconds is None else utc_from_seconds(end_seconds + offset),
        published=utc_from_seconds(published_seconds),
    )


def score_from_finding(finding: Finding, rates: Mapping[Kind, Rates | None], skill: float | None) -> EventScore:
    """Return the numbers of an event; `rates` say by kind how often normal work reaches a level."""
    episode, limit = finding.detection.episode, finding.limit
    return EventScore(
        peak=round(episode.peak, 3),
        mean=round(episode.mean, 3),
        z_peak=round(episode.peak_z, 2),
        threshold_on=round(limit.on, 3),
        threshold_off=round(limit.off, 3),
        rate_per_hour=_rate(episode.peak, rates.get(finding.kind)),
        skill=None if skill is None else round(skill, 3),
        valid_frames=episode.frames,
    )


def _media(teller: Teller, detection: Detection) -> EventMedia | None:
    offset, end_seconds = teller.media_offset_seconds, detection.end_seconds
    if offset is None:
        return None
    return EventMedia(
        start=round(detection.episode.start_seconds + offset, 3),
        peak=round(detection.episode.peak_seconds + offset, 3),
        end=None if end_seconds is None else round(end_seconds + offset, 3),
    )


def score_from_moment(teller: Teller, moment: Moment) -> Score:
    """Return what is told of a camera's score at a moment, without one where nothing could be scored."""
    told = utc_from_seconds(moment.seconds + teller.wall_offset_seconds)
    if moment.level is None or moment.z is None or moment.limit is None:
        return Score(time=told, valid=False)
    return Score(
        time=told,
        valid=True,
        score=round(moment.level.mean, 3),
        rate_per_hour=_rate(moment.level.mean, teller.rates.get("surprise")),
        z=round(moment.z, 2),
        threshold=round(moment.limit.on, 3),
    )


def _rate(level: float, rates: Rates | None) -> float | None:
    return None if rates is None else float(f"{rate_at(rates, level):.3g}")


def _zone(name: str, peak: float, share: float) -> EventZone:
    return EventZone(id=name, peak=round(peak, 3), share=round(share, 3))


def _rounded(box: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = (round(edge, 3) for edge in box)
    return x0, y0, x1, y1
