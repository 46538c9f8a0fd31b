"""The desk where commands arrive: each is checked, carried out once at most, answered, and written down."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable

from edge.audit import AuditLog, Entry, excerpt
from edge.command_actions import ACTIONS, Reach
from edge.command_messages import Code, Reply, Result
from edge.command_store import CommandStore
from edge.commands import Order, Refused, order_from_command, read_command
from edge.errors import PrednetError
from edge.messages import encode, utc_from_seconds
from edge.mqtt import HeardCommand, Publisher

log = logging.getLogger(__name__)

AT_ONCE = 8  # commands a tick, so that a flood of them does not hold up the cameras
REFUSED = "commands_refused"


class CommandDesk:
    """Serves the commands of one device; called by the river's thread alone."""

    def __init__(
        self,
        publisher: Publisher,
        reach: Reach,
        store: CommandStore,
        audit: AuditLog,
        *,
        allow_admin: bool,
        wall_clock: Callable[[], float],
    ) -> None:
        self._publisher, self._reach, self._store, self._audit = publisher, reach, store, audit
        self._allow_admin, self._wall_clock = allow_admin, wall_clock
        self.listeners: list[Callable[[Reply], None]] = []

    def tick(self) -> None:
        """Serve what has come; call it often."""
        for heard in self._publisher.take_commands(AT_ONCE):
            if heard.payload or not heard.retained:  # an empty retained message clears the topic, no more
                self._serve(heard)

    def _serve(self, heard: HeardCommand) -> None:
        request_id = None
        try:
            command = read_command(heard)
            request_id = command.request_id
            if not heard.retained and self._answer_again(heard, request_id):
                return
            order = order_from_command(heard, command, self._wall_clock(), allow_admin=self._allow_admin)
            self._answer(heard, order.request_id, self._carried_out(order))
        except Refused as refused:
            self._refuse(heard, request_id, refused)

    def _answer_again(self, heard: HeardCommand, request_id: str) -> bool:
        """Return whether the command was here before; it then gets its reply again."""
        try:
            is_known, stored = self._store.find(request_id)
        except sqlite3.Error as error:
            raise Refused("failed", f"The device's disk refuses: {error}.") from error
        if not is_known:
            return False
        if stored is None:
            raise Refused("failed", "The device was cut off while it carried this out; look, and send a new command.")
        self._publisher.reply(request_id, stored)
        self._write(heard, request_id, "ok", "done", repeated=True)
        return True

    def _carried_out(self, order: Order) -> Reply:
        """Carry the order out, and keep the reply on disk, whether it is good or not."""
        try:
            if not self._store.begin(order.request_id, order.expires_seconds, self._wall_clock()):
                raise Refused("busy", "Too many commands within a day; wait until the oldest have expired.")
            reply = self._reply_of(order)
            self._store.finish(order.request_id, encode(reply))
        except sqlite3.Error as error:
            raise Refused("failed", f"The device's disk refuses: {error}.") from error
        return reply

    def _reply_of(self, order: Order) -> Reply:
        try:
            result = ACTIONS[order.verb](self._reach, order.args)
        except Refused as refused:
            return self._reply(order.verb, order.request_id, refused.code, refused.hint)
        except (PrednetError, OSError, ValueError) as error:
            log.exception("command_failed verb=%s", order.verb)
            return self._reply(order.verb, order.request_id, "failed", str(error)[:500])
        return self._reply(order.verb, order.request_id, "done", result=result)

    def _reply(
        self, verb: str, request_id: str, code: Code, hint: str | None = None, result: Result | None = None
    ) -> Reply:
        return Reply(
            request_id=request_id,
            verb=verb[:48],
            status="ok" if code == "done" else "error",
            code=code,
            time=utc_from_seconds(self._wall_clock()),
            hint=hint,
            result=result,
        )

    def _refuse(self, heard: HeardCommand, request_id: str | None, refused: Refused) -> None:
        if request_id is not None:
            self._answer(heard, request_id, self._reply(heard.verb, request_id, refused.code, refused.hint))
            return
        self._count()
        self._write(heard, None, "error", refused.code)

    def _answer(self, heard: HeardCommand, request_id: str, reply: Reply) -> None:
        if reply.status == "error":
            self._count()
        self._write(heard, request_id, reply.status, reply.code)  # whoever has the reply finds it in the audit log
        self._publisher.reply(request_id, encode(reply))
        for listener in self.listeners:
            listener(reply)

    def _count(self) -> None:
        self._reach.announcer.counts[REFUSED] += 1

    def _write(
        self, heard: HeardCommand, request_id: str | None, status: str, code: str, *, repeated: bool = False
    ) -> None:
        self._audit.write(
            Entry(
                time=utc_from_seconds(self._wall_clock()),
                verb=excerpt(heard.verb.encode())[:48],
                request_id=request_id,
                status=status,
                code=code,
                bytes=len(heard.payload),
                payload=excerpt(heard.payload),
                repeated=repeated,
            )
        )
