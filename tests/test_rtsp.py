"""A real RTSP camera: frames, a killed server, and its return."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.capture import CaptureThread, Mailboxes
from edge.frames import FrameFormat
from tests.brokers import free_port

PYTHON = "/usr/bin/python3"
PACKAGES = "python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-good gstreamer1.0-plugins-ugly"
FORM = FrameFormat(128, 160, 1, 10.0)


class RtspServer:
    """The server of rtsp_server.py on a port of its own; killed and started again."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"rtsp://127.0.0.1:{self.port}/ball"
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start it; skip where it is not installed, but fail in CI."""
        script = Path(__file__).with_name("rtsp_server.py")
        self._process = subprocess.Popen(
            [PYTHON, str(script), str(self.port)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        if self._process.stdout.readline().strip() != "serving":
            reason = f"no RTSP server here: apt-get install {PACKAGES}"
            pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)

    def kill(self) -> None:
        """Kill it without a goodbye."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()


@pytest.fixture
def server() -> Iterator[RtspServer]:
    """A running server."""
    served = RtspServer()
    served.start()
    yield served
    served.kill()


def frames_within(mailboxes: Mailboxes, seconds: float, least: int) -> list[float]:
    """Return the times of the frames that come within `seconds`, or as soon as there are `least`."""
    times: list[float] = []
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and len(times) < least:
        for now in mailboxes.take(0.1):
            times += [frame.seconds for frame in now.frames.values()]
    return times


def test_a_camera_is_watched_lost_and_watched_again(server: RtspServer) -> None:
    """Frames at the network's rate; a killed server is noticed in 5 s; frames again within 5 s of its return."""
    mailboxes = Mailboxes(["cam"])
    thread = CaptureThread("cam", server.url, FORM, mailboxes)
    thread.start()
    try:
        times = frames_within(mailboxes, 10.0, 20)
        assert len(times) == 20
        assert 1.5 < times[-1] - times[0] < 2.4  # 19 steps of a tenth of a second, with the jitter of a busy machine
        server.kill()
        gone = time.monotonic()
        lost = {}
        while not lost and time.monotonic() - gone < 6.0:
            for now in mailboxes.take(0.1):
                lost |= now.lost
        assert lost == {"cam": "camera_lost"}
        assert time.monotonic() - gone < 5.0
        time.sleep(1.0)
        server.start()
        assert len(frames_within(mailboxes, 5.5, 3)) == 3  # delays of 1–4 s in the first minute, and the opening
    finally:
        thread.stop()
