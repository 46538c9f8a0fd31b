"""What `prednet-edge watch` does once its options are read: take messages in, and show them, live or once."""

from __future__ import annotations

import argparse
import secrets
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

import msgspec

from edge.config_file import read_config
from edge.errors import OK, PrednetError, UsageError
from edge.event_ledger import EVENTS_FILE, EventLedger
from edge.fleet_run import settings_of_options
from edge.mqtt import BrokerSettings, Received, Subscriber
from edge.small_database import open_to_read
from edge.topics import Topics, default_device
from edge.watch_screen import Console, Live, print_picture, show
from edge.watch_view import MOST_EVENTS, View, watch_filters, with_earlier, with_messages
from edge.window import seen_through

LOOK_SECONDS = 0.5
RETRY_SECONDS = 2.0


class Source(Protocol):
    """Where messages come from."""

    where: str

    def take(self, seconds: float) -> list[Received]:
        """Return what is there within so many seconds. Raises PrednetError where nobody can be asked."""
        ...

    def close(self) -> None:
        """Let go."""
        ...


class LocalSource:
    """The daemon of this machine, through its window."""

    def __init__(self, state_directory: Path) -> None:
        self.where, self._folder, self._due = "this device", state_directory, 0.0

    def take(self, seconds: float) -> list[Received]:
        """Return all that there is, once in so many seconds."""
        time.sleep(max(0.0, self._due - time.monotonic()))
        self._due = time.monotonic() + seconds
        return seen_through(self._folder)

    def close(self) -> None:
        """Nothing is held open."""


class BrokerSource:
    """A broker, connected to anew whenever it was lost."""

    def __init__(self, settings: BrokerSettings, filters: list[str]) -> None:
        self.where = f"{settings.host}:{settings.port}"
        self._settings, self._filters = settings, filters
        self._subscriber: Subscriber | None = None

    def take(self, seconds: float) -> list[Received]:
        """Return what comes within so many seconds."""
        if self._subscriber is None:
            subscriber = Subscriber(self._settings, *self._filters)
            subscriber.__enter__()
            self._subscriber = subscriber
        found, deadline = [], time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0.0:
            for message in self._subscriber.messages(left):
                found.append(message)
                if time.monotonic() >= deadline:
                    break
        if not self._subscriber.is_connected:
            fault = self._subscriber.unreachable("it ended the connection")
            self.close()
            raise fault
        return found

    def close(self) -> None:
        """Disconnect."""
        if self._subscriber is not None:
            self._subscriber.close()
            self._subscriber = None


def watch(parsed: argparse.Namespace) -> int:
    """Show a device, or all of a broker, until Ctrl-C or once; return the exit code. Raises PrednetError."""
    source, view = _opened(parsed)
    try:
        view = with_messages(view, source.take(LOOK_SECONDS), time.monotonic())
        if not (parsed.once or parsed.json) and sys.stdout.isatty():
            return _show_live(source, view)
        view = _completed(source, view, time.monotonic() + parsed.wait)
        _print_once(source, view, parsed.json)
    finally:
        source.close()
    return OK


def _opened(parsed: argparse.Namespace) -> tuple[Source, View]:
    if parsed.config is None:
        settings = settings_of_options(parsed, f"prednet-watch-{secrets.token_hex(4)}")
        return BrokerSource(settings, watch_filters(parsed.site, parsed.device)), View()
    if parsed.host is not None or parsed.site is not None or parsed.device is not None:
        raise UsageError("--config watches the daemon of this machine; leave out --host, --site and --device.")
    config = read_config(parsed.config)
    state, view = Path(config.state_directory), View()
    topics = Topics(config.site, config.device or default_device())
    try:
        with EventLedger(state / EVENTS_FILE, open_to_read) as ledger:
            earlier = ledger.events(0.0, time.time() + 86400.0)[-MOST_EVENTS:]
    except UsageError as error:  # what comes from now on can be shown all the same
        print(f"earlier events are not shown: {error}", file=sys.stderr)
    else:
        view = with_earlier(view, f"{topics.site}/{topics.device}", earlier)
    return LocalSource(state), view


def _completed(source: Source, view: View, deadline: float) -> View:
    """Return the view once every camera that is watched has told its level, or at the deadline."""
    while time.monotonic() < deadline and not _is_complete(view):
        view = with_messages(view, source.take(LOOK_SECONDS), time.monotonic())
    return view


def _is_complete(view: View) -> bool:
    cameras = [(device.status, camera) for device in view.devices.values() for camera in device.shown_cameras.values()]
    return bool(cameras) and all(
        camera.level_time or camera.state not in ("watching", "degraded") or status == "offline"
        for status, camera in cameras
    )


def _print_once(source: Source, view: View, is_json: bool) -> None:
    if is_json:
        print(msgspec.json.encode(view).decode())
    else:
        print_picture(view, source.where, time.monotonic(), time.time(), Console())


def _show_live(source: Source, view: View) -> int:
    trouble: str | None = None
    with _ended_by_signals(), Live(screen=True, auto_refresh=False) as live, suppress(KeyboardInterrupt):
        while True:
            show(live, view, source.where, trouble, time.monotonic(), time.time())
            try:
                view, trouble = with_messages(view, source.take(LOOK_SECONDS), time.monotonic()), None
            except PrednetError as error:
                trouble = str(error)
                time.sleep(RETRY_SECONDS)
    return OK


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """SIGTERM ends it as Ctrl-C does, so that the terminal is left as it was."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
