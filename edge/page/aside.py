"""Long reckoning beside the device: in a process of its own, at low priority, that ends when nothing is asked of it.

Within the daemon's interpreter it would take turns with the river, however low its thread's priority.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent import futures
from concurrent.futures.process import BrokenProcessPool
from typing import ParamSpec, TypeVar

from edge.errors import PrednetError

NICENESS = 5
ANSWER_SECONDS = 30.0
IDLE_SECONDS = 60.0

_Words = ParamSpec("_Words")
_Value = TypeVar("_Value")


class Aside:
    """Runs functions of modules in another process, one at a time, for any thread; made at the first question."""

    def __init__(self, idle_seconds: float = IDLE_SECONDS) -> None:
        self._lock, self._idle_seconds = threading.Lock(), idle_seconds
        self._pool: futures.ProcessPoolExecutor | None = None
        self._asked_seconds = 0.0

    def run(self, function: Callable[_Words, _Value], *words: _Words.args, **options: _Words.kwargs) -> _Value:
        """Return what a function gives. Raises PrednetError where the process ends or takes too long.

        What the function raises is raised here.
        """
        with self._lock:
            self._pool = self._pool or _new_pool()
            try:
                return self._pool.submit(function, *words, **options).result(ANSWER_SECONDS)
            except (BrokenProcessPool, futures.TimeoutError) as error:
                self._end()
                raise PrednetError("The device was too busy to find that out; ask again.") from error
            finally:
                self._asked_seconds = time.monotonic()

    def rest(self) -> None:
        """End the process where nothing was asked for a while. Call it often; it is cheap, and does not wait."""
        if self._pool is not None and self._lock.acquire(blocking=False):
            try:
                if time.monotonic() - self._asked_seconds > self._idle_seconds:
                    self._end()
            finally:
                self._lock.release()

    def close(self) -> None:
        """End the process at once."""
        self._end()

    def _end(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            processes = list((pool._processes or {}).values())  # before Python 3.14 nothing else ends them
            for process in processes:
                process.terminate()
            pool.shutdown(wait=False, cancel_futures=True)


def _new_pool() -> futures.ProcessPoolExecutor:
    return futures.ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), _begin)


def _begin() -> None:
    """Within the process: last in rank, deaf to the Ctrl-C of the daemon's terminal, and gone when the daemon is."""
    os.nice(NICENESS)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(0)
