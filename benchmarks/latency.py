"""From a frame's arrival to its event at a subscriber, with one and with eight cameras: median and 95th percentile.

  python benchmarks/latency.py [--seconds 60] [--tiny]

The real daemon's river in a process of its own, before a real Mosquitto on loopback; each camera is a film of
the synthetic factory at 10 frames a second behind the shipped network, with a limit so low that events come all the
time. The clock is the machine's monotonic one, which all processes share: it starts when the frame that makes an
event `new` is in its mailbox, so the hold is not in it, and stops when the subscriber has the message.

--tiny takes a network of 32×40 pixels that costs next to nothing: the way from decision to subscriber alone, for a
machine that cannot hold the frame rate of eight cameras.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

import msgspec
import numpy as np
from machine import measured_on
from tqdm import tqdm

from edge.calibrated import Calibration
from edge.capture import CameraStatus
from edge.daemon import watch_device
from edge.detection import Rules
from edge.errors import GATE_FAILED
from edge.messages import Event
from edge.model import read_model
from edge.moments import Moment
from edge.mqtt import BrokerSettings, Subscriber
from edge.pipeline import rounds_from_frames
from edge.pipeline import watch as watch_river
from edge.scene import scene_from_url
from edge.scene.footage import write_scene
from edge.setup import Device, read_device
from edge.shipped import BUNDLE
from edge.sources import open_source
from tests.brokers import mosquitto
from tests.films import write_clip
from tests.tiny import normal_images, write_tiny_bundle

TARGET_MS = 150.0


def configuration(folder: Path, bundle: Path, film: Path, port: int, cameras: int) -> Path:
    """Write a configuration with so many cameras, whose events are short and follow each other at once."""
    folder.mkdir(parents=True, exist_ok=True)
    sources = {f"c{number}": {"source": str(film), "loop": True} for number in range(cameras)}
    config = {
        "site": "bench",
        "device": "bench",
        "bundle": str(bundle),
        "state_directory": str(folder / "state"),
        "cameras": sources,
        "mqtt": {"host": "127.0.0.1", "port": port},
        "detection": {"hold_seconds": 0.1, "release_seconds": 0.1, "refractory_seconds": 0.0}
        | {"most_events_per_hour": 10_000},
    }
    path = folder / "config.yaml"
    path.write_bytes(msgspec.yaml.encode(config))
    return path


def eager(device: Device, level: float) -> Device:
    """Return the device with limits that the noise of normal work crosses and leaves again."""
    models = {}
    for camera, model in device.models.items():
        limits = model.calibration.limits
        low = msgspec.structs.replace(limits, on=level, off=level)
        models[camera] = replace(model, calibration=Calibration(model.calibration.normality, low))
    return replace(device, models=models)


def usual_level(bundle: Path, film: Path) -> float:
    """Return the median of the level on the film: a limit there is crossed all the time."""
    model = read_model(bundle, "float", None)
    source = open_source(str(film), model.bundle.spec.form)
    judges = {"film": model.judge(Rules())}
    moments = watch_river(rounds_from_frames("film", source.frames()), model.runner(1), judges)
    return float(np.median([moment.level.mean for moment in moments if moment.level is not None]))


def filmed(folder: Path, seconds: float = 20.0) -> Path:
    """Draw some seconds of the factory's normal work at the network's size, so that drawing costs nothing later."""
    scene, _, _ = scene_from_url("test://factory?seed=1&accidents=none")
    form = {"height": 128, "width": 160, "channels": 3, "rate_hz": 10.0, "seconds": seconds}
    list(write_scene(scene, folder, progress=lambda _, __: None, **form))
    return folder / "scene.mp4"


def watch(config: Path, level: float, pipe: Connection) -> None:
    """Run the daemon until told to stop; send when each frame that made an event `new` had arrived."""
    stopping = threading.Event()
    arrivals: list[tuple[str, float]] = []

    def see(moment: Moment, status: CameraStatus) -> None:
        if moment.detection is not None and moment.detection.type == "new" and status.frame_seconds is not None:
            arrivals.append((moment.camera, status.frame_seconds))

    pipe.send("started")
    waiter = threading.Thread(target=lambda: (pipe.recv(), stopping.set()))
    waiter.start()
    watch_device(eager(read_device(config), level), stopping, see)
    pipe.send(arrivals)


def measure(bundle: Path, film: Path, cameras: int, seconds: float) -> list[float]:
    """Return milliseconds from arrival to subscriber of every event's first message."""
    with tempfile.TemporaryDirectory() as name, mosquitto(Path(name)) as broker:
        config = configuration(Path(name) / "device", bundle, film, broker.port, cameras)
        spawning = multiprocessing.get_context("spawn")  # a fork would inherit the subscriber's thread half
        ours, theirs = spawning.Pipe()
        received: dict[str, list[float]] = {}
        with Subscriber(BrokerSettings("127.0.0.1", broker.port, client_id="s"), "prednet/v1/+/+/events") as subscriber:
            daemon = spawning.Process(target=watch, args=(config, usual_level(bundle, film), theirs))
            daemon.start()
            ours.recv()  # it watches
            until = time.monotonic() + seconds
            with tqdm(total=round(seconds), desc=f"{cameras} cameras", unit="s") as bar:
                while time.monotonic() < until:
                    take(subscriber, received)
                    bar.update(int(seconds - (until - time.monotonic())) - bar.n)
            ours.send("stop")
            arrivals = ours.recv()
            daemon.join(30.0)
            take(subscriber, received)
    return latencies_ms(arrivals, received)


