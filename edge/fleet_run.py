"""What `prednet-edge fleet` does once its options are read: subscribe, and print."""

from __future__ import annotations

import argparse
import secrets
import sys
import time
from collections.abc import Iterator

import msgspec

from edge.errors import UsageError
from edge.fleet import Ledger, device_lines, event_filter, fresh_events, line_of_event, printable, status_filters, table
from edge.kept_secrets import read_password
from edge.mqtt import BrokerSettings, Received, Subscriber, TlsFiles

SETTLE_SECONDS = 0.5


def settings_of_options(parsed: argparse.Namespace, client_id: str) -> BrokerSettings:
    """Return how a broker is reached, from the options of a command. Raises UsageError for a file that is not there.

    A key without its certificate is a UsageError, too: it would be left out in silence.
    """
    if parsed.key is not None and parsed.certificate is None:
        raise UsageError(f"--key {parsed.key}: name its certificate, too, by --certificate.")
    is_secure = parsed.ca is not None or parsed.certificate is not None
    for path in (parsed.ca, parsed.certificate, parsed.key):
        if path is not None and not path.is_file():
            raise UsageError(f"{path}: there is no such file.")
    return BrokerSettings(
        host=parsed.host or "127.0.0.1",
        port=parsed.port or (8883 if is_secure else 1883),
        client_id=client_id,
        username=parsed.username,
        password=read_password(parsed.password_file),
        tls=TlsFiles(parsed.ca, parsed.certificate, parsed.key) if is_secure else None,
        protocol=parsed.protocol,
    )


def _client_id() -> str:
    return f"prednet-fleet-{secrets.token_hex(4)}"


def print_status(parsed: argparse.Namespace) -> int:
    """Print a line a device and return the exit code. Raises BrokerUnreachable."""
    with Subscriber(settings_of_options(parsed, _client_id()), *status_filters(parsed.site)) as subscriber:
        lines = device_lines(_until(subscriber, time.monotonic() + parsed.wait, SETTLE_SECONDS))
    if parsed.json:
        for line in lines:
            print(msgspec.json.encode(line).decode())
        return 0
    print("\n".join(table(lines)) or "no device has ever said anything here")
    well = sum(line.status == "online" for line in lines)
    print(f"{len(lines)} devices, {well} online", file=sys.stderr)
    return 0


def print_events(parsed: argparse.Namespace) -> int:
    """Print events as they come and return the exit code. Raises BrokerUnreachable."""
    until = float("inf") if parsed.seconds is None else time.monotonic() + parsed.seconds
    left = parsed.count
    with Subscriber(settings_of_options(parsed, _client_id()), event_filter(parsed.site, parsed.group)) as subscriber:
        for event in fresh_events(_until(subscriber, until, None), Ledger(), _warn):
            print(msgspec.json.encode(event).decode() if parsed.json else line_of_event(event), flush=True)
            left = None if left is None else left - 1
            if left == 0:
                break
    if subscriber.dropped:
        _warn(f"{subscriber.dropped} messages came faster than they could be printed")
    return 0


def _until(subscriber: Subscriber, deadline: float, quiet_seconds: float | None) -> Iterator[Received]:
    """Yield messages until a moment (monotonic), or until none came for a while."""
    while (left := deadline - time.monotonic()) > 0:
        came = False
        for message in subscriber.messages(min(left, quiet_seconds or 0.2)):
            came = True
            yield message
            if time.monotonic() >= deadline:
                return
        if quiet_seconds is not None and not came:
            return
        if not subscriber.is_connected:
            raise subscriber.unreachable("it ended the connection")


def _warn(sentence: str) -> None:
    print(f"prednet-edge fleet: {printable(sentence)}", file=sys.stderr, flush=True)
