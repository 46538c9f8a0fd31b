"""A thread beside the river: the river lays items into its bounded queue, and never waits for it."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from edge.seldom import Seldom

log = logging.getLogger(__name__)

_Item = TypeVar("_Item")


class Worker(Generic[_Item]):
    """Works off items one by one in a thread of its own, until closed: `begin`, `work` for each, `end`.

    What fails in a way that nobody foresaw costs its item, for which `give_up` is called, and no more. Make it last:
    the thread begins at once.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[_Item], object],
        give_up: Callable[[_Item], object],
        begin: Callable[[], object],
        end: Callable[[], object],
    ) -> None:
        self._name, self._work, self._give_up, self._begin, self._end = name, work, give_up, begin, end
        self._items: queue.SimpleQueue[_Item | None] = queue.SimpleQueue()
        self._failures = Seldom()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """How many items are in the queue."""
        return self._items.qsize()

    def put(self, item: _Item, most_waiting: int) -> bool:
        """Lay an item into the queue; return False where so many wait already, and it is dropped."""
        if self.waiting >= most_waiting:
            return False
        self._items.put(item)
        return True

    def close(self, timeout_seconds: float) -> None:
        """Work off what waits, and stop."""
        self._items.put(None)
        self._thread.join(timeout_seconds)
        if self._thread.is_alive():
            log.warning("worker_abandoned worker=%s waiting=%d", self._name, self.waiting)

    def _run(self) -> None:
        self._outlived(self._begin)
        while (item := self._items.get()) is not None:
            if not self._outlived(self._work, item):
                self._outlived(self._give_up, item)
        self._outlived(self._end)

    def _outlived(self, step: Callable[..., object], *items: _Item) -> bool:
        """Return whether a step did not fail; the first failure is logged, and then one a minute with the count."""
        try:
            step(*items)
        except Exception:
            if (count := self._failures.count()) is not None:
                log.exception("worker_failed worker=%s count=%d", self._name, count)
            return False
        return True
