"""`config show` and `check`: the values that count, where each comes from, and no secret."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge.cli import main
from edge.config_file import config_from_text, read_config
from tests.tiny import write_tiny_bundle

TEXT = """\
site: plant7
bundle: tiny.prednet
cameras:
  press3:
    source: rtsp://10.0.0.9/stream
    username: admin
    password_file: press3.secret
  press4: {source: "test://factory", zones: {ram: {polygon: [[0.1, 0.2], [0.3, 0.4]]}}}
mqtt:
  host: "yes"
  username: edge
"""


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration whose secrets come from a file and from the environment."""
    (tmp_path / "press3.secret").write_text("hunter2\n")
    monkeypatch.setenv("PREDNET_MQTT_PASSWORD", "hunter3")
    write_tiny_bundle(tmp_path / "tiny.prednet")
    path = tmp_path / "config.yaml"
    path.write_text(TEXT)
    return path


@pytest.mark.parametrize("origin", [[], ["--origin"]])
def test_what_is_shown_is_the_same_configuration(
    config: Path, origin: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Its output is a valid file, read to the same values, wherever it is put."""
    assert main(["config", "show", *origin, "--config", str(config)]) == 0
    told = capsys.readouterr().out
    assert config_from_text(told, Path("/elsewhere/config.yaml")) == read_config(config)
    assert ("# default" in told) == bool(origin)


def test_each_value_has_its_line_or_is_called_a_default(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The line is the file's own; what the file does not hold is a default; secrets have their place."""
    main(["config", "show", "--origin", "--config", str(config)])
    told = capsys.readouterr().out.splitlines()
    assert "site: plant7  # line 1" in told
    assert "  host: 'yes'  # line 10" in told
    assert "  port: 1883  # default" in told
    assert "    loop: false  # default" in told
    assert "# mqtt_password: from environment PREDNET_MQTT_PASSWORD" in told
    assert f"# camera_press3_password: from file {config.parent}/press3.secret" in told


def test_the_json_has_every_key_with_its_origin(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One object: value and origin by path, and where secrets are."""
    main(["config", "show", "--json", "--config", str(config)])
    told = json.loads(capsys.readouterr().out)
    assert told["config"]["cameras.press4.zones.ram.polygon"] == {"value": [[0.1, 0.2], [0.3, 0.4]], "origin": "line 8"}
    assert told["config"]["detection.hold_seconds"] == {"value": 1.5, "origin": "default"}
    assert set(told["secrets"]) == {"mqtt_password", "camera_press3_password"}


def test_no_command_shows_a_secret(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither `show` nor `check`, as text or as JSON."""
    for command in (["config", "show", "--origin"], ["config", "show", "--json"], ["check"], ["check", "--json"]):
        assert main([*command, "--config", str(config)]) == 0
    told = "".join(capsys.readouterr())
    assert "camera_press3_password: from file" in told
    assert "hunter" not in told


def test_check_as_json_says_what_each_camera_runs_on(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Models, runner, bundle and secrets' places."""
    assert main(["check", "--json", "--config", str(config)]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [line.partition(":")[0] for line in told["models"]] == ["press3", "press4"]
    assert told["secrets"]["mqtt_password"] == "environment PREDNET_MQTT_PASSWORD"
    assert told["runner"].startswith("onnxruntime-cpu")
