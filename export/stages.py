"""The stages of a long command: a progress bar for each on a terminal, and how long each took."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from tqdm import tqdm


class Stages:
    """Told a stage's name, what is done of it and how much it is in all, it draws; `seconds` are by stage."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._bar = tqdm(unit="frame", disable=None, leave=False, file=sys.stderr)
        self._name, self._began = "", clock()
        self.seconds: dict[str, float] = {}

    def __call__(self, name: str, done: int, total: int) -> None:
        """Show where a stage is; `total` 0 means that it is not counted."""
        if name != self._name:
            self._end_stage()
            self._name, self._began = name, self._clock()
            if self._bar.disable:
                print(name, file=sys.stderr, flush=True)
        self._bar.set_description(name, refresh=not done)
        self._bar.total = total or None
        self._bar.update(done - self._bar.n)

    def close(self) -> None:
        """End the last stage and take the bar away."""
        self._end_stage()
        self._bar.close()

    def _end_stage(self) -> None:
        if self._name:
            took = self._clock() - self._began
            self.seconds[self._name] = self.seconds.get(self._name, 0.0) + took
            if not self._bar.disable:
                self._bar.write(f"{self._name}: {took:.1f} s", file=sys.stderr)
        self._name = ""


def told_seconds(seconds: dict[str, float]) -> str:
    """Return how long the stages took, one a line, and all of them together."""
    width = max((len(name) for name in seconds), default=0)
    lines = [f"{name:{width}}  {took:7.1f} s" for name, took in seconds.items() if took >= 0.05]
    return "\n".join([*lines, f"{'all':{width}}  {sum(seconds.values()):7.1f} s"])
