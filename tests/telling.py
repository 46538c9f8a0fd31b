"""An announcer without cameras and without a broker: what it would say is read from its outbox and its states."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from edge.announcer import Announcer
from edge.capture import Mailboxes
from edge.coverage_ledger import Ledger
from edge.messages import Info
from edge.mqtt import Publisher
from edge.outbox import Outbox
from edge.setup import read_device
from edge.switches import Switches
from tests.brokers import free_port
from tests.daemons import write_config


@contextmanager
def telling(folder: Path) -> Iterator[tuple[Announcer, Outbox, Callable[[], dict[str, bytes]]]]:
    """Yield an announcer, its outbox, and what returns the last value of every state."""
    device = read_device(write_config(folder, free_port()))
    state = folder / "state"
    state.mkdir()
    info = Info(boot_id="boot1", versions={}, cameras=("quiet",), capabilities=(), config_hash="h", engine="x")
    mailboxes = Mailboxes(list(device.models))
    limits = {camera: model.calibration.limit for camera, model in device.models.items()}
    with Outbox(state / "outbox.sqlite", "plant7", "edge1", "boot1") as outbox, Ledger(state / "c.sqlite") as ledger:
        publisher = Publisher(device.broker, device.topics, outbox, info)
        switches = Switches(limits, None, wall_clock=lambda: 0.0)
        announcer = Announcer(device, publisher, outbox, mailboxes, switches, ledger)
        announcer.begin()
        handover = publisher._handover
        yield announcer, outbox, lambda: {name: message.payload for name, message in handover._states.items()}
