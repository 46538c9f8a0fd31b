"""A device whose score ring was written for real: what the daemon published of a film, and the ring that it left."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import numpy as np

from edge.daemon import watch_device
from edge.mqtt import BrokerSettings, Subscriber
from edge.setup import read_device
from tests.brokers import mosquitto
from tests.test_daemon import ACCIDENT, R, receive, write_clip
from tests.tiny import normal_images, with_accident, write_tiny_bundle

ALL_TIME = (0.0, 4e9)


def eventful_images() -> np.ndarray:
    """Twelve accidents of growing strength in 60 seconds of normal work, and a light that is switched during one."""
    images = normal_images(600, seed=5)
    for number in range(12):
        start = 40 + 45 * number
        strange = with_accident(images, start, start + 25, seed=number)
        share = (number + 1) / 12.0
        images = (images + share * (strange.astype(np.float32) - images)).clip(0, 255).astype(np.uint8)
    return images


def write_device(folder: Path, port: int, images: np.ndarray, extra: str = "") -> Path:
    """A configuration of one camera on a file that plays as fast as it is watched; return its path."""
    write_tiny_bundle(folder / "tiny.prednet")
    write_clip(folder / "busy.mkv", images)
    path = folder / "config.yaml"
    path.write_text(
        f"site: plant7\ndevice: edge1\nbundle: tiny.prednet\nstate_directory: state\nthreads: 1\n"
        f"evidence: {{record: false}}\nring: {{free_megabytes: 0}}\n"
        f"cameras:\n  busy:\n    source: busy.mkv\n    playback: fast\n{extra}mqtt: {{port: {port}}}\n"
    )
    return path


def watched(folder: Path, images: np.ndarray | None = None, extra: str = "") -> tuple[Path, list[dict[str, Any]]]:
    """Watch a film with a real daemon and broker; return the configuration and all surprises and stalls published."""
    (folder / "broker").mkdir()
    with mosquitto(folder / "broker") as broker:
        images = with_accident(normal_images(140, seed=5), *ACCIDENT) if images is None else images
        config = write_device(folder, broker.port, images, extra)
        with Subscriber(BrokerSettings("127.0.0.1", broker.port, client_id="test"), f"{R}/#") as subscriber:
            watch_device(read_device(config), threading.Event())
            received = receive(subscriber, f"{R}/status offline")
    events = [json.loads(message.payload) for message in received if message.topic == f"{R}/events"]
    return config, [event for event in events if event["kind"] in ("surprise", "stall")]
