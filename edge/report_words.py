"""The words of a report: kinds, states, faults and times for people who do not know the program."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, tzinfo

from edge.report_data import EventReport
from edge.verdicts import Realised

KINDS = {
    "surprise": "Something unexpected",
    "stall": "A usual movement did not come",
    "condition": "The camera could not see as usual",
    "flood": "So many events that they were counted",
}
CONDITIONS = {
    "lighting": "light changed", "moved": "camera moved", "blocked": "view covered", "blurred": "picture blurred",
    "frozen": "picture frozen", "frame_gap": "pictures missing",
}  # fmt: skip
# What a camera did, in the order in which bars show it: field, words, colour.
STATES = (
    ("watched_seconds", "watched", "#1d7a5f"),
    ("warming_seconds", "warming up", "#8cc7b4"),
    ("degraded_seconds", "seeing badly", "#e0a83a"),
    ("blind_seconds", "blind", "#c23b22"),
    ("disabled_seconds", "switched off by a person or a profile", "#7d8794"),
    ("off_seconds", "device off", "#c9cfd6"),
)
VERDICTS = {"real": "it was real", "false": "false alarm", "unsure": "nobody could say", None: "not answered yet"}


@dataclass(frozen=True)
class Words:
    """Times in a zone, and everything else that a page says in words."""

    zone: tzinfo

    def moment(self, wall_seconds: float) -> str:
        """Return such as `Tue 24 Nov 2026, 14:03`."""
        return self._at(wall_seconds).strftime("%a %d %b %Y, %H:%M")

    def second(self, wall_seconds: float) -> str:
        """Return such as `Tue 24 Nov, 14:03:11`."""
        return self._at(wall_seconds).strftime("%a %d %b, %H:%M:%S")

    def day(self, wall_seconds: float) -> str:
        """Return such as `Tue 24 Nov`."""
        return self._at(wall_seconds).strftime("%a %d %b")

    def hour(self, wall_seconds: float) -> int:
        """Return the hour of the day, 0 to 23."""
        return self._at(wall_seconds).hour

    def zone_at(self, wall_seconds: float) -> str:
        """Return the zone's name at a time."""
        return self._at(wall_seconds).tzname() or "UTC"

    def _at(self, wall_seconds: float) -> datetime:
        return datetime.fromtimestamp(wall_seconds, self.zone)


def span(seconds: float) -> str:
    """Return a length of time for people."""
    for size, one, many in ((86400.0, "day", "days"), (3600.0, "hour", "hours"), (60.0, "minute", "minutes")):
        if seconds >= size:
            count = f"{seconds / size:.1f}".removesuffix(".0")
            return f"{count} {one if count == '1' else many}"
    return f"{seconds:.0f} s"


def percent(share: float | None) -> str:
    """Return a share for people; what is almost all is not called all."""
    if share is None:
        return "–"
    if 0.9995 <= share < 1.0:
        return "99.9 %"
    return f"{100 * share:.1f} %".replace(".0 %", " %")


def promise_word(one: Realised) -> str:
    """Return what became of a promise: kept so far, broken, or open until people have answered."""
    if one.promised_per_day is None:
        return "nothing was promised"
    if one.false_per_day is None or one.most_per_day is None:
        return "not watched for long enough"
    if one.false_per_day > one.promised_per_day:
        return "above what was promised"
    return "within the promise" if one.most_per_day <= one.promised_per_day else "depends on open answers"


def fault_words(code: str) -> str:
    """Return a fault's code as words."""
    return code.replace("_", " ").capitalize()


def event_words(event: EventReport) -> str:
    """Return what happened, in a few words."""
    told = KINDS.get(event.kind, event.kind)
    if event.conditions:
        told += f": {', '.join(CONDITIONS.get(name, name) for name in event.conditions)}"
    if event.suppressed:
        told += f" ({event.suppressed} of them)"
    return told
