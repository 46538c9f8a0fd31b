"""The announcer: moments of the river become events, states, scores, coverage, health and faults."""

from __future__ import annotations

import math
import os
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from edge.capture import CameraStatus, Mailboxes
from edge.clock import clock_state
from edge.condition_events import ToldConditions, conditions_of, event_from_conditions, flood_event, test_event
from edge.contract import CameraState
from edge.coverage import CoverageMeter
from edge.coverage_ledger import Ledger, steps_of_last_day
from edge.detection import Box
from edge.drift import DriftWatch, Monitor
from edge.events import Teller, Told, events_from_moment, score_from_moment
from edge.flood import Floods
from edge.frames import Image
from edge.hardware import DISK_LOW_BYTES, free_bytes, is_throttled, memory_bytes, temperatures_celsius
from edge.health import CameraGauges
from edge.hints import HINTS
from edge.messages import (
    ULID_RANDOM_BYTES,
    CameraHealth,
    Condition,
    ConditionName,
    Event,
    EventScore,
    Fault,
    Health,
    OutboxHealth,
    encode,
    new_event_id,
    utc_from_seconds,
)
from edge.moments import Kind, Moment, open_zones_of
from edge.mqtt import Publisher
from edge.outbox import Outbox
from edge.setup import Device
from edge.switches import Switches
from edge.topics import FAULTS, HEALTH, STATUS, camera_subtopic, zone_subtopic

HEALTH_SECONDS, COVERAGE_SECONDS, SCORE_SECONDS = 30.0, 60.0, 1.0
RECENT_EVENTS = 1000
CAMERA_FAULTS = ("camera_lost", "camera_refused", "capture_hung")


