"""The tape: which packets it holds, and that a clip of them is the camera's own video."""

from __future__ import annotations

import itertools
from pathlib import Path

import av
import numpy as np
import pytest

from edge.capture import CaptureThread, Mailboxes
from edge.clip import CopiedClip
from edge.frames import FrameFormat
from edge.places import place_from_spec
from edge.sources import Capture, has_gstreamer, open_place
from edge.tape import Encoding, Packet, Reel, Tape, parameter_sets

FORM = FrameFormat(32, 40, 1, 10.0)
H264 = Encoding("h264", b"", 64, 48)


def write_h264(path: Path, count: int, rate: int = 30, group: int = 15) -> Path:
    """A real H.264 file with B-frames and a key frame every `group`; the picture's brightness counts the frames."""
    with av.open(str(path), "w") as container:
        options = {"g": str(group), "keyint_min": str(group), "sc_threshold": "0", "bf": "2"}
        stream = container.add_stream("libx264", rate=rate, options=options)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(count):
            image = np.full((48, 64, 3), 20 + number % 200, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    return path


def packets_of(path: Path) -> list[bytes]:
    """Return a file's packets, in order, as they are stored."""
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(video=0) if packet.size]


def filled(seconds: float, count: int, size: int = 10, bytes_limit: int = 10**9) -> Reel:
    """Return a reel after `count` packets at 10 a second, a key frame each second, laid on a clock 100 s ahead."""
    reel = Reel(H264, seconds, bytes_limit)
    for number in range(count):
        reel.put(Packet(bytes(size), number / 10, number / 10, number % 10 == 0))
    reel.lay(100.0)
    return reel


def test_a_reel_keeps_its_seconds_in_whole_groups() -> None:
    """Of 20 s the last three are wanted: the group that they begin in is there from its key frame on."""
    reel = filled(3.0, 200)
    number = reel.number_at(0.0)
    assert number is not None
    packets, following = reel.packets_from(number)
    assert packets[0].is_key
    assert packets[0].shown_seconds == 16.0  # the newest is 19.9: 16.9 lies in the group of 16.0
    assert following == 200
    assert reel.packets_from(following) == ([], 200)


def test_a_clip_begins_with_the_last_key_frame_before_its_time() -> None:
    """On the camera's clock; before the oldest, it begins with the oldest."""
    reel = filled(10.0, 200)
    for seconds, first in ((115.45, 15.0), (116.0, 16.0), (50.0, 9.0)):
        number = reel.number_at(seconds)
        assert number is not None
        assert reel.packets_from(number)[0][0].shown_seconds == first


def test_a_reel_stays_below_its_bytes_and_counts_what_did_not_fit() -> None:
    """A camera whose key frames are too far apart fills no memory; what cannot be decoded is not kept either."""
    reel = filled(1000.0, 200, size=100, bytes_limit=5000)
    packets, _ = reel.packets_from(0)
    assert sum(len(packet.data) for packet in packets) <= 5000
    assert packets[0].is_key
    assert reel.dropped == 200 - len(packets)
    endless = Reel(H264, 10.0, 1000)
    for number in range(100):
        endless.put(Packet(bytes(100), number / 10, number / 10, number == 0))
    assert endless.packets_from(0)[0] == []


