"""The tape: a camera's encoded video of the last seconds, in memory, so that a clip begins before its event.

The capture thread puts packets as they come from the camera, before decoding; the recorder takes them as they are.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass

# Pictures that are not key frames need those before them: a tape holds whole groups, each begun by a key frame.
BYTES_LIMIT = 24 * 2**20


@dataclass(frozen=True)
class Encoding:
    """What a decoder must know before the first packet: the codec's name, its extradata, the picture's size."""

    codec: str
    extradata: bytes
    width: int
    height: int


@dataclass(frozen=True)
class Packet:
    """One encoded picture, with the stream's own times at which it is shown and decoded."""

    data: bytes
    shown_seconds: float
    decoded_seconds: float
    is_key: bool


class Reel:
    """What one connection of a camera has sent of late: at least `seconds`, at most `bytes_limit` bytes.

    `dropped` counts packets that did not fit.
    """

    def __init__(self, encoding: Encoding, seconds: float, bytes_limit: int = BYTES_LIMIT) -> None:
        self.encoding, self.dropped = encoding, 0
        self._seconds, self._bytes_limit = seconds, bytes_limit
        self._lock = threading.Lock()
        self._groups: deque[list[Packet]] = deque()
        self._first_number = self._bytes = 0
        self._laid_seconds: float | None = None
        self._shift_seconds = 0.0

    def put(self, packet: Packet) -> None:
        """Add a packet and forget groups that are too old, or too many bytes."""
        with self._lock:
            if packet.is_key:
                self._groups.append([])
            if not self._groups:  # nothing that could be decoded: no key frame yet
                self.dropped += 1
                return
            self._groups[-1].append(packet)
            self._bytes += len(packet.data)
            self._forget(packet.shown_seconds - self._seconds)

    def lay(self, offset_seconds: float) -> None:
        """Say what added to a packet's time gives the time of its source's frame."""
        self._laid_seconds = offset_seconds

    def shift(self, offset_seconds: float) -> None:
        """Say what added to the source's time gives the camera's: it is not 0 for a file that plays now."""
        self._shift_seconds = offset_seconds

    @property
    def offset_seconds(self) -> float | None:
        """What added to a packet's time gives that of the camera's frames; None before the first frame."""
        return None if self._laid_seconds is None else self._laid_seconds + self._shift_seconds

    def number_at(self, seconds: float) -> int | None:
        """Return the number of the key frame that a clip from `seconds` (the camera's time) on begins with.

        It is the last one before, else the oldest; None while nothing is there.
        """
        offset = self.offset_seconds
        with self._lock:
            if offset is None or not self._groups:
                return None
            number = found = self._first_number
            for group in self._groups:
                if group[0].shown_seconds + offset <= seconds:
                    found = number
                number += len(group)
            return found

    def packets_from(self, number: int) -> tuple[list[Packet], int]:
        """Return the packets from a number on, and the number of the next; those that were forgotten are left out."""
        with self._lock:
            position, found = self._first_number, []
            for group in self._groups:
                found += group[max(number - position, 0) :]
                position += len(group)
            return found, position

    def _forget(self, before_seconds: float) -> None:
        while len(self._groups) > 1 and self._groups[1][0].shown_seconds <= before_seconds:
            self._forget_group()
        while self._bytes > self._bytes_limit and self._groups:
            self.dropped += len(self._groups[0])
            self._forget_group()

    def _forget_group(self) -> None:
        group = self._groups.popleft()
        self._first_number += len(group)
        self._bytes -= sum(len(packet.data) for packet in group)


class Tape:
    """One camera's tape: a new reel for each connection; who holds an older reel keeps it."""

    def __init__(self, seconds: float, bytes_limit: int = BYTES_LIMIT) -> None:
        self._seconds, self._bytes_limit = seconds, bytes_limit
        self.reel: Reel | None = None

    def begin(self, encoding: Encoding) -> Reel:
        """Return the reel of a new connection."""
        self.reel = Reel(encoding, self._seconds, self._bytes_limit)
        return self.reel

    def shift(self, offset_seconds: float) -> None:
        """See `Reel.shift`; of no meaning while nothing is taped."""
        if self.reel is not None:
            self.reel.shift(offset_seconds)

    def end(self) -> None:
        """Forget the reel: what captures now shows no packets."""
        self.reel = None


def parameter_sets(data: bytes, codec: str) -> bytes:
    """Return what a decoder must know of H.264 or H.265, out of a key frame with start codes; empty without one."""
    kinds = {"h264": {7, 8}, "hevc": {32, 33, 34}}.get(codec, set())
    found = b""
    for unit in filter(None, data.replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1")[1:]):
        kind = unit[0] & 31 if codec == "h264" else unit[0] >> 1 & 63
        found += b"\0\0\0\1" + unit.rstrip(b"\0") if kind in kinds else b""
    return found
