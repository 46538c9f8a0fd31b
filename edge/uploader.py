"""The uploader: a thread that copies finished evidence into a store; recorder and river never wait for it.

The queue is the evidence folder itself: what lacks `uploaded.json` is not uploaded. So it outlives outages, kills and
power cuts, and retention goes on as if there were no store.
"""

from __future__ import annotations

import logging
import queue
import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from edge.drained import drained
from edge.errors import PrednetError
from edge.evidence_store import EVENT_FILE, FOLDER
from edge.files import write_whole
from edge.messages import Event, EventEvidence, encode, utc_from_seconds
from edge.store import Store, StoreUnreachable

log = logging.getLogger(__name__)

MARK = "uploaded.json"
UNREACHABLE, REFUSED, NO_BUCKET = "upload_unreachable", "upload_refused", "upload_bucket_missing"
UPLOAD_FAULTS = (UNREACHABLE, REFUSED, NO_BUCKET)
_TOLD = ("clip", "strip", "heatmap", "trace")


@dataclass(frozen=True)
class Retry:
    """When it is tried again: after an outage from `first_seconds` on, doubling; after a refusal seldom."""

    first_seconds: float = 1.0
    longest_seconds: float = 60.0
    refused_seconds: float = 300.0
    fault_after_seconds: float = 300.0


