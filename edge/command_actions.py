"""What each verb does to the running device, and what its reply says."""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from edge import __version__
from edge.announcer import Announcer
from edge.capture import Mailboxes
from edge.clock import clock_state
from edge.command_messages import (
    AcknowledgeArgs,
    Args,
    CameraArgs,
    DiagnosticsArgs,
    Result,
    SnapshotArgs,
    SnoozeArgs,
    ThresholdArgs,
)
from edge.commands import Refused
from edge.coverage_ledger import Ledger
from edge.engine.work import EngineWork
from edge.errors import PrednetError, UsageError
from edge.event_ledger import EventLedger
from edge.hardware import DISK_LOW_BYTES, free_bytes
from edge.messages import ULID_RANDOM_BYTES
from edge.mqtt import Publisher
from edge.outbox import Outbox
from edge.self_tests.results import OrderedTests
from edge.setup import Device
from edge.snapshot import jpeg_from_image
from edge.switches import Switch, Switches, replace_switch
from edge.topics import camera_subtopic
from edge.updates.acts import roll_back
from edge.updates.told import told_updates

log = logging.getLogger(__name__)

SEEN_SECONDS = 5.0  # a camera whose last frame is younger is seen


@dataclass
class Reload:
    """The device that shall run next, once a new configuration was read; None while none was.

    `is_refused`: a bundle that should be in force cannot be, as it was found last.
    """

    read: Callable[[], Device]
    device: Device | None = None
    is_refused: bool = False


@dataclass(frozen=True)
class Reach:
    """What commands can reach. `judges_changed` is called when a limit was set."""

    device: Device
    publisher: Publisher
    outbox: Outbox
    announcer: Announcer
    mailboxes: Mailboxes
    switches: Switches
    ledger: Ledger
    reload: Reload
    events: EventLedger
    judges_changed: Callable[[], None]
    wall_clock: Callable[[], float]
    monotonic: Callable[[], float]
    started_seconds: float = field(default=0.0)
    engines: EngineWork | None = None
    tests: OrderedTests = field(default_factory=OrderedTests)


def camera_of(reach: Reach, args: CameraArgs) -> str:
    """Return the camera's name. Raises Refused for one that the configuration has not."""
    if args.camera not in reach.device.models:
        raise Refused("unknown_camera", f"There are {', '.join(reach.device.models)}.")
    return args.camera


def enable(reach: Reach, args: CameraArgs) -> Result:
    """Watch the camera again."""
    return _switched(reach, camera_of(reach, args), Switch())


def disable(reach: Reach, args: CameraArgs) -> Result:
    """Leave the camera alone until it is enabled."""
    return _switched(reach, camera_of(reach, args), Switch(is_off=True))


def snooze(reach: Reach, args: SnoozeArgs) -> Result:
    """Leave the camera alone for a while."""
    until = reach.wall_clock() + args.seconds
    return _switched(reach, camera_of(reach, args), Switch(is_off=True, off_until=until))


def _switched(reach: Reach, camera: str, switch: Switch) -> Result:
    limit = reach.switches.of(camera).limit_on
    reach.switches.set(camera, replace_switch(switch, limit_on=limit))
    return {"camera": camera, "is_off": switch.is_off, "off_until": switch.off_until}


def threshold(reach: Reach, args: ThresholdArgs) -> Result:
    """Set the camera's limit within its bounds, or give the calibration's own back."""
    camera = camera_of(reach, args)
    low, high = reach.switches.bounds(camera)
    if args.on is not None and not low <= args.on <= high:
        raise Refused("out_of_bounds", f"on: {args.on:g} is not within {low:.3f} to {high:.3f}, the bundle's bounds.")
    reach.switches.set(camera, replace_switch(reach.switches.of(camera), limit_on=args.on))
    reach.judges_changed()
    own = reach.device.models[camera].calibration.limits.on
    return {"camera": camera, "on": own if args.on is None else args.on, "low": low, "high": high}


def acknowledge(reach: Reach, args: AcknowledgeArgs) -> Result:
    """Note that a person has seen an event, and whether it was real where they say so; say what is known of it."""
    event, noted = reach.announcer.recent_event(args.event_id), reach.events.event(args.event_id)
    if noted is None:
        return {"event_id": args.event_id, "is_known": False}
    is_open = event is not None and event.type in ("new", "update")
    found = {"event_id": args.event_id, "is_known": True, "camera": noted.camera, "is_open": is_open}
    if args.verdict is None:
        return found
    try:
        reach.events.acknowledge(args.event_id, args.verdict, reach.wall_clock())
    except sqlite3.Error as error:
        raise Refused("failed", f"The answer cannot be kept ({error}).") from error
    return found | {"verdict": args.verdict}


def snapshot(reach: Reach, args: SnapshotArgs) -> Result:
    """Publish the last frame that was watched, as the network sees it, without its private parts."""
    camera = camera_of(reach, args)
    image = reach.announcer.image_of(camera)
    if image is None:
        raise Refused("failed", f"{camera} has given no frame since the start.")
    jpeg = jpeg_from_image(image)
    if jpeg is None:
        raise Refused("failed", "The picture does not fit into 100 kB.")
    reach.publisher.send(camera_subtopic(camera, "snapshot"), jpeg, retain=args.retain, expiry_seconds=None)
    return {"camera": camera, "bytes": len(jpeg), "width": image.shape[1], "height": image.shape[0]}


