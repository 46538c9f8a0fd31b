"""The command `prednet-edge ack`: what a person says of events, what that makes of the promise, clips for training."""

from __future__ import annotations

import argparse
import sqlite3
import time
from pathlib import Path

import msgspec

from edge.command import Parser
from edge.errors import PrednetError, UsageError

ACK_HELP = """Say of an event whether it was real; see what the promise is worth; take the clips for the next training.

  prednet-edge ack 01JDA6Q3R8W5Z0M7T9K4C2B1XE false --config config.yaml
  prednet-edge ack --config config.yaml --since 7d
  prednet-edge ack --config config.yaml --since 30d --export footage

A later answer replaces an earlier one, and each is written to audit.jsonl. Without an event: for each camera, how many
false events a day there really were, beside what was promised. Over MQTT the same is the command `acknowledge`.

--export copies the clips of events that were called false to DIR/false/<camera>/: normal work that the network does not
know yet. Train or calibrate with them beside your other footage; --verdict real gives the real ones, to evaluate with:
  prednet-export train --footage recordings/press3 --footage footage/false/press3 ...
"""


def add_ack_command(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add `ack` to a program's commands."""
    ack = commands.add_parser("ack", help="say of an event whether it was real", description=ACK_HELP)
    ack.add_argument("event_id", nargs="?", metavar="ID", help="the event's id; without one: what was said so far")
    ack.add_argument("answer", nargs="?", choices=("real", "false", "unsure"), help="what it was")
    ack.add_argument("--config", type=Path, required=True, help="the YAML configuration")
    ack.add_argument("--since", default="7d", metavar="SPAN", help="such as 12h, 7d (default: %(default)s)")
    ack.add_argument("--export", type=Path, metavar="DIR", help="copy the clips of answered events there")
    ack.add_argument("--verdict", default="false", choices=("real", "false", "unsure"), help="of --export")
    ack.add_argument("--json", action="store_true", help="print JSON, one object a line")
    ack.set_defaults(run=_ack)


def _ack(parsed: argparse.Namespace) -> int:
    from edge.config_file import read_config  # noqa: PLC0415 - only a command opens the doors that it needs

    if (parsed.event_id is None) != (parsed.answer is None):
        raise UsageError("give an event's id and real, false or unsure; or neither, for what was said so far.")
    state = Path(read_config(parsed.config).state_directory)
    if parsed.event_id is not None:
        return _say(parsed, state)
    return _export(parsed, state) if parsed.export is not None else _tell(parsed, state)


def _say(parsed: argparse.Namespace, state: Path) -> int:
    from edge.event_ledger import open_to_acknowledge  # noqa: PLC0415
    from edge.verdicts import audit_verdict  # noqa: PLC0415

    try:
        with open_to_acknowledge(state) as ledger:
            event = ledger.acknowledge(parsed.event_id, parsed.answer, time.time())
    except sqlite3.Error as error:
        raise PrednetError(
            f"{state}: the answer is not kept ({error}); call it with sudo, or as the daemon's user."
        ) from error
    audit_verdict(state, parsed.event_id, parsed.answer, time.time(), is_known=event is not None)
    if event is None:
        raise UsageError(f"{parsed.event_id}: there was no such event here; 'prednet-edge evidence list' names some.")
    told = f"{event.event_id}: {event.kind} on {event.camera} was {event.verdict}"
    print(msgspec.json.encode(event).decode() if parsed.json else told)
    return 0


def _tell(parsed: argparse.Namespace, state: Path) -> int:
    from edge.labels import seconds_from_span  # noqa: PLC0415
    from edge.setup import read_device  # noqa: PLC0415
    from edge.verdicts import line_of_realised, realised_by_camera  # noqa: PLC0415

    device = read_device(parsed.config)
    for one in realised_by_camera(device, state, time.time() - seconds_from_span(parsed.since), time.time()):
        print(msgspec.json.encode(one).decode() if parsed.json else line_of_realised(one))
    return 0


def _export(parsed: argparse.Namespace, state: Path) -> int:
    from edge.event_ledger import open_existing  # noqa: PLC0415
    from edge.evidence_store import FOLDER  # noqa: PLC0415
    from edge.labels import seconds_from_span  # noqa: PLC0415
    from edge.verdict_clips import export_clips  # noqa: PLC0415

    with open_existing(state) as ledger:
        events = ledger.events(time.time() - seconds_from_span(parsed.since), time.time())
    copied, missing = export_clips(state / FOLDER, events, parsed.verdict, parsed.export)
    if parsed.json:
        print(msgspec.json.encode({"copied": copied, "without_clip": missing}).decode())
        return 0
    for camera, names in copied.items():
        print(f"{parsed.export / parsed.verdict / camera}: {len(names)} clips")
    count = sum(map(len, copied.values()))
    print(f"{count} clips copied; {missing} events called {parsed.verdict} have no clip (any more)")
    return 0
