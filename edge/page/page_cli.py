"""The command `prednet-edge page`: the link that opens the device's page."""

from __future__ import annotations

import argparse
import socket
import sys
from pathlib import Path
from urllib.parse import quote

import msgspec

from edge.command import Parser
from edge.errors import UsageError

PAGE_HELP = """Print the link that opens the device's page in a browser.

  prednet-edge page --config config.yaml
  prednet-edge page --config config.yaml --json        address and token apart, for programs

The link holds the token: who has it sees the cameras. Its part behind '#' is sent to no server and stands in no log.
The page answers on this machine alone unless page.bind says otherwise; from another one, through ssh:

  ssh -L 8470:127.0.0.1:8470 user@device
"""
ANSWER_SECONDS = 2.0


def add_page_command(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add `page` to a program's commands."""
    page = commands.add_parser("page", help="the link that opens the device's page", description=PAGE_HELP)
    page.add_argument("--config", type=Path, required=True, help="the YAML configuration")
    page.add_argument("--json", action="store_true", help="address and token as one JSON object")
    page.set_defaults(run=_page)


def _page(parsed: argparse.Namespace) -> int:
    from edge.config_file import read_config  # noqa: PLC0415 - only a command opens the doors that it needs
    from edge.page.page_desk import read_place  # noqa: PLC0415
    from edge.page.token import known_token  # noqa: PLC0415

    config = read_config(parsed.config)
    if not config.page.serve:
        raise UsageError(f"{parsed.config}: page.serve is false; the device serves no page.")
    state = Path(config.state_directory)
    place = read_place(state)
    if place is None or not is_served(place.reached, place.port):
        raise UsageError(
            f"{parsed.config}: no daemon of this configuration serves its page now. Start one with 'prednet-edge run', "
            f"or look for page_unavailable in its log."
        )
    address, token = address_of(place.reached, place.port), known_token(state, config.page)
    if parsed.json:
        print(msgspec.json.encode({"address": address, "token": token}).decode())
    else:
        print(f"{address}#token={quote(token)}")
        print("Who has this link sees the cameras.", file=sys.stderr)
    return 0


def address_of(host: str, port: int) -> str:
    """Return the address of a page, such as http://127.0.0.1:8470/."""
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def is_served(host: str, port: int) -> bool:
    """Return whether something answers there."""
    try:
        socket.create_connection((host, port), ANSWER_SECONDS).close()
    except OSError:
        return False
    return True
