"""The demo: an embedded broker, the daemon, a subscriber, and what was published held against the truth."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from edge.broker import EmbeddedBroker
from edge.capture import CameraStatus, Playback
from edge.chart import draw_chart
from edge.daemon import watch_device
from edge.errors import GateFailed, UsageError
from edge.messages import Event
from edge.moments import Moment
from edge.mqtt import BrokerSettings, Subscriber
from edge.scene import Incident, scene_from_url
from edge.setup import Device, read_device
from edge.shipped import BUNDLE, FALSE_EVENTS_PER_DAY, HOLD_SECONDS
from edge.trace import Trace, Tracer
from edge.truth import Account, Seen, account_for

# Two cameras, so that every accident is played within a minute and a half.
SCENES = {
    "line-a": "test://factory?seed=21&accidents=fire,jam,fall,slow&first=10&spacing=9",
    "line-b": "test://factory?seed=22&accidents=no_helmet,no_vest,arm_off_path,arm_halted&first=10&spacing=9",
}
# What the README says of the demo; a result that is worse fails.
CLAIMED_FOUND = 8
CLAIMED_FALSE = 0


@dataclass(frozen=True)
class Demo:
    """What a demo left behind: published events in order, traces and charts by camera, the folder of evidence."""

    events: Sequence[Event]
    traces: Mapping[str, Trace]
    charts: Mapping[str, Path]
    evidence: Path


def demo_scenes(folder: Path, playback: Playback) -> Account:
    """Play every accident, print events, table and charts, and return the account.

    Raises GateFailed where less was found, or more was false, than the README claims.
    """
    incidents = {camera: scene_from_url(url)[0].incidents for camera, url in SCENES.items()}
    played = {camera: f"{url}&seconds={_seconds(incidents[camera]):g}" for camera, url in SCENES.items()}
    demo = _play(folder, played, None, playback, incidents)
    account = account_for(_seen(demo), incidents)
    print(_table(account))
    _name_charts(demo)
    if account.found < CLAIMED_FOUND or len(account.false_events) > CLAIMED_FALSE:
        raise GateFailed(
            f"found {account.found} accidents with {len(account.false_events)} false events; "
            f"the README claims {CLAIMED_FOUND} with {CLAIMED_FALSE}. Please report this with {folder}."
        )
    return account


def demo_video(folder: Path, video: str, normal: Path | None) -> None:
    """Watch the user's own file with the demo bundle; normality from `normal` where given."""
    demo = _play(folder, {"video": video}, normal, "fast", {})
    if not demo.events:
        print("no event: nothing in this file stood out from its normal part.")
    _name_charts(demo)


def _play(
    folder: Path,
    sources: Mapping[str, str],
    normal: Path | None,
    playback: Playback,
    incidents: Mapping[str, Sequence[Incident]],
) -> Demo:
    logging.getLogger().setLevel(logging.WARNING)
    folder.mkdir(parents=True, exist_ok=True)
    with EmbeddedBroker() as broker:
        device = _device(folder, sources, normal, playback, broker.port)
        topic = device.topics.full("events")
        print(f"broker: 127.0.0.1:{broker.port}   topic: {topic}")
        print(f"watching {', '.join(sources)} …", flush=True)
        with Subscriber(BrokerSettings("127.0.0.1", broker.port, client_id="demo-subscriber"), topic) as subscriber:
            events, traces = _watch(device, subscriber)
    charts = {}
    for camera, trace in traces.items():
        charts[camera] = folder / f"{camera}.png"
        truth = [(one.start_seconds, one.end_seconds, one.kind) for one in incidents.get(camera, ())]
        draw_chart(trace, charts[camera], truth)
    return Demo(events, traces, charts, folder / "state" / "evidence")


