"""Addresses and paths as users write them, and what is said of those that mean nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from calibration.footage import first_part_of, footage_digest, read_footage
from edge.errors import DeviceUnavailable, PrednetError
from edge.frames import FrameFormat
from edge.pacing import Pacer, is_gap
from edge.places import Place, place_from_spec, places_from_spec
from edge.sources import open_source
from tests.films import write_images, write_video

FORM = FrameFormat(32, 40, 1, 10.0)


def test_a_video_comes_at_the_networks_size_colour_and_rate(tmp_path: Path) -> None:
    """30 frames a second in, 10 out, grey, scaled, with the file's own times."""
    video = write_video(tmp_path / "a.mp4", 90)
    frames = list(open_source(str(video), FORM).frames())
    assert len(frames) == 30
    assert frames[0].image.shape == (32, 40, 1)
    assert [round(frame.seconds, 3) for frame in frames[:3]] == [0.0, 0.1, 0.2]
    assert frames[-1].image.mean() > frames[0].image.mean() + 150
    colour = next(iter(open_source(str(video), FrameFormat(32, 40, 3, 10.0)).frames()))
    assert colour.image.shape == (32, 40, 3)


def test_a_stretch_takes_its_seconds_alone(tmp_path: Path) -> None:
    """`#t=1,2` begins at the first second and ends before the second one."""
    video = write_video(tmp_path / "a.mp4", 90)
    seconds = [frame.seconds for frame in open_source(f"{video}#t=1,2", FORM).frames()]
    assert len(seconds) == 10
    assert seconds[0] == pytest.approx(1.0)
    assert seconds[-1] < 2.0


def test_images_come_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    """2.png is before 10.png; without a rate of their own they come at the network's."""
    folder = write_images(tmp_path / "images", 12)
    frames = list(open_source(str(folder), FORM).frames())
    means = [float(frame.image.mean()) for frame in frames]
    assert means == sorted(means)
    assert len(frames) == 12
    assert frames[1].seconds == pytest.approx(0.1)
    assert len(list(open_source(f"{folder}#fps=20", FORM).frames())) == 6
    assert len(list(open_source(f"{folder}/*.png", FORM).frames())) == 12


def test_a_folder_of_clips_is_several_places(tmp_path: Path) -> None:
    """Videos and folders of images below a folder are found, in order."""
    write_video(tmp_path / "b.mp4", 30)
    write_images(tmp_path / "a", 2)
    assert [(place.kind, place.name) for place in places_from_spec(str(tmp_path))] == [
        ("images", "a"),
        ("video", "b.mp4"),
    ]


