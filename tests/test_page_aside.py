"""The process beside the device that tries limits: apart from the river, last in rank, and gone when nobody asks."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edge.errors import PrednetError
from edge.page.aside import NICENESS, Aside


def test_a_limit_is_tried_in_a_process_of_its_own_at_low_priority() -> None:
    """The river shares neither interpreter nor rank with it; it ends when nothing is asked, and one that dies is replaced."""
    aside = Aside(idle_seconds=0.0)
    first = aside.run(os.getpid)
    assert first != os.getpid()
    assert aside.run(os.nice, 0) >= min(os.nice(0) + NICENESS, 19)
    with pytest.raises(PrednetError, match="ask again"):
        aside.run(os._exit, 1)
    second = aside.run(os.getpid)
    assert second not in (first, os.getpid())
    aside.rest()
    deadline = time.monotonic() + 10.0
    while Path(f"/proc/{second}").exists() and "zombie" not in Path(f"/proc/{second}/status").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    aside.close()


def test_nothing_is_left_of_it_when_the_device_is_killed() -> None:
    """SIGKILL gives nobody time to tidy up: the process sees it, and ends by itself."""
    program = (
        "import os, time\nfrom edge.page.aside import Aside\n"
        "if __name__ == '__main__':\n    aside = Aside()\n    print(aside.run(os.getpid), flush=True)\n    time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as device:
        assert device.stdout is not None
        helper = Path(f"/proc/{device.stdout.readline().strip()}")
        assert helper.exists()
        device.kill()
    deadline = time.monotonic() + 10.0
    while helper.exists() and "zombie" not in (helper / "status").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.02)