def _device(folder: Path, sources: Mapping[str, str], normal: Path | None, playback: Playback, port: int) -> Device:
    """Write a configuration that a user can read and reuse, and read it as the daemon does."""
    if not BUNDLE.exists():
        raise UsageError(f"{BUNDLE} is missing; install prednet-edge again.")
    camera = {"playback": playback} | ({"normal": str(normal.absolute())} if normal else {})
    config = {
        "site": "demo",
        "device": "demo",
        "bundle": str(BUNDLE),
        "state_directory": str((folder / "state").absolute()),
        "cameras": {name: {"source": _absolute(source)} | camera for name, source in sources.items()},
        "mqtt": {"host": "127.0.0.1", "port": port},
        "detection": {"false_events_per_day": FALSE_EVENTS_PER_DAY, "hold_seconds": HOLD_SECONDS},
    }
    path = folder / "demo.yaml"
    path.write_bytes(msgspec.yaml.encode(config))
    return read_device(path)


def _watch(device: Device, subscriber: Subscriber) -> tuple[list[Event], dict[str, Trace]]:
    """Run the daemon in a thread and print each event as the subscriber receives it."""
    traces = {camera: Trace(camera) for camera in device.models}
    tracers = {camera: Tracer(trace) for camera, trace in traces.items()}

    def see(moment: Moment, status: CameraStatus) -> None:
        traces[moment.camera].offset_seconds = -(status.media_offset_seconds or 0.0)
        tracers[moment.camera].see(moment)

    stopping = threading.Event()
    daemon = threading.Thread(target=watch_device, args=(device, stopping, see), name="daemon")
    daemon.start()
    events: list[Event] = []
    try:
        while daemon.is_alive() or not _drained(subscriber, events):
            _print_events(subscriber, events)
    finally:
        stopping.set()
        daemon.join()
    return events, traces


def _drained(subscriber: Subscriber, events: list[Event]) -> bool:
    before = len(events)
    _print_events(subscriber, events)
    return len(events) == before


def _print_events(subscriber: Subscriber, events: list[Event]) -> None:
    for message in subscriber.messages(timeout_seconds=0.5):
        event = msgspec.json.decode(message.payload, type=Event)
        events.append(event)
        if event.type == "evidence":  # the folder is named at the end
            continue
        if event.media is not None and event.score is not None:
            at = event.media.end if event.type == "end" else event.media.start
            print(
                f"  {at or 0.0:6.1f} s  {event.camera:<8} {event.type:<6} "
                f"level {event.score.peak:5.1f}  limit {event.score.threshold_on:.1f}  "
                f"{event.end_reason or ''}",
                flush=True,
            )
        elif event.kind == "condition" and event.media is not None:
            at = event.media.end if event.type == "end" else event.media.start
            print(
                f"  {at or 0.0:6.1f} s  {event.camera or '':<8} {event.type:<6} {', '.join(event.conditions)}",
                flush=True,
            )


def _seen(demo: Demo) -> list[Seen]:
    """Return the published events from `new` to `end`, with the time of the footage at which each was announced."""
    ended = {event.event_id: event for event in demo.events if event.type == "end"}
    announced = {camera: iter(trace.spans) for camera, trace in demo.traces.items()}
    seen = []
    for event in demo.events:
        if event.type != "new" or event.kind == "condition" or event.media is None or event.camera is None:
            continue
        last = ended.get(event.event_id, event)
        end = last.media.end if last.media else None
        span = next(announced[event.camera])
        seen.append(Seen(event.camera, event.media.start, end or event.media.start, span.announced_seconds))
    return seen


def _table(account: Account) -> str:
    lines = ["", f"  {'accident':<14}{'camera':<9}{'at':>7}  {'result'}"]
    for finding in account.findings:
        delay = finding.delay_seconds
        result = "missed" if delay is None else f"found, announced after {delay:.1f} s"
        lines.append(
            f"  {finding.incident.kind:<14}{finding.camera:<9}{finding.incident.start_seconds:6.1f}s  {result}"
        )
    lines.append(f"  {account.found} of {len(account.findings)} found, {len(account.false_events)} false events")
    return "\n".join(lines)


def _name_charts(demo: Demo) -> None:
    for camera, path in demo.charts.items():
        print(f"chart of {camera}: {path}")
    if demo.events:
        print(f"evidence of each event: {demo.evidence}")


def _seconds(incidents: Sequence[Incident]) -> float:
    return max(incident.end_seconds for incident in incidents) + 6.0


def _absolute(source: str) -> str:
    return source if "://" in source else str(Path(source).absolute())
