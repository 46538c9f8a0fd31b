"""A command from its bytes: checked in one fixed order, or refused with a code and a sentence."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timezone

import msgspec

from edge.command_messages import ADMIN_VERBS, VERBS, Args, Code, Command
from edge.errors import JsonError
from edge.mqtt import HeardCommand

BYTES_LIMIT = 4096
EXPIRY_SECONDS_LIMIT = 86400.0
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class Refused(Exception):
    """A command that is not carried out: `code` for machines, the text for people."""

    def __init__(self, code: Code, hint: str) -> None:
        super().__init__(hint)
        self.code: Code = code
        self.hint = hint


@dataclass(frozen=True)
class Order:
    """A command whose form is good: what is asked, under which id, until when (seconds since 1970)."""

    verb: str
    request_id: str
    expires_seconds: float
    args: Args


def read_command(heard: HeardCommand) -> Command:
    """Return the command of a message. Raises Refused: too large, or not the JSON of a command."""
    if len(heard.payload) > BYTES_LIMIT:
        raise Refused("too_large", f"{len(heard.payload)} bytes; a command takes {BYTES_LIMIT} at most.")
    try:
        command = msgspec.json.decode(heard.payload, type=Command)
    except JsonError as error:
        raise Refused("malformed", f"No command: {str(error)[:200]}.") from error
    if _REQUEST_ID.fullmatch(command.request_id) is None:  # it stands in a topic: no newline at its end either
        raise Refused("malformed", "request_id: 1 to 64 of A-Z, a-z, 0-9, '.', '_' and '-'.")
    return command


def order_from_command(heard: HeardCommand, command: Command, wall_seconds: float, *, allow_admin: bool) -> Order:
    """Return what is to be done. Raises Refused: retained, unknown, too late, not allowed, wrong arguments."""
    if heard.retained:
        raise Refused("retained", "Send commands with retain off; clear this topic with an empty retained message.")
    arguments = VERBS.get(heard.verb)
    if arguments is None:
        raise Refused("unknown_verb", f"There are {', '.join(VERBS)}.")
    expires = _expires(command, wall_seconds)
    if heard.verb in ADMIN_VERBS and not allow_admin:
        raise Refused("not_allowed", "Only where the device's configuration says mqtt.allow_admin: true.")
    try:
        args = msgspec.convert(command.args, arguments)
    except (msgspec.ValidationError, RecursionError, OverflowError) as error:
        raise Refused("bad_arguments", f"args: {str(error)[:200]}.") from error
    return Order(heard.verb, command.request_id, expires, args)


def _expires(command: Command, wall_seconds: float) -> float:
    """Return the moment of expiry in seconds since 1970."""
    whole, _, fraction = command.expires.rstrip("Z\n").partition(".")
    try:
        moment = datetime.strptime(whole, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=timezone.utc)
        expires = moment.timestamp() + float(f"0.{fraction or 0}")
    except (ValueError, OverflowError) as error:
        raise Refused("bad_expiry", "expires: a time in UTC is expected, such as 2026-11-22T14:03:11Z.") from error
    if expires <= wall_seconds:
        raise Refused("expired", f"Expired {wall_seconds - expires:.0f} s ago by this device's clock.")
    if expires > wall_seconds + EXPIRY_SECONDS_LIMIT:
        raise Refused("bad_expiry", "expires: more than 24 h ahead by this device's clock.")
    return expires
