"""The command `prednet-edge watch`: cameras, level against limit and last events, live in a terminal."""

from __future__ import annotations

import argparse
from pathlib import Path

from edge.command import Parser
from edge.fleet_cli import add_broker

WATCH_HELP = """Cameras, their level against the limit, faults and the last events, live in a terminal. Ctrl-C ends it.

  prednet-edge watch --config /etc/prednet-edge/config.yaml     on the device: no broker is needed
  prednet-edge watch --broker broker.plant7 --username integrator --password-file secret --site plant7
  prednet-edge watch --config config.yaml --once --json         for scripts: printed once

The bar is the level, the mark in it the limit: an event begins when the level stays above it for the hold. Every state
stands there as a word too: NO_COLOR=1 switches colour off. Times are UTC. Where the output is no terminal, or with
--once, one picture is printed, as soon as every camera has told its level or after --wait seconds.
On the device it runs as the daemon's user or root, who alone may look.
"""


def add_watch_command(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add `watch` to a program's commands."""
    watch = commands.add_parser("watch", help="cameras and events live in a terminal", description=WATCH_HELP)
    watch.add_argument("--config", type=Path, help="the YAML configuration of this machine's daemon")
    add_broker(watch, default_host=None)
    watch.add_argument("--site", help="one site (default: all of the broker)")
    watch.add_argument("--device", help="one device (default: all of the broker)")
    watch.add_argument("--once", action="store_true", help="print one picture and end")
    watch.add_argument("--wait", type=float, default=3.0, metavar="SECONDS", help="of --once, at most (default: 3)")
    watch.add_argument("--json", action="store_true", help="once, as one JSON object")
    watch.set_defaults(run=_watch)


def _watch(parsed: argparse.Namespace) -> int:
    from edge.watch_run import watch  # noqa: PLC0415 - only a command opens the doors that it needs

    return watch(parsed)
