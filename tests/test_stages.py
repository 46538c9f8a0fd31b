"""The stages of a long command: what is seen of them while they run, and how long each took."""

from __future__ import annotations

import io
import sys
import time

import pytest

from export.stages import Stages, told_seconds


class Terminal(io.StringIO):
    """Text that takes itself for a terminal."""

    def isatty(self) -> bool:
        """Say so."""
        return True


def ran(stages: Stages, now: list[float]) -> str:
    """Run three stages, the first of which comes again, and return what was told of their times."""
    for name, done, total, seconds in (("reading", 0, 0, 2.0), ("the gate", 0, 100, 0.0), ("the gate", 50, 100, 3.5)):
        stages(name, done, total)
        now[0] += seconds
        time.sleep(0.11)  # a bar is drawn ten times a second at the most
    stages("reading", 0, 0)
    now[0] += 1.0
    stages.close()
    return told_seconds(stages.seconds)


def test_a_terminal_sees_a_bar_and_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """How far a stage is, of how many frames; and as it ends how long it took."""
    terminal, now = Terminal(), [0.0]
    monkeypatch.setattr(sys, "stderr", terminal)
    told = ran(Stages(lambda: now[0]), now)
    assert "the gate:  50%" in terminal.getvalue()
    assert "50/100" in terminal.getvalue()
    assert "the gate: 3.5 s\n" in terminal.getvalue()
    assert told.split() == ["reading", "3.0", "s", "the", "gate", "3.5", "s", "all", "6.5", "s"]


def test_a_file_sees_the_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """A log has a line for each stage, and no bars."""
    log, now = io.StringIO(), [0.0]
    monkeypatch.setattr(sys, "stderr", log)
    ran(Stages(lambda: now[0]), now)
    assert log.getvalue() == "reading\nthe gate\nreading\n"
