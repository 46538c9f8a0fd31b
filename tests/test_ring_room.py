"""What the score ring takes of the disk: its budget, what goes first, want of room, deletion on request."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge.cli import main
from edge.config_file import read_config
from edge.errors import ConfigInvalid
from edge.ring import FOLDER, Ring
from edge.ring_coverage import covered
from edge.ring_room import SCORES_SHARE, kept_bytes, make_room
from edge.ring_settings import RingSettings
from tests.publishing import wait_until
from tests.ringing import ALL_TIME
from tests.test_ring import bytes_below, show, writer_at


def test_the_budget_holds_for_all_cameras_at_every_moment_and_old_frames_go_first(tmp_path: Path) -> None:
    """Two cameras, a megabyte: never more on disk than that and what a muxer holds back; scores outlive frames."""
    most = 0
    with writer_at(tmp_path, RingSettings(megabytes=1.0, free_megabytes=0.0)) as writer:
        for start in range(0, 900, 100):
            for camera in ("a", "b"):
                show(writer, range(start, start + 100), camera, limit=None, run=str(start // 200))
            most = max(most, bytes_below(tmp_path))
    assert most <= 1.02e6
    assert bytes_below(tmp_path) <= 1e6
    for camera in ("a", "b"):
        segments = Ring(tmp_path / FOLDER).segments(camera, *ALL_TIME)
        assert sum(len(one.rows) for one in segments) == 900, "every score is kept"
        films = [one.film is not None for one in segments]
        assert films == sorted(films), "the oldest frames went"
        assert 0 < sum(films) < len(films)


def write_sized(folder: Path, name: str, size: int) -> None:
    """A file of the ring."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(bytes(size))


@pytest.mark.parametrize(
    ("megabytes", "free_megabytes", "gone"),
    [
        (2.4, 0, set()),
        (2.3, 0, {"1.mkv"}),
        (1.5, 0, {"1.mkv", "2.mkv"}),
        (10.0, 100.5, {"1.mkv"}),
        (10.0, 102.2, {"1.mkv", "2.mkv", "3.mkv", "1.scores"}),
        (10.0, 103, {"1.mkv", "2.mkv", "3.mkv", "1.scores", "2.scores", "3.scores"}),
    ],
)  # fmt: skip
def test_what_goes_first_for_want_of_room(
    tmp_path: Path, megabytes: float, free_megabytes: float, gone: set[str]
) -> None:
    """Frames, the oldest first, of whatever camera; then scores; 100 MB are free before anything is deleted."""
    for number, camera in ((1, "a"), (2, "b"), (3, "a")):
        write_sized(tmp_path / camera, f"{number}.scores", 100_000)
        write_sized(tmp_path / camera, f"{number}.mkv", 700_000)
    write_sized(tmp_path / "a", ".4.mkv.1.part", 10)
    kept = kept_bytes(tmp_path)
    settings = RingSettings(megabytes=megabytes, free_megabytes=free_megabytes)
    free = make_room(kept, 0, settings, 100_000_000)
    left = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    everything = {f"{number}.{suffix}" for number in (1, 2, 3) for suffix in ("scores", "mkv")}
    assert everything - left == gone
    assert {path.name for path in kept} == left
    assert free == 100_000_000 + 2_400_000 - sum(kept.values())


def test_scores_take_a_quarter_of_the_budget_at_most(tmp_path: Path) -> None:
    """Beyond it the oldest go, with the frames that nothing is told of any more."""
    for number in range(1, 5):
        write_sized(tmp_path / "a", f"{number}.scores", 100_000)
        write_sized(tmp_path / "a", f"{number}.mkv", 10_000)
    make_room(kept_bytes(tmp_path), 0, RingSettings(megabytes=0.3 / SCORES_SHARE, free_megabytes=0.0), 10**9)
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == [
        "2.mkv", "2.scores", "3.mkv", "3.scores", "4.mkv", "4.scores"
    ]  # fmt: skip


def test_without_room_nothing_is_written_until_there_is_some(tmp_path: Path) -> None:
    """A disk that others fill: the ring gives way and stops; when there is room it goes on."""
    free = [10**9]
    settings = RingSettings(free_megabytes=500.0)
    with writer_at(tmp_path, settings, free_bytes=lambda _: free[0]) as writer:
        show(writer, range(100), run="a")
        show(writer, range(100, 110), run="b")
        wait_until(lambda: len(list(tmp_path.rglob("*.scores"))) == 1)
        free[0] = 10**6
        writer._sweep_due = 0.0
        show(writer, range(110, 120), run="c")
        wait_until(lambda: not writer.has_room)
        show(writer, range(120, 200), run="c")
        wait_until(lambda: writer._worker.waiting == 0)
        assert not any(path.suffix == ".mkv" for path in tmp_path.rglob("[!.]*"))
        free[0] = 10**9
        writer._sweep_due = 0.0
        show(writer, range(200, 300), run="d")
    segments = Ring(tmp_path / FOLDER).segments("a", *ALL_TIME)
    assert segments[-1].rows["level"][-1, 0] == 299
    assert 150.0 not in np.concatenate([one.rows["level"][:, 0] for one in segments])
    assert covered(segments, (1e9 + 12.0, 1e9 + 25.0)).before_seconds == pytest.approx(8.0, abs=0.01)


def test_deletion_on_request_takes_the_frames_of_that_camera_and_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Minutes that reach into the time go, scores and other cameras stay; the audit log says how many."""
    begun = {"a": (946_728_000, 946_728_060, 946_728_120), "b": (946_728_060,)}  # from 2000-01-01T12:00:00Z on
    for camera, starts in begun.items():
        for start in starts:
            for suffix in ("scores", "mkv"):
                write_sized(tmp_path / "state" / FOLDER / camera, f"{start * 1000:014d}.{suffix}", 10)
    config = tmp_path / "config.yaml"
    config.write_text("site: s\nbundle: x\nstate_directory: state\ncameras: {a: {source: x.mkv}, b: {source: x.mkv}}\n")
    words = ["evidence", "delete", "--config", str(config), "--camera", "a", "--from", "2000-01-01T12:01:30"]
    assert main([*words, "--to", "2000-01-01T12:02"]) == 0
    assert "; 1 minutes of the ring's frames" in capsys.readouterr().out
    left = {f"{path.parent.name}{int(path.stem) // 1000 - 946_728_000}" for path in tmp_path.rglob("*.mkv")}
    assert left == {"a0", "a120", "b60"}
    assert len(list(tmp_path.rglob("*.scores"))) == 4
    assert "minutes_of_frames=1" in (tmp_path / "state" / "audit.jsonl").read_text()


@pytest.mark.parametrize(
    ("ring", "message"),
    [
        ("{megabytes: 0}", ":5: ring.megabytes: 0 is not within 1 to 1e+07."),
        ("{free_megabytes: -1}", ":5: ring.free_megabytes: -1 is not within 0 to 1e+07."),
        ("{megabyte: 5}", ":5: unknown key 'ring.megabyte'; did you mean 'megabytes'?"),
    ],
)
def test_a_mistake_in_the_rings_settings_is_named(tmp_path: Path, ring: str, message: str) -> None:
    """File, line, what was found and what is expected."""
    config = tmp_path / "config.yaml"
    config.write_text(f"site: s\nbundle: x\ncameras:\n  a: {{source: x.mkv}}\nring: {ring}\n")
    with pytest.raises(ConfigInvalid) as refused:
        read_config(config)
    assert message in str(refused.value)