class Uploader:
    """Copies evidence, the oldest first; what failed goes behind the others. No call but `close` waits.

    `open_store` is called anew after each refusal: a key that was replaced is read again.
    """

    def __init__(
        self,
        state_directory: Path,
        prefix: str,
        open_store: Callable[[], Store],
        retry: Retry | None = None,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._root, self._prefix, self._open_store = state_directory / FOLDER, prefix, open_store
        self._retry, self._wall_clock = retry or Retry(), wall_clock
        self._items: queue.SimpleQueue[Path | Event | None] = queue.SimpleQueue()
        self._finished: queue.SimpleQueue[Event] = queue.SimpleQueue()
        # What an earlier run left; looked for before anything new is finished, or it would be taken in twice.
        left = (path for path in self._root.glob("*/[!.]*") if path.is_dir() and not (path / MARK).exists())
        self._waiting: dict[Path, None] = dict.fromkeys(sorted(left, key=lambda path: path.name))
        self._unmarked: set[Path] = set()
        self._store: Store | None = None
        self._failures, self._due = 0, time.monotonic()
        self._failing_since: float | None = None
        self._is_stopping = False
        self.fault: str | None = None
        self.lost = 0
        self._thread = threading.Thread(target=self._run, name="uploader", daemon=True)
        self._thread.start()

    def add(self, event: Event) -> None:
        """Take in a message of the type `evidence` as it was published."""
        if event.evidence is not None and event.evidence.status == "ready":
            self._items.put(self._folder(event))

    def told(self) -> list[Event]:
        """Return the messages that say where evidence lies in the store, due since the last call."""
        return drained(self._finished)

    def published(self, event: Event) -> None:
        """Note that a message of `told` is on its way for good: the evidence is not uploaded again."""
        self._items.put(event)

    @property
    def waiting(self) -> int:
        """How many events' evidence is not in the store yet."""
        return len(self._waiting)

    def close(self, timeout_seconds: float = 1.0) -> None:
        """Stop after the file under way; what was not uploaded is found at the next start."""
        self._is_stopping = True
        self._items.put(None)
        self._thread.join(timeout_seconds)
        if self._thread.is_alive():
            log.warning("uploader_abandoned waiting=%d", self.waiting)

    def _folder(self, event: Event) -> Path:
        return self._root / (event.camera or "") / event.event_id

    def _run(self) -> None:
        while not self._is_stopping:
            self._take_in()
            if self._waiting and not self._is_stopping and time.monotonic() >= self._due:
                self._try(next(iter(self._waiting)))
        if self._store is not None:
            self._store.close()

    def _take_in(self) -> None:
        """Take in what there is; where nothing can be done, wait for more."""
        wait_seconds = max(0.0, self._due - time.monotonic()) if self._waiting else None
        with suppress(queue.Empty):
            item = self._items.get(timeout=wait_seconds)
            while True:
                if isinstance(item, Path) and item not in self._unmarked:
                    self._waiting[item] = None
                elif isinstance(item, Event):
                    self._mark(item)
                item = self._items.get_nowait()

    def _mark(self, event: Event) -> None:
        folder = self._folder(event)
        self._unmarked.discard(folder)
        try:
            write_whole(folder / MARK, encode(event))
        except FileNotFoundError:
            return  # retention was faster
        except OSError as error:
            log.warning("upload_not_marked event=%s error=%s", event.event_id, error)

    def _try(self, folder: Path) -> None:
        try:
            message = self._uploaded(folder)
        except PrednetError as error:
            self._put_off(folder, error)
            return
        except (OSError, ValueError) as error:  # it is gone, or was never whole
            self.lost += 1
            log.warning("upload_given_up event=%s error=%s", folder.name, error)
            message = None
        except Exception as error:  # nobody foresaw it; it costs a delay, and neither evidence nor the thread
            log.exception("upload_failed event=%s", folder.name)
            self._put_off(folder, error)
            return
        else:
            self._succeeded(folder)
        if message is not None:
            self._unmarked.add(folder)
            self._finished.put(message)
        self._waiting.pop(folder, None)

    def _uploaded(self, folder: Path) -> Event:
        """Put a folder's files into the store, and return the message that says so; `event.json` comes last."""
        event = msgspec.json.decode((folder / EVENT_FILE).read_bytes(), type=Event)
        if self._store is None:
            self._store = self._open_store()
        where = f"{self._prefix}{event.site}/{event.device}/{event.camera}/{event.event_id}/"
        addresses = {}
        for path in sorted(folder.iterdir()):
            if path.stem in _TOLD:
                with suppress(FileNotFoundError):  # retention took it
                    addresses[path.stem] = self._store.put(f"{where}{path.name}", path)
        time_ = msgspec.structs.replace(event.time, published=utc_from_seconds(self._wall_clock()))
        evidence = EventEvidence(status="ready", **addresses)
        # The event's own last message has the revision before that of the first message about its evidence.
        message = msgspec.structs.replace(event, type="evidence", rev=event.rev + 2, time=time_, evidence=evidence)
        self._store.put(f"{where}{EVENT_FILE}", encode(message))
        return message

    def _succeeded(self, folder: Path) -> None:
        if self._failures:
            log.info("upload_goes_on event=%s waiting=%d", folder.name, self.waiting)
        self._failures, self._failing_since, self.fault = 0, None, None
        self._due = time.monotonic()

    def _put_off(self, folder: Path, error: Exception) -> None:
        now = time.monotonic()
        self._failures += 1
        self._failing_since = now if self._failing_since is None else self._failing_since
        self._waiting[folder] = self._waiting.pop(folder)
        if isinstance(error, StoreUnreachable):
            longest = min(self._retry.longest_seconds, self._retry.first_seconds * 2.0 ** min(self._failures - 1, 30))
            delay_seconds = longest * random.uniform(0.5, 1.0)  # noqa: S311 - devices shall not come all at once
            if now - self._failing_since >= self._retry.fault_after_seconds:
                self.fault = UNREACHABLE
            log.info("upload_put_off waiting=%d retry_seconds=%.1f error=%s", self.waiting, delay_seconds, error)
        else:
            self._drop_store()
            delay_seconds, self.fault = self._retry.refused_seconds, getattr(error, "fault_code", REFUSED)
            log.error("upload_refused waiting=%d retry_seconds=%g error=%s", self.waiting, delay_seconds, error)
        self._due = now + delay_seconds

    def _drop_store(self) -> None:
        if self._store is not None:
            self._store.close()
        self._store = None
