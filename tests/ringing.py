"""Score rings for tests: one that a real daemon left, with all that it published, and segments made of levels."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edge.daemon import watch_device
from edge.detection import Limit, Rules
from edge.frames import FrameFormat
from edge.messages import EventModel
from edge.mqtt import BrokerSettings, Subscriber
from edge.ring import ACTS, SCORED, Facts, Segment, row_type
from edge.setup import read_device
from tests.brokers import mosquitto
from tests.daemons import R, receive
from tests.films import write_clip
from tests.tiny import RATE_HZ, normal_images, with_accident, write_tiny_bundle

ALL_TIME = (0.0, 4e9)
ZONES = "    zones: {left: {polygon: [[0,0],[0.5,1]]}, right: {polygon: [[0.5,0],[1,1]], sensitivity: 1.2}}\n"


def eventful_images() -> np.ndarray:
    """Nine accidents of growing strength, one of them cut short by a cover; then the work stands still; 62 seconds."""
    images = normal_images(620, seed=5)
    for number in range(9):
        start = 40 + 45 * number
        strange = with_accident(images, start, start + 25, seed=number)
        share = (number + 1) / 9.0
        images = (images + share * (strange.astype(np.float32) - images)).clip(0, 255).astype(np.uint8)
    images[370:395] = 0
    standing = np.random.default_rng(3).normal(0, 2, (140, *images.shape[1:]))
    images[460:600] = (normal_images(1, seed=5) + standing).clip(0, 255).astype(np.uint8)
    return images


def watched(folder: Path, images: np.ndarray, extra: str = "", frames: int = 200) -> tuple[Path, list[dict[str, Any]]]:
    """Watch a film with a real daemon and broker; return the configuration and all surprises and stalls published.

    The bundle is fitted on so many `frames`.
    """
    (folder / "broker").mkdir()
    with mosquitto(folder / "broker") as broker:
        write_tiny_bundle(folder / "tiny.prednet", frames)
        write_clip(folder / "busy.mkv", images)
        config = folder / "config.yaml"
        config.write_text(
            f"site: plant7\ndevice: edge1\nbundle: tiny.prednet\nstate_directory: state\nthreads: 1\n"
            f"evidence: {{record: false, free_megabytes: 0}}\nring: {{free_megabytes: 0}}\n"
            f"cameras:\n  busy:\n    source: busy.mkv\n    playback: fast\n{extra}mqtt: {{port: {broker.port}}}\n"
        )
        with Subscriber(BrokerSettings("127.0.0.1", broker.port, client_id="test"), f"{R}/#") as subscriber:
            watch_device(read_device(config), threading.Event())
            received = receive(subscriber, f"{R}/status offline")
    events = [json.loads(message.payload) for message in received if message.topic == f"{R}/events"]
    return config, [event for event in events if event["kind"] in ("surprise", "stall")]


def facts(**changes: Any) -> Facts:
    """What holds for a segment whose clock stands at Unix time 1e9 when its camera's stands at 0."""
    options: dict[str, Any] = {
        "run": "a", "wall_offset_seconds": 1e9, "clock": "synced", "form": FrameFormat(32, 40, 1, RATE_HZ),
        "grid": (4, 5), "model": EventModel(bundle="sha256:0", name="tiny", variant="float", fps=RATE_HZ),
        "profile": "", "calibrated": True, "limit": Limit(3.0, 2.0), "stall_limit": Limit(3.0, 2.0),
        "rules": Rules(), "most_events_per_hour": 60,
    }  # fmt: skip
    return Facts(**options | changes)


def segment_of(
    levels: Sequence[float], start: float = 0.0, stalls: Sequence[float] | None = None, acts: Sequence[str] = (),
    **changes: Any,
) -> Segment:  # fmt: skip
    """A segment of ten rows a second, scored with these levels, or as `acts` say."""
    rows = np.zeros(len(levels), row_type(0))
    rows["seconds"] = start + np.arange(len(levels)) / RATE_HZ
    rows["level"][:, 0] = levels
    rows["level"][:, 1] = np.nan if stalls is None else stalls
    rows["box"] = (1, 0, 3, 2)
    rows["act"] = [ACTS.index(act) for act in acts] if acts else SCORED
    return Segment(facts(**changes), rows, None)