def take(subscriber: Subscriber, received: dict[str, list[float]]) -> None:
    """Note when the first message of each surprise came."""
    for message in subscriber.messages(0.5):
        event = msgspec.json.decode(message.payload, type=Event)
        if (event.type, event.kind) == ("new", "surprise") and not event.historical and event.camera is not None:
            received.setdefault(event.camera, []).append(time.monotonic())


def latencies_ms(arrivals: list[tuple[str, float]], received: dict[str, list[float]]) -> list[float]:
    """Match the n-th arrival of a camera with its n-th message: events of one camera come in order."""
    found = []
    for camera, moments in received.items():
        began = [at for name, at in arrivals if name == camera]
        found += [1000.0 * (came - at) for at, came in zip(began, moments, strict=False)]
    return found


def main() -> int:
    """Measure both, print a table, and fail where the target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0, help="of each measurement (default: 60)")
    parser.add_argument("--tiny", action="store_true", help="a network that costs next to nothing")
    parsed = parser.parse_args()
    rows: dict[int, np.ndarray] = {}
    for cameras in (1, 8):
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder)
            bundle = write_tiny_bundle(place / "tiny.prednet") if parsed.tiny else BUNDLE
            film = write_clip(place / "film.mkv", normal_images(200)) if parsed.tiny else filmed(place / "film")
            found = np.array(measure(bundle, film, cameras, parsed.seconds))
        if not len(found):
            print(f"{cameras} cameras: no event; this machine is too slow for the frame rate")
            continue
        rows[cameras] = found
    print(f"{measured_on()}\n\n{table(rows)}")
    return GATE_FAILED if len(rows) < 2 or is_late(rows) else 0


def table(found: Mapping[int, np.ndarray]) -> str:
    """Return a row for each number of cameras, with the target that it is held to."""
    lines = ["| cameras | events | median ms | 95th percentile ms | target ms |", "|---|---|---|---|---|"]
    for cameras, one in found.items():
        median, high = np.percentile(one, [50, 95])
        lines.append(f"| {cameras} | {len(one)} | {median:.1f} | {high:.1f} | {TARGET_MS:g} |")
    return "\n".join(lines)


def is_late(found: Mapping[int, np.ndarray]) -> bool:
    """Return whether a 95th percentile is beyond the target."""
    return any(np.percentile(one, 95) > TARGET_MS for one in found.values())


if __name__ == "__main__":
    sys.exit(main())
