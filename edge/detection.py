"""Detection: a level crosses its limit, stays, and falls back; hysteresis turns that into one event."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from edge.zones import Tally, tallied

Box = tuple[float, float, float, float]
EndReason = Literal["cleared", "condition", "camera_lost", "disabled", "restart", "stopped"]

# An event ends this far down from its limit towards the middle of normal work.
OFF_SHARE = 0.5


@dataclass(frozen=True)
class Limit:
    """An event begins above `on` and ends below `off`; `is_promise` where the footage supports a rate."""

    on: float
    off: float
    is_promise: bool = False


def limit_from_on(on: float, middle: float) -> Limit:
    """Return the limit with its lower edge where every fit puts it: half way to `middle`, the level of normal work."""
    return Limit(on, middle + OFF_SHARE * (on - middle))


def middle_of_limit(limit: Limit) -> float:
    """Return the level of normal work that a limit of `limit_from_on` was laid from."""
    return (limit.off - OFF_SHARE * limit.on) / (1.0 - OFF_SHARE)


def limit_at(own: Limit, on: float) -> Limit:
    """Return the limit that a person sets in place of a calibration's own: as far above its `off`, and no promise."""
    return Limit(on=on, off=on - (own.on - own.off))


@dataclass(frozen=True)
class Rules:
    """When a crossing is an event. A candidate that dips below `off` for less than `release_seconds` lives on."""

    hold_seconds: float = 1.5
    release_seconds: float = 1.0
    refractory_seconds: float = 3.0
    update_seconds: float = 5.0


# What stands still has done so for a while before it is scored: it is held for this share of the hold.
STALL_HOLD_SHARE = 1.0 / 3.0


def stall_rules(rules: Rules) -> Rules:
    """Return the rules of a movement that fails to come."""
    return replace(rules, hold_seconds=STALL_HOLD_SHARE * rules.hold_seconds)


@dataclass(frozen=True)
class Reading:
    """What the river knows of one valid frame when it asks for a decision; `zones` are the shares that lie in each."""

    seconds: float
    level: float
    z: float
    box: Box
    zones: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Episode:
    """One candidate or event while it lasts; seconds are on the source's clock."""

    start_seconds: float
    peak_seconds: float
    peak: float
    peak_z: float
    box: Box
    level_sum: float
    frames: int
    last_above_seconds: float
    announced_seconds: float | None = None
    told_seconds: float = 0.0
    zones: Mapping[str, Tally] = field(default_factory=dict)

    @property
    def mean(self) -> float:
        """Mean level over the episode's valid frames."""
        return self.level_sum / self.frames


@dataclass(frozen=True)
class Detector:
    """A camera's memory between two decisions: the open episode, and when the last event ended."""

    episode: Episode | None = None
    ended_seconds: float | None = None


@dataclass(frozen=True)
class Detection:
    """An event begins, goes on or ends. `end_reason` and `end_seconds` belong to an end alone."""

    type: Literal["new", "update", "end"]
    episode: Episode
    end_seconds: float | None = None
    end_reason: EndReason | None = None


def decide(detector: Detector, reading: Reading, limit: Limit, rules: Rules) -> tuple[Detector, Detection | None]:
    """Return the detector after one valid frame, and what is to be announced of it, if anything."""
    episode = detector.episode
    if episode is None:
        if reading.level <= limit.on:
            return detector, None
        return Detector(_begun(reading), detector.ended_seconds), None
    if reading.level < limit.off:
        if reading.seconds - episode.last_above_seconds < rules.release_seconds:
            return detector, None
        return end(detector, "cleared", episode.last_above_seconds)
    return _continued(Detector(_grown(episode, reading), detector.ended_seconds), reading.seconds, rules)


def end(detector: Detector, reason: EndReason, seconds: float) -> tuple[Detector, Detection | None]:
    """Close the open episode; only one that was announced is told, a shorter one never was an event."""
    episode = detector.episode
    if episode is None or episode.announced_seconds is None:
        return replace(detector, episode=None), None
    return Detector(None, seconds), Detection("end", episode, seconds, reason)


def _begun(reading: Reading) -> Episode:
    at = reading.seconds
    zones = tallied({}, reading.zones, reading.level)
    return Episode(at, at, reading.level, reading.z, reading.box, reading.level, 1, at, zones=zones)


def _grown(episode: Episode, reading: Reading) -> Episode:
    highest = reading if reading.level > episode.peak else None
    return Episode(  # a day's scores are judged anew while somebody waits: `replace` takes three times as long
        start_seconds=episode.start_seconds,
        peak_seconds=episode.peak_seconds if highest is None else highest.seconds,
        peak=episode.peak if highest is None else highest.level,
        peak_z=max(episode.peak_z, reading.z),
        box=episode.box if highest is None else highest.box,
        level_sum=episode.level_sum + reading.level,
        frames=episode.frames + 1,
        last_above_seconds=reading.seconds,
        announced_seconds=episode.announced_seconds,
        told_seconds=episode.told_seconds,
        zones=tallied(episode.zones, reading.zones, reading.level),
    )


def _continued(detector: Detector, seconds: float, rules: Rules) -> tuple[Detector, Detection | None]:
    episode = detector.episode
    if episode is None:
        return detector, None
    if episode.announced_seconds is None:
        rested = detector.ended_seconds is None or seconds - detector.ended_seconds >= rules.refractory_seconds
        if not rested or seconds - episode.start_seconds < rules.hold_seconds:
            return detector, None
        return _told(detector, replace(episode, announced_seconds=seconds), seconds, "new")
    if seconds - episode.told_seconds < rules.update_seconds:
        return detector, None
    return _told(detector, episode, seconds, "update")


def _told(
    detector: Detector, episode: Episode, seconds: float, type_: Literal["new", "update"]
) -> tuple[Detector, Detection]:
    told = replace(episode, told_seconds=seconds)
    return replace(detector, episode=told), Detection(type_, told)
