"""What runs beside the river, as one; opened here: updates, self-tests, the record of promises."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Protocol

from edge.acceptance.record import open_record
from edge.capture import Mailboxes
from edge.desk import OpenDesk
from edge.moments import Moment
from edge.mqtt import Publisher
from edge.outbox import Outbox
from edge.self_tests.desk import open_self_tests
from edge.setup import Device
from edge.updates.desk import open_updates


class Beside(Protocol):
    """What goes on beside the river, called by the river's thread; neither call waits."""

    @property
    def see(self) -> Callable[[Moment], None]:
        """Take a moment in, before the events that it brings."""

    @property
    def tick(self) -> Callable[[], None]:
        """Do what is due."""


@dataclass(frozen=True)
class Besides:
    """All of them, as one."""

    all: tuple[Beside, ...]

    def see(self, moment: Moment) -> None:
        """Take in a moment."""
        for one in self.all:
            one.see(moment)

    def tick(self) -> None:
        """Do what is due."""
        for one in self.all:
            one.tick()


@contextmanager
def open_besides(
    device: Device, desk: OpenDesk, outbox: Outbox, mailboxes: Mailboxes, publisher: Publisher, runner: str
) -> Iterator[Besides]:
    """Open them, and close them at the end; `runner` is the name of what computes."""
    with ExitStack() as stack:
        updates = stack.enter_context(open_updates(device, desk.announcer, desk.reload, runner, outbox.boot_id))
        tests = stack.enter_context(
            open_self_tests(device, desk.judges, desk.switches, desk.announcer, outbox, desk.tests)
        )
        record = stack.enter_context(open_record(device, mailboxes, publisher))
        yield Besides((record, updates, tests))
