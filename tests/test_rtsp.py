"""A real RTSP camera through both capture libraries at once: killed, stalled, refused, resized, and back."""

from __future__ import annotations

import itertools
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from edge.capture import (
    FIRST_DELAY_SECONDS,
    FIRST_MINUTE_SECONDS,
    LATER_DELAY_SECONDS,
    REFUSED_DELAY_SECONDS,
    CameraStatus,
    CaptureThread,
    Mailboxes,
)
from edge.capture_av import OPEN_TIMEOUT_SECONDS
from edge.errors import CameraRefused
from edge.places import place_from_spec
from edge.sources import open_place
from tests.rtsp_cameras import FORM, LIBRARIES, RtspServer, frames_within, need_gstreamer, rtsp_server


@pytest.fixture
def server() -> Iterator[RtspServer]:
    """A running server."""
    with rtsp_server() as served:
        yield served


@contextmanager
def watching(url: str, *, in_child: bool | None = None) -> Iterator[Mailboxes]:
    """Watch one address through every library at once, a camera for each, on request in processes of their own."""
    need_gstreamer()
    mailboxes = Mailboxes(list(LIBRARIES))
    threads = [
        CaptureThread(library, url, FORM, mailboxes, capture=library, in_child=in_child) for library in LIBRARIES
    ]
    for thread in threads:
        thread.start()
    try:
        yield mailboxes
    finally:
        for thread in threads:
            thread.stop()


def assert_seen(mailboxes: Mailboxes, seconds: float, least: int) -> None:
    """Every camera brings frames in time."""
    counts = {camera: len(times) for camera, times in frames_within(mailboxes, seconds, least).items()}
    assert min(counts.values()) >= least, f"{counts}; {mailboxes.status()}"


def wait_for(mailboxes: Mailboxes, seconds: float, good: Callable[[CameraStatus], bool]) -> None:
    """Take rounds until every camera's status is good; fail when it is not in time."""
    deadline = time.monotonic() + seconds
    while not all(map(good, mailboxes.status().values())):
        mailboxes.take(0.1)
        assert time.monotonic() < deadline, mailboxes.status()


def test_a_camera_is_watched_lost_and_watched_again(server: RtspServer) -> None:
    """Frames at the network's rate; a killed server is noticed in 5 s; frames again within 5 s of its return."""
    with watching(server.url) as mailboxes:
        assert_seen(mailboxes, 10.0, 3)
        for times in frames_within(mailboxes, 10.0, 12).values():
            steps = [after - before for before, after in itertools.pairwise(times)]
            assert 0.09 < sum(steps) / len(steps) < 0.13  # a tenth of a second; the slot may drop one on a busy machine
        server.kill()
        wait_for(mailboxes, 5.0, lambda status: status.fault_code == "camera_lost")
        time.sleep(1.0)
        server.start()
        assert_seen(mailboxes, 5.0, 1)


def test_the_newest_frame_of_a_camera_wins_and_the_others_are_counted(server: RtspServer) -> None:
    """A consumer that needs half a second for a frame sees a frame of now; what it missed is told with it."""
    need_gstreamer()
    source = open_place(place_from_spec(server.url), FORM, "gstreamer")
    frames, ages, taken = source.frames(), [], []
    for _ in range(6):
        taken.append(next(frames))
        ages.append(time.monotonic() - taken[-1].seconds)
        time.sleep(0.5)
    source.close()
    assert max(ages) < 0.6, ages  # one that waited while the consumer slept; without dropping, the sixth is 2.4 s old
    missed = round((taken[-1].seconds - taken[0].seconds) * FORM.rate_hz) - 5
    assert missed > 10
    # Ten a second are paced out of thirty: one more or less for each of the six pauses at most.
    assert sum(frame.discarded for frame in taken) == pytest.approx(missed, abs=3)


def test_what_a_capture_process_discards_reaches_the_cameras_count(server: RtspServer) -> None:
    """A child whose pipe nobody empties for two seconds discards in its pipeline, and `drops` has it."""
    need_gstreamer()
    source = open_place(place_from_spec(server.url), FORM, "gstreamer", in_child=True)
    frames, mailboxes = source.frames(), Mailboxes(["a"])
    next(frames)
    time.sleep(2.0)
    for frame in itertools.islice(frames, 8):
        mailboxes.put("a", frame, None)
        assert mailboxes.take(0.0)  # the slot itself drops nothing
    source.close()
    # Twenty frames were due; the pipe holds 64 KiB, three of 20 KiB, and the sink one more.
    assert 8 <= mailboxes.status()["a"].dropped <= 20


