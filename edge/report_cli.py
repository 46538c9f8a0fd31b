"""The command `prednet-edge report`: one HTML page of a time, for those who run the plant."""

from __future__ import annotations

import argparse
import time
from datetime import timezone, tzinfo
from pathlib import Path

import msgspec
from tqdm import tqdm

from edge.command import Parser, check_folder_of
from edge.errors import UsageError

REPORT_HELP = """Write one HTML page for people who do not know the program: when the cameras were watched, what
happened, with pictures, false alarms beside the promise, faults. Nothing outside the file is needed; it prints on A4.

  prednet-edge report --config /etc/prednet-edge/config.yaml --since 7d
  prednet-edge report --config config.yaml --since 30d --timezone Europe/Berlin -o november.html
  prednet-edge report --config config.yaml --since 1d --json

It is made on the device, from what the daemon has noted; the daemon may run meanwhile. --json prints the same as data.
"""


def add_report_command(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add `report` to a program's commands."""
    report = commands.add_parser("report", help="a page of a time, for the plant", description=REPORT_HELP)
    report.add_argument("--config", type=Path, required=True, help="the YAML configuration")
    report.add_argument("--since", default="7d", metavar="SPAN", help="such as 12h, 7d (default: %(default)s)")
    report.add_argument("-o", "--out", type=Path, default=Path("report.html"),
                        help="where to write the page (default: %(default)s)")  # fmt: skip
    report.add_argument("--timezone", default="UTC", metavar="ZONE", help="of its times (default: %(default)s)")
    report.add_argument("--pictures", type=int, default=100, metavar="N", help="events with pictures, at most (100)")
    report.add_argument("--json", action="store_true", help="print the data instead")
    report.set_defaults(run=_report)


def _report(parsed: argparse.Namespace) -> int:
    from edge.files import write_whole  # noqa: PLC0415 - only a command opens the doors that it needs
    from edge.labels import seconds_from_span  # noqa: PLC0415
    from edge.report_data import gather  # noqa: PLC0415
    from edge.report_page import page  # noqa: PLC0415
    from edge.report_words import Words  # noqa: PLC0415
    from edge.setup import read_device  # noqa: PLC0415

    words, now = Words(_zone(parsed.timezone)), time.time()
    if parsed.pictures < 0:
        raise UsageError(f"--pictures {parsed.pictures}: a number of events from 0 on is expected.")
    if not parsed.json:
        check_folder_of(parsed.out)
    report = gather(read_device(parsed.config), now - seconds_from_span(parsed.since), now)
    if parsed.json:
        print(msgspec.json.encode(report).decode())
        return 0
    total = min(sum(event.is_judged for event in report.events), parsed.pictures)
    with tqdm(total=total, unit="event", desc="pictures", disable=None) as progress:
        text = page(report, words, parsed.pictures, progress.update)
    write_whole(parsed.out, text.encode())
    print(f"{parsed.out}: {len(report.events)} events, {len(report.faults)} faults, {len(text) / 1e6:.1f} MB")
    return 0


def _zone(name: str) -> tzinfo:
    from zoneinfo import ZoneInfo  # noqa: PLC0415 - reads the system's table

    if name == "UTC":
        return timezone.utc
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError) as error:
        raise UsageError(f"--timezone {name}: this machine knows no such zone; write such as Europe/Berlin.") from error
