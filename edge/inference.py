"""Inference that raises or hangs: what computes is opened anew beside the river, which goes on and says so.

A thread of its own opens the runner, runs its steps and closes it, so that one that hangs can be left behind.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from edge.errors import PrednetError
from edge.runner import Runner, Step, StepFailed

log = logging.getLogger(__name__)

# The slowest step that any device is given takes a fraction of a second; opening proves the golden clip too.
STEP_SECONDS, OPEN_SECONDS = 10.0, 120.0
# Up to so many failures within the window are mended at once, the others after a rest.
QUICK_FAILURES, WINDOW_SECONDS, REST_SECONDS = 2, 600.0, 60.0
_Value = TypeVar("_Value")


class _Hand:
    """A thread that does one thing after another; one that hangs is left, and ends with the process."""

    def __init__(self) -> None:
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        threading.Thread(target=self._run, name="inference", daemon=True).start()

    def do(self, work: Callable[[], _Value]) -> Future[_Value]:
        """Begin what is asked for, after what was asked for before."""
        job = _Job(work)
        self._jobs.put(job.run)
        return job.future

    def end(self) -> None:
        """End once everything is done."""
        self._jobs.put(None)

    def _run(self) -> None:
        while (run := self._jobs.get()) is not None:
            run()
            del run  # what it holds is the caller's


class _Job(Generic[_Value]):
    """Work, and the future of what comes of it."""

    def __init__(self, work: Callable[[], _Value]) -> None:
        self._work, self.future = work, Future[_Value]()

    def run(self) -> None:
        """Do it."""
        try:
            self.future.set_result(self._work())
        except BaseException as error:  # noqa: BLE001 - told to whoever waits
            self.future.set_exception(error)


class GuardedRunner:
    """A runner whose failures cost frames, never the process: `step` raises StepFailed until there is another.

    `open_runner` is called again for each. The first one is opened here, and what it raises is raised.
    `unfit` is what opening raised where another opening is of no use; the device is then to be read again.
    """

    def __init__(
        self,
        open_runner: Callable[[], Runner],
        clock: Callable[[], float] = time.monotonic,
        step_seconds: float = STEP_SECONDS,
        rest_seconds: float = REST_SECONDS,
    ) -> None:
        self._open, self._clock = open_runner, clock
        self._step_seconds, self._rest_seconds = step_seconds, rest_seconds
        self._failures: deque[float] = deque()
        self._opening: Future[Runner] | None = None
        self._begin_at = self._begun_at = 0.0
        self.unfit: PrednetError | None = None
        self._hand = _Hand()
        self._runner: Runner | None = self._hand.do(open_runner).result()
        self.name, self.slots, self.spec = self._runner.name, self._runner.slots, self._runner.spec

    @property
    def has_failed(self) -> bool:
        """Whether it failed within the last ten minutes."""
        while self._failures and self._clock() - self._failures[0] > WINDOW_SECONDS:
            self._failures.popleft()
        return bool(self._failures)

    @property
    def has_failed_often(self) -> bool:
        """Whether it failed so often within ten minutes that it rests before it is opened again."""
        return self.has_failed and len(self._failures) > QUICK_FAILURES

    def step(self, frames: NDArray[np.uint8], advance: NDArray[np.bool_], reset: NDArray[np.bool_]) -> Step:
        """Advance the slots with a new frame; see `edge.runner.Runner`. Raises StepFailed while nothing computes."""
        runner = self._runner or self._opened()
        return self._done(lambda: runner.step(frames, advance, reset))

    def close(self) -> None:
        """Free what the runner holds; one that hangs is left behind."""
        if self._runner is not None:
            self._hand.do(self._runner.close)
        self._hand.end()
        self._runner = None

    def _done(self, work: Callable[[], _Value]) -> _Value:
        doing = self._hand.do(work)
        try:
            return doing.result(self._step_seconds)
        except Exception as error:
            hung = not doing.done()
            reason = f"a step did not come back within {self._step_seconds:g} s" if hung else str(error)
            raise self._failed(reason or type(error).__name__, hung=hung) from error

    def _failed(self, reason: str, *, hung: bool) -> StepFailed:
        """Give up what is there, and begin with another: at once, or after a rest where it failed too often."""
        now = self._clock()
        self._failures.append(now)
        log.error("inference_failed reason=%r failures=%d", reason, len(self._failures))
        if self._runner is not None and not hung:
            self._hand.do(self._runner.close)
        self._hand.end()
        self._runner = self._opening = None
        self._begin_at = now + (self._rest_seconds if self.has_failed_often else 0.0)
        self._begin()
        return StepFailed(f"inference failed: {reason}")

    def _begin(self) -> None:
        if self._opening is None and self._clock() >= self._begin_at:
            self._hand, self._begun_at = _Hand(), self._clock()
            self._opening = self._hand.do(self._open)

    def _opened(self) -> Runner:
        """Return the runner that was opened anew. Raises StepFailed while there is none."""
        self._begin()
        if self._opening is None or not self._opening.done():
            if self._opening is not None and self._clock() - self._begun_at > OPEN_SECONDS:
                raise self._failed(f"it did not open within {OPEN_SECONDS:g} s", hung=True)
            raise StepFailed("inference is being restarted.")
        try:
            self._runner = self._opening.result()
        except Exception as error:
            self.unfit = error if isinstance(error, PrednetError) else None
            raise self._failed(f"it does not open: {error}", hung=False) from error
        log.info("inference_restarted runner=%s", self._runner.name)
        self._opening = None
        return self._runner
