"""Real RTSP cameras for tests: a server to kill, to stop and to start again, and both libraries that capture from it."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge.capture import Mailboxes
from edge.frames import FrameFormat
from edge.sources import Capture, has_gstreamer
from tests.brokers import free_port
from tests.needs import absent

PYTHON = "/usr/bin/python3"
PACKAGES = "python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-good gstreamer1.0-plugins-ugly"
FORM = FrameFormat(128, 160, 1, 10.0)
LIBRARIES: list[Capture] = ["pyav", "gstreamer"]


def need_gstreamer() -> None:
    """Skip where GStreamer's Python is not here; in CI that is an error."""
    if not has_gstreamer():
        absent("no GStreamer for Python here: apt-get install python3-gi gir1.2-gst-plugins-base-1.0")


class RtspServer:
    """The server of rtsp_server.py on a port of its own; killed, stopped for a while, and started again."""

    def __init__(self, *login: str) -> None:
        self.port = free_port()
        self.url = f"rtsp://127.0.0.1:{self.port}/ball"
        self._login = login
        self.process: subprocess.Popen[str] | None = None

    def start(self, size: str = "320x240") -> None:
        """Start it with a picture of a size, or with a film; skip where it is not installed, but fail in CI."""
        script = Path(__file__).with_name("rtsp_server.py")
        self.process = subprocess.Popen(
            [PYTHON, str(script), str(self.port), size, *self._login],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.process.stdout is not None
        os.set_blocking(self.process.stdout.fileno(), True)
        if self.process.stdout.readline().strip() != "serving":
            absent(f"no RTSP server here: apt-get install {PACKAGES}")

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self.process is not None
        self.process.send_signal(number)

    def said(self) -> list[str]:
        """Return the lines that it has printed since it was last asked."""
        assert self.process is not None
        assert self.process.stdout is not None
        os.set_blocking(self.process.stdout.fileno(), False)
        return list(self.process.stdout)

    def kill(self) -> None:
        """Kill it without a goodbye."""
        if self.process is not None:
            self.process.kill()
            self.process.communicate()


@contextmanager
def rtsp_server() -> Iterator[RtspServer]:
    """Run a server, and kill it at the end."""
    server = RtspServer()
    server.start()
    try:
        yield server
    finally:
        server.kill()


def frames_within(mailboxes: Mailboxes, seconds: float, least: int) -> dict[str, list[float]]:
    """Return the times of each camera's frames within `seconds`, or as soon as all have `least`."""
    times: dict[str, list[float]] = {camera: [] for camera in mailboxes.status()}
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and min(map(len, times.values())) < least:
        for now in mailboxes.take(0.1):
            for camera, frame in now.frames.items():
                assert frame.image.shape == (128, 160, 1)
                times[camera].append(frame.seconds)
    return times
