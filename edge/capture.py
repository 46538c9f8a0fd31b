"""Capture on the device: a thread a camera, a slot a camera, and the newest frame wins."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

from edge.detection import EndReason
from edge.errors import CameraRefused, DeviceUnavailable, PrednetError
from edge.frames import Frame, FrameFormat, Source
from edge.moments import Round
from edge.places import place_from_spec
from edge.privacy import Shape
from edge.seldom import Seldom
from edge.sources import Capture, open_place
from edge.tape import Tape

log = logging.getLogger(__name__)

# A camera without a frame for this long is lost, whatever its library says (faults.md: noticed in 5 s).
SILENCE_SECONDS = 5.0
# From one attempt at a camera to the next: within the first minute, and after it. With an opening of 2 and of 3 s a
# camera that has returned is watched again within 5 and within 15 s.
FIRST_DELAY_SECONDS = (1.0, 3.0)
LATER_DELAY_SECONDS = (4.0, 12.0)
# A camera that refuses the password is asked seldom, so that it does not lock the account.
REFUSED_DELAY_SECONDS = (300.0, 360.0)
# A call into a capture library that has not come back for so long hangs (faults.md: within 30 s).
HUNG_SECONDS = 15.0
FIRST_MINUTE_SECONDS = 60.0
REPORT_SECONDS = 60.0
# A file's last frame may wait this long for the river before the file has ended.
LAST_FRAME_SECONDS = 5.0

Playback = Literal["realtime", "fast"]
_Value = TypeVar("_Value")


@dataclass(frozen=True)
class CameraStatus:
    """What is known of one camera: why it gives nothing (None while it does), and counts since the start.

    `fault_code` is the fault's name in the contract; `backend` what captures, such as `gstreamer (avdec_h264)`.
    `media_offset_seconds` added to a frame's seconds gives a file's media time; None for a live camera.
    `frame_seconds` is the monotonic time of the last frame, None before the first; `tried_seconds` that of the last
    vain attempt to open it since it was lost, None before the first.
    """

    fault: str | None = None
    fault_code: str | None = None
    backend: str | None = None
    is_finished: bool = False
    frames: int = 0
    dropped: int = 0
    frame_seconds: float | None = None
    media_offset_seconds: float | None = None
    tried_seconds: float | None = None


class Mailboxes:
    """One slot a camera between the capture threads and the river; both sides may call at any time.

    Frames of several cameras that come within `gather_seconds` are taken together, as one step.
    """

    def __init__(
        self, cameras: list[str], clock: Callable[[], float] = time.monotonic, gather_seconds: float = 0.0
    ) -> None:
        self._gather_seconds = gather_seconds
        self._changed = threading.Condition()
        self._clock = clock
        self._frames: dict[str, Frame] = {}
        self._lost: dict[str, EndReason] = {}
        self._seeing: set[str] = set()
        self._status = dict.fromkeys(cameras, CameraStatus())

    def put(self, camera: str, frame: Frame, media_offset_seconds: float | None) -> None:
        """Lay a frame into the camera's slot; what nobody took, here or in the library, is dropped and counted."""
        with self._changed:
            status = self._status[camera]
            self._status[camera] = replace(
                status,
                fault=None,
                fault_code=None,
                frames=status.frames + 1,
                dropped=status.dropped + (camera in self._frames) + frame.discarded,
                frame_seconds=self._clock(),
                media_offset_seconds=media_offset_seconds,
            )
            self._frames[camera] = frame
            self._seeing.add(camera)
            self._changed.notify_all()

    def opened(self, camera: str, backend: str) -> None:
        """Say what captures a camera now."""
        with self._changed:
            self._status[camera] = replace(self._status[camera], backend=backend)

    def lose(self, camera: str, fault: str, *, code: str = "camera_lost", finished: bool = False) -> None:
        """Say that a camera gives nothing any more; a frame that nobody took is dropped."""
        with self._changed:
            status = self._status[camera]
            dropped = status.dropped + (self._frames.pop(camera, None) is not None)
            status = replace(status, is_finished=finished, dropped=dropped, tried_seconds=self._clock())
            self._status[camera] = replace(status, fault=fault, fault_code=None if finished else code)
            if camera in self._seeing:
                self._seeing.discard(camera)
                self._lost[camera] = "stopped" if finished else "camera_lost"
            self._changed.notify_all()

    def take(self, timeout_seconds: float) -> list[Round]:
        """Return what has come in, losses before frames; an empty list after `timeout_seconds` of nothing."""
        with self._changed:
            self._changed.wait_for(lambda: bool(self._frames or self._lost), timeout_seconds)
            if self._gather_seconds and self._frames:  # those who are late are waited for no longer
                self._changed.wait_for(lambda: self._seeing <= self._frames.keys(), self._gather_seconds)
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
                self._status[camera] = replace(
                    self._status[camera], fault="camera_silent", fault_code="camera_lost", tried_seconds=None
                )


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
        capture: Capture = "auto",
        masks: Sequence[Shape] = (),
        in_child: bool | None = None,
        tape: Tape | None = None,
    ) -> None:
        super().__init__(name=f"capture-{camera}", daemon=True)
        self._camera, self._spec, self._form, self._mailboxes = camera, spec, form, mailboxes
        self._loop, self._playback = loop, playback
        self._capture, self._masks, self._in_child, self._tape = capture, masks, in_child, tape
        self._called_seconds: float | None = None
        self._opening_since: float | None = None
        self._stopping = threading.Event()
        self._reported: tuple[str, float] = ("", -REPORT_SECONDS)
        self._failures = Seldom()

    def run(self) -> None:
        """Open, read, and open again after a jittered delay, until stopped or a file has ended.

        What fails in a way that nobody foresaw is a lost camera like others: nothing else would open it again.
        """
        lost_since = time.monotonic()
        while not self._stopping.is_set():
            code = "camera_lost"
            try:
                finished = self._read_to_the_end()
            except PrednetError as error:
                code = error.fault_code if isinstance(error, DeviceUnavailable) else code
                self._report(str(error), code)
                finished = False
            except Exception as error:
                self._report(f"its capture failed: {type(error).__name__}", code)
                if (count := self._failures.count()) is not None:
                    log.exception("capture_failed camera=%s count=%d", self._camera, count)
                finished = False
            if self._stopping.is_set():
                return
            if finished and not self._loop:
                self._mailboxes.lose(self._camera, "the file has ended", finished=True)
                return
            if not finished:
                now = time.monotonic()
                tried_seconds = 0.0 if self._opening_since is None else now - self._opening_since
                self._stopping.wait(self._reopen_delay(now - lost_since, code, tried_seconds))
            last = self._mailboxes.status()[self._camera].frame_seconds
            lost_since = max(lost_since, last or lost_since)

    @property
    def hung_seconds(self) -> float:
        """For how long the capture library has not come back from a call; 0 while it is not in one."""
        called = self._called_seconds
        return 0.0 if called is None else time.monotonic() - called

    def abandon(self) -> None:
        """Leave the thread in the call that it hangs in; whatever it brings later is not taken."""
        self._stopping.set()

    def stop(self, timeout_seconds: float = 2.0) -> None:
        """Ask the thread to end, and wait for it; one that hangs in its library is left behind."""
        self._stopping.set()
        self.join(timeout_seconds)
        if self.is_alive():
            log.warning("capture_abandoned camera=%s", self._camera)

    def _read_to_the_end(self) -> bool:
        """Read one opening of the source; True when a file ended, a camera never does."""
        source = self._called(self._opened)
        self._mailboxes.opened(self._camera, source.backend)
        log.info("capture_open camera=%s source=%s backend=%s", self._camera, source.name, source.backend)
        offset: float | None = None
        frames = source.frames()
        try:
            while (frame := self._called(lambda: next(frames, None))) is not None:
                if offset is None:
                    offset = 0.0 if source.is_live else time.monotonic() - frame.seconds
                    if self._tape is not None:
                        self._tape.shift(offset)
                if not source.is_live:
                    self._wait_for_turn(frame.seconds + offset)
                if self._stopping.is_set():
                    return True
                shifted = replace(frame, seconds=frame.seconds + offset)
                self._mailboxes.put(self._camera, shifted, None if source.is_live else -offset)
        finally:
            self._called(source.close)
        self._mailboxes.wait_until_taken(self._camera, LAST_FRAME_SECONDS)
        if self._loop:
            self._mailboxes.lose(self._camera, "the file begins again")
        return True

    def _opened(self) -> Source:
        self._opening_since = time.monotonic()
        place = place_from_spec(self._spec)
        source = open_place(place, self._form, self._capture, self._masks, in_child=self._in_child, tape=self._tape)
        self._opening_since = None
        return source

    def _called(self, call: Callable[[], _Value]) -> _Value:
        """Return what a call into the library gives, and let others see since when it lasts."""
        self._called_seconds = time.monotonic()
        try:
            return call()
        finally:
            self._called_seconds = None

    def _wait_for_turn(self, due_seconds: float) -> None:
        """Wait until a file's frame is due, or, in fast playback, until the one before it was taken."""
        if self._playback == "realtime":
            self._stopping.wait(max(due_seconds - time.monotonic(), 0.0))
            return
        while not self._stopping.is_set() and not self._mailboxes.wait_until_taken(self._camera, 0.2):
            pass

    def _reopen_delay(self, lost_seconds: float, code: str, tried_seconds: float) -> float:
        """Return how long to wait after an opening that failed in `tried_seconds`, which count as waited."""
        if code == CameraRefused.fault_code:
            return random.uniform(*REFUSED_DELAY_SECONDS)  # noqa: S311 - jitter, not a secret
        low, high = FIRST_DELAY_SECONDS if lost_seconds < FIRST_MINUTE_SECONDS else LATER_DELAY_SECONDS
        return max(random.uniform(low, high) - tried_seconds, low)  # noqa: S311 - jitter, not a secret

    def _report(self, reason: str, code: str) -> None:
        if self._stopping.is_set():
            return
        self._mailboxes.lose(self._camera, reason, code=code)
        told, at = self._reported
        if reason != told or time.monotonic() - at >= REPORT_SECONDS:
            log.info("capture_lost camera=%s reason=%s", self._camera, reason)
            self._reported = (reason, time.monotonic())
