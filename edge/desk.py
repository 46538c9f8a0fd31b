"""The announcer and everything that people may change of a running device, opened together."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from edge.announcer import Announcer
from edge.audit import AUDIT_FILE, AuditLog
from edge.capture import Mailboxes
from edge.command_actions import Reach, Reload
from edge.command_desk import CommandDesk
from edge.command_store import CommandStore
from edge.coverage_ledger import Ledger
from edge.detection import Limit
from edge.engine.work import EngineWork
from edge.event_ledger import EVENTS_FILE, EventLedger
from edge.fault_ledger import FAULTS_FILE, FaultLedger
from edge.home_assistant import announce
from edge.moments import Judge
from edge.mqtt import Publisher
from edge.outbox import Outbox
from edge.self_tests.results import OrderedTests
from edge.setup import Device
from edge.switches import Switches

LEDGER_FILE = "coverage.sqlite"


@dataclass(frozen=True)
class OpenDesk:
    """What the river calls: `judges` are in force now, with the limits that people have set."""

    announcer: Announcer
    switches: Switches
    judges: dict[str, Judge]
    commands: CommandDesk
    reload: Reload
    own_judges: Mapping[str, Judge]
    tests: OrderedTests
    faults: FaultLedger

    @property
    def is_reloading(self) -> bool:
        """Whether another configuration waits to be run."""
        return self.reload.device is not None

    def renew(self, camera: str, limit: Limit) -> None:
        """Take over a camera's new calibration: its own limit, under what people have set."""
        self.switches.renew(camera, limit)
        self.judges.update(self.switches.judged_by(self.own_judges))

    def tick(self) -> None:
        """Serve commands, and tell of what changes with time alone. Call it often; it is cheap."""
        self.commands.tick()
        self.announcer.tick()
        self.faults.note(self.announcer.faults)


@contextmanager
def open_desk(
    device: Device,
    publisher: Publisher,
    outbox: Outbox,
    mailboxes: Mailboxes,
    own_judges: Mapping[str, Judge],
    reload: Reload,
    wall_clock: Callable[[], float] = time.time,
    engines: EngineWork | None = None,
) -> Iterator[OpenDesk]:
    """Open the files that people's doings are kept in, and close them at the end."""
    folder = Path(device.config.state_directory)
    limits = {camera: model.calibration.limit for camera, model in device.models.items()}
    with ExitStack() as stack:
        ledger = stack.enter_context(Ledger(folder / LEDGER_FILE))
        store = stack.enter_context(CommandStore(folder / "commands.sqlite"))
        switches = Switches(limits, folder / "switches.json", wall_clock=wall_clock)
        judges = switches.judged_by(own_judges)
        announcer = Announcer(device, publisher, outbox, mailboxes, switches, ledger)
        events = stack.enter_context(EventLedger(folder / EVENTS_FILE))
        announcer.listeners.append(events.note)
        is_on, known = device.config.mqtt.home_assistant, folder / "home_assistant.json"
        announce(publisher, device.topics, list(device.models), known, is_on=is_on)
        reach = Reach(
            device, publisher, outbox, announcer, mailboxes, switches, ledger, reload, events,
            judges_changed=lambda: judges.update(switches.judged_by(own_judges)),
            wall_clock=wall_clock, monotonic=time.monotonic, started_seconds=time.monotonic(),
            engines=engines,
        )  # fmt: skip
        audit = AuditLog(folder / AUDIT_FILE)
        allow_admin = device.config.mqtt.allow_admin
        commands = CommandDesk(publisher, reach, store, audit, allow_admin=allow_admin, wall_clock=wall_clock)
        faults = stack.enter_context(FaultLedger(folder / FAULTS_FILE, wall_clock))
        yield OpenDesk(announcer, switches, judges, commands, reload, own_judges, reach.tests, faults)
