"""One suite for every source, whatever captures it: scene, images, files, RTSP, HTTP, launch lines, child processes."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from edge.capture import CaptureThread, Mailboxes
from edge.capture_child import ChildSource
from edge.captures import CameraSource, Captures
from edge.errors import CaptureHung, DeviceUnavailable, PrednetError, UsageError
from edge.frames import Frame, FrameFormat, Source
from edge.pacing import is_gap
from edge.places import Place, place_from_spec
from edge.privacy import Shape
from edge.scene import scene_from_url
from edge.scene.footage import write_scene
from edge.sources import Capture, needs_a_process, open_place, open_source
from tests.films import write_images
from tests.http_camera import http_camera
from tests.rtsp_cameras import RtspServer, need_gstreamer, rtsp_server

FORM = FrameFormat(128, 160, 1, 10.0)
TEST_LINE = "gst://videotestsrc is-live=true pattern=smpte ! video/x-raw,width=320,height=240,framerate=30/1"
NAMES = [
    "scene",
    "images",
    "file pyav",
    "file gstreamer",
    "rtsp pyav",
    "rtsp gstreamer",
    "http",
    "http pyav",
    "launch line",
    "child",
]
Opened = Callable[..., Source]


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seconds of the synthetic factory as H.264, 320×256 at 30 frames a second."""
    scene, _, _ = scene_from_url("test://factory?seed=3")
    folder = tmp_path_factory.mktemp("film") / "scene"
    list(write_scene(scene, folder, height=256, width=320, channels=3, rate_hz=30.0, seconds=3.0))
    return folder / "scene.mp4"


@pytest.fixture(scope="module")
def server() -> Iterator[RtspServer]:
    """A running RTSP server."""
    with rtsp_server() as served:
        yield served


@pytest.fixture(scope="module")
def jpegs(film: Path) -> Iterator[str]:
    """The address of a running HTTP camera, which shows the film as JPEGs, 30 a second."""
    images = [frame.image for frame in taken(open_source(str(film), FrameFormat(256, 320, 3, 30.0)), 30)]
    with http_camera(images, 30.0) as url:
        yield url


@pytest.fixture(params=NAMES)
def opened(request: pytest.FixtureRequest, film: Path, tmp_path: Path) -> Opened:
    """Return a function that opens the source of this name, in any format and under any masks."""
    name: str = request.param
    kind, _, library = name.partition(" ")
    capture: Capture = "gstreamer" if library == "gstreamer" else "pyav" if library == "pyav" else "auto"
    if capture == "gstreamer" or kind == "launch":
        need_gstreamer()
    if kind == "images":
        write_images(tmp_path / "images", 30)
    specs = {"scene": "test://factory?seed=3&seconds=3", "images": str(tmp_path / "images"), "launch": TEST_LINE}
    spec = request.getfixturevalue("server").url if kind == "rtsp" else specs.get(kind, str(film))
    spec = request.getfixturevalue("jpegs") if kind == "http" else spec

    def opening(form: FrameFormat = FORM, masks: tuple[Shape, ...] = ()) -> Source:
        return open_place(place_from_spec(spec), form, capture, masks, in_child=kind == "child")

    return opening


def taken(source: Source, count: int) -> list[Frame]:
    """Return the first frames, and close the source."""
    try:
        return list(itertools.islice(source.frames(), count))
    finally:
        source.close()


def test_frames_have_the_networks_form_and_pace_and_are_ones_own(opened: Opened) -> None:
    """Shape, type and order in memory; times a tenth of a second apart; what a consumer keeps is not written again."""
    source = opened(FrameFormat(96, 128, 1, 10.0))
    assert source.backend
    assert source.name
    frames, copies = [], []
    for frame in itertools.islice(source.frames(), 12):
        frames.append(frame)
        copies.append(frame.image.copy())
    source.close()
    assert len(frames) == 12
    assert {(frame.image.shape, frame.image.dtype.name) for frame in frames} == {((96, 128, 1), "uint8")}
    assert all(frame.image.flags.c_contiguous for frame in frames)
    assert all(np.array_equal(frame.image, copy) for frame, copy in zip(frames, copies, strict=True))
    assert not any(np.shares_memory(one.image, other.image) for one, other in itertools.combinations(frames, 2))
    steps = [after.seconds - before.seconds for before, after in itertools.pairwise(frames)]
    assert min(steps) > 0.0
    # A live camera on a busy machine may drop frames of its thirty a second: a third of a period, and more at times.
    assert np.median(steps) == pytest.approx(0.1, abs=0.035 if source.is_live else 0.005)
    assert source.is_live or not any(is_gap(step, 10.0) for step in steps)


