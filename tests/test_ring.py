"""The score ring on disk: its budget, its order of sacrifice, kills, refusing disks, masks; the river never waits for it."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge import ring_writer
from edge.frames import Frame
from edge.level import Level
from edge.moments import Moment, Sensed
from edge.recording import read_film
from edge.ring import FOLDER, Ring, read_segment
from edge.ring_coverage import covered
from edge.ring_settings import RingSettings
from edge.ring_writer import MOST_MOMENTS, RingWriter
from tests.holding import child_environment
from tests.publishing import wait_until
from tests.ringing import ALL_TIME, facts, watched
from tests.tiny import normal_images

SETTINGS = RingSettings(free_megabytes=0.0)
SHAPE = (32, 40, 1)


def moment_at(number: int, camera: str = "a", noise: int = 256) -> Moment:
    """A scored moment whose level is its number, at ten a second; its frame is noise, which is as large as frames get."""
    image = np.random.default_rng(number).integers(0, noise, SHAPE, dtype=np.uint8)
    maps = np.zeros((3, 4, 5), np.float32)
    sensed = Sensed(camera, Frame(image, number / 10), "watching", 0.1, maps, maps, image, None, None)  # type: ignore[arg-type]
    level = Level(float(number), 0.0, 0.01, 0.0, 0.01)
    return Moment(camera, number / 10, "watching", sensed, surprise=1.0, level=level, z=0.5, cells=maps[0] + 1.0)


@contextmanager
def writer_at(folder: Path, settings: RingSettings = SETTINGS, **options: Any) -> Iterator[RingWriter]:
    """A writer, stopped at the end."""
    writer = RingWriter(folder, settings, **options)
    try:
        yield writer
    finally:
        writer.close(20.0)


def show(writer: RingWriter, numbers: range, camera: str = "a", **changes: Any) -> None:
    """Lay moments into the queue no faster than they are written."""
    known = facts(**changes)
    for number in numbers:
        writer.see(moment_at(number, camera), None, known)
        wait_until(lambda: writer._worker.waiting < MOST_MOMENTS // 2)


def bytes_below(folder: Path) -> int:
    """All that lies there, finished or not."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except FileNotFoundError:  # renamed or deleted meanwhile
            continue
    return total


def test_every_moment_is_kept_with_its_frame_in_segments_of_a_minute(tmp_path: Path) -> None:
    """130 seconds make three segments; levels and frames come back as they were, each beside the other."""
    with writer_at(tmp_path) as writer:
        show(writer, range(1300))
    segments = Ring(tmp_path / FOLDER).segments("a", *ALL_TIME)
    assert [len(one.rows) for one in segments] == [600, 600, 100]
    numbers = np.concatenate([one.rows["level"][:, 0] for one in segments])
    np.testing.assert_array_equal(numbers, np.arange(1300))
    for one in segments:
        frames = list(read_film(one.film or Path(), 1))
        assert len(frames) == len(one.rows)
        for place in (0, 7, len(frames) - 1):
            expected = moment_at(int(one.rows["level"][place, 0])).sensed
            assert expected is not None
            np.testing.assert_array_equal(frames[place], expected.frame.image)
    assert writer.drops == {}


def test_what_does_not_fit_into_the_queue_is_dropped_counted_and_said(tmp_path: Path) -> None:
    """A writer that is held up: the river goes on at once, and what-if says which time was not recorded."""
    held, let_go = [True], []
    with writer_at(tmp_path, free_bytes=lambda _: _waits(held)) as writer:
        known, began = facts(), time.monotonic()
        for number in range(MOST_MOMENTS + 50):
            writer.see(moment_at(number), None, known)
        let_go.append(time.monotonic() - began)
        held[0] = False
        wait_until(lambda: writer._worker.waiting == 0)
        writer.see(moment_at(MOST_MOMENTS + 50), None, known)
    dropped = writer.drops["ring_moments"]
    assert 45 <= dropped <= 50, "one or a few were taken out before the thread was held"
    segments = Ring(tmp_path / FOLDER).segments("a", *ALL_TIME)
    assert sum(len(one.rows) for one in segments) == MOST_MOMENTS + 51 - dropped
    told = covered(segments, (1e9, 1e9 + (MOST_MOMENTS + 50) / 10))
    assert told.unrecorded_seconds == pytest.approx((dropped + 1) / 10, abs=0.01)


def _waits(held: list[bool]) -> int:
    deadline = time.monotonic() + 20.0
    while held[0] and time.monotonic() < deadline:
        time.sleep(0.01)
    return 10**12


_ENDLESS = """
import itertools, sys
from pathlib import Path
from tests.test_ring import *
writer = RingWriter(Path(sys.argv[1]), SETTINGS)
for number in itertools.count():
    writer.see(moment_at(number), None, facts(run=str(number // 20)))
    wait_until(lambda: writer._worker.waiting < 100)
    print(number, flush=True)
"""


def test_a_kill_at_any_moment_leaves_whole_segments_alone(tmp_path: Path) -> None:
    """SIGKILL while segments are written: each that is there is whole, and the next start removes what is not."""
    chance = random.Random(2)
    for _ in range(2):
        writing = subprocess.Popen(
            [sys.executable, "-c", _ENDLESS, str(tmp_path)], stdout=subprocess.PIPE, text=True, env=child_environment()
        )
        assert writing.stdout is not None
        for _ in range(chance.randrange(150, 260)):
            assert writing.stdout.readline()
        writing.send_signal(signal.SIGKILL)
        writing.wait()
        writing.stdout.close()
        paths = sorted((tmp_path / FOLDER / "a").glob("[!.]*.scores"))
        segments = [one for one in map(read_segment, paths) if one is not None]
        assert len(segments) == len(paths) > 0
        for one in segments:
            assert one.film is not None
            assert len(list(read_film(one.film, 1))) == int(one.rows["has_frame"].sum()) == len(one.rows)
    with writer_at(tmp_path):
        pass
    assert not list((tmp_path / FOLDER).rglob(".*"))