def test_a_camera_that_was_gone_for_long_is_watched_within_fifteen_seconds(
    server: RtspServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the first minute, with the longest delay drawn, and back as soon as an attempt at it has failed."""
    monkeypatch.setattr("edge.capture.FIRST_MINUTE_SECONDS", 0.0)
    monkeypatch.setattr("edge.capture.random.uniform", lambda _, high: high)
    with watching(server.url) as mailboxes:
        assert_seen(mailboxes, 10.0, 3)
        server.kill()
        wait_for(mailboxes, 5.0, lambda status: status.fault_code == "camera_lost")
        server.start()
        began = time.monotonic()
        assert_seen(mailboxes, 15.0, 1)
        assert (
            time.monotonic() - began > LATER_DELAY_SECONDS[1] - 4.0
        )  # it was the later delay, less the server's start


@pytest.mark.parametrize(
    ("lost_seconds", "delays", "opening_seconds", "bound_seconds"),
    [(0.0, FIRST_DELAY_SECONDS, 2.0, 5.0), (FIRST_MINUTE_SECONDS, LATER_DELAY_SECONDS, OPEN_TIMEOUT_SECONDS, 15.0)],
)
def test_an_attempt_its_delay_and_the_opening_stay_within_the_bound(
    lost_seconds: float, delays: tuple[float, float], opening_seconds: float, bound_seconds: float
) -> None:
    """A camera that returns when an attempt has just begun in vain: the attempt counts as waited, and jitter remains."""
    thread = CaptureThread("a", "rtsp://127.0.0.1:9/x", FORM, Mailboxes(["a"]))
    for tried_seconds in (0.0, 0.5, 1.0, 2.0):
        drawn = [thread._reopen_delay(lost_seconds, "camera_lost", tried_seconds) for _ in range(2000)]
        assert min(drawn) >= delays[0]  # never asked without a pause
        assert tried_seconds + max(drawn) + opening_seconds <= bound_seconds
        assert len(set(drawn)) > 1 or tried_seconds == delays[1] - delays[0]
    drawn = [thread._reopen_delay(lost_seconds, "camera_lost", 0.0) for _ in range(2000)]
    span = delays[1] - delays[0]
    assert min(drawn) < delays[0] + 0.05 * span  # 2000 draws miss a twentieth with 1e-45
    assert max(drawn) > delays[1] - 0.05 * span


def test_a_capture_process_that_hangs_is_replaced_while_the_camera_goes_on(server: RtspServer) -> None:
    """The children of a real camera are stopped in their tracks: `capture_hung`, and others bring frames within 30 s."""
    with watching(server.url, in_child=True) as mailboxes:
        assert_seen(mailboxes, 15.0, 3)
        before = {camera: _process_of(status) for camera, status in mailboxes.status().items()}
        for process in before.values():
            os.kill(process, signal.SIGSTOP)
        began = time.monotonic()
        wait_for(mailboxes, 12.0, lambda status: status.fault_code == "capture_hung")
        assert_seen(mailboxes, 30.0 - (time.monotonic() - began), 3)
        for camera, status in mailboxes.status().items():
            assert _process_of(status) != before[camera]
            assert status.fault is None
            with pytest.raises(ProcessLookupError):
                os.kill(before[camera], 0)


def _process_of(status: CameraStatus) -> int:
    """Return the process that captures a camera, as its status names it."""
    assert status.backend is not None
    return int(status.backend.rsplit(" ", 1)[1])


def test_a_stalled_camera_is_lost_in_five_seconds_and_watched_again(server: RtspServer) -> None:
    """A server that keeps its connections and sends nothing; what it then sends is of now, not its backlog."""
    with watching(server.url) as mailboxes:
        assert_seen(mailboxes, 10.0, 3)
        server.send(signal.SIGSTOP)
        wait_for(mailboxes, 5.0, lambda status: status.fault_code == "camera_lost")
        server.send(signal.SIGCONT)
        began = time.monotonic()
        times = frames_within(mailboxes, 8.0, 5)  # an attempt at the stalled server may still run into its time-out
        assert min(map(len, times.values())) >= 5, mailboxes.status()
        assert all(min(camera) > began - 0.5 for camera in times.values())


def test_a_picture_that_changes_its_size_goes_on(server: RtspServer) -> None:
    """The camera changes from 320×240 to 480×270 within the stream; frames keep the network's size."""
    with watching(server.url) as mailboxes:
        assert_seen(mailboxes, 10.0, 5)
        server.send(signal.SIGUSR1)
        assert_seen(mailboxes, 8.0, 25)
        assert any("resized" in line for line in server.said())


def test_a_wrong_password_is_told_and_not_tried_again_for_five_minutes() -> None:
    """`camera_refused`; the server sees no further attempt where a lost camera would be tried every 1–3 s.

    The same server lets the right password in.
    """
    locked = RtspServer("me", "secret")
    locked.start()
    try:
        with watching(locked.url.replace("//", "//me:wrong@")) as mailboxes:
            wait_for(mailboxes, 5.0, lambda status: status.fault_code == "camera_refused")
            locked.said()
            time.sleep(4.5)
            assert locked.said() == []
            assert "wrong" not in str(mailboxes.status())
        with watching(locked.url.replace("//", "//me:secret@")) as mailboxes:
            assert_seen(mailboxes, 10.0, 3)
    finally:
        locked.kill()
    assert min(REFUSED_DELAY_SECONDS) >= 300.0
    thread = CaptureThread("a", locked.url, FORM, Mailboxes(["a"]))
    assert 300.0 <= thread._reopen_delay(0.0, CameraRefused.fault_code, 3.0) <= 360.0