@pytest.mark.parametrize("library", ["pyav", "gstreamer"])
def test_a_copied_clip_holds_the_cameras_own_packets(library: Capture, tmp_path: Path) -> None:
    """A file plays through a capture thread: the clip's packets are byte for byte those of the file, and all decode."""
    if library == "gstreamer" and not has_gstreamer():
        pytest.skip("no GStreamer for Python here")
    video, tape, mailboxes = write_h264(tmp_path / "a.mp4", 90), Tape(60.0), Mailboxes(["a"])
    thread = CaptureThread("a", str(video), FORM, mailboxes, playback="fast", capture=library, tape=tape)
    thread.start()
    seen = []
    while not mailboxes.status()["a"].is_finished:
        seen += [frame.seconds for now in mailboxes.take(0.1) for frame in now.frames.values()]
    thread.stop()
    reel = tape.reel
    assert reel is not None
    number = reel.number_at(seen[0] + 1.2)  # a group lasts half a second: the key frame is that of 1.0 s
    assert number == 30
    packets, _ = reel.packets_from(number)
    clip = CopiedClip(tmp_path, reel.encoding, packets[0])
    clip.write(packets)
    clip.close()
    assert packets_of(clip.path) == packets_of(video)[30:]
    with av.open(str(clip.path)) as container:
        shown = [float(frame.to_ndarray(format="gray").mean()) for frame in container.decode(video=0)]
    assert len(shown) == 60
    with av.open(str(video)) as container:
        whole = [float(frame.to_ndarray(format="gray").mean()) for frame in container.decode(video=0)]
    assert shown == whole[30:]


@pytest.mark.parametrize(("encoder", "container", "name"), [
    ("libx265", "mp4", "clip.mp4"), ("mjpeg", "mkv", "clip.mkv"), ("mpeg4", "mp4", "clip.mkv"), ("ffv1", "mkv", "clip.mkv"),
])  # fmt: skip
def test_what_else_cameras_send_is_copied_too(encoder: str, container: str, name: str, tmp_path: Path) -> None:
    """H.265, MJPEG, MPEG-4 and FFV1: the clip decodes to the very pictures of the file."""
    video, tape = tmp_path / f"a.{container}", Tape(60.0)
    with av.open(str(video), "w") as file:
        stream = file.add_stream(
            encoder, rate=10, options={"x265-params": "log-level=none"} if "265" in encoder else {}
        )
        stream.width, stream.height = 64, 48
        stream.pix_fmt = "yuvj420p" if encoder == "mjpeg" else "yuv420p"
        for number in range(20):
            image = np.full((48, 64, 3), 20 + 10 * number, np.uint8)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        file.mux(stream.encode())
    source = open_place(place_from_spec(str(video)), FORM, tape=tape)
    assert len(list(source.frames())) == 20
    source.close()
    assert tape.reel is not None
    packets, _ = tape.reel.packets_from(0)
    clip = CopiedClip(tmp_path, tape.reel.encoding, packets[0])
    clip.write(packets)
    clip.close()
    assert clip.path.name == name
    assert pictures_of(clip.path) == pictures_of(video)


def pictures_of(path: Path) -> list[bytes]:
    """Return a video's decoded pictures."""
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="gray").tobytes() for frame in container.decode(video=0)]


def test_nothing_is_taped_of_a_camera_with_a_mask(tmp_path: Path) -> None:
    """What the camera sent shows what lies beneath the mask; it is not even kept in memory."""
    video, tape = write_h264(tmp_path / "a.mp4", 30), Tape(60.0)
    source = open_place(place_from_spec(str(video)), FORM, masks=[((0.0, 0.0), (0.5, 0.5))], tape=tape)
    assert len(list(source.frames())) == 10
    source.close()
    assert tape.reel is None


def test_parameter_sets_are_found_among_start_codes() -> None:
    """Long and short start codes, SPS and PPS of H.264; other units are left out."""
    units = [b"\x67sps", b"\x68pps", b"\x65picture"]
    data = b"\0\0\0\1" + units[0] + b"\0\0\1" + units[1] + b"\0\0\0\1" + units[2]
    assert parameter_sets(data, "h264") == b"\0\0\0\1\x67sps\0\0\0\1\x68pps"
    assert parameter_sets(b"\0\0\1" + data + b"\0\0\1", "h264") == parameter_sets(data, "h264"), "empty units"
    assert parameter_sets(data, "mjpeg") == b""
    assert list(itertools.chain(parameter_sets(b"\xff\xd8jpeg", "h264"))) == []
