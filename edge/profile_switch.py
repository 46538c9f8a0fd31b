"""Calibrations in force: the profile that the time and the line ask for, and `.normal` files that are replaced."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Protocol

from edge.config import Camera, Config
from edge.errors import PrednetError
from edge.in_force import Normals
from edge.model import Model
from edge.profiles import Choice, Known, Line, chosen, judging
from edge.setup import Device, adapted, key_of_profile
from edge.switches import Held

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.2
# Not to know the profile for as long is a fault; a start takes less.
UNKNOWN_SECONDS = 10.0
# A clock that says less was never set: what hour it is is not known.
LEAST_WALL_SECONDS = datetime(2025, 1, 1, tzinfo=timezone.utc).timestamp()
MOST_VALUE_BYTES = 256


class Told(Protocol):
    """What the broker has said: the last payload of each topic, when it came (monotonic), and whether it is there."""

    @property
    def is_connected(self) -> bool:
        """Whether a new value would come."""

    def value_of(self, topic: str) -> tuple[bytes, float] | None:
        """The last payload of a topic, and when it came."""

    def forget_value(self, topic: str) -> None:
        """Believe the last payload no more."""


@dataclass
class _Place:
    """One camera's profile: what was chosen last and when, the profile that judges, and until when it settles."""

    choice: Choice | None = None
    since: float = 0.0
    judging: str | None = None
    settles_until: float = 0.0


@dataclass
class InForce:
    """What every camera is judged by as time passes. `hold` holds a camera back, or lets it go with None."""

    device: Device
    told: Told
    hold: Callable[[str, Held | None], None]
    monotonic: Callable[[], float]
    wall_clock: Callable[[], float]
    _places: dict[str, _Place] = field(init=False)
    _models: dict[str, Model] = field(init=False)
    _normals: Normals = field(init=False)
    _due: float = 0.0
    _lost_since: float | None = None

    def __post_init__(self) -> None:
        config = self.device.config
        self._places = {camera: _Place() for camera, one in config.cameras.items() if one.profiles}
        self._models = {camera: self.device.models[camera] for camera in config.cameras if camera not in self._places}
        self._models |= self.device.profiles
        self._normals = Normals(_paths(config, self._models), self.device.stamps, self.monotonic)
        for camera in self._places:
            self.hold(camera, Held("nothing is known yet", is_fault=False))

    def changed(self) -> Iterator[tuple[str, Model]]:
        """Yield each camera that is judged by another model from now on. Call it often; it is cheap."""
        config = self.device.config
        for key, replaced in self._normals.changed(self._models):
            camera, _, profile = key.partition("/")
            try:
                adjusted = adapted(replaced, config.cameras[camera], config.detection)
            except PrednetError as error:
                log.warning("normal_refused camera=%s reason=%s", camera, error)
                continue
            self._models[key] = model = replace(adjusted, profile=profile)
            log.info("normal_in_force camera=%s file=%s", key, _paths(config, self._models)[key])
            if camera not in self._places or key == key_of_profile(camera, self._places[camera].judging):
                yield camera, model
        if self.monotonic() >= self._due:
            self._due = self.monotonic() + LOOK_SECONDS
            self._note_loss()
            yield from self._switched()

    def _switched(self) -> Iterator[tuple[str, Model]]:
        for camera, place in self._places.items():
            settings, now = self.device.config.cameras[camera], self.monotonic()
            choice = chosen(settings.profiles, self._known(settings.line, now))
            if place.choice is None or choice.name != place.choice.name:
                self._change(camera, place, choice, now)
            elif choice.name is None:
                self.hold(camera, Held(choice.reason, is_fault=now - place.since >= UNKNOWN_SECONDS))
            elif self._is_due(place, choice.name, settings, now):
                place.judging = choice.name
                yield camera, self._models[key_of_profile(camera, choice.name)]
                self.hold(camera, None)

    def _is_due(self, place: _Place, name: str, settings: Camera, now: float) -> bool:
        return name != place.judging and name in judging(settings.profiles) and now >= place.settles_until

    def _change(self, camera: str, place: _Place, choice: Choice, now: float) -> None:
        """Hold the camera back under its old profile, so that what is open ends by it; the new one waits."""
        settings = self.device.config.cameras[camera]
        place.settles_until = now if place.choice is None else now + settings.line.settle_seconds
        place.choice, place.judging, place.since = choice, None, now
        log.info("profile camera=%s profile=%s reason=%s", camera, choice.name, choice.reason)
        if choice.name is None:
            self.hold(camera, Held(choice.reason, is_fault=False))
        else:
            does = "holds back" if settings.profiles[choice.name].hold_back else "settles"
            self.hold(camera, Held(f"profile {choice.name} {does}", is_fault=False))

    def _known(self, line: Line, now: float) -> Known:
        wall = self.wall_clock()
        local = datetime.fromtimestamp(wall) if wall >= LEAST_WALL_SECONDS else None
        if not line.topic:
            return Known(local, None, "the camera has no line")
        found = self.told.value_of(line.topic)
        if self._lost_since is not None and now - self._lost_since >= line.lost_seconds:
            self.told.forget_value(line.topic)
            return Known(local, None, f"the broker that brings {line.topic} is gone")
        if found is None:
            return Known(local, None, f"nothing has come on {line.topic} yet")
        payload, came = found
        if line.max_age_seconds and now - came >= line.max_age_seconds:
            return Known(local, None, f"the last value of {line.topic} is older than {line.max_age_seconds:g} s")
        return Known(local, payload[:MOST_VALUE_BYTES].decode("utf-8", "replace").strip())

    def _note_loss(self) -> None:
        if self.told.is_connected:
            self._lost_since = None
        elif self._lost_since is None:
            self._lost_since = self.monotonic()


def _paths(config: Config, models: Mapping[str, Model]) -> dict[str, Path]:
    """The `.normal` file of each model that has one, by its key."""
    paths = {}
    for key in models:
        camera, _, profile = key.partition("/")
        settings = config.cameras[camera]
        normal = (settings.profiles[profile].normal if profile else "") or settings.normal
        if normal:
            paths[key] = Path(normal)
    return paths