def make_test_event(reach: Reach, args: CameraArgs) -> Result:
    """Publish an event of the kind `test` on the way that every event takes."""
    return {"event_id": reach.announcer.tell_test(camera_of(reach, args)).event_id}


def self_test(reach: Reach, _: Args) -> Result:
    """Look at what a plant relies on, say what passes, and begin to inject an anomaly: `diagnostics` tells the end."""
    now = reach.monotonic()
    seen = {
        camera: status.frame_seconds is not None and now - status.frame_seconds < SEEN_SECONDS
        for camera, status in reach.mailboxes.status().items()
    }
    checks = {
        "cameras": all(seen[camera] for camera in seen if not reach.switches.is_off(camera)),
        "outbox": reach.outbox.set_aside is None,
        "disk": free_bytes(Path(reach.device.config.state_directory)) >= DISK_LOW_BYTES,
        "clock": clock_state() == "synced",
        "faults": not reach.announcer.faults,
    }
    injection = reach.tests.ask(reach.wall_clock(), os.urandom(ULID_RANDOM_BYTES))
    return {"passed": all(checks.values()), "checks": checks, "cameras_seen": seen, "injection": injection}


def reload(reach: Reach, _: Args) -> Result:
    """Read the configuration anew; one that is not good is refused, and the last good one goes on."""
    try:
        device = read_anew(reach.reload, reach.announcer, reach.device)
    except PrednetError as error:
        raise Refused("failed", str(error)[:500]) from error
    refused = {"refused": dict(device.refused)} if device.refused else {}
    return {"is_changed": reach.reload.device is not None, "config_hash": device.config_hash} | refused


def read_anew(reload: Reload, announcer: Announcer, running: Device) -> Device:
    """Return the configuration's device, which is taken over where it is another than the running one.

    Raises PrednetError where it is not good; a fault then says so.
    """
    try:
        device = reload.read()
    except PrednetError:
        announcer.set_fault("config_invalid", True)
        raise
    announcer.set_fault("config_invalid", False)
    reload.is_refused = bool(device.refused)
    if not device.runs_as(running):
        reload.device = device
    return device


def reload_where_wanted(wanted: threading.Event, reload: Reload, announcer: Announcer, running: Device) -> None:
    """Do what the command `reload` does where a signal asks for it; the log is the reply."""
    if not wanted.is_set():
        return
    wanted.clear()
    try:
        device = read_anew(reload, announcer, running)
    except PrednetError as error:
        log.error("configuration_refused reason=%r", str(error))  # noqa: TRY400 - a whole sentence
    else:
        log.info("configuration_read is_changed=%s hash=%s", reload.device is not None, device.config_hash)


def diagnostics(reach: Reach, args: DiagnosticsArgs) -> Result:
    """Return the device's own state in short, and the coverage of a past hour where one is asked for."""
    depth = reach.outbox.depth()
    found: Result = {
        "version": __version__,
        "boot_id": reach.outbox.boot_id,
        "conn_seq": reach.publisher.conn_seq,
        "uptime_seconds": round(reach.monotonic() - reach.started_seconds, 1),
        "threads": threading.active_count(),
        "outbox": {"depth": depth.messages, "bytes": depth.bytes},
        "faults": [fault.code for fault in reach.announcer.faults],
        "counts": reach.publisher.drops | reach.announcer.counts,
        "cameras": {
            camera: {
                "state": reach.announcer.state_of(camera),
                "limit_on": reach.switches.of(camera).limit_on,
                "dropped": status.dropped,
            }
            for camera, status in reach.mailboxes.status().items()
        },
    }
    if reach.tests.last is not None:
        found["self_test"] = msgspec.to_builtins(reach.tests.last)
    found["bundles"] = told_updates(reach.device.config)
    if args.hour is not None:
        found["coverage"] = [msgspec.to_builtins(hour) for hour in reach.ledger.hours(args.hour, args.hour)]
    return found


def rebuild_engine(reach: Reach, _: Args) -> Result:
    """Build the engines anew beside what runs; `info` tells how far it is, and what comes of it is taken over."""
    if reach.engines is None:
        raise Refused("unsupported", "This device builds no engines.")
    return reach.engines.rebuild()


def rollback(reach: Reach, _: Args) -> Result:
    """Let the bundle before the live one be live again; what runs goes on until it does."""
    try:
        change = roll_back(reach.device, "asked for over MQTT")
    except UsageError as error:
        raise Refused("unsupported", f"This device runs {reach.device.bundle.manifest.name}; {error}") from error
    reach.reload.device = reach.reload.read()
    told = {"bundle": change.bundle.digest, "name": change.bundle.manifest.name}
    return told | {"uncalibrated": list(change.uncalibrated)}


Action = Callable[[Reach, Any], Result]
ACTIONS: dict[str, Action] = {
    "enable": enable,
    "disable": disable,
    "snooze": snooze,
    "threshold": threshold,
    "acknowledge": acknowledge,
    "snapshot": snapshot,
    "test_event": make_test_event,
    "self_test": self_test,
    "reload": reload,
    "diagnostics": diagnostics,
    "rebuild_engine": rebuild_engine,
    "rollback": rollback,
}
