"""The command `prednet-edge accept`: the promises held against the last hours, a signed page, and its check."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import msgspec

from edge.command import Parser
from edge.errors import GATE_FAILED, OK, UsageError

ACCEPT_HELP = """Hold a device's promises against what it did, and write a signed page for the customer.

  prednet-edge accept --hours 24 --config config.yaml -o acceptance.html
  prednet-edge accept verify acceptance.html --key device.pub
  prednet-edge accept key --config config.yaml

The last hours are judged, from a full hour on, by what the running daemon has noted: false events (as people answered
them, prednet-edge ack), the time watched, reconnects of cameras and broker, the time from frame to event, self-tests.
Each promise is kept, broken, or not judged: what the time does not suffice for, or what did not happen, is said and
never passed. Install, let it run for a day, answer its events, then run this.

The page is one HTML file, signed with the device's own ed25519 key, which is made at first use (device.key and
device.pub in the state directory). 'key' prints the public key. Exit codes: 0 nothing was broken and something could
be judged, 4 otherwise.
"""


def add_accept_command(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add `accept` to the device's commands."""
    accept = commands.add_parser("accept", help="a signed page: were the promises kept?", description=ACCEPT_HELP)
    accept.add_argument("what", nargs="?", choices=("verify", "key"), help="check a page, or print the device's key")
    accept.add_argument("page", nargs="?", type=Path, help="the page to verify")
    accept.add_argument("--config", type=Path, help="the YAML configuration")
    accept.add_argument("--hours", type=float, default=24.0, help="how far to look back (default: %(default)g)")
    accept.add_argument("--uptime", type=float, default=99.0, metavar="PERCENT",
                        help="promised time watched (default: %(default)g)")  # fmt: skip
    accept.add_argument("--recovery", type=float, default=15.0, metavar="SECONDS",
                        help="promised from a camera's return (default: %(default)g)")  # fmt: skip
    accept.add_argument("--latency", type=float, default=150.0, metavar="MILLISECONDS",
                        help="promised from frame to broker (default: %(default)g)")  # fmt: skip
    accept.add_argument("-o", "--out", type=Path, default=Path("acceptance.html"),
                        help="where to write the page (default: %(default)s)")  # fmt: skip
    accept.add_argument("--key", type=Path, help="of verify: the device's public key")
    accept.add_argument("--json", action="store_true", help="print the result as JSON")
    accept.set_defaults(run=_accept)


def _accept(parsed: argparse.Namespace) -> int:
    if parsed.what == "verify":
        return _verify(parsed)
    if parsed.config is None:
        raise UsageError("accept wants the configuration of the device: --config FILE.")
    return _key(parsed) if parsed.what == "key" else _judge(parsed)


def _judge(parsed: argparse.Namespace) -> int:
    from edge.acceptance.judging import Promised  # noqa: PLC0415 - only a command opens its doors
    from edge.acceptance.page import fingerprint, write_page  # noqa: PLC0415
    from edge.acceptance.report import acceptance_of  # noqa: PLC0415
    from edge.setup import read_device  # noqa: PLC0415

    if not 0.0 <= parsed.uptime <= 100.0:
        raise UsageError(f"--uptime {parsed.uptime:g} is not within 0 to 100 percent.")
    promised = Promised(uptime=parsed.uptime / 100.0, recovery_seconds=parsed.recovery, latency_ms=parsed.latency)
    device = read_device(parsed.config)
    found = acceptance_of(device, parsed.hours, promised, time.time())
    try:
        public = write_page(found, Path(device.config.state_directory), parsed.out)
    except OSError as error:
        raise UsageError(f"{error.filename}: cannot be written ({error.strerror}); as the service's user?") from error
    if parsed.json:
        print(msgspec.json.encode(found).decode())
    else:
        for clause in found.clauses:
            print(f"{clause.verdict:<10} {clause.camera or 'device'}, {clause.name}: {clause.seen}")
    counts = ", ".join(f"{count} {name}" for name, count in found.counts.items())
    print(f"{parsed.out}: {counts}; signed with {fingerprint(public)}", file=sys.stderr)
    return OK if found.is_kept else GATE_FAILED


def _verify(parsed: argparse.Namespace) -> int:
    from edge.acceptance.page import fingerprint, verify_page  # noqa: PLC0415
    from edge.signing import public_key_of  # noqa: PLC0415

    if parsed.page is None:
        raise UsageError("accept verify wants a page: the file that accept -o wrote.")
    public = verify_page(parsed.page, None if parsed.key is None else public_key_of(parsed.key))
    told = f"{parsed.page}: as it was written, signed with {fingerprint(public)}"
    if parsed.key is None:
        told += "; compare that with the device's: prednet-edge accept key --config CONFIG, or give --key device.pub"
    print(msgspec.json.encode({"page": str(parsed.page), "public_key": public}).decode() if parsed.json else told)
    return OK


def _key(parsed: argparse.Namespace) -> int:
    from edge.acceptance.page import device_key, fingerprint  # noqa: PLC0415
    from edge.config_file import read_config  # noqa: PLC0415
    from edge.signing import public_key_of  # noqa: PLC0415

    file = device_key(Path(read_config(parsed.config).state_directory)).with_suffix(".pub")
    public = public_key_of(file)
    print(msgspec.json.encode({"public_key": public, "file": str(file)}).decode() if parsed.json else
          f"{fingerprint(public)}  {public}  {file}")  # fmt: skip
    return OK
