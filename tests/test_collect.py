"""Collecting normal footage: balanced over the day, without repetition, within the budget, and fit to learn from."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from calibration.footage import read_footage
from edge.captures import CameraSource
from edge.cli import main
from edge.collect import INDEX, Plan, collect
from edge.errors import UsageError
from edge.frames import FrameFormat
from edge.recording import write_clip
from edge.sample import ALIKE_LEVELS, Kept, signature_of, with_clip
from tests.films import write_clip as write_film

FORM = FrameFormat(32, 40, 1, 10.0)


def clip(part: int, level: float, size: int = 10) -> Kept:
    """A clip of one brightness."""
    return Kept(f"{part}-{level:g}", part, size, np.full(160, level, np.float32))


def test_each_part_of_the_day_keeps_its_share_and_what_is_rare_stays() -> None:
    """Ten clips of noon, of which one differs, and one of midnight, in a budget of three a part."""
    kept: list[Kept] = []
    for number in range(9):
        kept, _ = with_clip(kept, clip(24, 100 + 2.0 * number), 30, 1000)
    kept, _ = with_clip(kept, clip(24, 200), 30, 1000)
    kept, given_up = with_clip(kept, clip(0, 100), 30, 1000)
    assert given_up == []
    assert [one.name for one in kept if one.part == 0] == ["0-100"]
    noon = [one.name for one in kept if one.part == 24]
    assert len(noon) == 3
    assert "24-200" in noon


def test_a_clip_that_shows_the_same_is_not_kept_twice_in_a_part() -> None:
    """Nearer than ALIKE_LEVELS is the same; in another part of the day it is kept."""
    kept, _ = with_clip([], clip(3, 100), 1000, 1000)
    again = clip(3, 100 + 0.9 * ALIKE_LEVELS)
    assert with_clip(kept, again, 1000, 1000) == (kept, [again])
    assert len(with_clip(kept, clip(4, 100), 1000, 1000)[0]) == 2
    assert len(with_clip(kept, clip(3, 100 + 1.1 * ALIKE_LEVELS), 1000, 1000)[0]) == 2


def test_all_parts_together_never_exceed_the_budget() -> None:
    """Where later days reach other parts, the largest part gives up clips."""
    kept: list[Kept] = []
    for number in range(40):
        kept, _ = with_clip(kept, clip(number % 5, 7.0 * number), 40, 100)
        assert sum(one.bytes for one in kept) <= 100
    assert {one.part for one in kept} == set(range(5))


def test_movement_weighs_more_than_light() -> None:
    """The same stillness a level brighter is alike; something that moves is not."""
    rng = np.random.default_rng(0)
    still = [np.full((32, 40, 1), 90, np.uint8) for _ in range(10)]
    brighter = [image + 1 for image in still]
    moving = [image.copy() for image in still]
    for image in moving:
        image[8:16, 8:16] = rng.integers(0, 256)
    distances = [np.sqrt(np.mean((signature_of(still) - signature_of(other)) ** 2)) for other in (brighter, moving)]
    assert distances[0] < ALIKE_LEVELS < distances[1]


@pytest.mark.parametrize("channels", [1, 3])
def test_a_recorded_clip_is_exactly_what_was_seen(channels: int, tmp_path: Path) -> None:
    """Every pixel and every time, read as any footage."""
    images = list(np.random.default_rng(0).integers(0, 256, (20, 32, 40, channels), np.uint8))
    size = write_clip(tmp_path / "a.mkv", images, 10.0)
    (read,) = read_footage([str(tmp_path / "a.mkv")], FrameFormat(32, 40, channels, 10.0))
    assert np.array_equal(read.images, np.stack(images))
    assert np.allclose(np.diff(read.seconds), 0.1, atol=1e-3)  # Matroska counts milliseconds
    assert size == (tmp_path / "a.mkv").stat().st_size
    assert [file.name for file in tmp_path.iterdir()] == ["a.mkv"]


def work(count: int, seed: int) -> np.ndarray:
    """A film in which something else moves every second: uint8 [count, 32, 40, 1]."""
    rng = np.random.default_rng(seed)
    ground = rng.integers(60, 120, (32, 40, 1))
    images = ground + rng.normal(0, 2, (count, 32, 40, 1))
    for number in range(count):
        row, column = np.random.default_rng([seed, number // 10]).integers(0, 24, 2)
        images[number, row : row + 8, column : column + 8] += 60 * (number % 2)
    return np.clip(images, 0, 255).astype(np.uint8)


def test_collecting_keeps_to_its_budget_and_goes_on_where_it_was(tmp_path: Path) -> None:
    """From a camera's film: clips in the camera's folder, repetition left out, masked, within the bytes; twice is no more."""
    write_film(tmp_path / "day.mkv", np.concatenate([work(60, 1)] * 3))
    source = {"cam": CameraSource(str(tmp_path / "day.mkv"), playback="fast", masks=(((0.0, 0.0), (0.2, 0.2)),))}
    plan = Plan(30.0, 60_000, clip_seconds=1.0)  # room for two clips of about 12 kB in each of two parts
    roomy = collect(source, FORM, tmp_path / "roomy", Plan(30.0, 10_000_000, clip_seconds=1.0))["cam"]
    assert (roomy.kept, roomy.repeated, roomy.given_up) == (6, 12, 0)
    first = collect(source, FORM, tmp_path / "out", plan, wall_clock=lambda: 43_200.0 + next(ticks))["cam"]
    files = sorted((tmp_path / "out" / "cam").glob("*.mkv"))
    assert first.kept == len(files) > 0
    assert first.kept < 6
    assert first.given_up > 0
    assert sum(file.stat().st_size for file in files) == first.bytes <= 60_000
    clips = read_footage([str(tmp_path / "out" / "cam")], FORM)
    assert all(one.images.shape == (10, 32, 40, 1) for one in clips)
    assert all(one.images[:, :7, :8].max() == 0 for one in clips)
    again = collect(source, FORM, tmp_path / "out", plan, wall_clock=lambda: 43_200.0 + next(ticks))["cam"]
    assert again.kept == first.kept
    assert len(json.loads((tmp_path / "out" / "cam" / INDEX).read_bytes())) == first.kept


ticks = iter(range(10_000))


def test_nothing_is_kept_while_the_camera_has_a_condition(tmp_path: Path) -> None:
    """A covered lens is no normal work; the factory's cover lasts some seconds of the film."""
    source = {"cam": CameraSource("test://factory?seed=2&conditions=covered&first=5&seconds=12", playback="fast")}
    plan = Plan(60.0, 10_000_000, clip_seconds=1.0)
    tally = collect(source, FrameFormat(128, 160, 1, 10.0), tmp_path, plan)["cam"]
    assert tally.unfit >= 3
    for one in read_footage([str(tmp_path / "cam")], FrameFormat(128, 160, 1, 10.0)):
        assert one.images.std(axis=(1, 2, 3)).min() > 10  # what is covered is nearly of one brightness


