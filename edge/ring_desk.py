"""The score ring beside the river: what the daemon opens and shows every moment."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from edge.announcer import Announcer
from edge.clock import clock_state
from edge.model import Model
from edge.moments import Judge, Moment
from edge.ring import Facts
from edge.setup import Device

# What the clocks say is asked again after so long.
CLOCK_SECONDS = 1.0


@dataclass(frozen=True)
class RingDesk:
    """What the river calls; nothing of it waits."""

    see: Callable[[Moment], None] = lambda _: None
    tick: Callable[[], None] = lambda: None


@contextmanager
def open_ring(
    device: Device, announcer: Announcer, run: str, models: Mapping[str, Model], judges: Mapping[str, Judge]
) -> Iterator[RingDesk]:
    """Keep every moment of a device until the end. `models` and `judges` are those in force at each moment."""
    settings = device.config.ring
    if not settings.keep:
        yield RingDesk()
        return
    from edge.ring_writer import RingWriter  # noqa: PLC0415 - opens the door of av

    free = settings.free_megabytes + device.config.evidence.free_megabytes  # frames go before evidence does
    writer = RingWriter(Path(device.config.state_directory), msgspec.structs.replace(settings, free_megabytes=free))
    known: dict[str, tuple[Facts, Judge, Model, float]] = {}

    def facts_of(camera: str) -> Facts:
        judge, model, now = judges[camera], models[camera], time.monotonic()
        facts, last_judge, last_model, asked = known.get(camera, (None, None, None, 0.0))
        if facts is None or judge is not last_judge or model is not last_model or now - asked >= CLOCK_SECONDS:
            facts = facts_in_force(device, run, model, judge)
            known[camera] = (facts, judge, model, now)
        return facts

    def tick() -> None:
        for name, count in writer.drops.items():
            announcer.counts[name] = count

    try:
        yield RingDesk(lambda moment: writer.see(moment, judges[moment.camera].zones, facts_of(moment.camera)), tick)
    finally:
        writer.close()
        tick()


def facts_in_force(device: Device, run: str, model: Model, judge: Judge) -> Facts:
    """Return what holds now for a camera that is judged so."""
    return Facts(
        run=run,
        wall_offset_seconds=time.time() - time.monotonic(),
        clock=clock_state(),
        form=device.bundle.spec.form,
        grid=device.bundle.spec.grid,
        model=model.event_model(),
        profile=model.profile,
        calibrated=model.is_calibrated,
        limit=judge.limit,
        stall_limit=judge.stall_limit,
        rules=judge.rules,
        most_events_per_hour=device.config.detection.most_events_per_hour,
        zones=() if judge.zones is None else judge.zones.names,
    )
