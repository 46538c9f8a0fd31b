"""The process beside the device that tries limits: apart from the river, last in rank, and gone when nobody asks."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from edge.errors import PrednetError
from edge.page.aside import Aside
from edge.page.trying import NICENESS, Question

NONE_KEPT = {"on": 3.0, "found": None, "per_day": None}


def question_at(folder: Path) -> Question:
    """A question about a device that keeps no scores."""
    return Question(str(folder), "a", 3.0, 1e9)


def wait_until_gone(process_id: int) -> None:
    """Wait until a process has ended, and fail after 10 s."""
    deadline, status = time.monotonic() + 10.0, Path(f"/proc/{process_id}/status")
    while status.exists() and "zombie" not in status.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_limit_is_tried_in_a_process_of_its_own_at_low_priority(tmp_path: Path) -> None:
    """The river shares neither interpreter nor rank with it, and it stays for the next question."""
    aside = Aside()
    assert aside.process_id is None
    assert aside.ask(question_at(tmp_path)) == NONE_KEPT
    first = aside.process_id
    assert first is not None
    assert first != os.getpid()
    assert os.getpriority(os.PRIO_PROCESS, first) == os.getpriority(os.PRIO_PROCESS, 0) + NICENESS
    assert aside.ask(question_at(tmp_path)) == NONE_KEPT
    aside.rest()
    assert aside.process_id == first
    aside.close()
    wait_until_gone(first)


def test_it_ends_when_nothing_is_asked(tmp_path: Path) -> None:
    """Its memory is the device's again; the next question begins another."""
    aside = Aside(idle_seconds=0.0)
    aside.ask(question_at(tmp_path))
    first = aside.process_id
    assert first is not None
    aside.rest()
    wait_until_gone(first)
    assert aside.ask(question_at(tmp_path)) == NONE_KEPT
    aside.close()


def test_one_that_dies_costs_one_answer(tmp_path: Path) -> None:
    """Killed for want of memory: who waits is told to ask again, and the next is answered."""
    aside = Aside()
    aside.ask(question_at(tmp_path))
    assert aside.process_id is not None
    os.kill(aside.process_id, signal.SIGKILL)
    with pytest.raises(PrednetError, match="ask again"):
        aside.ask(question_at(tmp_path))
    assert aside.ask(question_at(tmp_path)) == NONE_KEPT
    aside.close()


def test_a_page_that_closes_does_not_wait_for_it(tmp_path: Path) -> None:
    """A question under way is given up at once."""
    aside, told = Aside(), []
    aside.ask(question_at(tmp_path))
    assert aside.process_id is not None
    os.kill(aside.process_id, signal.SIGSTOP)  # it will never answer

    def ask() -> None:
        with pytest.raises(PrednetError, match="ask again"):
            aside.ask(question_at(tmp_path))
        told.append("given up")

    asking = threading.Thread(target=ask)
    asking.start()
    deadline = time.monotonic() + 10.0
    while asking.is_alive():
        assert time.monotonic() < deadline
        aside.close()
        time.sleep(0.02)
    assert told == ["given up"]
    aside.close()


def test_nothing_is_left_of_it_when_the_device_is_killed(tmp_path: Path) -> None:
    """SIGKILL gives nobody time to tidy up: its input ends, and so does it."""
    program = (
        "import time; from edge.page.aside import Aside; from edge.page.trying import Question; aside = Aside(); "
        f"aside.ask(Question({str(tmp_path)!r}, 'a', 3.0, 1e9)); print(aside.process_id, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as device:
        assert device.stdout is not None
        helper = int(device.stdout.readline())
        device.kill()
    wait_until_gone(helper)
