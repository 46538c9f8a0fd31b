"""The commands `prednet-edge install-service` and `uninstall-service`."""

from __future__ import annotations

import argparse
from pathlib import Path

from edge.command import Parser

INSTALL_HELP = """Make prednet-edge a service of this machine: user, folders, units, credentials.

  sudo /opt/prednet-edge/bin/prednet-edge install-service
  sudo prednet-edge install-service --root /mnt/rootfs     into an image that is not running

It may be run again at any time, and is after an upgrade, a new credential or a moved state_directory: it writes
its own files anew and touches neither configuration nor events. Each file in /etc/prednet-edge/credentials
becomes a credential of the service, which root alone can read on disk: docs/configuration.md names them.
"""
UNINSTALL_HELP = """Stop the service and take its units away. Configuration, events and calibrations stay.

  sudo prednet-edge uninstall-service
"""


def add_install_commands(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add both to the device's commands."""
    install = commands.add_parser("install-service", help="start with the machine", description=INSTALL_HELP)
    remove = commands.add_parser("uninstall-service", help="take the service away", description=UNINSTALL_HELP)
    for command in (install, remove):
        command.add_argument("--root", type=Path, default=Path("/"), help="another root, of an image (default: /)")
    install.set_defaults(run=_install)
    remove.set_defaults(run=_remove)


def _install(parsed: argparse.Namespace) -> int:
    from edge import install  # noqa: PLC0415 - only a command opens the rooms that it needs

    is_here = parsed.root == Path("/")
    for told in install.install(parsed.root, install.program_here() if is_here else install.PROGRAM):
        print(told)
    for told in install.start(parsed.root) if is_here else ():
        print(told)
    return 0


def _remove(parsed: argparse.Namespace) -> int:
    from edge.install import remove  # noqa: PLC0415 - as above

    for told in remove(parsed.root):
        print(told)
    return 0
