"""Evidence of a whole device: from a camera's video to the message that says where it lies, masks and RTSP included."""

from __future__ import annotations

import csv
import json
import threading
import time
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from edge.capture import CaptureThread, Mailboxes
from edge.clip import CopiedClip
from edge.daemon import watch_device
from edge.evidence_store import EVENT_FILE
from edge.mqtt import BrokerSettings, Received, Subscriber
from edge.setup import read_device
from edge.tape import Tape
from tests.brokers import free_port, mosquitto
from tests.daemons import ACCIDENT, R, receive
from tests.films import write_h264
from tests.rtsp_cameras import FORM, LIBRARIES, RtspServer, need_gstreamer
from tests.tiny import normal_images, with_accident, write_tiny_bundle

EVIDENCE = "evidence: {pre_roll_seconds: 2, post_roll_seconds: 1, free_megabytes: 0}\n"


def watched(folder: Path, extra: str) -> list[Received]:
    """Watch an H.264 camera with an accident, as fast as it goes, before a real broker; return all that was published."""
    (folder / "broker").mkdir()
    with mosquitto(folder / "broker") as broker:
        write_tiny_bundle(folder / "tiny.prednet")
        write_h264(folder / "busy.mp4", with_accident(normal_images(140, seed=5), *ACCIDENT))
        config = folder / "config.yaml"
        config.write_text(
            f"site: plant7\ndevice: edge1\nbundle: tiny.prednet\nstate_directory: state\nthreads: 1\n{extra}"
            f"cameras:\n  busy: {{source: busy.mp4, playback: fast}}\nmqtt: {{port: {broker.port}}}\n"
        )
        with Subscriber(BrokerSettings("127.0.0.1", broker.port, client_id="test"), f"{R}/#") as subscriber:
            watch_device(read_device(config), threading.Event())
            return receive(subscriber, f"{R}/status offline")


def events_of(received: list[Received]) -> list[dict[str, Any]]:
    """Return the messages of surprises, in order."""
    events = [json.loads(message.payload) for message in received if message.topic == f"{R}/events"]
    return [event for event in events if event["kind"] == "surprise"]


def test_an_accident_leaves_evidence_and_says_where(tmp_path: Path) -> None:
    """A daemon on an H.264 camera: `evidence` follows `end`, and all that it names is there and true."""
    new, end, evidence = events_of(watched(tmp_path, EVIDENCE))
    assert (end["type"], evidence["type"]) == ("end", "evidence")
    assert (evidence["event_id"], evidence["rev"]) == (new["event_id"], end["rev"] + 1)
    assert evidence["evidence"]["status"] == "ready"
    files = {name: tmp_path / "state" / path for name, path in evidence["evidence"].items() if name != "status"}
    assert set(files) == {"clip", "strip", "heatmap", "trace"}
    assert all(path.stat().st_size > 0 for path in files.values())
    of_source, of_clip = (_packets(path) for path in (tmp_path / "busy.mp4", files["clip"]))
    first = of_source.index(of_clip[0])
    assert of_clip == of_source[first : first + len(of_clip)], "the camera's own packets, in order"
    begins = new["media"]["start"] - 2.0
    assert begins - 1.0 <= first / 10 <= begins + 0.001, "the last key frame before the pre-roll"
    assert (first + len(of_clip)) / 10 >= end["media"]["end"] + 1.0 - 0.1, "to the post-roll's last frame"
    rows = [row for row in csv.DictReader(files["trace"].open()) if row["level"]]
    highest = max(rows, key=lambda row: float(row["level"]))
    assert float(highest["level"]) == pytest.approx(end["score"]["peak"], abs=0.001)
    peak_after = end["media"]["peak"] - end["media"]["start"]
    assert float(highest["seconds"]) == pytest.approx(peak_after, abs=0.003)  # labels hold milliseconds
    kept = json.loads((files["clip"].parent / EVENT_FILE).read_bytes())
    assert (kept["type"], kept["seq"], kept["score"]) == ("end", end["seq"], end["score"])


def _packets(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(video=0) if packet.size]


