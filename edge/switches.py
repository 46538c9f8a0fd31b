"""What people have switched: cameras off, off until a time, or with a limit of their own; kept over restarts."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import msgspec

from edge.detection import Limit, limit_at
from edge.errors import JsonError
from edge.files import write_whole
from edge.moments import Judge, Round

log = logging.getLogger(__name__)

SNOOZE_SECONDS_LIMIT = 86400.0
BOUND_SPANS = 10.0  # a limit may rise by so many times the distance between its `on` and `off`


class Switch(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One camera's: `off_until` is Unix time, None for ever; `limit_on` None means the calibration's own limit."""

    is_off: bool = False
    off_until: float | None = None
    limit_on: float | None = None


class Held(NamedTuple):
    """Why a camera's profiles hold it back; `is_fault` where a person must see to it."""

    reason: str
    is_fault: bool


class Switches:
    """The switches of all cameras: changed by commands, asked by the river. One thread.

    `limits` are the calibrations' own, by camera; without a file nothing is kept.
    """

    def __init__(
        self,
        limits: Mapping[str, Limit],
        file: Path | None,
        *,
        wall_clock: Callable[[], float],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limits, self._file, self._wall_clock = dict(limits), file, wall_clock
        self._monotonic = monotonic
        known = _read(file) if file is not None else {}
        self._switches = {camera: known.get(camera, Switch()) for camera in limits}
        self._on_at = {camera: self._end_of(switch) for camera, switch in self._switches.items()}
        self._lost: set[str] = set()
        self._held: dict[str, Held] = {}

    def of(self, camera: str) -> Switch:
        """Return a camera's switch."""
        return self._switches[camera]

    def is_off(self, camera: str) -> bool:
        """Return whether the camera is switched off or held back now; a time that has passed switches it on."""
        switch = self._switches[camera]
        if switch.is_off and self._monotonic() >= self._on_at[camera]:
            self.set(camera, replace_switch(switch, is_off=False, off_until=None))
            return camera in self._held
        return switch.is_off or camera in self._held

    def hold(self, camera: str, held: Held | None) -> None:
        """Hold a camera back, or let it go again."""
        if held is None:
            self._held.pop(camera, None)
        else:
            self._held[camera] = held

    @property
    def all_held(self) -> dict[str, str]:
        """The reasons of all cameras that are held back."""
        return {camera: held.reason for camera, held in self._held.items()}

    def is_unknown(self, camera: str) -> bool:
        """Return whether a camera is held back for a reason that a person must see to."""
        return camera in self._held and self._held[camera].is_fault

    def held(self, camera: str) -> Held | None:
        """Return why a camera is held back; None where it is not."""
        return self._held.get(camera)

    def set(self, camera: str, switch: Switch) -> None:
        """Change a camera's switch and keep it on disk. A disk that refuses is logged; the switch holds until then."""
        self._switches[camera], self._on_at[camera] = switch, self._end_of(switch)
        if self._file is None:
            return
        try:
            write_whole(self._file, msgspec.json.encode(self._switches))
        except OSError as error:
            log.error("switches_refused file=%s error=%s", self._file, error)  # noqa: TRY400

    def renew(self, camera: str, limit: Limit) -> None:
        """Take over the limit of a camera's new calibration."""
        self._limits[camera] = limit

    def own(self, camera: str) -> Limit:
        """Return the limit of a camera's calibration, whatever people have set."""
        return self._limits[camera]

    def bounds(self, camera: str) -> tuple[float, float]:
        """Return the lowest limit that may be set, where events end by themselves, and the highest."""
        own = self._limits[camera]
        return own.off, own.on + BOUND_SPANS * (own.on - own.off)

    def judged_by(self, judges: Mapping[str, Judge]) -> dict[str, Judge]:
        """Return the judges with the limits that people have set."""
        return {camera: replace(judge, limit=self._limit(camera, judge.limit)) for camera, judge in judges.items()}

    def admit(self, rounds: Iterable[Round]) -> list[Round]:
        """Return the rounds without the frames of cameras that are off; each is told lost once, as `disabled`."""
        off = {camera for camera in self._switches if self.is_off(camera)}
        newly, self._lost = off - self._lost, off
        admitted = [
            Round({camera: frame for camera, frame in one.frames.items() if camera not in off}, one.lost)
            for one in rounds
        ]
        return ([Round({}, dict.fromkeys(sorted(newly), "disabled"))] if newly else []) + admitted

    def _end_of(self, switch: Switch) -> float:
        """Return when (monotonic) a camera is on again: a clock that steps while this runs changes nothing of it."""
        if switch.off_until is None:
            return float("inf")
        return self._monotonic() + min(switch.off_until - self._wall_clock(), SNOOZE_SECONDS_LIMIT)

    def _limit(self, camera: str, own: Limit | None) -> Limit | None:
        set_on = self._switches[camera].limit_on
        if own is None or set_on is None:
            return own
        return limit_at(own, set_on)


def replace_switch(switch: Switch, **changes: object) -> Switch:
    """Return the switch with changes."""
    return msgspec.structs.replace(switch, **changes)


def _read(file: Path) -> dict[str, Switch]:
    try:
        return msgspec.json.decode(file.read_bytes(), type=dict[str, Switch])
    except FileNotFoundError:
        return {}
    except (OSError, *JsonError) as error:
        log.error("switches_unreadable file=%s error=%s", file, error)  # noqa: TRY400
        return {}