class Announcer:
    """Everything that the device says; called by the river's thread alone, and it never waits."""

    def __init__(
        self,
        device: Device,
        publisher: Publisher,
        outbox: Outbox,
        mailboxes: Mailboxes,
        switches: Switches,
        ledger: Ledger,
    ) -> None:
        self._device, self._publisher, self._outbox, self._mailboxes = device, publisher, outbox, mailboxes
        self._switches, self._told_held = switches, switches.all_held
        self._ledger, self._drift = ledger, DriftWatch()
        self.counts: Counter[str] = Counter()
        self.uploads_waiting: int | None = None
        self.listeners: list[Callable[[Event], None]] = []
        self._images: dict[str, Image] = {}
        self._recent: deque[Event] = deque(maxlen=RECENT_EVENTS)
        self._floods = Floods(device.config.detection.most_events_per_hour)
        self._folder, self._started = Path(device.config.state_directory), time.monotonic()
        self._told: dict[str, Mapping[Kind, Told]] = {camera: {} for camera in device.models}
        self._told_conditions: dict[str, ToldConditions | None] = dict.fromkeys(device.models)
        self._conditions: dict[str, tuple[ConditionName, ...] | None] = dict.fromkeys(device.models)
        self._coverage = {
            camera: CoverageMeter(time.monotonic, earlier=steps_of_last_day(ledger, camera, time.time(), self._started))
            for camera in device.models
        }
        self._score_due = dict.fromkeys(device.models, 0.0)
        self._faults: dict[tuple[str, str], Fault] = {}
        self._last_faults: tuple[Fault, ...] | None = None
        self._health_due = self._coverage_due = 0.0
        self._open_zones: dict[str, frozenset[str]] = {}
        self._gauges = CameraGauges(device.models, self._started)

    def tell(self, moment: Moment) -> None:
        """Publish what one moment says: its event, its camera's state, and at most one score a second."""
        arrived = self._mailboxes.status()[moment.camera].frame_seconds
        latency = (time.monotonic() - arrived) * 1000.0 if moment.sensed and arrived is not None else None
        if latency is not None:
            self._gauges.took(moment.camera, latency)
        if moment.sensed is not None:
            self._images[moment.camera] = moment.sensed.frame.image
        self._tell_event(moment, latency)
        self._tell_zones(moment)
        self._drift.see(moment, self._device.models[moment.camera].calibration)
        self._tell_conditions(moment)
        self._enter(moment.camera, moment.state)
        if moment.sensed is not None and time.monotonic() >= self._score_due[moment.camera]:
            self._score_due[moment.camera] = time.monotonic() + SCORE_SECONDS
            score = encode(score_from_moment(self._teller(moment.camera), moment))
            self._publisher.send(camera_subtopic(moment.camera, "score"), score)

    def _tell_zones(self, moment: Moment) -> None:
        camera, open_zones = moment.camera, open_zones_of(moment)
        for zone in open_zones ^ self._open_zones.get(camera, frozenset()):
            self.set_zone_anomaly(camera, zone, zone in open_zones)
        self._open_zones[camera] = open_zones

    def set_zone_anomaly(self, camera: str, zone: str, is_open: bool) -> None:
        """Say whether an event is open within a zone."""
        self._publisher.set_state(zone_subtopic(camera, zone), "ON" if is_open else "OFF")

    def set_fault(self, code: str, is_active: bool, camera: str = "") -> None:
        """Raise or take back a fault of `HINTS`."""
        if not is_active:
            self._faults.pop((code, camera), None)
        elif (code, camera) not in self._faults:
            since, hint = utc_from_seconds(time.time()), HINTS[code].format(camera=camera)
            self._faults[code, camera] = Fault(code=code, since=since, hint=hint, camera=camera or None)

    def wait_for_engine(self) -> None:
        """Say that nothing is seen until an engine is built."""
        for camera in self._device.models:
            self._enter(camera, "rebuilding")

    def tell_test(
        self, camera: str, score: EventScore | None = None, box: Box | None = None, *, is_hooked: bool = True
    ) -> Event:
        """Publish an event of the kind `test`, on the way that every event takes; return it."""
        return self.publish(test_event(self._teller(camera), time.time(), score, box), is_hooked=is_hooked)

    def recent_event(self, event_id: str) -> Event | None:
        """Return the last message of an event that was published since the start."""
        return next((event for event in reversed(self._recent) if event.event_id == event_id), None)

    def image_of(self, camera: str) -> Image | None:
        """Return the last frame that was watched, as the network sees it."""
        return self._images.get(camera)

    def state_of(self, camera: str) -> str:
        """Return what was last said of seeing."""
        return self._coverage[camera].state

    @property
    def faults(self) -> tuple[Fault, ...]:
        """The active faults."""
        return tuple(self._faults.values())

    def tick(self) -> None:
        """Tell of what changes with time alone: faults, health, coverage. Call it often; it is cheap."""
        now = time.monotonic()
        for camera, meter in self._coverage.items():
            if self._switches.is_off(camera) != (meter.state == "disabled"):
                self._enter(camera, "blind")
        if self._switches.all_held != self._told_held:  # health says why, at once
            self._told_held, self._health_due = self._switches.all_held, now
        self._tell_faults()
        self._tell_floods(now)
        if now >= self._health_due:
            self._health_due = now + HEALTH_SECONDS
            self._publisher.set_state(HEALTH, encode(self._health(now)), qos=0)
            self._outbox.sweep()
        if now >= self._coverage_due:
            self._coverage_due = now + COVERAGE_SECONDS
            self._tell_coverage()

    def set_conditions(self, camera: str, conditions: Sequence[Condition]) -> None:
        """Publish the camera's conditions, retained, whenever others are there than before."""
        names = tuple(one.name for one in conditions)
        if names != self._conditions[camera]:
            self._conditions[camera] = names
            self._publisher.set_state(camera_subtopic(camera, "condition"), encode(tuple(conditions)))

    def close(self) -> None:
        """Leave the retained states true for a device that sees nothing any more."""
        self._tell_floods(math.inf)
        for camera in self._device.models:
            self.set_conditions(camera, ())
            self._enter(camera, "blind")
        self._tell_coverage()

    def _tell_coverage(self) -> None:
        is_synced = clock_state() == "synced"
        for camera, meter in self._coverage.items():
            self._ledger.add(camera, time.time(), meter.take(), is_clock_synced=is_synced)
            self._publisher.set_state(camera_subtopic(camera, "coverage"), encode(meter.coverage()))

    def begin(self) -> None:
        """Close what an earlier start left open, and say what is not seen yet. Call it once, when others listen."""
        for event in self._outbox.closing_events():
            self.publish(event)
        if self._outbox.set_aside is not None:
            self.set_fault("outbox_damaged", True)
        for camera in self._device.models:
            self._publisher.set_state(camera_subtopic(camera, "state"), "blind")
            self._publisher.set_state(camera_subtopic(camera, "anomaly"), "OFF")
            self.set_conditions(camera, ())
            for zone in self._device.config.cameras[camera].zones:
                self.set_zone_anomaly(camera, zone, False)
        self.tick()

    def publish(self, event: Event, *, is_hooked: bool = True) -> Event:
        """Publish an event's message by way of the outbox, to hooks where it `is_hooked`; return it as stored."""
        stored = self._publisher.publish_event(event, is_hooked=is_hooked)
        self._recent.append(stored)
        for listener in self.listeners:
            listener(stored)
        return stored

    def _tell_event(self, moment: Moment, latency: float | None) -> None:
        camera, teller, told = moment.camera, self._teller(moment.camera), self._told[moment.camera]
        self._told[camera], events = events_from_moment(teller, told, moment, time.time(), latency)
        for event in events:
            if self._floods.admits(camera, event, time.monotonic()):
                self.publish(event)
        if events:
            self._publisher.set_state(camera_subtopic(camera, "anomaly"), "ON" if self._told[camera] else "OFF")

    def _tell_floods(self, until_seconds: float) -> None:
        for camera, flood in self._floods.due(until_seconds):
            self.publish(flood_event(self._teller(camera), flood, time.time()))

    def _tell_conditions(self, moment: Moment) -> None:
        camera = moment.camera
        self._told_conditions[camera], event = event_from_conditions(
            self._teller(camera), self._told_conditions[camera], moment, time.time()
        )
        if event is not None:
            self.publish(event)
        self.set_conditions(camera, conditions_of(moment))

    def _teller(self, camera: str) -> Teller:
        model, topics = self._device.models[camera], self._device.topics
        return Teller(
            site=topics.site,
            device=topics.device,
            camera=camera,
            model=model.event_model(),
            rates=model.rates,
            calibrated=model.is_calibrated,
            wall_offset_seconds=time.time() - time.monotonic(),
            clock=clock_state(),
            media_offset_seconds=self._mailboxes.status()[camera].media_offset_seconds,
            new_id=lambda seconds: new_event_id(seconds, os.urandom(ULID_RANDOM_BYTES)),
        )

    def _enter(self, camera: str, state: CameraState) -> None:
        meter = self._coverage[camera]
        if self._switches.is_off(camera):
            state = "disabled"
        if meter.state != state:
            self._publisher.set_state(camera_subtopic(camera, "state"), state)
        meter.enter(state)

    def _tell_faults(self) -> None:
        for camera, status in self._mailboxes.status().items():
            for code in CAMERA_FAULTS:
                self.set_fault(code, status.fault_code == code, camera)
        for camera, model in self._device.models.items():
            self.set_fault("zones_changed", model.is_outdated, camera)
            self.set_fault("profile_unknown", self._switches.is_unknown(camera), camera)
            drift = self._drift_of(camera)
            self.set_fault("drift", drift is not None and drift.is_drifting, camera)
        self.set_fault("disk_low", free_bytes(self._folder) < DISK_LOW_BYTES)
        for code in ("broker_refused", "duplicate_client_id"):
            self.set_fault(code, self._publisher.fault == code)
        faults = tuple(self._faults.values())
        if faults != self._last_faults:
            self._last_faults = faults
            self._publisher.set_state(FAULTS, encode(faults))
            self._publisher.set_state(STATUS, "degraded" if faults else "online")

    def _health(self, now: float) -> Health:
        depth, statuses = self._outbox.depth(), self._mailboxes.status()
        drops = {camera: status.dropped for camera, status in statuses.items()}
        return Health(
            time=utc_from_seconds(time.time()),
            uptime_seconds=round(now - self._started, 1),
            outbox=OutboxHealth(depth=depth.messages, bytes=depth.bytes, oldest_seconds=depth.oldest_seconds),
            drops=drops | self._publisher.drops | self._outbox.hook_drops | self.counts,
            cameras={camera: self._camera_health(camera, status, now) for camera, status in statuses.items()},
            temperatures_celsius=temperatures_celsius(),
            throttled=is_throttled(),
            memory_bytes=memory_bytes(),
            disk_free_bytes=free_bytes(self._folder),
            uploads_waiting=self.uploads_waiting,
        )

    def _drift_of(self, camera: str) -> Monitor | None:
        return self._drift.of(camera, self._device.models[camera].calibration)

    def _camera_health(self, camera: str, status: CameraStatus, now: float) -> CameraHealth:
        profile, held = self._device.models[camera].profile, self._switches.held(camera)
        return self._gauges.read(camera, status, profile, held, self._drift_of(camera), now)
