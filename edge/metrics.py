"""Metrics for Prometheus: the numbers of the last `health`, and the active faults, over HTTP.

The door of `prometheus_client`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import msgspec
from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from edge.config import Metrics
from edge.labels import seconds_from_utc
from edge.messages import Fault, Health
from edge.topics import FAULTS, HEALTH, Topics

log = logging.getLogger(__name__)

Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Told:
    """How a number of `health` is called here: in base units, `scale` times what `health` says."""

    name: str
    help: str
    scale: float = 1.0


@dataclass(frozen=True)
class Reading:
    """One number of `health`: `path` are the names of its fields, with dots."""

    path: str
    labels: Labels
    value: float


# A number that is not named here appears under its own path: none of `health` is ever left out.
TOLD = {
    "uptime_seconds": Told("uptime_seconds", "Seconds since the daemon's start."),
    "outbox.depth": Told("outbox_messages", "Messages that wait on disk for the broker."),
    "outbox.bytes": Told("outbox_bytes", "Bytes of the messages that wait on disk."),
    "outbox.oldest_seconds": Told("outbox_oldest_age_seconds", "Age of the oldest message that waits."),
    "drops": Told("drops", "What was dropped since the daemon's start, by what it is; a camera's name: its frames."),
    "cameras.fps": Told("camera_frame_rate_hertz", "Frames watched a second since the last reading."),
    "cameras.latency_ms": Told("camera_latency_seconds", "Time of the last frame from its capture to its score.", 1e-3),
    "cameras.last_frame_age_seconds": Told("camera_last_frame_age_seconds", "Time since the last frame came."),
    "cameras.drift": Told("camera_drift_ratio", "How far the camera's work has left what was learned, 0 to 1."),
    "temperatures_celsius": Told("temperature_celsius", "Temperature of a thermal zone."),
    "throttled": Told("throttled", "1 while the machine slows itself down."),
    "memory_bytes": Told("resident_memory_bytes", "Resident memory of the daemon."),
    "uploads_waiting": Told("evidence_uploads_waiting", "Events whose evidence is not in the store yet."),
    "disk_free_bytes": Told("disk_free_bytes", "What the disk of the state directory has left."),
}
LABELS = {"drops": "what", "cameras": "camera", "temperatures_celsius": "zone"}
COUNTERS = {"drops"}


def readings(value: object, path: str = "", labels: Labels = ()) -> Iterator[Reading]:
    """Yield every number of a message, deep down; what stands under names of its own gets a label."""
    if isinstance(value, (bool, int, float)):
        yield Reading(path, labels, float(value))
    elif isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            yield from readings(getattr(value, name), f"{path}.{name}" if path else name, labels)
    elif isinstance(value, Mapping):
        for name, part in value.items():
            yield from readings(part, path, (*labels, (LABELS.get(path, "name"), str(name))))


def families(topics: Topics, health: Health, faults: Iterable[Fault]) -> Iterator[Metric]:
    """Yield what Prometheus is told."""
    found: dict[str, list[Reading]] = {}
    for one in readings(health):
        found.setdefault(one.path, []).append(one)
    yield _info("device", "Who this is.", [{"site": topics.site, "device": topics.device}])
    yield _info("camera", "How a camera is captured, and why it is not judged.", _cameras(health))
    yield _gauge(
        "health_timestamp_seconds", "When these numbers were read, Unix time.", [((), seconds_from_utc(health.time))]
    )
    for path, of_path in found.items():
        yield _family(path, of_path)
    active = [((("code", one.code), ("camera", one.camera or "")), 1.0) for one in faults]
    yield _gauge("fault", "1 for each active fault.", active, ("code", "camera"))


def _family(path: str, found: list[Reading]) -> Metric:
    told = TOLD.get(path, Told(path.replace(".", "_"), f"{path} of health."))
    names = [name for name, _ in found[0].labels]
    kind = CounterMetricFamily if path in COUNTERS else GaugeMetricFamily
    family = kind(f"prednet_{told.name}", told.help, labels=names)
    for one in found:
        family.add_metric([value for _, value in one.labels], one.value * told.scale)
    return family


def _gauge(name: str, told: str, found: Iterable[tuple[Labels, float]], labels: tuple[str, ...] = ()) -> Metric:
    family = GaugeMetricFamily(f"prednet_{name}", told, labels=labels)
    for values, number in found:
        family.add_metric([value for _, value in values], number)
    return family


def _info(name: str, told: str, rows: list[dict[str, str]]) -> Metric:
    labels = tuple(rows[0]) if rows else ()
    return _gauge(f"{name}_info", told, [(tuple(row.items()), 1.0) for row in rows], labels)


def _cameras(health: Health) -> list[dict[str, str]]:
    return [
        {"camera": camera, "capture": one.capture or "", "profile": one.profile or "", "held_back": one.held_back or ""}
        for camera, one in health.cameras.items()
    ]


class StateCollector(Collector):
    """Tells Prometheus what the device's retained states say at the moment that it asks."""

    def __init__(self, topics: Topics, states: Callable[[], Mapping[str, bytes]]) -> None:
        self._topics, self._states = topics, states

    def collect(self) -> Iterator[Metric]:
        """Yield the numbers of the last `health`; nothing before the first."""
        states = self._states()
        if HEALTH in states:
            health = msgspec.json.decode(states[HEALTH], type=Health)
            faults = msgspec.json.decode(states.get(FAULTS, b"[]"), type=tuple[Fault, ...])
            yield from families(self._topics, health, faults)


@contextmanager
def serving_metrics(settings: Metrics, topics: Topics, states: Callable[[], Mapping[str, bytes]]) -> Iterator[bool]:
    """Answer Prometheus in a thread of its own until the end; yield whether the port could be had."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(StateCollector(topics, states))
    try:
        server, thread = start_http_server(settings.port, settings.address, registry)
    except OSError as error:
        log.error("metrics_refused address=%s port=%d error=%s", settings.address, settings.port, error)  # noqa: TRY400
        yield False
        return
    try:
        yield True
    finally:
        with suppress(OSError):
            server.shutdown()
            server.server_close()
        thread.join(5.0)
