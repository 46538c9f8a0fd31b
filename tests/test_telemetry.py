"""An air-gapped plant: the device opens no socket but those to its broker and its cameras."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

WATCH_SECONDS = 12.0  # with telemetry on, the first socket was seen after 9 s
SCRIPT = """
import sys, time
sys.path.insert(0, {root!r})
from tests.tiny import normal_images, tiny_runner
import numpy as np
runner = tiny_runner()
print("ready", flush=True)
while True:
    runner.step(normal_images(1), np.ones(1, bool), np.zeros(1, bool))
    time.sleep(0.1)
"""


def sockets(pid: int) -> set[str]:
    """Return the sockets that a process has open now."""
    found = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = str(entry.readlink())
        except OSError:
            continue
        if target.startswith("socket:"):
            found.add(target)
    return found


def test_inference_opens_no_socket() -> None:
    """ONNX Runtime looks nothing up and reports nothing, for as long as its telemetry would need to begin."""
    script = SCRIPT.format(root=str(Path(__file__).parents[1]))
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        seen: set[str] = set()
        deadline = time.monotonic() + WATCH_SECONDS
        while time.monotonic() < deadline:
            seen |= sockets(process.pid)
            time.sleep(0.002)
        process.kill()
    assert seen == set()
