"""A cap on a camera's events: a shaking camera or a welder does not bury what matters; what exceeds it is counted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from edge.messages import Event

HOUR_SECONDS = 3600.0


@dataclass(frozen=True)
class Flood:
    """One camera: when its events of the last hour began, which are held back, how many were since `since_seconds`."""

    begun: tuple[float, ...] = ()
    held: frozenset[str] = frozenset()
    suppressed: int = 0
    since_seconds: float = 0.0


def passed(flood: Flood, event: Event, seconds: float, most_per_hour: int) -> tuple[Flood, bool]:
    """Return the camera's flood after one message of an event, and whether it may be published.

    An event that begins while `most_per_hour` have begun within the hour is held back whole, with its updates and end.
    """
    if event.event_id in flood.held:
        ended = event.type == "end"
        return (replace(flood, held=flood.held - {event.event_id}) if ended else flood), False
    if event.type != "new":
        return flood, True
    begun = tuple(at for at in flood.begun if seconds - at < HOUR_SECONDS)
    if len(begun) < most_per_hour:
        return replace(flood, begun=(*begun, seconds)), True
    since = flood.since_seconds if flood.suppressed else seconds
    return Flood(begun, flood.held | {event.event_id}, flood.suppressed + 1, since), False


class Floods:
    """The floods of all cameras of a device; seconds are of a clock that is never set."""

    def __init__(self, most_per_hour: int) -> None:
        self._most_per_hour = most_per_hour
        self._by_camera: dict[str, Flood] = {}

    def admits(self, camera: str, event: Event, seconds: float) -> bool:
        """Return whether a message of an event may be published; count it where it may not."""
        flood = self._by_camera.get(camera, Flood())
        self._by_camera[camera], may_pass = passed(flood, event, seconds, self._most_per_hour)
        return may_pass

    def due(self, seconds: float) -> Iterator[tuple[str, Flood]]:
        """Yield each camera whose flood is to be told: an hour after the first event that was held back.

        For a device that stops, `seconds` may be infinite.
        """
        for camera, flood in self._by_camera.items():
            if flood.suppressed and seconds - flood.since_seconds >= HOUR_SECONDS:
                self._by_camera[camera] = replace(flood, suppressed=0)
                yield camera, flood
