"""What uploading costs the river: the same frames while evidence is copied to a store, and while none is.

  python benchmarks/upload.py [--cameras 4] [--seconds 60]

A network of the default edge size with weights of chance watches live test pictures at 10 frames a second in the
daemon's own river. In turns of five seconds an event's evidence (a clip of 6 MB, what 12 s of a camera's 4 Mbit/s take,
and three small files) is copied each second into a real S3 server in another process on this machine, or nothing is.
Timed is each round from its frames to its last moment, and the processor time of the river's own thread.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

import msgspec
from machine import measured_on
from turns import RATE_HZ, Costs, is_on, milliseconds, turns

from edge.evidence_store import EVENT_FILE, FOLDER
from edge.messages import Event, EventEvidence, EventTime, new_event_id
from edge.store_s3 import S3Store
from edge.upload_key import AccessKey
from edge.upload_settings import Upload
from edge.uploader import Uploader
from tests.brokers import HOST
from tests.s3_server import s3_server

TURN_SECONDS = 5.0
CLIP_BYTES = 6_000_000


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cameras", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=60.0)
    parsed = parser.parse_args()
    print(measured_on())
    with tempfile.TemporaryDirectory() as folder, s3_server(Path(folder)) as server:
        server.client.create_bucket(Bucket="evidence")
        upload = Upload(bucket="evidence", endpoint=f"http://{HOST}:{server.port}")
        key = AccessKey(server.key_id, server.secret)
        uploader = Uploader(Path(folder), "", lambda: S3Store(upload, key))
        measure(parsed.cameras, parsed.seconds, Path(folder), uploader)


def lay(state: Path) -> Event:
    """Lay down an event's evidence."""
    event_id = new_event_id(time.time(), os.urandom(10))
    folder = state / FOLDER / "cam0" / event_id
    folder.mkdir(parents=True)
    for name, size in (("clip.mp4", CLIP_BYTES), ("strip.jpg", 20_000), ("heatmap.png", 40_000), ("trace.csv", 10_000)):
        (folder / name).write_bytes(os.urandom(size))
    event = Event(
        type="evidence", event_id=event_id, site="s", device="d", camera="cam0", kind="surprise",
        time=EventTime(clock="synced"), evidence=EventEvidence(status="ready"),
    )  # fmt: skip
    (folder / EVENT_FILE).write_bytes(msgspec.json.encode(event))
    return event


def measure(count: int, seconds: float, state: Path, uploader: Uploader) -> None:
    """Run the river in turns and tell its times."""
    waiting = [lay(state) for _ in range(int(seconds / 2) + 5)]
    costs, uploaded = {True: Costs(), False: Costs()}, 0
    for moment, since in turns(count, seconds, TURN_SECONDS, costs):
        if moment.camera != "cam0":
            continue
        into = since % TURN_SECONDS
        if is_on(since, TURN_SECONDS) and round(since * RATE_HZ) % RATE_HZ == 0 and into < TURN_SECONDS - 1.5:
            uploader.add(waiting.pop())
        for message in uploader.told():
            uploader.published(message)
            uploaded += 1
    uploader.close(20.0)
    print(
        f"{count} cameras; {uploaded} events uploaded, {uploaded * CLIP_BYTES / 1e6:.0f} MB; waiting {uploader.waiting}"
    )
    report(costs)


def report(costs: dict[bool, Costs]) -> None:
    """Print what was measured."""
    for name, told in (("round, clock", "rounds"), ("river's thread, processor", "river")):
        for part, percentile in (("median", 50), ("95 %", 95)):
            busy, idle = milliseconds(costs, told, percentile)
            print(f"{name}, {part}: uploading {busy:.1f} ms, not {idle:.1f} ms, {busy / idle:.2f} times")


if __name__ == "__main__":
    main()
