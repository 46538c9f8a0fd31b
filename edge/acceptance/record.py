"""What the river notes for the acceptance, as it goes: written down once a minute."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from edge.acceptance.ledger import BROKER, FILE, PromiseLedger, bucket_of
from edge.capture import Mailboxes
from edge.moments import Moment
from edge.mqtt import Publisher
from edge.setup import Device

WRITE_SECONDS = 60.0


class Record:
    """Called by the river's thread alone."""

    def __init__(
        self,
        ledger: PromiseLedger,
        mailboxes: Mailboxes,
        publisher: Publisher,
        monotonic: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._ledger, self._mailboxes, self._publisher = ledger, mailboxes, publisher
        self._monotonic, self._wall_clock = monotonic, wall_clock
        ledger.begin()
        self._away = ledger.away()
        self._was_connected = False
        self._counts: Counter[tuple[str, int]] = Counter()
        self._due = monotonic() + WRITE_SECONDS

    def see(self, moment: Moment) -> None:
        """Note how long a frame took from its arrival to its decision, and a camera that goes or comes back."""
        camera, status = moment.camera, self._mailboxes.status()[moment.camera]
        if moment.lost == "camera_lost":
            self._lose(camera)
        if moment.sensed is None or status.frame_seconds is None:
            return
        self._counts[camera, bucket_of(1000.0 * (self._monotonic() - status.frame_seconds))] += 1
        if camera in self._away and moment.state == "watching":
            tried = status.tried_seconds
            self._find(camera, None if tried is None else self._monotonic() - tried)

    def tick(self) -> None:
        """Note the broker, and write down what has come together."""
        is_connected = self._publisher.is_connected
        if is_connected and BROKER in self._away:
            self._find(BROKER, None)
        elif self._was_connected and not is_connected:
            self._lose(BROKER)
        self._was_connected = is_connected
        if self._monotonic() >= self._due:
            self._due = self._monotonic() + WRITE_SECONDS
            self.write()

    def write(self) -> None:
        """Write down what has come together."""
        self._ledger.add_latency(self._wall_clock(), self._counts)
        self._counts.clear()

    def _lose(self, name: str) -> None:
        self._away.add(name)
        self._ledger.lose(name, self._wall_clock())

    def _find(self, name: str, recovery_seconds: float | None) -> None:
        self._away.discard(name)
        self._ledger.find(name, self._wall_clock(), recovery_seconds)


@contextmanager
def open_record(device: Device, mailboxes: Mailboxes, publisher: Publisher) -> Iterator[Record]:
    """Note what happens until the end."""
    with PromiseLedger(Path(device.config.state_directory) / FILE) as ledger:
        record = Record(ledger, mailboxes, publisher)
        try:
            yield record
        finally:
            record.write()
