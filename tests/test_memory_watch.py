"""The slope of memory: found when it is there, never where it is not, and left on disk with what helps to find why."""

from __future__ import annotations

import csv
import io
import itertools
import zipfile
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from edge import memory_watch, upkeep
from edge.memory_diagnosis import MOST_FILES, write_diagnosis
from edge.memory_watch import LOOK_SECONDS, WARM_SECONDS, MemoryWatch, Trend, sure_slope
from tests.brokers import Mosquitto
from tests.commanding import Operator, running
from tests.daemons import write_config

MB, HOUR, DAY = 1e6, 3600.0, 86400.0


def found_after(sizes: np.ndarray, step_seconds: float = LOOK_SECONDS) -> float | None:
    """Return the seconds after which growth is found in the sizes that a process has every so many seconds."""
    now, found = [0.0], []
    watch = MemoryWatch(found.append, clock=lambda: now[0], memory=lambda: int(sizes[int(now[0] / step_seconds)]))
    for number in range(len(sizes)):
        now[0] = number * step_seconds
        watch.tick()
        if found:
            assert watch.is_growing
            return now[0]
    assert not watch.is_growing
    return None


def noisy(days: float, seed: int, step_seconds: float = LOOK_SECONDS) -> np.ndarray:
    """The size of a process that keeps its 200 MB: readings scatter, and peaks of a second come and go."""
    rng = np.random.default_rng(seed)
    count = int(days * DAY / step_seconds)
    return 200 * MB + rng.normal(0.0, 0.3 * MB, count) + 5 * MB * (rng.uniform(size=count) < 0.05)


def test_a_megabyte_a_day_is_found_within_a_week_and_a_hundred_within_hours() -> None:
    """The bound of faults.md is 1 MB a day: twice that is found in days, a fast leak long before it fills the memory."""
    times = np.arange(len(noisy(7.0, 0, 300.0))) * 300.0
    slow = found_after(noisy(7.0, 0, 300.0) + 2 * MB * times / DAY, 300.0)
    assert slow is not None
    assert slow < 7 * DAY
    quick = found_after(noisy(0.5, 1) + 100 * MB * np.arange(len(noisy(0.5, 1))) * LOOK_SECONDS / DAY)
    assert quick is not None
    assert quick < 6 * HOUR


@pytest.mark.parametrize("seed", range(8))
def test_flat_memory_is_no_fault(seed: int) -> None:
    """Eight weeks of scatter, and a cache that fills in the first hours: never a word."""
    sizes = noisy(7.0, 100 + seed, 300.0)
    times = np.arange(len(sizes)) * 300.0
    assert found_after(sizes, 300.0) is None
    assert found_after(sizes - 20 * MB * np.exp(-times / (0.25 * WARM_SECONDS)), 300.0) is None


def test_one_step_up_is_no_slope() -> None:
    """A library that is loaded on the second day costs 10 MB once."""
    sizes = noisy(7.0, 3, 300.0)
    sizes[len(sizes) // 4 :] += 10 * MB
    assert found_after(sizes, 300.0) is None


def test_the_slope_s_lower_end_is_that_of_all_pairs() -> None:
    """Of a line without noise every pair has the one slope; of few readings nothing is sure."""
    assert sure_slope([(float(at), 3.0 * at) for at in range(20)]) == pytest.approx(3.0)
    assert sure_slope([(0.0, 0.0), (1.0, 5.0)]) == -np.inf


def test_the_diagnosis_holds_readings_objects_threads_and_the_kernel_s_numbers(tmp_path: Path) -> None:
    """What is held a thousand times stands in it; the newest three files stay; a disk that refuses is no fault."""

    class Hoarded:
        pass

    hoard = [Hoarded() for _ in range(50_000)]
    path = write_diagnosis(tmp_path, [(0.0, 1.0), (300.0, 2.0)], 1_790_000_000.0)
    assert path is not None
    with zipfile.ZipFile(path) as whole:
        held = {name: whole.read(name).decode() for name in whole.namelist()}
    assert held["readings.csv"] == "seconds,bytes\n0,1\n300,2\n"
    rows = {row["type"]: int(row["objects"]) for row in csv.DictReader(io.StringIO(held["objects.csv"]))}
    assert rows[f"{__name__}.{Hoarded.__qualname__}"] == len(hoard)
    assert "MainThread" in held["threads.txt"]
    assert "VmRSS" in held["status.txt"]
    for later in range(1, 5):
        write_diagnosis(tmp_path, [], 1_790_000_000.0 + later)
    assert len(list((tmp_path / "diagnostics").iterdir())) == MOST_FILES
    (tmp_path / "file").write_text("")
    assert write_diagnosis(tmp_path / "file", [], 0.0) is None


def test_growth_is_told_by_the_device_and_diagnosed(
    tmp_path: Path,
    broker: Mosquitto,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A daemon whose memory grows, on blocks of 50 ms: `memory_slope` with its hint, and a file below `diagnostics/`."""
    grown = itertools.count(200 * 10**6, 10**5)
    monkeypatch.setattr(memory_watch, "WARM_SECONDS", 0.0)
    monkeypatch.setattr(memory_watch, "LOOK_SECONDS", 0.0)
    watch = partial(MemoryWatch, memory=lambda: next(grown), trends=(Trend(0.05, 40, MB),))
    monkeypatch.setattr(upkeep, "MemoryWatch", watch)
    with Operator(broker.port) as operator, running(write_config(tmp_path, broker.port, loop=True)):
        assert b"diagnostics/" in operator.wait("faults", holding=b"memory_slope").payload
    assert len(list((tmp_path / "state" / "diagnostics").glob("memory-*.zip"))) == 1
