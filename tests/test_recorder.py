"""The recorder: what an event leaves behind, that the river never waits for it, and what the disk may do to it."""

from __future__ import annotations

import csv
import resource
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import cv2
import msgspec
import numpy as np
import pytest

from edge.detection import Limit
from edge.evidence_settings import Evidence
from edge.evidence_store import EVENT_FILE
from edge.frames import Frame
from edge.heat import error_picture
from edge.level import Level
from edge.messages import Event, EventEvidence, EventTime, new_event_id, utc_from_seconds
from edge.moments import Moment, Sensed
from edge.recorder import MOST_MOMENTS, Recorder
from edge.take import Take
from tests.publishing import wait_until

SETTINGS = Evidence(pre_roll_seconds=2.0, post_roll_seconds=1.0, longest_seconds=20.0, free_megabytes=0.0)
SHAPE = (32, 40, 1)
PEAK = 6.0  # seconds after the first moment


def moment_at(seconds: float, began: float, camera: str = "a") -> Moment:
    """A moment of an event from 5 to 7 s whose level is highest at 6 s; the frame's brightness tells its time."""
    since = seconds - began
    image = np.full(SHAPE, round(since * 10), np.uint8)
    prediction = np.full(SHAPE, 100, np.uint8)
    cells = np.zeros((4, 5), np.float32)
    cells[3, 4] = 1.0
    maps = np.full((3, 4, 5), 0.05, np.float32)
    sensed = Sensed(camera, Frame(image, seconds), "watching", 0.1, maps, maps, prediction, None, None)  # type: ignore[arg-type]
    level = Level(5.0 - abs(since - PEAK), 0.0, 0.01, 0.0, 0.01)
    return Moment(
        camera, seconds, "watching", sensed, surprise=level.mean, level=level, z=0.5, cells=cells, limit=Limit(3.0, 2.0)
    )


def event_at(type_: str, start: float, end: float | None, event_id: str, **changes: object) -> Event:
    """A message of an event on the camera's clock, with times as labels."""
    offset = time.time() - time.monotonic()
    ended = None if end is None else utc_from_seconds(end + offset)
    event = Event(
        type=type_, event_id=event_id, rev=2, site="s", device="d", camera="a", kind="surprise", severity="alert",
        time=EventTime(clock="synced", start=utc_from_seconds(start + offset), end=ended),
    )  # fmt: skip
    return msgspec.structs.replace(event, **changes)


@contextmanager
def recorder_at(folder: Path, settings: Evidence = SETTINGS, **options: object) -> Iterator[Recorder]:
    """A recorder, stopped at the end."""
    recorder = Recorder(folder, settings, {}, **options)  # type: ignore[arg-type]
    try:
        yield recorder
    finally:
        recorder.close()


def settle(recorder: Recorder, count: int = 1) -> list[Event]:
    """Return the evidence messages once there are so many."""
    found: list[Event] = []
    deadline = time.monotonic() + 20.0
    while len(found) < count:
        found += recorder.told()
        assert time.monotonic() < deadline, "no evidence came"
        time.sleep(0.01)
    return found


def play(recorder: Recorder, began: float, seconds: float, event_id: str, end: float | None = 7.0) -> None:
    """Show the recorder moments of so many seconds, and the event as it is announced 1.5 s after its begin."""
    for number in range(round(seconds * 10)):
        at = began + number / 10
        recorder.see(moment_at(at, began))
        if number == 65:
            recorder.hear(event_at("new", began + 5.0, None, event_id))
        if end is not None and number == round(end * 10) + 10:
            recorder.hear(event_at("end", began + 5.0, began + end, event_id, end_reason="cleared"))
        wait_until(lambda: recorder._worker.waiting < 200)


def brightness(path: Path) -> list[float]:
    """Return the mean of each of a video's frames."""
    with av.open(str(path)) as container:
        return [float(frame.to_ndarray(format="gray").mean()) for frame in container.decode(video=0)]


def new_id() -> str:
    """An id of now."""
    return new_event_id(time.time(), bytes(10))


