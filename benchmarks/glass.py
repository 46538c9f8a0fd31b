"""From a change before the lens to its frame at the river: a picture turns dark and bright, over RTSP and H.264.

    python benchmarks/glass.py [--flashes 60]

A real RTSP server on loopback encodes 640×480 at 30 frames a second and says when it changed its picture, on the
monotonic clock that all processes share; our capture, paced to 10 frames a second, hands out the frame that shows it.
In it are the frame's time (33 ms), encoder, network, jitter buffer, decoder, scaling and pacing (100 ms). A real
camera's sensor and encoder add their own. Printed for each library: median and 95th percentile.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
from machine import measured_on
from tqdm import tqdm

from edge.capture import Mailboxes
from edge.captures import CameraSource, Captures
from edge.frames import FrameFormat
from edge.sources import Capture, has_gstreamer
from tests.brokers import free_port

SYSTEM_PYTHON = "/usr/bin/python3"
FORM = FrameFormat(128, 160, 1, 10.0)
MIDDLE, PATIENCE_SECONDS = 120.0, 30.0


def latencies_ms(library: Capture, flashes: int) -> list[float]:
    """Return milliseconds from every change of the picture to the frame that shows it."""
    port = free_port()
    command = [SYSTEM_PYTHON, str(Path(__file__).with_name("glass_server.py")), str(port), str(flashes)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None  # noqa: S101 - a pipe was asked for
        try:
            if server.stdout.readline().strip() != "serving":
                raise SystemExit("no RTSP server here: apt-get install python3-gi gir1.2-gst-rtsp-server-1.0")
            changes: list[float] = []
            reader = threading.Thread(target=lambda: changes.extend(float(line) for line in server.stdout or ()))
            reader.start()
            seen = crossings(f"rtsp://127.0.0.1:{port}/scene", library, flashes)
        finally:
            server.kill()
        reader.join()
    return matched(changes, seen)


def crossings(url: str, library: Capture, flashes: int) -> list[float]:
    """Return the moments at which frames came that are dark after a bright one, or bright after a dark one."""
    mailboxes = Mailboxes(["cam"], gather_seconds=0.0)
    captures = Captures(FORM, mailboxes)
    captures.start("cam", CameraSource(url, capture=library))
    seen: list[float] = []
    was_bright, until = False, time.monotonic() + PATIENCE_SECONDS
    with tqdm(total=flashes, desc=library, unit="flash", disable=None, leave=False) as bar:
        while len(seen) < flashes and time.monotonic() < until:
            for taken in mailboxes.take(0.2):
                is_bright = float(np.mean(taken.frames["cam"].image)) > MIDDLE
                if is_bright != was_bright:
                    was_bright, until = is_bright, time.monotonic() + PATIENCE_SECONDS
                    seen.append(time.monotonic())
                    bar.update()
    captures.close()
    return seen


def matched(changes: list[float], seen: list[float]) -> list[float]:
    """Return milliseconds from each change to the first frame that shows it before the next; none for one lost."""
    found = []
    for change, following in zip(changes, [*changes[1:], np.inf], strict=True):
        found += [1000.0 * (at - change) for at in seen if change <= at < following][:1]
    return found


def main() -> int:
    """Measure each library that this machine has, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--flashes", type=int, default=60, help="changes of the picture for each (default: 60)")
    parsed = parser.parse_args()
    if not has_gstreamer():
        print("skipped: no GStreamer for Python here: apt-get install python3-gi gir1.2-gst-rtsp-server-1.0")
        return 0
    print(f"{measured_on()}\n", flush=True)
    print("| capture | changes seen | median ms | 95th percentile ms |\n|---|---|---|---|")
    libraries: tuple[Capture, ...] = ("pyav", "gstreamer")
    for library in libraries:
        found = latencies_ms(library, parsed.flashes)
        told = [f"{value:.0f}" for value in np.percentile(found, [50, 95])] if found else ["–", "–"]
        print(f"| {library} | {len(found)} of {parsed.flashes} | {' | '.join(told)} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
