"""What is wrong with the masks and zones that a configuration gives a camera."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

from edge.errors import UsageError
from edge.privacy import Shape, fault_of_shape
from edge.topics import checked_name
from edge.zones import Zone

# An event names at most so many zones, so that it stays below 8 kB.
MOST_ZONES = 32
MOST_SENSITIVITY = 10.0


class Regions(Protocol):
    """What of a camera's settings lies on its picture."""

    @property
    def privacy_masks(self) -> tuple[Shape, ...]:
        """What is blanked."""

    @property
    def ignore_masks(self) -> tuple[Shape, ...]:
        """What is not judged."""

    @property
    def zones(self) -> Mapping[str, Zone]:
        """What has a name."""


def region_faults(camera: Regions) -> Iterator[tuple[list[str], str]]:
    """Yield the key and the rest of the sentence of each mistake."""
    for key, masks in (("privacy_masks", camera.privacy_masks), ("ignore_masks", camera.ignore_masks)):
        for number, fault in enumerate(map(fault_of_shape, masks), 1):
            if fault:
                yield [key], f"mask {number} {fault}"
    if len(camera.zones) > MOST_ZONES:
        yield ["zones"], f"{len(camera.zones)} zones; a camera has {MOST_ZONES} at most."
    for name, zone in camera.zones.items():
        keys, fault = ["zones", name], fault_of_shape(zone.polygon)
        try:
            checked_name(name, "zone")
        except UsageError as error:
            yield keys, str(error)
        if fault:
            yield [*keys, "polygon"], f"it {fault}"
        if not 0.0 <= zone.sensitivity <= MOST_SENSITIVITY:
            yield [*keys, "sensitivity"], f"{zone.sensitivity:g} is not within 0 to {MOST_SENSITIVITY:g}; 1 is usual."
