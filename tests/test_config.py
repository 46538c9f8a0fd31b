"""The configuration: what is read, and what is said of each mistake."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.config_file import read_config
from edge.errors import ConfigInvalid
from edge.setup import read_device
from tests.tiny import write_tiny_bundle

GOOD = """\
site: plant7
bundle: press.prednet
cameras:
  press3:
    source: rtsp://10.0.0.9/stream
  press4: {source: clips/a.mp4, normal: press4.normal, loop: true}
mqtt:
  host: broker.plant
  username: edge
detection:
  hold_seconds: 2
"""


def test_a_configuration_is_read_with_defaults_and_paths_from_its_folder(tmp_path: Path) -> None:
    """Addresses stay; relative paths are taken from where the file lies."""
    path = tmp_path / "config.yaml"
    path.write_text(GOOD)
    config = read_config(path)
    assert config.bundle == str(tmp_path / "press.prednet")
    assert config.cameras["press3"].source == "rtsp://10.0.0.9/stream"
    assert config.cameras["press4"].normal == str(tmp_path / "press4.normal")
    assert (config.mqtt.port, config.detection.rules.hold_seconds) == (1883, 2.0)


def test_no_cameras_an_empty_file_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    """Each says what is missing."""
    path = tmp_path / "config.yaml"
    for text, message in (
        ("", "holds no keys"),
        ("site: a\nbundle: b\ncameras: {}\n", "0 cameras; one device watches"),
    ):
        path.write_text(text)
        with pytest.raises(ConfigInvalid, match=message):
            read_config(path)
    with pytest.raises(ConfigInvalid, match="cannot be read"):
        read_config(tmp_path / "none.yaml")


def test_what_the_configuration_names_is_checked_too(tmp_path: Path) -> None:
    """A missing bundle, footage or password stops `run` and `check` alike, with code 78."""
    path = tmp_path / "config.yaml"
    text = GOOD.replace("  press4: {source: clips/a.mp4, normal: press4.normal, loop: true}\n", "")
    path.write_text(text)
    with pytest.raises(ConfigInvalid, match=r"press\.prednet: cannot be read"):
        read_device(path)
    write_tiny_bundle(tmp_path / "press.prednet")
    assert read_device(path).models["press3"].is_site is False
    path.write_text(text.replace("rtsp://10.0.0.9/stream", "clips/none.mp4"))
    with pytest.raises(ConfigInvalid, match="no such file or folder"):
        read_device(path)
    path.write_text(text.replace("  username: edge", "  username: edge\n  password_file: secret"))
    with pytest.raises(ConfigInvalid, match=r"secret: the password cannot be read \(No such file or directory\)"):
        read_device(path)
    (tmp_path / "secret").write_text("s3cret\n")
    device = read_device(path)
    assert device.broker.password == "s3cret"
    assert "s3cret" not in repr(device)