def test_no_masked_pixel_leaves_a_source(opened: Opened) -> None:
    """Under a rectangle and a triangle all is black in every frame of every channel; elsewhere it is not."""
    masks: tuple[Shape, ...] = (((0.1, 0.5), (0.4, 0.9)), ((0.6, 0.1), (0.95, 0.1), (0.95, 0.6)))
    frames = taken(opened(FrameFormat(128, 160, 3, 10.0), masks), 10)
    assert {frame.image.shape for frame in frames} == {(128, 160, 3)}
    for frame in frames:
        assert frame.image[64:116, 16:64].max() == 0
        assert frame.image[20:40, 130:150].max() == 0
    assert max(frame.image.max() for frame in frames) > 0


def test_both_libraries_show_the_same_film(film: Path) -> None:
    """The same frames at the same times; pixels differ by the scalers' kernels and rounding alone."""
    need_gstreamer()
    # Measured 1.6 and 2.2 grey levels on this noisy picture; on smooth ones 0.4 and 1.8 (swscale's chroma is coarser).
    for channels, most in ((1, 2.5), (3, 3.5)):
        form = FrameFormat(128, 160, channels, 10.0)
        ours = [taken(open_source(str(film), form, library), 99) for library in ("pyav", "gstreamer")]
        assert [round(frame.seconds, 3) for frame in ours[0]] == [round(frame.seconds, 3) for frame in ours[1]]
        assert len(ours[0]) == 30
        pixels = [np.stack([frame.image for frame in frames]).astype(np.int16) for frames in ours]
        assert np.abs(pixels[0] - pixels[1]).mean() < most


def test_stretches_of_files_are_alike_too(film: Path) -> None:
    """`#t=1,2` gives the same ten times whichever library plays."""
    need_gstreamer()
    times = [
        [round(frame.seconds, 3) for frame in taken(open_source(f"{film}#t=1,2", FORM, library), 99)]
        for library in ("pyav", "gstreamer")
    ]
    assert times[0] == times[1]
    assert len(times[0]) == 10


REFUSALS = [
    ("gst://videotestsrc ! nosuchelement", UsageError, r"gst://videotestsrc: GStreamer does not understand the line"),
    ("rtsp://127.0.0.1:9/x", DeviceUnavailable, r"the camera cannot be opened .*check its power, address and password"),
    ("{text}", UsageError, r"broken\.mp4: not a video that can be read"),
    ("gst://fakesrc num-buffers=0 ! video/x-raw,format=RGB,width=8,height=8,framerate=1/1", DeviceUnavailable,
     r"cannot be opened \(it ended without a frame\)"),
]  # fmt: skip


@pytest.mark.parametrize(("spec", "error", "sentence"), REFUSALS)
def test_gstreamer_says_what_is_wrong_as_pyav_does(
    spec: str, error: type[PrednetError], sentence: str, tmp_path: Path
) -> None:
    """One sentence, with the same words and the same kind of error."""
    need_gstreamer()
    broken = tmp_path / "broken.mp4"
    broken.write_text("no video " * 100)
    with pytest.raises(error, match=sentence):
        open_source(spec.format(text=broken), FORM, "gstreamer")


def test_a_child_that_hangs_is_killed_and_said(film: Path) -> None:
    """A child stopped in its tracks is noticed, and is no more once the source is closed."""
    source = ChildSource(Place("video", str(film)), FORM, "pyav", hung_seconds=0.5)
    frames = source.frames()
    next(frames)
    os.kill(source.pid, signal.SIGSTOP)
    with pytest.raises(CaptureHung, match="its capture process hangs"):
        list(frames)
    source.close()
    with pytest.raises(ProcessLookupError):
        os.kill(source.pid, 0)


