"""Profiles of a camera: which normality is in force, by time of day and by what the line says of itself."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import msgspec

from edge.errors import UsageError
from edge.topics import checked_name

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_HOURS = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-4]):([0-5]\d)")
_DAY_MINUTES = 24 * 60


class Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where the line says what it does: an MQTT topic whose payload is plain text.

    A value is not believed any more `max_age_seconds` after it came (0: as long as the broker is there, which would
    bring a new one), nor once the broker has been gone for `lost_seconds`. When the profile changes, nothing is judged
    for `settle_seconds`.
    """

    topic: str = ""
    max_age_seconds: float = 0.0
    lost_seconds: float = 60.0
    settle_seconds: float = 3.0


class Profile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One of the ways in which a camera is judged, and when: hours (`22:00-06:00`), days and values must all agree.

    Hours and days are the device's local time; hours past midnight belong to the day on which they begin. `values` are
    those of the line's topic. `hold_back` judges nothing (cleaning, maintenance); otherwise `normal` says what is
    normal, or the camera's own where that is left out.
    """

    normal: str = ""
    hours: str = ""
    days: tuple[Day, ...] = ()
    values: tuple[str, ...] = ()
    hold_back: bool = False


@dataclass(frozen=True)
class Known:
    """What is known now: local time, the line's value; None where it is not known, and then `reason` says why."""

    local: datetime | None
    value: str | None
    reason: str = ""


@dataclass(frozen=True)
class Choice:
    """The profile in force; `name` None where none is known to be, and `reason` says why."""

    name: str | None
    reason: str = ""


def chosen(profiles: Mapping[str, Profile], known: Known) -> Choice:
    """Return the first profile for which everything agrees; none where that hangs on something that is not known."""
    for name, profile in profiles.items():
        if (profile.hours or profile.days) and known.local is None:
            return Choice(None, "the device's clock was never set")
        if known.local is not None and not _is_time(profile, known.local):
            continue
        if not profile.values or known.value in profile.values:
            return Choice(name)
        if known.value is None:
            return Choice(None, known.reason)
    at = "" if known.local is None else f" on {DAYS[known.local.weekday()]} at {known.local:%H:%M}"
    if known.value is None:
        return Choice(None, f"no profile is in force{at}")
    return Choice(None, f"no profile is in force{at} for the line's value {known.value[:64]!r}")


def _is_time(profile: Profile, local: datetime) -> bool:
    """Whether hours and days agree; both are true where nothing is said of them."""
    span = _span(profile.hours) if profile.hours else (0, _DAY_MINUTES)
    if span is None:
        return False
    (start, end), minute, day = span, 60 * local.hour + local.minute, local
    if start >= end and minute < end:
        day = local - timedelta(days=1)
    elif not (start <= minute < end or (start >= end and minute >= start)):
        return False
    return not profile.days or DAYS[day.weekday()] in profile.days


def _span(hours: str) -> tuple[int, int] | None:
    """Return the minutes of the day at which hours begin and end; None for what is no such text."""
    found = _HOURS.fullmatch(hours)
    if found is None:
        return None
    start, end = 60 * int(found[1]) + int(found[2]), 60 * int(found[3]) + int(found[4])
    return (start, end) if end <= _DAY_MINUTES else None


def judging(profiles: Mapping[str, Profile]) -> dict[str, Profile]:
    """Return the profiles that do not hold back."""
    return {name: profile for name, profile in profiles.items() if not profile.hold_back}


def profile_faults(profiles: Mapping[str, Profile], line: Line) -> Iterator[tuple[list[str], str]]:
    """Yield the key and the rest of the sentence of each mistake in a camera's profiles and line."""
    yield from _line_faults(line)
    if line.topic and not any(profile.values for profile in profiles.values()):
        yield ["line"], "no profile has 'values' of this topic; add them, or leave it out."
    if profiles and all(profile.hold_back for profile in profiles.values()):
        yield ["profiles"], "all of them hold back; one at least must judge."
    for name, profile in profiles.items():
        keys = ["profiles", name]
        try:
            checked_name(name, "profile")
        except UsageError as error:
            yield keys, str(error)
        if profile.hours and _span(profile.hours) is None:
            yield [*keys, "hours"], f"{profile.hours!r} is no stretch of a day; write it as 06:00-22:00."
        if profile.hold_back and profile.normal:
            yield keys, "holds back, and judges by a 'normal'; leave one of the two out."
        if profile.values and not line.topic:
            yield [*keys, "values"], "the camera has no line: {topic: …} that they could come from."


def _line_faults(line: Line) -> Iterator[tuple[list[str], str]]:
    if re.search(r"[+#\0]", line.topic) or len(line.topic) > 256:
        yield ["line", "topic"], f"{line.topic[:80]!r} is no single topic; write it without + and #."
    for key in ("max_age_seconds", "lost_seconds", "settle_seconds"):
        seconds = getattr(line, key)
        if not 0.0 <= seconds <= 7 * 86400.0:
            yield ["line", key], f"{seconds:g} is not within 0 seconds to 7 days."
