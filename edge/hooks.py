"""Hooks: every event of the outbox to a web address or a local program, for those without a broker's consumer.

At least once, in order, a thread each; a receiver that fails is tried again, and it never holds up the cameras.
"""

from __future__ import annotations

import http.client
import logging
import os
import random
import signal
import sqlite3
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from enum import Enum

from edge.config import Hooks
from edge.errors import PrednetError
from edge.kept_secrets import WEBHOOK_TOKEN, read_secret
from edge.outbox import Outbox
from edge.seldom import Seldom

log = logging.getLogger(__name__)

WEBHOOK, COMMAND = "webhook", "command"
POLL_SECONDS = 0.2
LONGEST_DELAY_SECONDS = 60.0
COMMAND_ATTEMPTS = 5
_RETRIED = frozenset({408, 425, 429})  # the receiver asks for another try


class Outcome(Enum):
    """What became of one delivery: `REFUSED` is final, `FAILED` is tried again."""

    TAKEN = "taken"
    REFUSED = "refused"
    FAILED = "failed"


Deliver = Callable[[bytes], Outcome]


def hooks_of(hooks: Hooks) -> list[str]:
    """Return the names of the hooks that are configured."""
    return [name for name, is_set in ((WEBHOOK, hooks.webhook), (COMMAND, hooks.command)) if is_set]


@contextmanager
def running_hooks(hooks: Hooks, outbox: Outbox) -> Iterator[None]:
    """Run a thread for each configured hook, until the end."""
    made: dict[str, Deliver] = {
        WEBHOOK: lambda payload: post(hooks.webhook, payload, hooks.timeout_seconds, hooks.webhook_token_file),
        COMMAND: lambda payload: run_program(hooks.command, payload, hooks.timeout_seconds),
    }
    with ExitStack() as stack:
        for name in hooks_of(hooks):
            attempts = COMMAND_ATTEMPTS if name == COMMAND else None
            thread = HookThread(name, outbox, made[name], attempts)
            thread.start()
            stack.callback(thread.stop, hooks.timeout_seconds)
        yield


class HookThread(threading.Thread):
    """Takes events from the outbox one by one, and hands each over until it is taken, refused or given up.

    After `attempts` failures (None: never) an event is given up; each that is not delivered is counted.
    """

    def __init__(
        self,
        name: str,
        outbox: Outbox,
        deliver: Deliver,
        attempts: int | None,
        *,
        first_delay_seconds: float = 1.0,
        random_fraction: Callable[[], float] = random.random,
    ) -> None:
        super().__init__(name=f"hook-{name}", daemon=True)
        self._hook, self._outbox, self._deliver, self._attempts = name, outbox, deliver, attempts
        self._first_delay_seconds, self._random_fraction = first_delay_seconds, random_fraction
        self._stopping = threading.Event()
        self._unforeseen = Seldom()

    def run(self) -> None:
        """Deliver until stopped; an outbox that cannot be read now is asked again."""
        failures = unreadable = 0
        while not self._stopping.is_set():
            try:
                failures = self._failures_after_one(failures)
            except sqlite3.Error as error:
                unreadable += 1
                log.error("outbox_unreadable hook=%s error=%s", self._hook, error)  # noqa: TRY400
                self._stopping.wait(self._delay_seconds(unreadable))
            else:
                unreadable = 0

    def _failures_after_one(self, failures: int) -> int:
        """Try to deliver the event that waits, and return how often it has failed; rest where none waits."""
        waiting = self._outbox.waiting_for(self._hook)
        if waiting is None:
            self._stopping.wait(POLL_SECONDS)
            return failures
        outcome = self._outcome(waiting.payload)
        if outcome is Outcome.TAKEN:
            self._outbox.taken_by(self._hook, waiting.id)
            return 0
        failures += 1
        if outcome is Outcome.REFUSED or failures == self._attempts:
            log.error("hook_gave_up hook=%s outcome=%s", self._hook, outcome.value)
            self._outbox.taken_by(self._hook, waiting.id, dropped=1)
            return 0
        self._stopping.wait(self._delay_seconds(failures))
        return failures

    def _outcome(self, payload: bytes) -> Outcome:
        """Return what became of a delivery; what nobody foresaw is a failure like others, told once a minute."""
        try:
            return self._deliver(payload)
        except Exception:
            if (count := self._unforeseen.count()) is not None:
                log.exception("hook_failed hook=%s count=%d", self._hook, count)
            return Outcome.FAILED

    def stop(self, timeout_seconds: float) -> None:
        """End after the delivery under way; what was not taken waits for the next start."""
        self._stopping.set()
        self.join(timeout_seconds)

    def _delay_seconds(self, failures: int) -> float:
        longest = min(LONGEST_DELAY_SECONDS, self._first_delay_seconds * 2.0 ** min(failures - 1, 30))
        return longest * (0.5 + 0.5 * self._random_fraction())


class _Direct(urllib.request.HTTPRedirectHandler):
    """Follows nobody elsewhere: a redirect would take event and token to an address that nobody configured."""

    def redirect_request(self, *_: object) -> None:
        """Go nowhere; the answer is then an error like others."""


_DIRECT = urllib.request.build_opener(_Direct)


def post(address: str, payload: bytes, timeout_seconds: float, token_file: str = "") -> Outcome:
    """Post an event as JSON; a 4xx other than «later» is final, all else that is no 2xx is tried again."""
    headers = {"Content-Type": "application/json", "User-Agent": "prednet-edge"}
    try:
        if token := read_secret(WEBHOOK_TOKEN, token_file):
            headers["Authorization"] = f"Bearer {token.value.strip()}"
        request = urllib.request.Request(address, data=payload, headers=headers, method="POST")  # noqa: S310 - checked
        with _DIRECT.open(request, timeout=timeout_seconds):
            return Outcome.TAKEN
    except urllib.error.HTTPError as error:
        is_final = 400 <= error.code < 500 and error.code not in _RETRIED
        log.info("webhook_answer status=%d", error.code)
        return Outcome.REFUSED if is_final else Outcome.FAILED
    except (OSError, ValueError, http.client.HTTPException, PrednetError) as error:
        log.info("webhook_unreachable error=%s", error)
        return Outcome.FAILED


def run_program(command: tuple[str, ...], payload: bytes, timeout_seconds: float) -> Outcome:
    """Start a program without a shell and let it read the event; all that it started ends with the time limit."""
    try:
        process = subprocess.Popen(  # noqa: S603 - from the device's own configuration
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
    except (OSError, ValueError) as error:
        log.error("hook_program_missing program=%s error=%s", command[0], error)  # noqa: TRY400
        return Outcome.FAILED
    try:
        process.communicate(payload, timeout_seconds)
    except subprocess.TimeoutExpired:
        log.warning("hook_program_hung program=%s seconds=%g", command[0], timeout_seconds)
        return Outcome.FAILED
    finally:
        _end_all_of(process)
    return Outcome.TAKEN if process.returncode == 0 else Outcome.FAILED


def _end_all_of(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
