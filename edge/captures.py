"""The capture threads of a device: started, watched for hanging, replaced, stopped."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

from edge.capture import HUNG_SECONDS, CaptureThread, Mailboxes, Playback
from edge.frames import FrameFormat
from edge.privacy import Shape
from edge.sources import Capture
from edge.tape import Tape

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CameraSource:
    """What one camera is captured from, and how."""

    spec: str = field(repr=False)  # it may hold a login
    loop: bool = False
    playback: Playback = "realtime"
    capture: Capture = "auto"
    masks: tuple[Shape, ...] = ()


class Captures:
    """Owns a thread a camera. A thread that hangs is abandoned, and its camera goes on in a child process."""

    def __init__(
        self,
        form: FrameFormat,
        mailboxes: Mailboxes,
        hung_seconds: float = HUNG_SECONDS,
        tapes: Mapping[str, Tape] | None = None,
    ) -> None:
        self._form, self._mailboxes, self._hung_seconds, self._tapes = form, mailboxes, hung_seconds, tapes or {}
        self._sources: dict[str, CameraSource] = {}
        self._threads: dict[str, CaptureThread] = {}
        self._in_child: set[str] = set()

    def start(self, camera: str, source: CameraSource) -> None:
        """Begin to capture a camera; its neighbours go on untouched."""
        self._sources[camera] = source
        self._in_child.discard(camera)
        self._threads[camera] = self._started(camera, source, in_child=None)

    def stop(self, camera: str) -> None:
        """Stop capturing a camera; its neighbours go on untouched."""
        self._threads.pop(camera).stop()

    def close(self) -> None:
        """Stop them all."""
        for camera in list(self._threads):
            self.stop(camera)

    def look_after(self) -> None:
        """Replace what hangs; call it often. A child process watches itself and is killed, so a thread is left once."""
        for camera, thread in list(self._threads.items()):
            if camera not in self._in_child and thread.hung_seconds > self._hung_seconds:
                self._in_child.add(camera)
                log.warning("capture_hung camera=%s seconds=%.0f", camera, thread.hung_seconds)
                thread.abandon()
                self._mailboxes.lose(camera, "the capture library hangs", code="capture_hung")
                self._threads[camera] = self._started(camera, self._sources[camera], in_child=True)

    def _started(self, camera: str, source: CameraSource, *, in_child: bool | None) -> CaptureThread:
        thread = CaptureThread(
            camera,
            source.spec,
            self._form,
            self._mailboxes,
            loop=source.loop,
            playback=source.playback,
            capture=source.capture,
            masks=source.masks,
            in_child=in_child,
            tape=self._tapes.get(camera),
        )
        thread.start()
        return thread