def test_a_budget_for_no_clip_is_refused(tmp_path: Path) -> None:
    """One sentence with what is needed."""
    with pytest.raises(
        UsageError, match=r"the budget leaves 0\.00 MB .* one clip of 10 s takes up to 0\.09 MB; give \d+ MB"
    ):
        collect({}, FORM, tmp_path, Plan(3600.0, 1000))


def test_a_budget_that_the_disk_has_not_is_refused_before_anything_is_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What two cameras may take is held against what is free, less what they have already; short times take little."""
    monkeypatch.setattr("edge.collect.shutil.disk_usage", lambda _: SimpleNamespace(free=15_000_000))
    sources = dict.fromkeys("ab", CameraSource("test://factory?seed=2&seconds=1"))
    sentence = r"15 MB are free there, .* 2 camera\(s\) may take 20 MB more; give --megabytes 8 or less"
    with pytest.raises(UsageError, match=sentence):
        collect(sources, FORM, tmp_path, Plan(86400.0, 10_000_000, clip_seconds=1.0))
    assert list(tmp_path.rglob("*.mkv")) == []
    collect(sources, FORM, tmp_path, Plan(60.0, 10_000_000, clip_seconds=1.0))


def test_a_disk_that_fills_all_the_same_ends_it_with_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A device without room, as Linux has one for tests: where, why, and what to do; nothing half is left."""
    monkeypatch.setattr("edge.recording.os.fsync", lambda _: os.write(full, b"x"))
    write_film(tmp_path / "day.mkv", work(30, 2))
    words = ["collect", str(tmp_path / "day.mkv"), "--out", str(tmp_path / "out"), "--size", "40x32", "--clip", "1"]
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        assert main([*words, "--hours", "0.01", "--megabytes", "1"]) == 1
    finally:
        os.close(full)
    told = capsys.readouterr().err
    assert "out/camera: no clip can be written (No space left on device); make room there and start again" in told
    assert list((tmp_path / "out" / "camera").iterdir()) == []


