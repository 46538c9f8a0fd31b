"""Learning a site on the device: from its configuration, showing what would have fired, and put in force at once."""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from calibration.cli import main
from calibration.site_order import runner_for
from edge.capture import CameraStatus
from edge.daemon import watch_device
from edge.errors import PrednetError
from edge.frames import Source
from edge.in_force import LOOK_SECONDS, Normals
from edge.model import with_normal
from edge.moments import Moment
from edge.profile_switch import InForce
from edge.setup import read_device
from edge.site_calibration import read_site
from edge.sources import open_place
from tests.brokers import free_port
from tests.films import write_clip
from tests.tiny import normal_images, with_accident, write_tiny_bundle

LINE = "gst://videotestsrc is-live=true pattern=ball ! video/x-raw,width=80,height=64,framerate=30/1"


def restless_images(count: int, seed: int) -> np.ndarray:
    """Normal work of another place: the bundle's own footage with a corner that often flickers."""
    images = normal_images(count, seed=seed)
    for start in range(20, count, 60):
        images = with_accident(images, start, min(start + 40, count), seed=start)
    return images


def config_of(folder: Path, source: str, normal: str = "normal: cam.normal") -> Path:
    """A configuration with one camera."""
    path = folder / "config.yaml"
    path.write_text(
        f"site: plant7\nbundle: tiny.prednet\nstate_directory: state\nthreads: 1\nmqtt: {{port: {free_port()}}}\n"
        f"cameras:\n  cam:\n    source: {json.dumps(source)}\n    loop: true\n    {normal}\n"
    )
    return path


def test_a_site_is_learned_and_what_would_have_fired_is_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The bundle's own calibration fires at this place's normal work; the site's does not, and is written to its file."""
    bundle = write_tiny_bundle(tmp_path / "tiny.prednet")
    write_clip(tmp_path / "day.mkv", restless_images(300, 3))
    config = config_of(tmp_path, "day.mkv")
    words = ["site", "--config", str(config), "--camera", "cam"]
    assert main([*words, "--show-only", "--json"]) == 0
    fired = json.loads(capsys.readouterr().out)["would_fire"]
    assert len(fired["the calibration in force"]) >= 3
    assert fired["this calibration"] == []
    assert not (tmp_path / "cam.normal").exists()
    assert main(words) == 0
    told = capsys.readouterr().out
    assert f"the calibration in force: {len(fired['the calibration in force'])} events in" in told
    assert "this calibration: 0 events in" in told
    assert f"in force at cam: {tmp_path}/cam.normal" in told
    from edge.bundle import read_bundle  # noqa: PLC0415 - beside its only use

    assert read_site(tmp_path / "cam.normal", read_bundle(bundle), "float").limits.frames > 200
    assert main([*words, "--show-only", "--json"]) == 0
    fired = json.loads(capsys.readouterr().out)["would_fire"]
    assert fired["the calibration in force"] == fired["this calibration"] == []


