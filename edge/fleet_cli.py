"""`prednet-edge fleet`: the devices of a broker, from any machine, over MQTT alone."""

from __future__ import annotations

import argparse
from pathlib import Path

from edge.command import Parser

FLEET_HELP = """See a fleet from any machine: needs a broker that the devices publish to, and nothing else of them.

  prednet-edge fleet status --host broker.plant7 --username integrator --password-file secret
  prednet-edge fleet status --host broker.plant7 --site plant7 --json
  prednet-edge fleet events --host broker.plant7                     until Ctrl-C
  prednet-edge fleet events --host broker.plant7 --group archive --json >> events.jsonl

status reads what the broker retains: a line a device with its cameras and faults. events prints each message once;
lost numbers are told on stderr. With --group several of these share the stream: each event goes to one of them.
"""


def add_fleet(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add the command to the program's parser."""
    fleet = commands.add_parser("fleet", help="all devices of a broker", description=FLEET_HELP)
    parts = fleet.add_subparsers(dest="what", metavar="WHAT", required=True)
    status = parts.add_parser("status", help="a line a device", description=FLEET_HELP)
    status.add_argument("--wait", type=float, default=5.0, metavar="SECONDS", help="at most (default: %(default)s)")
    events = parts.add_parser("events", help="every event as it comes", description=FLEET_HELP)
    events.add_argument("--seconds", type=float, help="end after so long (default: never)")
    events.add_argument("--count", type=int, help="end after so many events (default: never)")
    events.add_argument("--group", help="share the stream with others of this name (MQTT 5)")
    for parser, run in ((status, _status), (events, _events)):
        add_broker(parser)
        parser.add_argument("--site", help="one site (default: all)")
        parser.add_argument("--json", action="store_true", help="one JSON object a line")
        parser.set_defaults(run=run)


def add_broker(parser: Parser, default_host: str | None = "127.0.0.1") -> None:
    """Add what says which broker, and who asks it; without a default the caller fills in loopback."""
    parser.add_argument("--host", "--broker", default=default_host, help="the broker (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, help="the broker's port (default: 1883, with --ca 8883)")
    parser.add_argument("--username", help="the login's name")
    parser.add_argument("--password-file", default="", help="the login's password, in a file of its own")
    parser.add_argument("--ca", type=Path, help="the authority that signed the broker's certificate")
    parser.add_argument("--certificate", type=Path, help="your own certificate, where the broker asks for one")
    parser.add_argument("--key", type=Path, help="its key")
    told = "the version of MQTT that the broker speaks (default: %(default)s)"
    parser.add_argument("--protocol", choices=("5", "3.1.1"), default="5", help=told)


def _status(parsed: argparse.Namespace) -> int:
    from edge.fleet_run import print_status  # noqa: PLC0415 - only a command opens the doors that it needs

    return print_status(parsed)


def _events(parsed: argparse.Namespace) -> int:
    from edge.fleet_run import print_events  # noqa: PLC0415

    return print_events(parsed)