def test_an_event_leaves_clip_strip_heat_map_trace_and_event(tmp_path: Path) -> None:
    """Clip from pre-roll to post-roll; pictures of the frame at the peak; every frame's numbers; the event as published."""
    event_id, began = new_id(), time.monotonic()
    with recorder_at(tmp_path) as recorder:
        play(recorder, began, 10.0, event_id)
        (told,) = settle(recorder)
    assert (told.type, told.rev, told.event_id) == ("evidence", 3, event_id)
    assert told.evidence is not None
    assert told.evidence.status == "ready"
    folder = tmp_path / "evidence" / "a" / event_id
    assert {path.name for path in folder.iterdir()} == {"clip.mp4", "strip.jpg", "heatmap.png", "trace.csv", EVENT_FILE}
    assert told.evidence.clip == f"evidence/a/{event_id}/clip.mp4"
    shown = brightness(folder / "clip.mp4")
    # Frames of 3.0 to 8.0 s have the brightness 30 to 80; labels hold milliseconds, so a frame at an edge may fall out.
    assert len(shown) in (50, 51)
    # The encoder's loss and the way to the range of video and back are within two grey levels.
    assert np.abs(np.array(shown) - (np.arange(len(shown)) + 81 - len(shown))).max() <= 2.0 + (51 - len(shown))
    rows = list(csv.DictReader((folder / "trace.csv").open()))
    assert len(rows) in (50, 51)
    highest = max(rows, key=lambda row: float(row["level"]))
    assert float(highest["seconds"]) == pytest.approx(PEAK - 5.0, abs=0.002)
    assert float(highest["error"]) == pytest.approx(0.1)
    strip = cv2.imread(str(folder / "strip.jpg"), cv2.IMREAD_GRAYSCALE)
    assert strip.shape == (32, 126)
    error = float(error_picture(np.full(SHAPE, 60, np.uint8), np.full(SHAPE, 100, np.uint8)).mean())
    for column, value in ((20, 60.0), (63, 100.0), (106, error)):  # frame at the peak, prediction, error
        assert abs(float(strip[16, column]) - value) <= 3.0  # what JPEG of quality 90 may lose
    heat = cv2.imread(str(folder / "heatmap.png"))
    assert heat[31, 39, 2] > 150, "the cell that stood out is red"
    assert heat[31, 39, 0] < 40
    assert np.array_equal(heat[0, 0], [60, 60, 60]), "the others are the frame"
    kept = msgspec.json.decode((folder / EVENT_FILE).read_bytes(), type=Event)
    assert kept.type == "end"
    assert kept.evidence == told.evidence


def test_a_long_event_has_a_clip_of_the_longest_length_and_a_whole_trace(tmp_path: Path) -> None:
    """The clip ends after 4 s; numbers run on to the event's end."""
    settings = msgspec.structs.replace(SETTINGS, longest_seconds=4.0)
    event_id = new_id()
    with recorder_at(tmp_path, settings) as recorder:
        play(recorder, time.monotonic(), 14.0, event_id, end=11.0)
        settle(recorder)
    folder = tmp_path / "evidence" / "a" / event_id
    assert len(brightness(folder / "clip.mp4")) in (40, 41)
    assert len(list(csv.DictReader((folder / "trace.csv").open()))) in (90, 91)


def test_a_camera_that_is_lost_ends_its_evidence_at_once(tmp_path: Path) -> None:
    """No post-roll is waited for that never comes."""
    event_id, began = new_id(), time.monotonic()
    with recorder_at(tmp_path) as recorder:
        play(recorder, began, 6.8, event_id, end=None)
        recorder.hear(event_at("end", began + 5.0, began + 6.7, event_id, end_reason="camera_lost"))
        (told,) = settle(recorder)
    assert told.evidence is not None
    assert told.evidence.status == "ready"
    assert len(brightness(tmp_path / told.evidence.clip)) in (37, 38)  # 3.0 to 6.7 s


def test_the_river_never_waits_for_a_disk_that_hangs(tmp_path: Path) -> None:
    """While the recorder hangs, 1,000 moments are taken in within milliseconds each; what does not fit is counted."""
    hanging, go_on = threading.Event(), threading.Event()

    def hang(_: Path) -> int:
        hanging.set()
        go_on.wait(30.0)
        return 10**12

    with recorder_at(tmp_path, free_bytes=hang) as recorder:
        began = time.monotonic()
        moment = moment_at(began, began)
        recorder.see(moment)
        assert hanging.wait(10.0)
        took = []
        for _ in range(1000):
            before = time.perf_counter()
            recorder.see(moment)
            took.append(time.perf_counter() - before)
        recorder.hear(event_at("new", began, None, new_id()))
        assert recorder.drops == {"evidence_moments": 1000 - MOST_MOMENTS}, "an event has room where moments have none"
        assert float(np.median(took)) < 0.001
        go_on.set()


def test_an_event_without_room_is_told_as_dropped(tmp_path: Path) -> None:
    """Recording stops where the disk is full; the event says so, and a counter."""
    event_id = new_id()
    settings = msgspec.structs.replace(SETTINGS, free_megabytes=500.0)
    with recorder_at(tmp_path, settings, free_bytes=lambda _: 499_000_000) as recorder:
        play(recorder, time.monotonic(), 10.0, event_id)
        (told,) = settle(recorder)
        assert recorder.drops == {"evidence": 1}
    assert told.evidence is not None
    assert told.evidence.status == "dropped"
    assert list((tmp_path / "evidence").rglob("*.*")) == []


