"""The command `prednet-edge support-bundle`."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import msgspec
from tqdm import tqdm

from edge.command import Parser
from edge.errors import OK, UsageError

SUPPORT_HELP = """Collect what support needs of this device into one zip, without what is secret in it.

  sudo prednet-edge support-bundle --config /etc/prednet-edge/config.yaml -o support.zip

Versions, the configuration, states, coverage and events of the last 7 days, the audit log, what bundles, calibrations
and engines say of themselves, and the service's log. No picture, no clip, no weights. Passwords, tokens and keys of the
configuration are removed wherever they stand, and whatever is written like one. It is sent nowhere: look at it first.
It works beside a running daemon, and with a configuration that is wrong. As root it has the service's log too.
"""


def add_support_command(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add `support-bundle` to the device's commands."""
    support = commands.add_parser("support-bundle", help="what support needs, redacted", description=SUPPORT_HELP)
    support.add_argument("--config", type=Path, required=True, help="the YAML configuration")
    support.add_argument("-o", "--out", type=Path, help="the zip (default: support-TIME.zip here)")
    support.add_argument("--json", action="store_true", help="print what is in it as JSON")
    support.set_defaults(run=_support)


def _support(parsed: argparse.Namespace) -> int:
    from edge.support.collecting import collect_support  # noqa: PLC0415 - only a command opens its doors

    out = parsed.out or Path(time.strftime("support-%Y%m%dT%H%M%SZ.zip", time.gmtime()))
    with tqdm(unit="part", desc="collecting", disable=None, leave=False) as bar:

        def progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        try:
            members = collect_support(parsed.config, out, progress)
        except OSError as error:
            raise UsageError(f"{out}: cannot be written ({error.strerror}); give another place with -o.") from error
    if parsed.json:
        print(msgspec.json.encode(members).decode())
        return OK
    for one in members:
        print(f"{one.bytes:>9}  {one.name}{'' if one.lacking is None else f'  (not to be had: {one.lacking})'}")
    print(f"{out}: {out.stat().st_size} bytes; it is sent nowhere, look at it before you send it", file=sys.stderr)
    return OK