@pytest.mark.parametrize("index", ["gone", "damaged", "turned bit", "older"])
def test_what_a_power_cut_left_beside_the_index_is_taken_in_or_removed(index: str, tmp_path: Path) -> None:
    """Clips that the index lacks still count and still repeat others; halves are removed, a user's own film is not."""
    write_film(tmp_path / "day.mkv", work(60, 1))
    source, plan = {"cam": CameraSource(str(tmp_path / "day.mkv"), playback="fast")}, Plan(30.0, 10_000_000, 1.0)
    first = collect(source, FORM, tmp_path / "out", plan, wall_clock=lambda: 43_200.0 + next(ticks))["cam"]
    folder = tmp_path / "out" / "cam"
    whole = (folder / INDEX).read_bytes()
    (folder / INDEX).unlink()
    if index != "gone":
        damages = {
            "damaged": whole[:40],
            "turned bit": whole.replace(b"Z", b"\xda"),
            "older": json.dumps(json.loads(whole)[:2]).encode(),
        }
        (folder / INDEX).write_bytes(damages[index])
    (folder / ".19700101T120000000Z.mkv.77.part").write_bytes(b"half")
    (folder / "19700101T120000000Z.mkv").write_bytes(b"torn")
    (folder / "mine.mkv").write_bytes(b"mine")
    again = collect(source, FORM, tmp_path / "out", plan, wall_clock=lambda: 43_200.0 + next(ticks))["cam"]
    assert first.kept == 6
    assert (again.kept, again.bytes, again.repeated) == (first.kept, first.bytes, 6)
    names = {one["name"] for one in json.loads(whole)}
    assert {one["name"] for one in json.loads((folder / INDEX).read_bytes())} == names
    assert {file.name for file in folder.iterdir()} == names | {INDEX, "mine.mkv"}


def test_a_clip_that_cannot_be_read_now_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that answers with an error has not said that the recording is damaged."""
    folder = tmp_path / "out" / "cam"
    folder.mkdir(parents=True)
    write_film(tmp_path / "day.mkv", work(20, 1))
    clip = folder / "19700101T120000000Z.mkv"
    clip.write_bytes((tmp_path / "day.mkv").read_bytes())

    def refused(*_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("edge.collect.read_film", refused)
    source, plan = {"cam": CameraSource(str(tmp_path / "day.mkv"), playback="fast")}, Plan(30.0, 10_000_000, 1.0)
    collect(source, FORM, tmp_path / "out", plan)
    assert clip.exists()


def test_a_source_that_is_not_there_is_told_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong path is not asked for a day; a camera that never answered is a failure, with its tally."""
    began = time.monotonic()
    assert main(["collect", str(tmp_path / "no.mp4"), "--out", str(tmp_path)]) == 2
    assert "no.mp4: no such file or folder" in capsys.readouterr().err
    assert time.monotonic() - began < 10.0
    silent = ["collect", "rtsp://127.0.0.1:9/x", "--camera", "press3", "--out", str(tmp_path), "--hours", "0.0003"]
    assert main([*silent, "--clip", "1", "--json"]) == 3
    told = capsys.readouterr()
    assert json.loads(told.out)["press3"]["frames"] == 0
    assert "press3: gave no frame in all the time" in told.err


def test_the_command_collects_from_an_address(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a configuration: an address, a size, and the tally as JSON."""
    write_film(tmp_path / "day.mkv", work(30, 2))
    words = [
        "collect",
        str(tmp_path / "day.mkv"),
        "--camera",
        "press3",
        "--out",
        str(tmp_path / "out"),
        "--size",
        "40x32",
    ]
    assert main([*words, "--hours", "0.01", "--megabytes", "1", "--clip", "1", "--json"]) == 0
    tally = json.loads(capsys.readouterr().out)["press3"]
    assert tally["kept"] == len(list((tmp_path / "out" / "press3").glob("*.mkv"))) >= 2
    assert main(["collect", "--out", str(tmp_path)]) == 2
    assert "give either a camera's address or --config" in capsys.readouterr().err