def test_a_disk_that_refuses_costs_the_segment_and_never_the_river(tmp_path: Path) -> None:
    """Where the camera's folder is a file nothing can be written: counted, and other cameras are kept."""
    (tmp_path / FOLDER).mkdir()
    (tmp_path / FOLDER / "a").write_text("in the way")
    with writer_at(tmp_path) as writer:
        show(writer, range(20), "a")
        show(writer, range(20), "b")
    assert writer.drops["ring_films"] == 1
    assert writer.drops["ring_segments"] == 1
    assert [len(one.rows) for one in Ring(tmp_path / FOLDER).segments("b", *ALL_TIME)] == [20]


def test_what_nobody_foresaw_costs_the_segment_and_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Its film goes with it and it counts as not recorded; the writer goes on with the next, and so do other cameras."""
    real = ring_writer.row_from_moment

    def row(moment: Moment, *rest: Any, **options: Any) -> tuple[object, ...]:
        if moment.camera == "a" and moment.seconds in (1.0, 1.1):
            raise KeyError("unforeseen")
        return real(moment, *rest, **options)

    monkeypatch.setattr(ring_writer, "row_from_moment", row)
    with writer_at(tmp_path) as writer:
        show(writer, range(10), "b")
        show(writer, range(30), "a")
    assert writer.drops == {"ring_segments": 2}
    lengths = {name: [len(one.rows) for one in Ring(tmp_path / FOLDER).segments(name, *ALL_TIME)] for name in "ab"}
    assert lengths == {"a": [18], "b": [10]}
    assert len(list((tmp_path / FOLDER / "a").iterdir())) == 2
    assert [record.message for record in caplog.records] == ["worker_failed worker=ring count=1"]


def test_a_damaged_segment_is_left_out(tmp_path: Path) -> None:
    """Its time counts as not recorded; the others are read."""
    with writer_at(tmp_path) as writer:
        for run in ("a", "b", "c"):
            show(writer, range(100 * "abc".index(run), 100 * "abc".index(run) + 100), run=run)
    second = sorted((tmp_path / FOLDER / "a").glob("*.scores"))[1]
    whole = second.read_bytes()
    for damage in (b"", b"{", whole[:-7], whole[: whole.index(b"\n") + 1], bytes(1000)):
        second.write_bytes(damage)
        segments = Ring(tmp_path / FOLDER).segments("a", *ALL_TIME)
        assert [len(one.rows) for one in segments] == [100, 100]
        assert covered(segments, (1e9, 1e9 + 29.9)).unrecorded_seconds == pytest.approx(10.1, abs=0.01)


def test_a_clock_that_is_set_begins_a_segment_at_the_new_time(tmp_path: Path) -> None:
    """The rows before keep the time that the clock told then."""
    with writer_at(tmp_path) as writer:
        show(writer, range(10))
        show(writer, range(10, 20), wall_offset_seconds=2e9)
    first, second = Ring(tmp_path / FOLDER).segments("a", *ALL_TIME)
    assert (first.wall_seconds[-1], second.wall_seconds[0]) == (1e9 + 0.9, 2e9 + 1.0)


def test_what_lies_beneath_a_privacy_mask_is_black_in_the_frames_kept(tmp_path: Path) -> None:
    """A white corner under a mask, through a whole daemon: no frame on disk shows it, and the rest is there."""
    images = normal_images(60, seed=5)
    images[:, :12, :16] = 255
    masks = "    privacy_masks: [[[0.0, 0.0], [0.4, 0.375]]]\n"
    config, _ = watched(tmp_path, images, masks)
    segments = Ring(config.parent / "state" / FOLDER).segments("busy", *ALL_TIME)
    frames = np.stack([image for one in segments for image in read_film(one.film or Path(), 1)])
    assert len(frames) == 60
    assert not frames[:, :12, :16].any()
    np.testing.assert_array_equal(frames[:, 14:, 18:], images[:, 14:, 18:])


@pytest.mark.parametrize(("keep", "frames", "suffixes"), [(False, True, set()), (True, False, {".scores"})])
def test_a_configuration_may_keep_scores_alone_or_nothing(
    tmp_path: Path, keep: bool, frames: bool, suffixes: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`frames: false` and `keep: false`."""
    import edge.ring_desk as desk  # noqa: PLC0415

    settings = RingSettings(keep=keep, frames=frames, free_megabytes=0.0)
    told: dict[str, Any] = {}
    device, judge, model = _plain_device(tmp_path, settings)
    monkeypatch.setattr(desk, "facts_in_force", lambda *_: facts())
    announcer = type("Counts", (), {"counts": told})()
    with desk.open_ring(device, announcer, "a", {"a": model}, {"a": judge}) as ring:  # type: ignore[arg-type]
        for number in range(20):
            ring.see(moment_at(number))
        ring.tick()
    assert {path.suffix for path in tmp_path.rglob("*") if path.is_file()} == suffixes
    assert told == {}


def _plain_device(folder: Path, settings: RingSettings) -> tuple[Any, Any, Any]:
    """As much of a device, a judge and a model as the ring asks."""
    from types import SimpleNamespace  # noqa: PLC0415

    from edge.evidence_settings import Evidence  # noqa: PLC0415

    evidence = Evidence(free_megabytes=0.0)
    config = SimpleNamespace(ring=settings, evidence=evidence, state_directory=str(folder))
    return SimpleNamespace(config=config), SimpleNamespace(zones=None), SimpleNamespace()
