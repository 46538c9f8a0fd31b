"""The command `prednet-edge doctor`."""

from __future__ import annotations

import argparse
from pathlib import Path

import msgspec

from edge.command import Parser
from edge.errors import DEVICE_UNAVAILABLE, OK

DOCTOR_HELP = """Look at everything that a running camera takes; one line each, with what to do.

  sudo prednet-edge doctor --config /etc/prednet-edge/config.yaml

As root the checks run as the service's user, whose rights the daemon has; where there is none, as root, and the
first line says so. Real inference against the golden answer, driver, GPU against library, GStreamer's elements, every
camera, a message to the broker and back, a small object into the store of evidence.upload, disk, clock, heat.
A USB or CSI camera is open to one program at a time: stop the daemon first. Exit code 3: something failed.
"""
_MARKS = {"ok": "ok    ", "warned": "WARN  ", "failed": "FAIL  ", "skipped": "-     "}


def add_doctor_command(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add `doctor` to the device's commands."""
    doctor = commands.add_parser(
        "doctor", help="look at everything that a running camera takes", description=DOCTOR_HELP
    )
    doctor.add_argument("--config", type=Path, required=True, help="the YAML configuration")
    doctor.add_argument("--user", default="prednet-edge", help="the service's user (default: %(default)s)")
    doctor.add_argument("--json", action="store_true", help="print a JSON list")
    doctor.set_defaults(run=_doctor)


def _doctor(parsed: argparse.Namespace) -> int:
    from edge.doctor import examined, examined_as, other_user  # noqa: PLC0415 - a command opens its rooms

    user = other_user(parsed.user)
    if user is not None:
        again = ["doctor", "--config", str(parsed.config.absolute()), *(["--json"] if parsed.json else [])]
        return examined_as(user, again)
    found = []
    for check in examined(parsed.config, parsed.user):
        found.append(check)
        if not parsed.json:
            print(f"{_MARKS[check.state]}{check.name}: {check.told}", flush=True)
    if parsed.json:
        print(msgspec.json.encode(found).decode())
    return DEVICE_UNAVAILABLE if any(check.state == "failed" for check in found) else OK
