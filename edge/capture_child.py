"""Capture in a process of its own, which can be killed where its library hangs: CSI through Argus, and what has hung.

The child opens the place, masks, and writes its small frames to a pipe; the parent notices when nothing comes.
"""

from __future__ import annotations

import ctypes
import select
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import IO, Literal

import msgspec
import numpy as np

from edge.errors import CameraRefused, CaptureHung, DeviceUnavailable, PrednetError, UsageError
from edge.frames import Frame, FrameFormat, Source
from edge.places import Place
from edge.privacy import Shape

# The child's own watchdogs speak within seconds: when it says nothing for so long, it hangs in a call.
OPEN_SECONDS, HUNG_SECONDS = 12.0, 10.0
_HEADER = struct.Struct("<cdII")  # kind, seconds, frames discarded before, bytes that follow
_OPENED, _FRAME, _END, _FAILED = b"o", b"f", b"z", b"x"
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of Linux's prctl
_ERRORS = {kind.__name__: kind for kind in (CameraRefused, DeviceUnavailable, UsageError)}


class Order(msgspec.Struct, frozen=True):
    """What a child is to open."""

    place: Place
    form: FrameFormat
    capture: Literal["auto", "gstreamer", "pyav"]
    masks: tuple[Shape, ...] = ()


class ChildSource:
    """A place that a child process plays."""

    def __init__(
        self,
        place: Place,
        form: FrameFormat,
        capture: Literal["auto", "gstreamer", "pyav"] = "auto",
        masks: tuple[Shape, ...] = (),
        hung_seconds: float = HUNG_SECONDS,
    ) -> None:
        """Start the child and wait until the place is open. Raises as opening does, and CaptureHung."""
        self.name, self.is_live = place.name, place.is_live
        self._form, self._hung_seconds = form, hung_seconds
        command = [sys.executable, "-c", "from edge.capture_child import main; main()"]
        self._child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)  # noqa: S603
        try:
            _pipe(self._child.stdin).write(msgspec.json.encode(Order(place, form, capture, masks)) + b"\n")
            *_, told = self._message(OPEN_SECONDS)
        except BaseException:
            self.close()
            raise
        self.pid = self._child.pid
        self.backend = f"{told.decode()} in process {self.pid}"

    def frames(self) -> Iterator[Frame]:
        """Yield the child's frames; see `edge.frames.Source`. Raises CaptureHung where the child says nothing."""
        form = self._form
        while True:
            kind, seconds, discarded, data = self._message(self._hung_seconds)
            if kind == _END:
                return
            image = np.frombuffer(bytearray(data), np.uint8).reshape(form.height, form.width, form.channels)
            yield Frame(image, seconds, discarded)

    def close(self) -> None:
        """Kill the child."""
        self._child.kill()
        self._child.wait()
        for pipe in (self._child.stdin, self._child.stdout):
            if pipe is not None:
                pipe.close()

    def _message(self, timeout_seconds: float) -> tuple[bytes, float, int, bytes]:
        deadline = time.monotonic() + timeout_seconds
        kind, seconds, discarded, length = _HEADER.unpack(self._bytes(_HEADER.size, deadline))
        data = self._bytes(length, deadline)
        if kind == _FAILED:
            name, _, sentence = data.decode().partition(":")
            raise _ERRORS.get(name, PrednetError)(sentence)
        return kind, seconds, discarded, data

    def _bytes(self, count: int, deadline: float) -> bytes:
        pipe, data = _pipe(self._child.stdout), b""
        while len(data) < count:
            ready, _, _ = select.select([pipe], [], [], max(deadline - time.monotonic(), 0.0))
            if not ready:
                raise CaptureHung(f"{self.name}: its capture process hangs; it is killed and started anew.")
            part = pipe.read(count - len(data))
            if not part:
                raise DeviceUnavailable(f"{self.name}: its capture process has died; it is started anew.")
            data += part
        return data


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        raise PrednetError("the capture process has no pipe.")
    return pipe


def main() -> None:
    """Play what the order on stdin says, to stdout: the child's whole life. It ends when the parent's pipe does."""
    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)  # though it hangs in a call
    out = sys.stdout.buffer
    try:
        order = msgspec.json.decode(sys.stdin.buffer.readline(), type=Order)
        source = _opened(order)
        _say(out, _OPENED, 0.0, source.backend.encode())
        for frame in source.frames():
            _say(out, _FRAME, frame.seconds, frame.image.tobytes(), frame.discarded)
        _say(out, _END, 0.0, b"")
    except BrokenPipeError:
        sys.exit(0)
    except PrednetError as error:
        _say(out, _FAILED, 0.0, f"{type(error).__name__}:{error}".encode())


def _opened(order: Order) -> Source:
    from edge.sources import open_place  # noqa: PLC0415 - sources opens children, and a child opens sources

    return open_place(order.place, order.form, order.capture, order.masks, in_child=False)


def _say(out: IO[bytes], kind: bytes, seconds: float, data: bytes, discarded: int = 0) -> None:
    out.write(_HEADER.pack(kind, seconds, discarded, len(data)) + data)
    out.flush()
