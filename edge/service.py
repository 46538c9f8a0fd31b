"""The daemon's life: its start, the configurations that it takes over or falls back to, and what systemd is told."""

from __future__ import annotations

import faulthandler
import logging
import os
import signal
import threading
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import FrameType

from edge.allocator import keep_few_pools
from edge.daemon import watch_device
from edge.errors import OK, ConfigInvalid, PrednetError
from edge.files import write_whole
from edge.notify import notifier_from
from edge.restart_delay import PROVEN_SECONDS, begin, delay_seconds, forget
from edge.setup import Device, read_device
from edge.supervision import Supervisor
from edge.throttle import Throttle
from edge.updates.desk import note_start

log = logging.getLogger(__name__)


def run_daemon(
    config_path: Path, last_good: Path | None = None, environment: MutableMapping[str, str] = os.environ
) -> int:
    """Watch until SIGTERM or Ctrl-C, or until every file has ended; return the exit code. SIGHUP reloads.

    Where `last_good` names a file, each configuration that came to watch is kept there, and stands in at a start for
    one that is not good. Raises ConfigInvalid where it cannot start.
    """
    keep_few_pools()
    faulthandler.enable()  # systemd's watchdog ends a daemon that hangs by SIGABRT: the log then says where it hung
    runtime = environment.get("RUNTIME_DIRECTORY")
    folder = Path(runtime) if runtime else None
    stopping = threading.Event()
    supervisor = Supervisor(notifier_from(environment), on_ready=partial(_begun, last_good=last_good, folder=folder))
    with _signals(stopping, supervisor):
        failed = begin(folder)
        if wait := delay_seconds(failed):
            log.warning("start_put_off seconds=%g failed_starts=%d", wait, failed)
            supervisor.waits(wait, failed)
            stopping.wait(wait)
        note_start(config_path)
        try:
            _watch_on(config_path, last_good, stopping, supervisor)
        except ConfigInvalid:
            forget(folder)  # it is not started again, and a person who mends it need not wait
            raise
    forget(folder)
    return OK


def _watch_on(config_path: Path, last_good: Path | None, stopping: threading.Event, supervisor: Supervisor) -> None:
    """Watch with one device after another."""
    throttle = Throttle()

    def read_again() -> Device:
        return read_device(config_path, slower=throttle.is_slow)

    device = None if stopping.is_set() else _first_device(config_path, last_good, supervisor)
    while device is not None:
        good = supervisor.good
        try:
            following = watch_device(device, stopping, read_again=read_again, supervisor=supervisor, throttle=throttle)
        except (PrednetError, OSError) as error:
            if good is None and isinstance(error, ConfigInvalid):  # what else fails may go well at the next start
                good = _kept_device(config_path, last_good, device)
            if good is None or supervisor.good is device:  # there is no other; or it watched, and then failed
                raise
            log.error("configuration_failed reason=%r", str(error))  # noqa: TRY400 - a whole sentence
            device, supervisor.refused = good, str(error)
        else:
            device, supervisor.refused = following, ""
        if device is not None:
            supervisor.swaps()


def _first_device(config_path: Path, last_good: Path | None, supervisor: Supervisor) -> Device:
    try:
        return read_device(config_path)
    except ConfigInvalid as error:
        kept = _kept_device(config_path, last_good)
        if kept is None:
            raise
        log.error("configuration_refused reason=%r; starting with %s", str(error), last_good)  # noqa: TRY400
        supervisor.refused = str(error)
        return kept


def _kept_device(config_path: Path, last_good: Path | None, failed: Device | None = None) -> Device | None:
    """Return the device of the last good configuration; None where none was kept, or where it is the one that failed.

    Raises ConfigInvalid where it is not good any more.
    """
    try:
        text = None if last_good is None else last_good.read_text(encoding="utf-8")
    except FileNotFoundError:
        text = None
    if text is None or (failed is not None and failed.text == text):
        return None
    return read_device(config_path, text)


def _begun(device: Device, last_good: Path | None, folder: Path | None) -> None:
    """Keep the text of a configuration that watches, and after a while the start as a good one."""
    if last_good is not None:
        try:
            write_whole(last_good, device.text.encode())
        except OSError as error:
            log.error("last_good_not_kept file=%s error=%s", last_good, error)  # noqa: TRY400
    proven = threading.Timer(PROVEN_SECONDS, forget, (folder,))
    proven.daemon = True
    proven.start()


@contextmanager
def _signals(stopping: threading.Event, supervisor: Supervisor) -> Iterator[None]:
    def stop(number: int, _: FrameType | None) -> None:
        log.info("signal number=%d", number)
        stopping.set()
        supervisor.stops()

    def reload(number: int, _: FrameType | None) -> None:
        log.info("signal number=%d", number)
        supervisor.reload_is_wanted.set()

    handlers = {signal.SIGTERM: stop, signal.SIGINT: stop, signal.SIGHUP: reload}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
