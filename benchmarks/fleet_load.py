"""A thousand devices with the real topics against a real Mosquitto on loopback, bounded in number and time.

  python benchmarks/fleet_load.py [--devices 1000] [--seconds 30] [--events-per-hour 60]

Each device connects with its will, sends its birth and states, then one score a second, its health, and events. A
consumer in a process of its own takes every event and score. Prints messages a second, the events' latency, and the
broker's memory and processor time a message, from which docs/fleet.md reckons what more devices need.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import random
import resource
import selectors
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import msgspec
import numpy as np
from machine import measured_on
from paho.mqtt.client import Client
from tqdm import tqdm

from edge.messages import (
    Coverage,
    CoverageSpan,
    Event,
    EventTime,
    Health,
    Info,
    OutboxHealth,
    Score,
    encode,
    new_event_id,
    utc_from_seconds,
)
from edge.mqtt import BrokerSettings, Subscriber
from edge.mqtt.connection import Will, connect, new_client
from edge.topics import Topics
from tests.brokers import Mosquitto, mosquitto

DEVICES_LIMIT, SECONDS_LIMIT = 2000, 300.0
LATE_SECONDS = 10.0  # how long the consumer waits for events that were sent
SPAN = CoverageSpan(watched_seconds=3500, warming_seconds=40, degraded_seconds=0, blind_seconds=60)
QUIET = "allow_anonymous true\nmax_inflight_messages 1000\nlog_type error\n"


@dataclass(frozen=True)
class Used:
    """What a process has used: resident bytes and seconds of processor."""

    bytes: int
    cpu_seconds: float


class Device:
    """One device: a paho client that the load's own loop drives."""

    def __init__(self, broker: Mosquitto, number: int) -> None:
        self.topics = Topics(f"site{number % 10}", f"edge{number:05d}")
        will = Will(self.topics.full("status"), b"offline", ())
        settings = BrokerSettings(broker.host, broker.port, client_id=self.topics.device)
        self.client: Client = new_client(settings, "5", will)
        self.seq = 0
        connect(self.client, settings, "5")

    def say(self, leaf: str, payload: bytes, *, qos: int, retain: bool) -> None:
        """Publish under the device's root."""
        self.client.publish(self.topics.full(leaf), payload, qos=qos, retain=retain)

    def greet(self) -> None:
        """Send the birth and every state, status last."""
        info = Info(
            boot_id="b", versions={"prednet-edge": "0"}, cameras=("a",), capabilities=(), config_hash="h", engine="e"
        )
        self.say("info", encode(info), qos=1, retain=True)
        for leaf, payload in (("cam/a/state", b"watching"), ("cam/a/anomaly", b"OFF"), ("faults", b"[]")):
            self.say(leaf, payload, qos=1, retain=True)
        self.say("cam/a/coverage", encode(Coverage(hour=SPAN, day=SPAN)), qos=1, retain=True)
        self.tell_health()
        self.say("status", b"online", qos=1, retain=True)

    def tell_health(self) -> None:
        """Send what comes every 30 s."""
        now = utc_from_seconds(time.time())
        health = Health(time=now, uptime_seconds=1.0, outbox=OutboxHealth(depth=0, bytes=0), drops={}, cameras={})
        self.say("health", encode(health), qos=0, retain=True)

    def tell_score(self) -> None:
        """Send what comes every second."""
        now = utc_from_seconds(time.time())
        self.say(
            "cam/a/score", encode(Score(time=now, valid=True, score=1.0, z=0.1, threshold=3.0)), qos=0, retain=False
        )

    def tell_event(self) -> None:
        """Send an event; `reason` carries the moment (monotonic) by which the consumer measures."""
        self.seq += 1
        event = Event(
            type="new",
            event_id=new_event_id(time.time(), random.randbytes(10)),
            seq=self.seq,
            boot_id="b",
            site=self.topics.site,
            device=self.topics.device,
            camera="a",
            kind="surprise",
            severity="alert",
            time=EventTime(clock="synced", start=utc_from_seconds(time.time())),
            reason=str(time.monotonic()),
        )
        self.say("events", encode(event), qos=1, retain=False)


def consume(port: int, pipe: Connection) -> None:
    """Count scores and measure events until told how many were sent and all have come; in a process of its own."""
    latencies, scores, sent, end = [], 0, math.inf, math.inf
    settings = BrokerSettings("127.0.0.1", port, client_id="consumer")
    with Subscriber(settings, "prednet/v1/+/+/events", "prednet/v1/+/+/cam/+/score") as subscriber:
        pipe.send("ready")
        while len(latencies) < sent and time.monotonic() < end:
            for message in subscriber.messages(0.2):
                if message.topic.endswith("/events"):
                    said = float(msgspec.json.decode(message.payload, type=Event).reason or 0.0)
                    latencies.append(time.monotonic() - said)
                else:
                    scores += 1
                if pipe.poll():
                    break
            if pipe.poll():
                sent, end = pipe.recv(), time.monotonic() + LATE_SECONDS
        for message in subscriber.messages(1.0):
            scores += not message.topic.endswith("/events")
        pipe.send((latencies, scores, subscriber.dropped))


