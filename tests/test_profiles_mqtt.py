"""Profiles by what the line says over a real broker: taken, held back, told in state, health and coverage."""

from __future__ import annotations

import json
import time
from pathlib import Path

from calibration.cli import main as calibrate
from tests.brokers import Mosquitto
from tests.commanding import Operator, running
from tests.films import write_clip
from tests.tiny import normal_images, with_accident, write_tiny_bundle

HELD_SECONDS = 2.5
TOPIC = "plant7/press/state"


def write_config(folder: Path, port: int) -> Path:
    """A camera whose profile the line says, before an accident that does not end; and a quiet one."""
    write_tiny_bundle(folder / "tiny.prednet")
    write_clip(folder / "normal.mkv", normal_images(200, seed=5))
    write_clip(folder / "busy.mkv", with_accident(normal_images(400, seed=5), 30, 400))
    path = folder / "config.yaml"
    path.write_text(
        f"site: plant7\ndevice: edge1\nbundle: tiny.prednet\nstate_directory: state\nthreads: 1\n"
        f"mqtt: {{port: {port}}}\ncameras:\n  quiet: {{source: normal.mkv, loop: true}}\n  busy:\n    source: busy.mkv\n"
        f"    loop: true\n    line: {{topic: {TOPIC}, settle_seconds: 0.5}}\n    profiles:\n"
        "      cleaning: {hold_back: true, values: [cleaning]}\n"
        "      running: {normal: running.normal, values: [running]}\n"
    )
    words = ["site", str(folder / "normal.mkv"), "--config", str(path), "--camera", "busy", "--profile", "running"]
    assert calibrate(words) == 0
    return path


def said_of(health: bytes) -> dict[str, object]:
    """What health says of the camera's profile."""
    camera = json.loads(health)["cameras"]["busy"]
    return {key: camera[key] for key in ("profile", "held_back") if key in camera}


def test_the_line_says_which_profile_judges(tmp_path: Path, broker: Mosquitto) -> None:
    """Unknown: disabled, and why; running: an event, calibrated; cleaning: it ends as disabled, and no more is said."""
    config = write_config(tmp_path, broker.port)
    with Operator(broker.port) as operator:
        _walk(operator, config)
        watched = len(operator.heard)
        coverage = json.loads(operator.wait("cam/busy/coverage", after=watched).payload)
    assert coverage["hour"]["disabled_seconds"] >= HELD_SECONDS


def _walk(operator: Operator, config: Path) -> None:
    """Run the device, say what the line does, and hold what it says against it."""
    with running(config):
        operator.wait("cam/quiet/state", holding=b"watching")
        operator.wait("cam/busy/state", holding=b"disabled")
        health = operator.wait("health", holding=b"nothing has come")  # before the first look nothing is known at all
        assert said_of(health.payload) == {"held_back": f"nothing has come on {TOPIC} yet"}
        operator.send(TOPIC, b"running", retain=True)
        operator.wait("cam/busy/anomaly", holding=b"ON")
        health = operator.wait("health", holding=b'"profile"')
        assert said_of(health.payload) == {"profile": "running"}
        cleaned = len(operator.heard)
        operator.send(TOPIC, b"cleaning")
        operator.wait("cam/busy/anomaly", after=cleaned, holding=b"OFF")
        operator.wait("cam/busy/state", after=cleaned, holding=b"disabled")
        health = operator.wait("health", after=cleaned, holding=b"cleaning holds back")
        assert said_of(health.payload) == {"held_back": "profile cleaning holds back"}
        until = time.monotonic() + HELD_SECONDS
        while time.monotonic() < until:
            operator.listen(0.2)
        assert _events(operator, "busy")[-1]["end_reason"] == "disabled"
        assert {event["calibrated"] for event in _events(operator, "busy")} == {True}
        assert _events(operator, "quiet") == []
        assert not any(one.payload == b"disabled" for one in operator.heard if one.topic.endswith("quiet/state"))


def _events(operator: Operator, camera: str) -> list[dict[str, object]]:
    """The anomaly events of a camera."""
    events = [json.loads(one.payload) for one in operator.heard if one.topic.endswith("/events")]
    anomalies = [
        event for event in events if event.get("kind") in {"surprise", "stall"} and event["type"] != "evidence"
    ]
    return [event for event in anomalies if event.get("camera") == camera]