def test_no_masked_pixel_reaches_the_disk(tmp_path: Path) -> None:
    """A white field under the mask, an accident beside it: the clip is there, and black where the mask is."""
    images = with_accident(normal_images(140, seed=5), *ACCIDENT)
    images[:, :12, :16] = 255
    write_tiny_bundle(tmp_path / "tiny.prednet")
    write_h264(tmp_path / "secret.mp4", images)
    config = tmp_path / "config.yaml"
    config.write_text(
        f"site: plant7\nbundle: tiny.prednet\nstate_directory: state\nthreads: 1\n{EVIDENCE}"
        f"mqtt: {{port: {free_port()}}}\ncameras:\n  cam:\n    source: secret.mp4\n    playback: fast\n"
        "    privacy_masks: [[[0, 0], [0.4, 0.375]]]\n"
    )
    watch_device(read_device(config), threading.Event())
    clips = list((tmp_path / "state" / "evidence").rglob("clip.mp4"))
    assert clips
    for clip in clips:
        with av.open(str(clip)) as container:
            pictures = np.stack([frame.to_ndarray(format="gray") for frame in container.decode(video=0)])
        # One pixel beyond the mask is black too; the encoder rings by some grey levels beside what flickers, white is 255.
        assert pictures[:, :12, :16].max() < 40
        assert pictures[:, 16:].max() > 120
    for strip in (tmp_path / "state" / "evidence").rglob("strip.jpg"):
        with av.open(str(strip)) as container:
            (picture,) = (frame.to_ndarray(format="gray") for frame in container.decode(video=0))
        assert picture[:10, :14].max() < 40
    needle = images[0, 5, :16].tobytes()
    assert not any(needle in path.read_bytes() for path in (tmp_path / "state").rglob("*") if path.is_file())


def test_an_rtsp_camera_is_copied_by_every_library(tmp_path: Path) -> None:
    """Both libraries at once on a real server: the clip decodes from its first frame on, at the camera's own size."""
    need_gstreamer()
    server = RtspServer()
    server.start()
    tapes = {library: Tape(20.0) for library in LIBRARIES}
    mailboxes = Mailboxes(list(LIBRARIES))
    threads = [CaptureThread(one, server.url, FORM, mailboxes, capture=one, tape=tapes[one]) for one in LIBRARIES]
    last: dict[str, float] = {}
    try:
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + 15.0
        began: dict[str, float] = {}
        while min((last.get(one, 0) - began.get(one, 0) for one in LIBRARIES), default=0) < 2.5:
            assert time.monotonic() < deadline, mailboxes.status()
            for now in mailboxes.take(0.1):
                for camera, frame in now.frames.items():
                    began.setdefault(camera, frame.seconds)
                    last[camera] = frame.seconds
    finally:
        for thread in threads:
            thread.stop()
        server.kill()
    for library in LIBRARIES:
        reel = tapes[library].reel
        assert reel is not None, library
        number = reel.number_at(last[library] - 1.0)
        assert number is not None
        packets, _ = reel.packets_from(number)
        assert packets[0].shown_seconds + (reel.offset_seconds or 0) <= last[library] - 1.0, "on the camera's clock"
        folder = tmp_path / library
        folder.mkdir()
        clip = CopiedClip(folder, reel.encoding, packets[0])
        clip.write(packets)
        clip.close()
        with av.open(str(clip.path)) as container:
            frames = list(container.decode(video=0))
        assert {(frame.width, frame.height) for frame in frames} == {(320, 240)}
        assert len(frames) >= len(packets) - 1, "every packet is a picture; the last one may be cut by the stop"


def test_a_disk_without_room_is_a_fault_and_events_go_on(tmp_path: Path) -> None:
    """`evidence_stopped` while less is free than the configuration keeps for others; the event is told as ever."""
    received = watched(tmp_path, "evidence: {free_megabytes: 9999999}\n")  # ten terabytes
    assert any(b"evidence_stopped" in message.payload for message in received if message.topic == f"{R}/faults")
    told = [(event["type"], event.get("evidence", {}).get("status")) for event in events_of(received)]
    assert told == [("new", None), ("end", None), ("evidence", "dropped")]
