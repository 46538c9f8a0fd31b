"""What freed memory threads keep."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

# 16 threads at once allocate blocks too small for pages of their own, so that each would have a pool of its own; a
# pool begins with a mapping of its own, aligned to 64 MB.
POOLS_OF_16 = """
import threading
from edge.allocator import keep_few_pools
if {is_kept}:
    assert keep_few_pools()
def busy(barrier):
    kept = [bytes(2000) for _ in range(2000)]
    barrier.wait()
barrier = threading.Barrier(16)
threads = [threading.Thread(target=busy, args=(barrier,)) for _ in range(16)]
for thread in threads: thread.start()
for thread in threads: thread.join()
starts = [int(line.split("-")[0], 16) for line in open("/proc/self/maps")]
print(sum(start % (64 << 20) == 0 for start in starts))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a call of glibc's")
def test_threads_share_few_pools_of_memory() -> None:
    """Without the call there are more: the test would see it if glibc took no notice."""
    found = {}
    for is_kept in (False, True):
        done = subprocess.run(
            [sys.executable, "-c", POOLS_OF_16.format(is_kept=is_kept)], check=True, capture_output=True, text=True
        )
        found[is_kept] = int(done.stdout)
    assert found[True] <= 2 < found[False]
