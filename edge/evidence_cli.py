"""The command `prednet-edge evidence`: what is kept of events, and its deletion on request."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from edge.command import Parser
from edge.errors import PrednetError, UsageError

if TYPE_CHECKING:
    from edge.evidence_store import Kept

EVIDENCE_HELP = """Show what is kept of events, or delete a camera's or a time's.

  prednet-edge evidence list --config config.yaml --camera press3
  prednet-edge evidence delete --config config.yaml --camera press3
  prednet-edge evidence delete --config config.yaml --from 2026-11-22T06:00 --to 2026-11-22T14:00

Times are UTC, of the event's beginning, --to not included. Deletion needs no stop of the daemon, cannot be undone, and
is written to audit.jsonl in the state directory, with who asked for it. The frames that the score ring keeps of that
camera and time go with it, but for the minute that is being written; its scores, which show nothing, stay.
"""
_FORMATS = ("%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H", "%Y-%m-%d")


def add_evidence_command(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add `evidence` to a program's commands."""
    evidence = commands.add_parser("evidence", help="what is kept of events; deletion", description=EVIDENCE_HELP)
    evidence.add_argument("what", choices=("list", "delete"), help="show it, or delete it")
    evidence.add_argument("--config", type=Path, required=True, help="the YAML configuration")
    evidence.add_argument("--camera", help="one camera (list: default all)")
    evidence.add_argument("--from", dest="first", metavar="TIME", help="such as 2026-11-22T06:00, UTC")
    evidence.add_argument("--to", dest="last", metavar="TIME", help="not included")
    evidence.add_argument("--json", action="store_true", help="one JSON object a line")
    evidence.set_defaults(run=_evidence)


def _evidence(parsed: argparse.Namespace) -> int:
    from edge.config_file import read_config  # noqa: PLC0415 - only a command opens the doors that it needs
    from edge.evidence_store import FOLDER, chosen, kept_evidence  # noqa: PLC0415

    state = Path(read_config(parsed.config).state_directory)
    first, last = seconds_from_time(parsed.first), seconds_from_time(parsed.last)
    if parsed.what == "delete" and parsed.camera is None and first is None and last is None:
        raise UsageError("say what is to go: --camera NAME, --from TIME, --to TIME, or several of them.")
    found = chosen(kept_evidence(state / FOLDER), parsed.camera, first, last)
    for one in found:
        begun = datetime.fromtimestamp(one.begun_seconds, timezone.utc).isoformat(timespec="seconds")
        told: dict[str, str | int] = {"event_id": one.event_id, "camera": one.camera, "begun": begun}
        told |= {"severity": one.severity, "bytes": one.bytes, "folder": str(one.folder)}
        print(msgspec.json.encode(told).decode() if parsed.json else "  ".join(map(str, told.values())))
    if parsed.what == "delete":
        _delete(parsed, state, found)
    elif not found:
        print(f"no evidence is kept of {parsed.camera or 'any camera'} in that time", file=sys.stderr)
    return 0


def _delete(parsed: argparse.Namespace, state: Path, found: Sequence[Kept]) -> None:
    from edge.evidence_store import delete_logged  # noqa: PLC0415
    from edge.ring import FOLDER as RING  # noqa: PLC0415
    from edge.ring_room import films_within  # noqa: PLC0415

    films = films_within(state / RING, parsed.camera, seconds_from_time(parsed.first), seconds_from_time(parsed.last))
    asked = f"camera={parsed.camera} from={parsed.first} to={parsed.last}"
    freed, left = delete_logged(state, found, films, asked, time.time())
    if left:
        raise PrednetError(
            f"{left[0]}: this, and {len(left) - 1} more of what was asked for, may not be deleted by this user and is "
            "still there; call it with sudo, or as the daemon's user."
        )
    if not parsed.json:
        print(f"deleted: {len(found)} events, {freed / 1e6:.1f} MB; {len(films)} minutes of the ring's frames")


def seconds_from_time(text: str | None) -> float | None:
    """Return Unix time of a UTC time such as 2026-11-22T06:00, None of none. Raises UsageError for what is none."""
    if text is None:
        return None
    for form in _FORMATS:
        try:
            return datetime.strptime(text.rstrip("Z"), form).replace(tzinfo=timezone.utc).timestamp()
        except ValueError:
            continue
    raise UsageError(f"{text!r} is no time; write it as 2026-11-22T06:00, in UTC.")
