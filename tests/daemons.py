"""A daemon of two cameras as a process before a real broker: its configuration, its start, and what is heard of it."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from edge.mqtt import Received, Subscriber
from tests.films import write_clip
from tests.holding import child_environment
from tests.tiny import normal_images, with_accident, write_tiny_bundle

R = "prednet/v1/plant7/edge1"
ACCIDENT = (60, 100)


def write_config(folder: Path, port: int, loop: bool = False) -> Path:
    """Two cameras on files: one with an accident, one without."""
    write_tiny_bundle(folder / "tiny.prednet")
    write_clip(folder / "busy.mkv", with_accident(normal_images(140, seed=5), *ACCIDENT))
    write_clip(folder / "quiet.mkv", normal_images(140, seed=6))
    path = folder / "config.yaml"
    path.write_text(
        f"site: plant7\ndevice: edge1\nbundle: tiny.prednet\nstate_directory: state\nthreads: 1\n"
        f"cameras:\n  busy: {{source: busy.mkv, loop: {str(loop).lower()}}}\n"
        f"  quiet: {{source: quiet.mkv, loop: {str(loop).lower()}}}\nmqtt: {{port: {port}}}\n"
    )
    return path


def start(config: Path) -> subprocess.Popen[str]:
    """Start `prednet-edge run` as a user would."""
    command = [
        sys.executable,
        "-c",
        "import sys; from edge.cli import main; sys.exit(main())",
        "run",
        "--config",
        str(config),
    ]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=child_environment())


def receive(subscriber: Subscriber, until: str, seconds: float = 40.0) -> list[Received]:
    """Collect messages until one whose topic and payload hold every word of `until`, or fail."""
    received: list[Received] = []
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for message in subscriber.messages(0.2):
            received.append(message)
            if all(word in f"{message.topic} {message.payload.decode()}" for word in until.split()):
                return received
            if time.monotonic() > deadline:
                break
    pytest.fail(f"{until} was not received; last: {received[-3:]}")
