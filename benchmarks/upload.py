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
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from calibration.fit import fit_calibration, observe  # noqa: E402
from edge.detection import Rules  # noqa: E402
from edge.evidence_store import EVENT_FILE, FOLDER  # noqa: E402
from edge.frames import Frame  # noqa: E402
from edge.messages import Event, EventEvidence, EventTime, new_event_id  # noqa: E402
from edge.model import judge_from_calibration  # noqa: E402
from edge.moments import Round  # noqa: E402
from edge.pipeline import watch  # noqa: E402
from edge.store_s3 import S3Store  # noqa: E402
from edge.upload_key import AccessKey  # noqa: E402
from edge.upload_settings import Upload  # noqa: E402
from edge.uploader import Uploader  # noqa: E402
from tests.brokers import HOST  # noqa: E402
from tests.s3_server import s3_server  # noqa: E402
from tests.tiny import clip_from, normal_images, tiny_architecture, tiny_runner  # noqa: E402

RATE_HZ = 10.0
TURN_SECONDS = 5.0
CLIP_BYTES = 6_000_000


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cameras", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=60.0)
    parsed = parser.parse_args()
    asked = ["git", "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(asked, capture_output=True, text=True, check=True, cwd=ROOT).stdout.strip()
    print(f"commit {commit}, {platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
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
    architecture = tiny_architecture(height=128, width=160, stack=(1, 16, 32, 64), r_stack=(4, 16, 32, 64))
    images = normal_images(100, height=128, width=160)
    clips = [clip_from(images)]
    calibration = fit_calibration(clips, observe(clips, tiny_runner(architecture=architecture)), RATE_HZ)
    judges = {f"cam{number}": judge_from_calibration(calibration, Rules()) for number in range(count)}
    waiting = [lay(state) for _ in range(int(seconds / 2) + 5)]
    rounds: dict[bool, list[float]] = {True: [], False: []}
    river: dict[bool, list[float]] = {True: [], False: []}
    began = time.monotonic()
    taken, used, uploaded = began, time.thread_time(), 0

    def paced() -> Iterator[Round]:
        nonlocal taken
        for number in tqdm(range(round(seconds * RATE_HZ)), unit="round", disable=None):
            due = began + number / RATE_HZ
            time.sleep(max(due - time.monotonic(), 0.0))
            taken = time.monotonic()
            yield Round({camera: Frame(images[number % len(images)].copy(), due) for camera in judges})

    for number, moment in enumerate(watch(paced(), tiny_runner(count, architecture), judges)):
        if number % count != count - 1:
            continue
        since = moment.seconds - began
        is_uploading = (since // TURN_SECONDS) % 2 == 1
        if since > 2.0:
            rounds[is_uploading].append(time.monotonic() - taken)
            river[is_uploading].append(time.thread_time() - used)
        if is_uploading and round(since * RATE_HZ) % RATE_HZ == 0 and since % TURN_SECONDS < TURN_SECONDS - 1.5:
            uploader.add(waiting.pop())
        for message in uploader.told():
            uploader.published(message)
            uploaded += 1
        used = time.thread_time()
    uploader.close(20.0)
    print(
        f"{count} cameras; {uploaded} events uploaded, {uploaded * CLIP_BYTES / 1e6:.0f} MB; waiting {uploader.waiting}"
    )
    report(rounds, river)


def report(rounds: dict[bool, list[float]], river: dict[bool, list[float]]) -> None:
    """Print what was measured."""
    for name, told in (("round, clock", rounds), ("river's thread, processor", river)):
        for part, share in (("median", 50), ("95 %", 95)):
            busy, idle = (float(np.percentile(told[key], share)) * 1000 for key in (True, False))
            print(f"{name}, {part}: uploading {busy:.1f} ms, not {idle:.1f} ms, {busy / idle:.2f} times")


if __name__ == "__main__":
    main()