@pytest.mark.parametrize(
    ("spec", "kind", "live"),
    [
        ("rtsp://user:secret@10.0.0.9/stream", "rtsp", True),
        ("https://user:secret@10.0.0.9/video.mjpg", "http", True),
        ("v4l2:///dev/video0", "v4l2", True),
        ("/dev/video0", "v4l2", True),
        ("test://factory?seed=1", "test", False),
    ],
)
def test_addresses_are_told_apart(spec: str, kind: str, live: bool) -> None:
    """Each kind of address is recognised, and no password stands in a name."""
    place = place_from_spec(spec)
    assert (place.kind, place.is_live) == (kind, live)
    assert "secret" not in place.name


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("/none/at/all.mp4", "/none/at/all.mp4: no such file or folder; give a video, a folder of images or a glob that matches some."),
        ("ftp://x/y", "ftp://x/y: the address scheme 'ftp' is not known; use rtsp://, http://, v4l2://, csi://, file://, test://, gst:// or a path."),
        ("{empty}", "{empty}: holds neither videos (.avi, .h264, .m4v, .mjpeg, …) nor images (.bmp, .jpeg, .jpg, .pgm, …)."),
        ("{text}", "a.mp4: not a video that can be read (Invalid data found when processing input); give a file that ffplay can show."),
        ("{video}#t=5,3", "{video}#t=5,3: the stretch ends at 3 s, not after its start at 5 s."),
        ("{video}#x=1", "{video}#x=1: '#x=1' is not understood; use #t=START,END in seconds or #fps=FRAMES_PER_SECOND."),
        ("{video}#t=99,", "v.mp4#t=99,: no frame lies in this stretch; check the times."),
        ("{broken}", "broken.png"),
        ("rtsp://127.0.0.1:1/a", "rtsp://127.0.0.1:1/a: a live camera is not footage; record it to a file first."),
        ("test://factory?sede=1&seconds=3", "unknown key sede; expected seed, or another of"),
        ("test://factory", "test://factory: this scene never ends; say how long with seconds=, such as &seconds=60."),
    ],
)  # fmt: skip
def test_bad_footage_is_one_clear_sentence(tmp_path: Path, spec: str, message: str) -> None:
    """What was found, and what to give instead."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.mp4").write_text("this is not a video")
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "broken.png").write_bytes(b"\x89PNG nothing")
    paths = {
        "empty": tmp_path / "empty", "text": tmp_path / "a.mp4", "broken": tmp_path / "images",
        "video": write_video(tmp_path / "v.mp4", 10),
    }  # fmt: skip
    with pytest.raises(PrednetError) as refused:
        read_footage([spec.format(**paths)], FORM)
    assert message.format(**paths) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_camera_that_does_not_answer_is_unavailable() -> None:
    """A refused connection names the camera and what to check."""
    with pytest.raises(DeviceUnavailable, match=r"the camera cannot be opened .*check its power, address and password"):
        open_source("rtsp://127.0.0.1:1/none", FORM)


def test_footage_of_several_clips_has_one_digest(tmp_path: Path) -> None:
    """The digest depends on pixels alone, and changes with them."""
    video = write_video(tmp_path / "a.mp4", 60)
    clips = read_footage([str(video), f"{video}#t=0,1"], FORM)
    assert [len(clip.images) for clip in clips] == [20, 10]
    assert footage_digest(clips) == footage_digest(clips)
    assert footage_digest(clips) != footage_digest(clips[:1])
    assert len(first_part_of(clips[0], 0.25).images) == 5


@pytest.mark.parametrize(
    ("rate", "kept"), [(30.0, 100), (29.83, 100), (25.0, 100), (17.0, 100), (10.0, 100), (5.0, 50)]
)
def test_pacing_keeps_the_frames_nearest_to_the_grid(rate: float, kept: int) -> None:
    """Ten seconds of any camera give ten frames a second, or all that it has."""
    pacer = Pacer(10.0)
    times = np.arange(0, 10.0 - 1e-9, 1 / rate)
    chosen = [seconds for seconds in times if pacer.keeps(float(seconds))]
    assert abs(len(chosen) - kept) <= 2
    assert max(np.diff(chosen)) <= max(0.1, 1 / rate) + 1 / rate


@pytest.mark.parametrize("rate", [10.5, 12.0, 13.0, 14.0, 15.0, 16.0])
def test_a_camera_a_little_faster_than_the_network_shows_no_gaps(rate: float) -> None:
    """Left-out frames never look like missing ones, in spite of jitter of a twelfth of the camera's period."""
    rng = np.random.default_rng(0)
    pacer, times = Pacer(10.0), np.arange(300) / rate
    times += rng.uniform(-1 / 12, 1 / 12, 300) / rate
    chosen = [seconds for seconds in times if pacer.keeps(float(seconds))]
    gaps = sum(is_gap(step, 10.0) for step in np.diff(chosen))
    assert gaps <= 3  # of 300: until the camera's own period is known, and where jitter adds up


def test_pacing_survives_jitter_gaps_and_a_clock_that_goes_back() -> None:
    """A camera of the network's own rate loses no frame to jitter of an eighth of a period; after a gap it goes on."""
    rng = np.random.default_rng(0)
    jittered = np.arange(200) * 0.1 + rng.uniform(-0.012, 0.012, 200)
    pacer = Pacer(10.0)
    assert all(pacer.keeps(float(seconds)) for seconds in jittered)
    assert pacer.keeps(60.0)
    assert pacer.keeps(1.0)
    assert is_gap(0.2, 10.0)
    assert is_gap(-0.1, 10.0)
    assert not is_gap(0.12, 10.0)


def test_a_place_keeps_what_was_said_of_it() -> None:
    """Fragments are read in any order."""
    assert place_from_spec(f"{__file__}#fps=5&t=1.5,") == Place("video", __file__, 1.5, None, 5.0)