def test_a_disk_that_refuses_leaves_nothing_half_done(tmp_path: Path) -> None:
    """No file may grow beyond 1 kB: the event is told as dropped, its folder never appears, and recording goes on after."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    first, second = new_id(), new_id()
    with recorder_at(tmp_path) as recorder:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
        try:
            play(recorder, time.monotonic(), 10.0, first)
            (told,) = settle(recorder)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert told.evidence is not None
        assert told.evidence.status == "dropped"
        assert list((tmp_path / "evidence" / "a").iterdir()) == []
        play(recorder, time.monotonic(), 10.0, second)
        (told,) = settle(recorder)
        assert told.evidence is not None
        assert told.evidence.status == "ready"


def test_what_nobody_foresaw_costs_one_event(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its evidence is told as dropped, nothing of it stays, and the recorder records the next event."""
    began, real = time.monotonic(), Take._film

    def fail(take: Take, moment: Moment) -> None:
        if moment.seconds - began > 5.5:
            raise KeyError("unforeseen")
        real(take, moment)

    monkeypatch.setattr(Take, "_film", fail)
    with recorder_at(tmp_path) as recorder:
        play(recorder, began, 9.0, new_id())
        (told,) = settle(recorder)
        assert told.evidence == EventEvidence(status="dropped")
        monkeypatch.setattr(Take, "_film", real)
        began = time.monotonic() + 20.0
        play(recorder, began, 10.0, new_event_id(time.time(), bytes([1] * 10)))
        (told,) = settle(recorder)
    assert told.evidence is not None
    assert told.evidence.status == "ready"
    assert [path.name for path in (tmp_path / "evidence" / "a").iterdir()] == [told.event_id]


def test_a_clip_that_cannot_be_finished_for_a_reason_that_nobody_foresaw_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever waits for its evidence hears that there is none, and nothing of it stays."""

    def fail(_: Take) -> EventEvidence:
        raise KeyError("unforeseen")

    monkeypatch.setattr(Take, "finish", fail)
    with recorder_at(tmp_path) as recorder:
        play(recorder, time.monotonic(), 10.0, new_id())
        (told,) = settle(recorder)
    assert told.evidence == EventEvidence(status="dropped")
    assert list((tmp_path / "evidence" / "a").iterdir()) == []


def test_a_disk_that_cannot_be_swept_for_a_reason_that_nobody_foresaw_costs_no_event(tmp_path: Path) -> None:
    """The thread outlives it, and records."""
    failures = [KeyError("unforeseen")]

    def free_bytes(_: Path) -> int:
        if failures:
            raise failures.pop()
        return 10**12

    with recorder_at(tmp_path, free_bytes=free_bytes) as recorder:
        play(recorder, time.monotonic(), 10.0, new_id())
        (told,) = settle(recorder)
    assert told.evidence is not None
    assert told.evidence.status == "ready"


def test_what_a_power_cut_left_is_removed_at_the_next_start(tmp_path: Path) -> None:
    """Evidence is in its place whole or not at all."""
    part = tmp_path / "evidence" / "a" / ".01J.part"
    part.mkdir(parents=True)
    (part / "clip.mp4").write_bytes(b"half")
    with recorder_at(tmp_path):
        pass
    assert not part.exists()


def test_missing_frames_and_floods_leave_no_evidence(tmp_path: Path) -> None:
    """A machine that is too slow is not given more to do; with another condition beside it, there is evidence."""
    began = time.monotonic()
    gap, covered = new_id(), new_event_id(time.time(), bytes([1] * 10))
    with recorder_at(tmp_path) as recorder:
        for event_id, names in ((gap, ("frame_gap",)), (covered, ("blocked", "frame_gap"))):
            said = {"kind": "condition", "conditions": names}
            recorder.see(moment_at(began + 5.0, began))
            recorder.hear(event_at("new", began + 5.0, None, event_id, **said))
            recorder.hear(event_at("end", began + 5.0, began + 5.1, event_id, end_reason="camera_lost", **said))
        recorder.hear(event_at("end", began, began, new_event_id(time.time(), bytes([2] * 10)), kind="flood"))
        (told,) = settle(recorder)
    assert recorder.told() == []
    assert recorder.drops == {}
    assert told.event_id == covered
    assert [path.name for path in (tmp_path / "evidence" / "a").iterdir()] == [covered]


def test_a_camera_lost_after_its_event_is_not_waited_for(tmp_path: Path) -> None:
    """The event has ended and its post-roll never comes: what there is is finished with the loss."""
    event_id, began = new_id(), time.monotonic()
    with recorder_at(tmp_path, msgspec.structs.replace(SETTINGS, post_roll_seconds=30.0)) as recorder:
        play(recorder, began, 9.0, event_id)
        assert recorder.told() == []
        recorder.see(Moment("a", began + 9.0, "blind", lost="camera_lost"))
        (told,) = settle(recorder)
    assert told.evidence is not None
    assert told.evidence.status == "ready"
