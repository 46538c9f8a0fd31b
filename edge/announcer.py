"""The announcer: moments of the river become events, states, scores, coverage, health and faults."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from edge.calibrated import rate_per_hour
from edge.capture import CameraStatus, Mailboxes
from edge.clock import clock_state
from edge.condition_events import ToldConditions, conditions_of, event_from_conditions
from edge.coverage import CoverageMeter
from edge.events import Teller, Told, event_from_moment
from edge.messages import (
    ULID_RANDOM_BYTES,
    CameraHealth,
    Condition,
    ConditionName,
    Fault,
    Health,
    OutboxHealth,
    Score,
    encode,
    new_event_id,
    utc_from_seconds,
)
from edge.mqtt import Publisher
from edge.outbox import Outbox
from edge.pipeline import Moment
from edge.setup import Device
from edge.topics import FAULTS, HEALTH, STATUS, camera_subtopic

HEALTH_SECONDS = 30.0
COVERAGE_SECONDS = 60.0
SCORE_SECONDS = 1.0
HINTS = {
    "camera_lost": "Check the camera's power, cable, address and password; it is tried again for ever.",
    "camera_refused": "The camera refuses the login; correct user and password in its address. It is asked seldom.",
    "capture_hung": "The capture library hung and was replaced; if it comes again, restart the camera.",
    "outbox_damaged": "Events that waited on disk may be lost; check the disk.",
    "broker_refused": "The broker refuses the login or the certificate; check both.",
    "duplicate_client_id": "Another device uses this MQTT client id; give each its own.",
}
CAMERA_FAULTS = ("camera_lost", "camera_refused", "capture_hung")
CameraState = Literal["watching", "warming_up", "blind", "degraded"]


class Announcer:
    """Everything that the device says; called by the river's thread alone, and it never waits."""

    def __init__(self, device: Device, publisher: Publisher, outbox: Outbox, mailboxes: Mailboxes) -> None:
        self._device, self._publisher, self._outbox, self._mailboxes = device, publisher, outbox, mailboxes
        self._started = time.monotonic()
        self._told: dict[str, Told | None] = dict.fromkeys(device.models)
        self._told_conditions: dict[str, ToldConditions | None] = dict.fromkeys(device.models)
        self._conditions: dict[str, tuple[ConditionName, ...] | None] = dict.fromkeys(device.models)
        self._coverage = {camera: CoverageMeter(time.monotonic) for camera in device.models}
        self._score_due = dict.fromkeys(device.models, 0.0)
        self._latency: dict[str, float] = {}
        self._faults: dict[tuple[str, str], Fault] = {}
        self._last_faults: tuple[Fault, ...] | None = None
        self._health_due = self._coverage_due = 0.0
        self._rates = dict.fromkeys(device.models, (self._started, 0))
        self._begin()

    def tell(self, moment: Moment) -> None:
        """Publish what one moment says: its event, its camera's state, and at most one score a second."""
        arrived = self._mailboxes.status()[moment.camera].frame_seconds
        latency = (time.monotonic() - arrived) * 1000.0 if moment.sensed and arrived is not None else None
        if latency is not None:
            self._latency[moment.camera] = latency
        self._tell_event(moment, latency)
        self._tell_conditions(moment)
        self._enter(moment.camera, moment.state)
        if moment.sensed is not None and time.monotonic() >= self._score_due[moment.camera]:
            self._score_due[moment.camera] = time.monotonic() + SCORE_SECONDS
            self._publisher.send(camera_subtopic(moment.camera, "score"), encode(self._score(moment)))

    def tick(self) -> None:
        """Tell of what changes with time alone: faults, health, coverage. Call it often; it is cheap."""
        now = time.monotonic()
        self._tell_faults()
        if now >= self._health_due:
            self._health_due = now + HEALTH_SECONDS
            self._publisher.set_state(HEALTH, encode(self._health(now)), qos=0)
            self._outbox.sweep()
        if now >= self._coverage_due:
            self._coverage_due = now + COVERAGE_SECONDS
            for camera, meter in self._coverage.items():
                self._publisher.set_state(camera_subtopic(camera, "coverage"), encode(meter.coverage()))

    def set_conditions(self, camera: str, conditions: Sequence[Condition]) -> None:
        """Publish the camera's conditions, retained, whenever others are there than before."""
        names = tuple(one.name for one in conditions)
        if names != self._conditions[camera]:
            self._conditions[camera] = names
            self._publisher.set_state(camera_subtopic(camera, "condition"), encode(tuple(conditions)))

    def close(self) -> None:
        """Leave the retained states true for a device that sees nothing any more."""
        for camera in self._device.models:
            self.set_conditions(camera, ())
            self._enter(camera, "blind")

    def _begin(self) -> None:
        """Close what an earlier start left open, and say what is not seen yet."""
        for event in self._outbox.closing_events():
            self._publisher.publish_event(event)
        if self._outbox.set_aside is not None:
            self._raise("outbox_damaged", "")
        for camera in self._device.models:
            self._publisher.set_state(camera_subtopic(camera, "state"), "blind")
            self._publisher.set_state(camera_subtopic(camera, "anomaly"), "OFF")
            self.set_conditions(camera, ())
        self.tick()

    def _tell_event(self, moment: Moment, latency: float | None) -> None:
        camera = moment.camera
        self._told[camera], event = event_from_moment(
            self._teller(camera), self._told[camera], moment, time.time(), latency
        )
        if event is None:
            return
        self._publisher.publish_event(event)
        self._publisher.set_state(camera_subtopic(camera, "anomaly"), "OFF" if event.type == "end" else "ON")

    def _tell_conditions(self, moment: Moment) -> None:
        camera = moment.camera
        self._told_conditions[camera], event = event_from_conditions(
            self._teller(camera), self._told_conditions[camera], moment, time.time()
        )
        if event is not None:
            self._publisher.publish_event(event)
        self.set_conditions(camera, conditions_of(moment))

    def _teller(self, camera: str) -> Teller:
        model, topics = self._device.models[camera], self._device.topics
        return Teller(
            site=topics.site,
            device=topics.device,
            camera=camera,
            model=model.event_model(),
            tail=model.calibration.limits.tail,
            calibrated=model.is_site,
            wall_offset_seconds=time.time() - time.monotonic(),
            clock=clock_state(),
            media_offset_seconds=self._mailboxes.status()[camera].media_offset_seconds,
            new_id=lambda seconds: new_event_id(seconds, os.urandom(ULID_RANDOM_BYTES)),
        )

    def _enter(self, camera: str, state: CameraState) -> None:
        meter = self._coverage[camera]
        if meter.state != state:
            self._publisher.set_state(camera_subtopic(camera, "state"), state)
        meter.enter(state)

    def _score(self, moment: Moment) -> Score:
        told = utc_from_seconds(moment.seconds + time.time() - time.monotonic())
        if moment.level is None or moment.z is None or moment.limit is None:
            return Score(time=told, valid=False)
        rate = rate_per_hour(moment.level.mean, self._device.models[moment.camera].calibration.limits.tail)
        return Score(
            time=told,
            valid=True,
            score=round(moment.level.mean, 3),
            rate_per_hour=None if rate is None else float(f"{rate:.3g}"),
            z=round(moment.z, 2),
            threshold=round(moment.limit.on, 3),
        )

    def _tell_faults(self) -> None:
        for camera, status in self._mailboxes.status().items():
            for code in CAMERA_FAULTS:
                (self._raise if status.fault_code == code else self._clear)(code, camera)
        for code in ("broker_refused", "duplicate_client_id"):
            (self._raise if self._publisher.fault == code else self._clear)(code, "")
        faults = tuple(self._faults.values())
        if faults != self._last_faults:
            self._last_faults = faults
            self._publisher.set_state(FAULTS, encode(faults))
            self._publisher.set_state(STATUS, "degraded" if faults else "online")

    def _raise(self, code: str, camera: str) -> None:
        if (code, camera) not in self._faults:
            since = utc_from_seconds(time.time())
            self._faults[code, camera] = Fault(code=code, since=since, hint=HINTS[code], camera=camera or None)

    def _clear(self, code: str, camera: str) -> None:
        self._faults.pop((code, camera), None)

    def _health(self, now: float) -> Health:
        depth, statuses = self._outbox.depth(), self._mailboxes.status()
        drops = {camera: status.dropped for camera, status in statuses.items()}
        return Health(
            time=utc_from_seconds(time.time()),
            uptime_seconds=round(now - self._started, 1),
            outbox=OutboxHealth(depth=depth.messages, bytes=depth.bytes, oldest_seconds=depth.oldest_seconds),
            drops=drops | {"scores": self._publisher.dropped},
            cameras={camera: self._camera_health(camera, status, now) for camera, status in statuses.items()},
            memory_bytes=_memory_bytes(),
            disk_free_bytes=shutil.disk_usage(self._device.config.state_directory).free,
        )

    def _camera_health(self, camera: str, status: CameraStatus, now: float) -> CameraHealth:
        since, before = self._rates[camera]
        self._rates[camera] = (now, status.frames)
        latency = self._latency.get(camera)
        return CameraHealth(
            fps=round((status.frames - before) / max(now - since, 1e-3), 2),
            latency_ms=None if latency is None else round(latency, 1),
            last_frame_age_seconds=None if status.frame_seconds is None else round(now - status.frame_seconds, 2),
            capture=status.backend,
        )


def _memory_bytes() -> int | None:
    """Return the resident memory of this process; None where the kernel does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")
