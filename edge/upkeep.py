"""What the river watches over itself, asked at each round: what computes, the rate that it keeps up with, memory."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edge.announcer import Announcer
from edge.capture import Mailboxes
from edge.command_actions import Reload
from edge.errors import PrednetError
from edge.inference import QUICK_FAILURES, GuardedRunner
from edge.memory_diagnosis import write_diagnosis
from edge.memory_watch import MemoryWatch
from edge.moments import Moment
from edge.setup import Device
from edge.slower import has_slower
from edge.throttle import Throttle

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Upkeep:
    """Turns what is found into faults, and into another reading of the device where that helps."""

    device: Device
    runner: GuardedRunner
    announcer: Announcer
    mailboxes: Mailboxes
    reload: Reload
    throttle: Throttle
    memory: MemoryWatch
    see: Callable[[Moment], None] = lambda _: None

    def tick(self) -> None:
        """Look after everything. Call it often; it is cheap."""
        if self.reload.device is None:
            self._mend()
        self.memory.tick()
        self.announcer.set_fault("inference_failed", self.runner.has_failed)
        self.announcer.set_fault("throttled", self.throttle.is_told)
        self.announcer.set_fault("memory_slope", self.memory.is_growing)

    def _mend(self) -> None:
        if self.runner.unfit is not None or (self.runner.has_failed_often and self._gives_engine_up()):
            self.runner.unfit = None
            self._read_again()
        elif self._is_rate_to_change() and not self._read_again():
            self.throttle.refuse()

    def _gives_engine_up(self) -> bool:
        """Drop an engine that keeps failing: the CPU serves while it is built once more, and for good after that."""
        choice = self.device.choice
        ready = None if choice.runner != "tensorrt" or choice.engines is None else choice.engines.kept.ready
        if choice.engines is None or ready is None:
            return False
        log.error("engine_given_up variant=%s", ready.record.variant)
        choice.engines.wish.store.drop(ready.record, f"its inference failed {QUICK_FAILURES + 1} times in ten minutes")
        return True

    def _is_rate_to_change(self) -> bool:
        return self.throttle.changes(self.mailboxes.status(), has_slower=has_slower(self.device.config))

    def _read_again(self) -> bool:
        try:
            self.reload.device = self.reload.read()
        except PrednetError as error:
            log.error("device_not_read reason=%r", str(error))  # noqa: TRY400 - a whole sentence
            return False
        return True


def begin_upkeep(
    device: Device,
    runner: GuardedRunner,
    announcer: Announcer,
    mailboxes: Mailboxes,
    reload: Reload,
    throttle: Throttle,
) -> Upkeep:
    """Return the upkeep of a river that begins; what it finds of memory is left below the state directory."""
    folder = Path(device.config.state_directory)
    memory = MemoryWatch(lambda readings: write_diagnosis(folder, readings, time.time()))
    throttle.begin()
    return Upkeep(device, runner, announcer, mailboxes, reload, throttle, memory)