def test_only_what_the_device_watches_by_is_said_to_be_in_force(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another file than the configuration's is written, and no more; the same one by another way is in force."""
    write_tiny_bundle(tmp_path / "tiny.prednet")
    write_clip(tmp_path / "day.mkv", normal_images(60))
    words = ["site", "--config", str(config_of(tmp_path, "day.mkv")), "--camera", "cam", "-o"]
    assert main([*words, str(tmp_path / "other.normal")]) == 0
    assert f"\nwritten: {tmp_path}/other.normal" in capsys.readouterr().out
    (tmp_path / "elsewhere").mkdir()
    assert main([*words, str(tmp_path / "elsewhere" / ".." / "cam.normal")]) == 0
    assert "in force at cam: " in capsys.readouterr().out


MISTAKES = [
    (["--camera", "other"], "has no camera 'other'; it has cam."),
    (
        ["--camera", "cam", "--variant", "float"],
        "--variant is of a bundle alone; a device's configuration says its own",
    ),
    (["--camera", "cam", "--size", "80x64"], "--size is of a predictor's frames; leave it out, or give --predictor."),
    (["--camera", "cam", "--colour", "rgb"], "--colour is of a predictor's frames; leave it out, or give --predictor."),
    (["--camera", "cam", "--rate", "5", "--profile", "calm"], "leave out --profile, or --rate."),
    (["--camera", "cam"], "cam has no 'normal' file to be replaced; add, for example, 'normal: cam.normal' to it"),
]


@pytest.mark.parametrize(("words", "sentence"), MISTAKES)
def test_what_a_configuration_lacks_is_said(
    words: list[str], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is recorded."""
    write_tiny_bundle(tmp_path / "tiny.prednet")
    write_clip(tmp_path / "day.mkv", normal_images(20))
    config = config_of(tmp_path, "day.mkv", normal="")
    assert main(["site", "--config", str(config), *words]) == 2
    assert sentence in capsys.readouterr().err


OF_NO_USE = [
    (
        ["--bundle", "x.prednet", "--profile", "calm"],
        "--profile names a profile of a device's camera; leave it out, or",
    ),
    (["--bundle", "x.prednet", "--installed", "b"], "--installed names a bundle of a device; leave it out, or give"),
    (
        ["--bundle", "x.prednet", "--size", "80x64"],
        "--size is of a predictor's frames; leave it out, or give --predictor",
    ),
    (["--predictor", "flow", "--variant", "cpu"], "--variant is of a bundle alone; "),
]


@pytest.mark.parametrize(("words", "sentence"), OF_NO_USE)
@pytest.mark.parametrize("command", ["site", "masks"])
def test_an_option_that_nothing_would_come_of_is_refused(
    command: str, words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is said before anything is read."""
    assert main([command, "day.mkv", *words]) == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize(("command", "options"), [("site", ["--show-only"]), ("masks", [])])
def test_the_runner_is_closed_where_the_footage_is_too_short(
    command: str, options: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What held a graphics card holds it no longer when the sentence is said."""
    closed = []

    def opens(order: Any) -> Any:
        runner = runner_for(order)
        monkeypatch.setattr(runner, "close", lambda: closed.append(order.variant))
        return runner

    monkeypatch.setattr("calibration.cli.runner_for", opens)
    monkeypatch.setattr("calibration.masks_cli.runner_for", opens)
    bundle, film = write_tiny_bundle(tmp_path / "tiny.prednet"), write_clip(tmp_path / "day.mkv", normal_images(8))
    assert main([command, str(film), "--bundle", str(bundle), *options]) == 2
    assert closed == ["float"]


def test_a_camera_that_ignores_its_whole_picture_is_said_before_anything_is_watched(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """There is no footage of that name: what the configuration lacks comes first."""
    write_tiny_bundle(tmp_path / "tiny.prednet")
    config = config_of(tmp_path, "day.mkv", "normal: cam.normal\n    ignore_masks: [[[0, 0], [1, 1]]]")
    assert main(["site", "nothing.mkv", "--config", str(config), "--camera", "cam"]) == 2
    assert "cam ignores its whole picture, and nothing can be learned there" in capsys.readouterr().err


def test_a_live_camera_is_learned_from(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A launch line is as live as a camera: so many seconds of it are taken, under its masks."""
    from tests.rtsp_cameras import need_gstreamer  # noqa: PLC0415 - skips this test alone

    need_gstreamer()
    write_tiny_bundle(tmp_path / "tiny.prednet")
    config = config_of(tmp_path, LINE, "normal: cam.normal\n    privacy_masks: [[[0, 0], [0.3, 0.3]]]")
    assert main(["site", "--config", str(config), "--camera", "cam", "--seconds", "4"]) == 0
    assert "in force at cam" in capsys.readouterr().out
    assert (tmp_path / "cam.normal").exists()


@pytest.mark.parametrize("capture", ["pyav", "gstreamer"])
def test_a_live_camera_is_learned_through_its_own_library(
    capture: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The configuration's `capture` captures the footage too, whatever `auto` would take on this machine."""
    from tests.rtsp_cameras import RtspServer, need_gstreamer  # noqa: PLC0415 - skips this test alone

    need_gstreamer()
    backends: list[str] = []

    def opens(*words: Any, **more: Any) -> Source:
        source = open_place(*words, **more)
        backends.append(source.backend)
        return source

    monkeypatch.setattr("calibration.live.open_place", opens)
    write_tiny_bundle(tmp_path / "tiny.prednet")
    server = RtspServer()
    server.start()
    try:
        config = config_of(tmp_path, server.url, f"normal: cam.normal\n    capture: {capture}")
        assert main(["site", "--config", str(config), "--camera", "cam", "--seconds", "4"]) == 0
    finally:
        server.kill()
    assert [backend.split()[0] for backend in backends] == [capture]


def test_a_replaced_calibration_is_taken_over_by_a_running_device(tmp_path: Path) -> None:
    """The device starts on one `.normal`, another takes its place, and the limit that it decides by is the new one's."""
    write_tiny_bundle(tmp_path / "tiny.prednet")
    write_clip(tmp_path / "day.mkv", restless_images(200, 3))
    write_clip(tmp_path / "calm.mkv", normal_images(200, seed=9))
    config = config_of(tmp_path, "day.mkv")
    for name in ("calm", "day"):
        assert main(["site", str(tmp_path / f"{name}.mkv"), "--bundle", str(tmp_path / "tiny.prednet"), "--camera", "cam",
                     "-o", str(tmp_path / f"{name}.normal")]) == 0  # fmt: skip
    (tmp_path / "cam.normal").write_bytes((tmp_path / "calm.normal").read_bytes())
    limits: list[float] = []
    stopping = threading.Event()

    def see(moment: Moment, _: CameraStatus) -> None:
        if moment.limit is not None:
            limits.append(moment.limit.on)
        if len(limits) == 10:
            os.replace(tmp_path / "day.normal", tmp_path / "cam.normal")  # noqa: PTH105 - as write_whole does
        if limits[0] != limits[-1] or len(limits) > 200:
            stopping.set()

    device = read_device(config)
    watch_device(device, stopping, see)
    after = with_normal(device.bundle, "float", tmp_path / "cam.normal").calibration.limit.on
    assert limits[0] == device.models["cam"].calibration.limit.on
    assert limits[-1] == after != limits[0]


def test_a_damaged_calibration_changes_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What was in force stays, and the log says why; the next good file is taken."""
    write_tiny_bundle(tmp_path / "tiny.prednet")
    write_clip(tmp_path / "day.mkv", normal_images(200))
    config = config_of(tmp_path, "day.mkv")
    assert main(["site", "--config", str(config), "--camera", "cam"]) == 0
    device, now = read_device(config), [0.0]
    models = device.models
    good = (tmp_path / "cam.normal").read_bytes()
    normals = Normals({"cam": tmp_path / "cam.normal"}, device.stamps, clock=lambda: now[0])
    (tmp_path / "cam.normal").write_bytes(b"nonsense")
    now[0] += LOOK_SECONDS
    assert list(normals.changed(models)) == []
    assert "normal_refused camera=cam" in caplog.text
    (tmp_path / "cam.normal").write_bytes(good)
    now[0] += LOOK_SECONDS
    assert [camera for camera, _ in normals.changed(models)] == ["cam"]


def test_a_file_that_is_replaced_while_the_device_opens_is_taken_over_or_refused_and_not_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A runner may open for minutes after the file was read; the log says `normal_in_force` of what is in force alone."""
    write_tiny_bundle(tmp_path / "tiny.prednet")
    write_clip(tmp_path / "day.mkv", normal_images(200))
    config, now = config_of(tmp_path, "day.mkv"), [0.0]
    assert main(["site", "--config", str(config), "--camera", "cam"]) == 0
    device = read_device(config)

    def replace_file() -> None:
        (tmp_path / "new.normal").write_bytes((tmp_path / "cam.normal").read_bytes())
        (tmp_path / "new.normal").replace(tmp_path / "cam.normal")

    def unfit(*_: object) -> None:
        raise PrednetError("zones do not fit")

    replace_file()
    told = SimpleNamespace(is_connected=True)
    in_force = InForce(device, told, lambda _camera, _held: None, lambda: now[0], time.time)  # type: ignore[arg-type]
    with caplog.at_level(logging.INFO):
        now[0] += LOOK_SECONDS
        assert [camera for camera, _ in in_force.changed()] == ["cam"]
        assert (caplog.text.count("normal_in_force"), caplog.text.count("normal_refused")) == (1, 0)
        monkeypatch.setattr("edge.profile_switch.adapted", unfit)
        replace_file()
        now[0] += LOOK_SECONDS
        assert list(in_force.changed()) == []
        now[0] += LOOK_SECONDS
        assert list(in_force.changed()) == []
    assert (caplog.text.count("normal_in_force"), caplog.text.count("normal_refused")) == (1, 1)
