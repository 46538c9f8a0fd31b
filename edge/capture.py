"""Capture on the device: a thread a camera, a slot a camera, and the newest frame wins."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from edge.detection import EndReason
from edge.errors import PrednetError
from edge.frames import Frame, FrameFormat
from edge.pipeline import Round
from edge.sources import open_source

log = logging.getLogger(__name__)

# A camera without a frame for this long is lost, whatever its library says (faults.md: noticed in 5 s).
SILENCE_SECONDS = 5.0
# Delays before a camera is opened again: within the first minute, and after it (faults.md).
FIRST_DELAY_SECONDS = (1.0, 4.0)
LATER_DELAY_SECONDS = (4.0, 15.0)
FIRST_MINUTE_SECONDS = 60.0
REPORT_SECONDS = 60.0
# A file's last frame may wait this long for the river before the file has ended.
LAST_FRAME_SECONDS = 5.0

Playback = Literal["realtime", "fast"]


@dataclass(frozen=True)
class CameraStatus:
    """What is known of one camera: why it gives nothing (None while it does), and counts since the start.

    `media_offset_seconds` added to a frame's seconds gives a file's media time; None for a live camera.
    `frame_seconds` is the monotonic time of the last frame, None before the first.
    """

    fault: str | None = None
    is_finished: bool = False
    frames: int = 0
    dropped: int = 0
    frame_seconds: float | None = None
    media_offset_seconds: float | None = None


class Mailboxes:
    """One slot a camera between the capture threads and the river; both sides may call at any time."""

    def __init__(self, cameras: list[str], clock: Callable[[], float] = time.monotonic) -> None:
        self._changed = threading.Condition()
        self._clock = clock
        self._frames: dict[str, Frame] = {}
        self._lost: dict[str, EndReason] = {}
        self._seeing: set[str] = set()
        self._status = dict.fromkeys(cameras, CameraStatus())

    def put(self, camera: str, frame: Frame, media_offset_seconds: float | None) -> None:
        """Lay a frame into the camera's slot; one that the river has not taken is dropped and counted."""
        with self._changed:
            status = self._status[camera]
            self._status[camera] = replace(
                status,
                fault=None,
                frames=status.frames + 1,
                dropped=status.dropped + (camera in self._frames),
                frame_seconds=self._clock(),
                media_offset_seconds=media_offset_seconds,
            )
            self._frames[camera] = frame
            self._seeing.add(camera)
            self._changed.notify_all()

    def lose(self, camera: str, fault: str, *, finished: bool = False) -> None:
        """Say that a camera gives nothing any more; a frame that nobody took is dropped."""
        with self._changed:
            status = self._status[camera]
            dropped = status.dropped + (self._frames.pop(camera, None) is not None)
            self._status[camera] = replace(status, fault=fault, is_finished=finished, dropped=dropped)
            if camera in self._seeing:
                self._seeing.discard(camera)
                self._lost[camera] = "stopped" if finished else "camera_lost"
            self._changed.notify_all()

    def take(self, timeout_seconds: float) -> list[Round]:
        """Return what has come in, losses before frames; an empty list after `timeout_seconds` of nothing."""
        with self._changed:
            self._changed.wait_for(lambda: bool(self._frames or self._lost), timeout_seconds)
            self._notice_silence()
            frames, self._frames = self._frames, {}
            lost, self._lost = self._lost, {}
            self._changed.notify_all()
        return [Round(frames, lost)] if frames or lost else []

    def wait_until_taken(self, camera: str, timeout_seconds: float) -> bool:
        """Wait until the river has taken the camera's frame; False when it has not in time."""
        with self._changed:
            return self._changed.wait_for(lambda: camera not in self._frames, timeout_seconds)

    def status(self) -> Mapping[str, CameraStatus]:
        """Return a snapshot of every camera's status."""
        with self._changed:
            return dict(self._status)

    def _notice_silence(self) -> None:
        now = self._clock()
        for camera in list(self._seeing):
            last = self._status[camera].frame_seconds
            if last is not None and now - last > SILENCE_SECONDS and camera not in self._frames:
                self._seeing.discard(camera)
                self._lost[camera] = "camera_lost"
                self._status[camera] = replace(self._status[camera], fault="camera_silent")