def test_a_child_dies_with_its_parent(film: Path) -> None:
    """A parent killed within a call leaves no process that holds the camera, though the child itself is stopped."""
    program = (
        "import sys, time\nfrom edge.capture_child import ChildSource\nfrom edge.frames import FrameFormat\n"
        f"from edge.places import Place\nsource = ChildSource(Place('video', {str(film)!r}), FrameFormat(128, 160, 1, 10.0))\n"
        "print(source.pid, flush=True)\ntime.sleep(60)"
    )
    root = str(Path(__file__).parents[1])
    parent = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": root}
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    os.kill(child, signal.SIGSTOP)
    parent.kill()
    parent.communicate()
    deadline = time.monotonic() + 5.0
    while _is_alive(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _is_alive(child)


def _is_alive(pid: int) -> bool:
    """Return whether a process runs; one that nobody has buried yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_child_says_what_its_source_says(tmp_path: Path) -> None:
    """An error in the child is the same error here, and a killed child is a lost camera."""
    broken = tmp_path / "broken.mp4"
    broken.write_text("no video " * 100)
    with pytest.raises(UsageError, match=r"broken\.mp4: not a video that can be read"):
        ChildSource(Place("video", str(broken)), FORM, "pyav")


def test_what_hangs_or_keeps_its_device_gets_a_process() -> None:
    """CSI, and V4L2 where GStreamer captures it; PyAV gives a device back, and a network holds none."""
    apart = [("csi://0", "auto", True), ("/dev/video0", "gstreamer", True), ("/dev/video0", "pyav", False)]
    for spec, capture, is_apart in [*apart, ("rtsp://a/b", "gstreamer", False)]:
        assert needs_a_process(place_from_spec(spec), capture) is is_apart, (spec, capture)  # type: ignore[arg-type]


def test_a_library_that_hangs_is_abandoned_and_replaced(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that never comes back: told as `capture_hung`, and a child process brings the frames instead."""
    hung = []

    def opens(*words: object, in_child: bool | None, **more: object) -> Source:
        if not in_child:
            hung.append(words)
            time.sleep(60.0)
        return open_place(*words, in_child=in_child, **more)  # type: ignore[arg-type]

    monkeypatch.setattr("edge.capture.open_place", opens)
    mailboxes = Mailboxes(["a", "b"])
    captures = Captures(FORM, mailboxes, hung_seconds=0.5)
    captures.start("a", CameraSource(str(film), loop=True))
    seen, codes, began = 0, set(), time.monotonic()
    while seen < 5 and time.monotonic() - began < 15.0:
        captures.look_after()
        codes.add(mailboxes.status()["a"].fault_code)
        seen += sum("a" in now.frames for now in mailboxes.take(0.1))
    backend = mailboxes.status()["a"].backend
    captures.close()
    assert seen == 5
    assert len(hung) == 1
    assert "capture_hung" in codes
    assert backend is not None
    assert "in process" in backend


def test_a_file_that_loops_begins_again_and_one_that_does_not_ends(film: Path) -> None:
    """`loop` starts over as a camera that was lost for a moment; otherwise the camera is finished, not faulty."""
    mailboxes = Mailboxes(["loop", "once"])
    threads = [
        CaptureThread(name, str(film), FORM, mailboxes, loop=name == "loop", playback="fast")
        for name in ("loop", "once")
    ]
    for thread in threads:
        thread.start()
    counts, lost, began = {"loop": 0, "once": 0}, {"loop": [], "once": []}, time.monotonic()  # type: ignore[var-annotated]
    while counts["loop"] < 70 and time.monotonic() - began < 30.0:
        for now in mailboxes.take(0.1):
            for camera in now.frames:
                counts[camera] += 1
            for camera, reason in now.lost.items():
                lost[camera].append(reason)
    for thread in threads:
        thread.stop()
    status = mailboxes.status()["once"]
    assert (counts["once"], lost["once"], status.is_finished, status.fault_code) == (30, ["stopped"], True, None)
    assert lost["loop"][:2] == ["camera_lost", "camera_lost"]