def main() -> int:
    """Run the load and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--devices", type=int, default=1000, help=f"at most {DEVICES_LIMIT} (default: 1000)")
    parser.add_argument("--seconds", type=float, default=30.0, help=f"at most {SECONDS_LIMIT:g} (default: 30)")
    parser.add_argument("--events-per-hour", type=float, default=60.0, help="of each device (default: 60)")
    parsed = parser.parse_args()
    devices, seconds = min(parsed.devices, DEVICES_LIMIT), min(parsed.seconds, SECONDS_LIMIT)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4 * DEVICES_LIMIT), hard))
    with tempfile.TemporaryDirectory() as folder, mosquitto(Path(folder), QUIET) as broker:
        ours, theirs = multiprocessing.Pipe()
        consumer = multiprocessing.Process(target=consume, args=(broker.port, theirs))
        consumer.start()
        ours.recv()
        run(broker, devices, seconds, parsed.events_per_hour, ours)
        consumer.join(30.0)
    return 0


def run(broker: Mosquitto, count: int, seconds: float, events_per_hour: float, consumer: Connection) -> None:
    """Connect the devices, let them talk, and print the account."""
    empty = used_by(broker)
    began = time.monotonic()
    selector = selectors.DefaultSelector()
    devices = [Device(broker, number) for number in tqdm(range(count), desc="connecting")]
    for device in devices:
        selector.register(device.client.socket(), selectors.EVENT_READ, device)
        serve(selector, 0.0)
    wait_for_connections(selector, devices)
    for device in devices:
        device.greet()
        serve(selector, 0.0)
    connected_seconds = time.monotonic() - began
    idle = used_by(broker)
    sent, talked_seconds = talk(selector, devices, seconds, events_per_hour)
    settle(selector, 2.0)
    loaded = used_by(broker)
    consumer.send(sent["event"])
    latencies, scores, dropped = consumer.recv()
    for device in devices:
        device.client.disconnect()
    tell(count, connected_seconds, talked_seconds, sent, (empty, idle, loaded), latencies, scores, dropped)


def wait_for_connections(selector: selectors.BaseSelector, devices: list[Device]) -> None:
    """Read until every broker's answer is there, a minute at most."""
    deadline = time.monotonic() + 60.0
    while not all(device.client.is_connected() for device in devices):
        serve(selector, 0.1)
        if time.monotonic() > deadline:
            raise SystemExit("the broker did not accept all devices within a minute")


def talk(
    selector: selectors.BaseSelector, devices: list[Device], seconds: float, events_per_hour: float
) -> tuple[dict[str, int], float]:
    """Let every device say what is due; return how much was said, and in what time."""
    sent = {"score": 0, "health": 0, "event": 0}
    began = time.monotonic()
    chance = random.Random(1)
    with tqdm(total=round(seconds), desc="talking", unit="s") as bar:
        for device, due in turns(devices, began, seconds):
            while (left := due - time.monotonic()) > 0:
                serve(selector, min(left, 0.01))
            device.tell_score()
            sent["score"] += 1
            if chance.random() < 1.0 / 30.0:
                device.tell_health()
                sent["health"] += 1
            if chance.random() < events_per_hour / 3600.0:
                device.tell_event()
                sent["event"] += 1
            if sent["score"] % 20 == 0:
                serve(selector, 0.0)
            bar.update(int(due - began) - bar.n)
    return sent, time.monotonic() - began


def turns(devices: list[Device], began: float, seconds: float) -> Iterator[tuple[Device, float]]:
    """Yield each device once a second, spread over the second, with the moment at which it is due."""
    for second in range(int(seconds)):
        for number, device in enumerate(devices):
            yield device, began + second + number / len(devices)


def serve(selector: selectors.BaseSelector, wait_seconds: float) -> None:
    """Read what has come for any device."""
    for key, _ in selector.select(wait_seconds):
        key.data.client.loop_read()


def settle(selector: selectors.BaseSelector, seconds: float) -> None:
    """Go on reading for a while."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        serve(selector, 0.05)


def used_by(broker: Mosquitto) -> Used:
    """Return the broker's memory and processor time."""
    ticks = Path(f"/proc/{broker.process_id}/stat").read_text().rsplit(")", 1)[1].split()[11:13]
    return Used(broker.memory_bytes, sum(map(int, ticks)) / 100.0)


def tell(
    count: int,
    connected_seconds: float,
    seconds: float,
    sent: dict[str, int],
    used: tuple[Used, Used, Used],
    latencies: list[float],
    scores: int,
    dropped: int,
) -> None:
    """Print the account, with machine and commit."""
    _, idle, loaded = used
    total = sum(sent.values())
    print(measured_on())
    in_mb = [one.bytes / 1e6 for one in used]
    cpu_us = 1e6 * (loaded.cpu_seconds - idle.cpu_seconds) / max(total, 1)
    low, high = np.percentile(np.array(latencies or [np.nan]) * 1000.0, [50, 95])
    print(f"sent: {sent}\n\n| what | of {count} devices |\n|---|---|")
    for name, value in (
        ("connected and greeted in", f"{connected_seconds:.1f} s"),
        ("talked for", f"{seconds:.1f} s"),
        ("messages a second into the broker", f"{total / seconds:.0f}"),
        ("scores received", f"{scores}"),
        ("events received", f"{len(latencies)} of {sent['event']}"),
        ("messages dropped by the consumer", f"{dropped}"),
        ("latency of events, median and 95th percentile", f"{low:.1f} ms, {high:.1f} ms"),
        ("broker: empty, with all devices, after the load", " MB, ".join(f"{one:.1f}" for one in in_mb) + " MB"),
        ("broker: memory a device", f"{1000 * (in_mb[1] - in_mb[0]) / count:.1f} kB"),
        ("broker: processor time a message in", f"{cpu_us:.0f} µs"),
    ):
        print(f"| {name} | {value} |")


if __name__ == "__main__":
    sys.exit(main())
