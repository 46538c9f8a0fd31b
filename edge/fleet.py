"""The fleet, seen from any machine over MQTT alone: what devices say of themselves, and their events as they come."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import msgspec

from edge.errors import JsonError
from edge.messages import Event, Fault, Health, Info
from edge.mqtt import Received
from edge.topics import FAULTS, HEALTH, INFO, PREFIX, STATUS, checked_name

REMEMBERED = 100_000  # events whose repetition is noticed


class DeviceLine(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One device: its status, its active faults' codes, the state of each camera, what waits in its outbox."""

    site: str
    device: str
    status: str
    version: str | None = None
    boot_id: str | None = None
    faults: tuple[str, ...] = ()
    cameras: dict[str, str] = msgspec.field(default_factory=dict)
    outbox_depth: int | None = None
    told: str | None = None


def status_filters(site: str | None) -> list[str]:
    """Return the subscriptions from which `device_lines` is made. Raises UsageError for a name no topic can carry."""
    root = f"{PREFIX}/{site_filter(site)}/+"
    return [f"{root}/{leaf}" for leaf in (STATUS, INFO, HEALTH, FAULTS, "cam/+/state")]


def event_filter(site: str | None, group: str | None) -> str:
    """Return the subscription to all events of a fleet, shared with a group of consumers where one is named."""
    topic = f"{PREFIX}/{site_filter(site)}/+/events"
    return topic if group is None else f"$share/{checked_name(group, 'group')}/{topic}"


def site_filter(site: str | None) -> str:
    """Return a site as a subscription names it: all where none is given. Raises UsageError."""
    return "+" if site is None else checked_name(site, "site")


def device_lines(messages: Iterable[Received]) -> list[DeviceLine]:
    """Return a line a device, by site and name; a payload that cannot be read is left out."""
    lines: dict[tuple[str, str], DeviceLine] = {}
    for message in messages:
        site, device, leaf = message.topic.removeprefix(f"{PREFIX}/").split("/", 2)
        line = lines.get((site, device), DeviceLine(site=site, device=device, status="unknown"))
        lines[site, device] = _with(line, leaf, message.payload)
    return [lines[key] for key in sorted(lines)]


def _with(line: DeviceLine, leaf: str, payload: bytes) -> DeviceLine:
    replace = msgspec.structs.replace
    try:
        if leaf == STATUS:
            return replace(line, status=payload.decode())
        if leaf == INFO:
            info = msgspec.json.decode(payload, type=Info)
            return replace(line, version=info.versions.get("prednet-edge"), boot_id=info.boot_id)
        if leaf == FAULTS:
            faults = msgspec.json.decode(payload, type=tuple[Fault, ...])
            return replace(line, faults=tuple(f"{one.code}:{one.camera}" if one.camera else one.code for one in faults))
        if leaf == HEALTH:
            health = msgspec.json.decode(payload, type=Health)
            return replace(line, outbox_depth=health.outbox.depth, told=health.time)
        return replace(line, cameras=line.cameras | {leaf.split("/")[1]: payload.decode()})
    except JsonError:
        return line


def table(lines: Iterable[DeviceLine]) -> Iterator[str]:
    """Yield one line a device for people."""
    for line in lines:
        unwell = {camera: state for camera, state in line.cameras.items() if state != "watching"}
        cameras = f"{len(line.cameras) - len(unwell)}/{len(line.cameras)} watching"
        told = [f"{camera} {state}" for camera, state in sorted(unwell.items())]
        told += [f"fault {fault}" for fault in line.faults]
        told += [f"{line.outbox_depth} events wait"] if line.outbox_depth else []
        yield printable(
            f"{line.site + '/' + line.device:<32} {line.status:<9} {cameras:<16} {', '.join(told)}".rstrip()
        )


@dataclass
class Ledger:
    """What was seen of a stream of events: repetitions, and the last number of each boot."""

    seen: dict[tuple[str, int], None] = field(default_factory=dict)
    last_seq: dict[tuple[str, str, str], int] = field(default_factory=dict)


def fresh_events(messages: Iterable[Received], ledger: Ledger, warn: Callable[[str], None]) -> Iterator[Event]:
    """Yield each event message once; holes in a device's numbers and announced losses are told to `warn`.

    A backlog comes behind live events, so that a hole is told only of what is not `historical`.
    """
    for message in messages:
        try:
            event = msgspec.json.decode(message.payload, type=Event)
        except JsonError as error:
            warn(f"{message.topic}: no event ({error})")
            continue
        key = (event.event_id, event.rev)
        if key in ledger.seen:
            continue
        ledger.seen[key] = None
        if len(ledger.seen) > REMEMBERED:
            del ledger.seen[next(iter(ledger.seen))]
        _tell_holes(event, ledger, warn)
        yield event


def _tell_holes(event: Event, ledger: Ledger, warn: Callable[[str], None]) -> None:
    who = (event.site, event.device, event.boot_id)
    last = ledger.last_seq.get(who)
    if event.type == "gap":
        warn(f"{event.site}/{event.device}: lost {event.from_seq} to {event.to_seq} ({event.reason})")
    if not event.historical:
        if last is not None and event.seq > last + 1:
            warn(f"{event.site}/{event.device}: {last + 1} to {event.seq - 1} not seen yet")
        ledger.last_seq[who] = max(last or 0, event.seq)


def line_of_event(event: Event) -> str:
    """Return one line for people."""
    when = event.time.start or event.time.published or ""
    score = f" score {event.score.peak:g} of {event.score.threshold_on:g}" if event.score else ""
    flags = "".join(f" [{name}]" for name, is_so in (("historical", event.historical), ("test", event.test)) if is_so)
    what = f"{event.kind or ''} {event.type}".strip()
    return printable(f"{when} {event.site}/{event.device}/{event.camera or '-'} {what}{score} {event.event_id}{flags}")


def printable(text: str) -> str:
    """Return text of others without characters that a terminal would obey."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)
