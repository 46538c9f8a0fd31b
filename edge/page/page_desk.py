"""The page beside the river: what the daemon opens, shows every moment, and asks whether it is served."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from edge.desk import OpenDesk
from edge.errors import ConfigInvalid
from edge.files import write_whole
from edge.json_files import read_json
from edge.moments import Moment
from edge.mqtt import Publisher
from edge.page.aside import Aside
from edge.page.board import Board
from edge.page.serving import Orders, Serving
from edge.page.settings import Page
from edge.page.token import open_token
from edge.setup import Device

if TYPE_CHECKING:
    from edge.page.server import PageServer

log = logging.getLogger(__name__)

PLACE_FILE = "page.json"
AGAIN_SECONDS = 10.0
FAULT = "page_unavailable"


class Place(msgspec.Struct, frozen=True):
    """Where the page is served now: what `prednet-edge page` reads."""

    bind: str
    port: int

    @property
    def reached(self) -> str:
        """The address at which this machine itself reaches it."""
        return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.bind, self.bind)  # noqa: S104 - nothing is bound here


def read_place(state_directory: Path) -> Place | None:
    """Return where a daemon serves its page, or did until it was killed; None where none does."""
    return read_json(state_directory / PLACE_FILE, Place, None)


@dataclass(frozen=True)
class PageDesk:
    """What the river calls; nothing of it waits."""

    see: Callable[[Moment], None] = lambda _: None
    tick: Callable[[], None] = lambda: None


@contextmanager
def open_page(device: Device, publisher: Publisher, desk: OpenDesk, boot_id: str) -> Iterator[PageDesk]:
    """Serve the page until the end; where it cannot be served that is a fault, and is tried again."""
    settings, folder = device.config.page, Path(device.config.state_directory)
    if not settings.serve:
        yield PageDesk()
        return
    board, orders, aside = Board(device.models), Orders(publisher.put_command, time.time), Aside()
    desk.announcer.listeners.append(board.hear)
    desk.commands.listeners.append(orders.hear)

    def serving(token: str, port: int) -> Serving:
        cookie = f"prednet_{port}"  # browsers keep one for all ports of a machine
        return Serving(
            device, token, board, desk.switches, orders, aside, lambda: publisher.states, boot_id, cookie,
            time.monotonic, time.time,
        )  # fmt: skip

    keeper = _Keeper(settings, folder, serving)
    keeper.tick()

    def tick() -> None:
        keeper.tick()
        aside.rest()
        desk.announcer.set_fault(FAULT, keeper.server is None)

    try:
        yield PageDesk(board.see, tick)
    finally:
        aside.close()  # who waits for it is answered, so that the server's threads can end
        keeper.close()
        aside.close()  # who asked meanwhile


class _Keeper:
    """Opens the page, again and again where it must; the river's thread alone calls it."""

    def __init__(self, settings: Page, folder: Path, serving: Callable[[str, int], Serving]) -> None:
        self._settings, self._folder, self._serving = settings, folder, serving
        self._due_seconds, self._told = 0.0, ""
        self.server: PageServer | None = None

    def tick(self) -> None:
        """Open the page where it is not, once every few seconds."""
        if self.server is not None or time.monotonic() < self._due_seconds:
            return
        self._due_seconds = time.monotonic() + AGAIN_SECONDS
        try:
            self.server = self._opened()
        except (OSError, ConfigInvalid) as error:
            if str(error) != self._told:
                self._told = str(error)
                log.error("page_unavailable bind=%s port=%d error=%s", self._settings.bind, self._settings.port, error)  # noqa: TRY400

    def close(self) -> None:
        """Serve no more."""
        if self.server is not None:
            (self._folder / PLACE_FILE).unlink(missing_ok=True)
            self.server.close()

    def _opened(self) -> PageServer:
        from edge.page.app import application  # noqa: PLC0415 - only a page that is served opens its doors
        from edge.page.server import PageServer, open_socket  # noqa: PLC0415

        token = open_token(self._folder, self._settings)
        listening = open_socket(self._settings.bind, self._settings.port)
        port = listening.getsockname()[1]
        with suppress(OSError):  # the page is served all the same
            write_whole(self._folder / PLACE_FILE, msgspec.json.encode(Place(self._settings.bind, port)))
        log.info("page_served bind=%s port=%d", self._settings.bind, port)
        return PageServer(application(self._serving(token, port)), listening)