class CaptureThread(threading.Thread):
    """Keeps one camera open for ever, and lays its frames into its mailbox.

    Files play at their own speed (`realtime`), or as fast as the river takes them (`fast`).
    """

    def __init__(
        self,
        camera: str,
        spec: str,
        form: FrameFormat,
        mailboxes: Mailboxes,
        *,
        loop: bool = False,
        playback: Playback = "realtime",
    ) -> None:
        super().__init__(name=f"capture-{camera}", daemon=True)
        self._camera, self._spec, self._form, self._mailboxes = camera, spec, form, mailboxes
        self._loop, self._playback = loop, playback
        self._stopping = threading.Event()
        self._reported: tuple[str, float] = ("", -REPORT_SECONDS)

    def run(self) -> None:
        """Open, read, and open again after a jittered delay, until stopped or a file has ended."""
        lost_since = time.monotonic()
        while not self._stopping.is_set():
            try:
                finished = self._read_to_the_end()
            except PrednetError as error:
                self._report(str(error))
                finished = False
            if self._stopping.is_set():
                return
            if finished and not self._loop:
                self._mailboxes.lose(self._camera, "the file has ended", finished=True)
                return
            if not finished:
                delay = self._reopen_delay(time.monotonic() - lost_since)
                self._stopping.wait(delay)
            last = self._mailboxes.status()[self._camera].frame_seconds
            lost_since = max(lost_since, last or lost_since)

    def stop(self, timeout_seconds: float = 2.0) -> None:
        """Ask the thread to end, and wait for it; one that hangs in its library is left behind."""
        self._stopping.set()
        self.join(timeout_seconds)
        if self.is_alive():
            log.warning("capture_abandoned camera=%s", self._camera)

    def _read_to_the_end(self) -> bool:
        """Read one opening of the source; True when a file ended, a camera never does."""
        source = open_source(self._spec, self._form)
        log.info("capture_open camera=%s source=%s", self._camera, source.name)
        offset: float | None = None
        try:
            for frame in source.frames():
                if offset is None:
                    offset = 0.0 if source.is_live else time.monotonic() - frame.seconds
                if not source.is_live:
                    self._wait_for_turn(frame.seconds + offset)
                if self._stopping.is_set():
                    return True
                shifted = replace(frame, seconds=frame.seconds + offset)
                self._mailboxes.put(self._camera, shifted, None if source.is_live else -offset)
        finally:
            source.close()
        self._mailboxes.wait_until_taken(self._camera, LAST_FRAME_SECONDS)
        if self._loop:
            self._mailboxes.lose(self._camera, "the file begins again")
        return True

    def _wait_for_turn(self, due_seconds: float) -> None:
        """Wait until a file's frame is due, or, in fast playback, until the one before it was taken."""
        if self._playback == "realtime":
            self._stopping.wait(max(due_seconds - time.monotonic(), 0.0))
            return
        while not self._stopping.is_set() and not self._mailboxes.wait_until_taken(self._camera, 0.2):
            pass

    def _reopen_delay(self, lost_seconds: float) -> float:
        low, high = FIRST_DELAY_SECONDS if lost_seconds < FIRST_MINUTE_SECONDS else LATER_DELAY_SECONDS
        return random.uniform(low, high)  # noqa: S311 - jitter, not a secret

    def _report(self, reason: str) -> None:
        self._mailboxes.lose(self._camera, reason)
        told, at = self._reported
        if reason != told or time.monotonic() - at >= REPORT_SECONDS:
            log.info("capture_lost camera=%s reason=%s", self._camera, reason)
            self._reported = (reason, time.monotonic())
