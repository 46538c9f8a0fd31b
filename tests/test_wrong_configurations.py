"""Wrong configurations, one mistake each, and what is said of it, word for word."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from edge.config_file import read_config
from edge.errors import CONFIG_INVALID, ConfigInvalid
from edge.setup import read_device
from tests.tiny import write_tiny_bundle

GOOD = """\
site: plant7
bundle: press.prednet
variant: auto
runner: auto
cameras:
  press3:
    source: rtsp://10.0.0.9/stream
    zones:
      ram: {polygon: [[0.4, 0.2], [0.7, 0.6]], sensitivity: 1.5}
    ignore_masks:
      - [[0.8, 0.0], [1.0, 0.3]]
    profiles:
      night: {hours: "22:00-06:00", values: [run]}
    line:
      topic: plant7/mode
  press4: {source: "test://factory", loop: true}
mqtt:
  host: broker.plant
  username: edge
hooks:
  webhook: https://plant.example/events
engine:
  level: 3
detection:
  hold_seconds: 2
evidence:
  days: 30
"""
NO_NETWORK = ("bundle: press.prednet", "predictor: flow")
TOPIC = "cannot stand in a topic: 1 to 48 of the characters a-z, 0-9, _ and - are expected."
LOGIN = "holds a password; write rtsp://10.0.0.9/s, its user into 'username', and the password into a file: 'password_file'."

# What stands in the good one, what is written instead, and the sentence after the file's name.
MISTAKES = [
    # keys
    ("site: plant7", "sight: plant7", "1: unknown key 'sight'; did you mean 'site'?"),
    ("  host:", "  hots:", "18: unknown key 'mqtt.hots'; did you mean 'host'?"),
    ("  level:", "  effort:", "23: unknown key 'engine.effort'; known here: workspace_mib, level."),
    ("    source: rtsp", "    sauce: rtsp", "7: unknown key 'cameras.press3.sauce'; did you mean 'source'?"),
    ("loop: true", "lop: true", "16: unknown key 'cameras.press4.lop'; did you mean 'loop'?"),
    (", sensitivity: 1.5", ", sensitivty: 1.5", "9: unknown key 'cameras.press3.zones.ram.sensitivty'; did you mean 'sensitivity'?"),
    ("hours:", "hour:", "13: unknown key 'cameras.press3.profiles.night.hour'; did you mean 'hours'?"),
    ("  hold_seconds: 2", "  hold: 2", "25: unknown key 'detection.hold'; did you mean 'hold_seconds'?"),
    ("  username: edge", "  password: hunter2", "19: unknown key 'mqtt.password'; did you mean 'password_file'?"),
    ("  username: edge", "  host: other", "19: 'mqtt.host' stands in line 18 too; leave one of the two out."),
    ("  press4:", "  press3:", "16: 'cameras.press3' stands in line 6 too; leave one of the two out."),
    # YAML itself
    ("cameras:", "cameras: [", "7: not YAML at column 11: expected ',' or ']', but got ':'."),
    ("  host: broker.plant", "\thost: broker.plant", "18: not YAML at column 1: found character '\\t' that cannot start any token."),
    ("  username: edge", "   username: edge", "19: not YAML at column 12: mapping values are not allowed here."),
    ("site: plant7", "site: *plant", "1: not YAML at column 7: found undefined alias 'plant'."),
    ("site: plant7", "site: 2026-13-45", " not YAML: month must be in 1..12; put words into quotes."),
    ("site: plant7", "site: !host x", "1: not YAML at column 7: could not determine a constructor for the tag '!host'."),
    ("site: plant7", "? [a]\n: b\nsite: plant7", "1: not YAML at column 3: found unhashable key."),
    ("site: plant7", f"site: {'[' * 9999}", " not a configuration: its lists or keys are nested too deep."),
    # types
    ("site: plant7", "site: 7", "1: site: expected `str`, got `int`."),
    ("bundle: press.prednet\n", "", "1: the file: object missing required field `bundle`. To watch without a network: predictor: flow"),
    ("site: plant7\n", "", "1: the file: object missing required field `site`."),
    ("    source: rtsp://10.0.0.9/stream\n", "", "6: cameras.press3: object missing required field `source`."),
    ("  hold_seconds: 2", "  hold_seconds: soon", "25: detection.hold_seconds: expected `float`, got `str`."),
    ("loop: true", "loop: 1", "16: cameras.press4.loop: expected `bool`, got `int`."),
    ("loop: true", "playback: slow", "16: cameras.press4.playback: invalid enum value 'slow'; known here: realtime, fast."),
    ("loop: true", "capture: vlc", "16: cameras.press4.capture: invalid enum value 'vlc'; known here: auto, gstreamer, pyav."),
    ("runner: auto", "runner: gpu", "4: runner: invalid enum value 'gpu'; known here: auto, tensorrt, onnxruntime-tensorrt, onnxruntime-cuda, onnxruntime-cpu."),
    ("bundle: press.prednet", "predictor: optical", "2: predictor: invalid enum value 'optical'; known here: '', flow, flow-light."),
    ("  webhook: https://plant.example/events", "  command: notify", "21: hooks.command: expected `array`, got `str`."),
    # names
    ("site: plant7", "site: Plant 7", f"1: site: The site 'Plant 7' {TOPIC} Try 'plant-7'."),
    ("site: plant7", "site: plant7\ndevice: Edge/1", f"2: device: The device 'Edge/1' {TOPIC} Try 'edge-1'."),
    ("  press3:", "  Press 3:", f"6: cameras.Press 3: The camera 'Press 3' {TOPIC} Try 'press-3'."),
    ("      ram:", "      Ram:", f"9: cameras.press3.zones.Ram: The zone 'Ram' {TOPIC} Try 'ram'."),
    ("      night:", "      'by night':", f"13: cameras.press3.profiles.by night: The profile 'by night' {TOPIC} Try 'by-night'."),
    # secrets
    ("rtsp://10.0.0.9/stream", "rtsp://me:hunter2@10.0.0.9/s", f"7: cameras.press3.source: {LOGIN}"),
    ("rtsp://10.0.0.9/stream", "rtsp://me:hun/ter2@10.0.0.9/s", f"7: cameras.press3.source: {LOGIN}"),
    ("source: rtsp://10.0.0.9/stream", "source: 'rtsp://me:h#hunter2@10.0.0.9/s?a'", f"7: cameras.press3.source: {LOGIN}"),
    ("rtsp://10.0.0.9/stream", "rtsp://me:h?hunter2@10.0.0.9/s", f"7: cameras.press3.source: {LOGIN}"),
    ("rtsp://10.0.0.9/stream", "rtsp://10.0.0.9/user=me_password=hunter2_a", "7: cameras.press3.source: holds a password; write rtsp://10.0.0.9, its user into 'username', and the password into a file: 'password_file'."),
    ("\"test://factory\"", "'gst://rtspsrc user-id=me user-pw=hunter2 location=rtsp://a ! x'", "16: cameras.press4.source: holds a password; write rtsp:// or http:// with 'username' and 'password_file' instead."),
    ("loop: true", "username: me", "16: cameras.press4.username: is there for a source that has no login; rtsp:// and http:// have one."),
    ("    zones:", "    password_file: secret\n    zones:", "8: cameras.press3.password_file: is there without a 'username'; give both or none."),
    ("rtsp://10.0.0.9/stream", "rtsp://me@10.0.0.9/s\n    username: you", "8: cameras.press3.username: is there twice; leave it out of the source."),
    ("https://plant.example", "https://me:hunter2@plant.example", "21: hooks.webhook: holds a password; write the address without it, and a token into a file: webhook_token_file."),
    ("  username: edge", "  password_file: secret", "19: mqtt.password_file: is there without a 'username'; the broker takes both or none."),
    ("  username: edge", "  key_file: edge.pem", "19: mqtt.key_file: is there without a 'certificate_file'; the broker takes both or none."),
    # the picture
    ("[0.7, 0.6]]", "[0.7, 1.6]]", "9: cameras.press3.zones.ram.polygon: it has the point (0.7, 1.6); x and y are 0 to 1 of the picture, from its upper left corner."),
    ("[[0.8, 0.0], [1.0, 0.3]]", "[[0.8, 0.0]]", "10: cameras.press3.ignore_masks: mask 1 has 1 points; give two opposite corners of a rectangle, or three or more of a polygon."),
    ("sensitivity: 1.5", "sensitivity: 11", "9: cameras.press3.zones.ram.sensitivity: 11 is not within 0 to 10; 1 is usual."),
    # profiles
    ("22:00-06:00", "22-6", "13: cameras.press3.profiles.night.hours: '22-6' is no stretch of a day; write it as 06:00-22:00."),
    ("      topic: plant7/mode", "      topic: plant7/+", "15: cameras.press3.line.topic: 'plant7/+' is no single topic; write it without + and #."),
    ("      topic: plant7/mode", "      lost_seconds: 5", "13: cameras.press3.profiles.night.values: the camera has no line: {topic: …} that they could come from."),
    (", values: [run]", "", "14: cameras.press3.line: no profile has 'values' of this topic; add them, or leave it out."),
    ("values: [run]", "hold_back: true, values: [run]", "12: cameras.press3.profiles: all of them hold back; one at least must judge."),
    ("      topic: plant7/mode", "      topic: plant7/mode\n      settle_seconds: -1", "16: cameras.press3.line.settle_seconds: -1 is not within 0 seconds to 7 days."),
    # numbers
    ("  username: edge", "  port: 99999", "19: mqtt.port: 99999 is no port; MQTT has 1883, with TLS 8883."),
    ("  host: broker.plant", "  host: mqtt://me:hunter2@broker.plant", "18: mqtt.host: is no host; write a name or an address alone, and its port into 'port'."),
    ("  host: broker.plant", "  host: broker.plant:1883", "18: mqtt.host: is no host; write a name or an address alone, and its port into 'port'."),
    ("  host: broker.plant", "  host: ''", "18: mqtt.host: is no host; write a name or an address alone, and its port into 'port'."),
    ("  username: edge", "  keepalive_seconds: 0", "19: mqtt.keepalive_seconds: 0 is below 1."),
    ("https://plant.example/events", "plant.example", "21: hooks.webhook: 'plant.example' is no address; write http://… or https://…."),
    ("  webhook: https://plant.example/events", "  timeout_seconds: 0", "21: hooks.timeout_seconds: 0 is not within 0.1 to 300 seconds."),
    ("  level: 3", "  level: 6", "23: engine.level: 6 is not within 0 to 5."),
    ("  level: 3", "  workspace_mib: 0", "23: engine.workspace_mib: 0 is not within 1 to 65536."),
    ("runner: auto", "threads: -1", "4: threads: -1 is below 0; 0 means one per core."),
    ("  hold_seconds: 2", "  hold_seconds: -1", "25: detection.hold_seconds: -1 is not within 0 to 3600 seconds."),
    ("  hold_seconds: 2", "  false_events_per_day: 0", "25: detection.false_events_per_day: 0 is not above 0, 10000 at most."),
    ("  hold_seconds: 2", "  most_events_per_hour: 0", "25: detection.most_events_per_hour: 0 is below 1."),
    ("  days: 30", "  days: -1", "27: evidence.days: -1 is not within 0 to 3650."),
    ("  days: 30", "  longest_seconds: 4", "27: evidence.longest_seconds: 4 is not above pre_roll_seconds, 5."),
    # what does not go together
    ("bundle: press.prednet", "bundle: press.prednet\npredictor: flow", "3: predictor: flow beside a bundle; leave one of the two out."),
    (*NO_NETWORK, "6: cameras.press3: has no 'normal', and flow brings none; make one of an hour of normal work: prednet-calibrate site HOUR.mp4 --predictor flow -o press3.normal"),
    ("runner: auto", "frame: {width: 320}", "4: frame: a bundle says itself what its frames are; leave this out, or set predictor: flow."),
]  # fmt: skip


@pytest.mark.parametrize(("text", "wrong", "message"), MISTAKES, ids=[message[:40] for *_, message in MISTAKES])
def test_a_mistake_is_named_with_file_line_key_and_remedy(tmp_path: Path, text: str, wrong: str, message: str) -> None:
    """One sentence, the exit code of a configuration that `run` cannot start with, and no password in it."""
    path = tmp_path / "config.yaml"
    assert text in GOOD
    path.write_text(GOOD.replace(text, wrong, 1))
    with pytest.raises(ConfigInvalid) as refused:
        read_config(path)
    assert str(refused.value) == f"{path}:{message}"
    assert refused.value.exit_code == CONFIG_INVALID == 78
    assert "hunter2" not in str(refused.value)


def test_the_table_is_long_and_the_good_one_is_good(tmp_path: Path) -> None:
    """At least forty sentences, no mistake twice, each made in a configuration that is read."""
    path = tmp_path / "config.yaml"
    path.write_text(GOOD)
    assert set(read_config(path).cameras) == {"press3", "press4"}
    assert len({(text, wrong) for text, wrong, _ in MISTAKES}) == len(MISTAKES)
    assert len({message for *_, message in MISTAKES}) >= 40


# What is named and not there, or does not fit: found when the device is made ready, by `check` and `run` alike.
NAMED = [
    ("bundle: press.prednet", "bundle: none.prednet", r"2: bundle: .*/none\.prednet: cannot be read \(No such file or directory\).*"),
    ("variant: auto", "variant: int4", r"3: variant: .*/press\.prednet: has no variant 'int4'; it holds float\."),
    ("runner: auto", "runner: onnxruntime-cuda", r"4: runner: onnxruntime-cuda cannot be had: .* 'runner: auto' takes what can\."),
    ('"test://factory"', "clips/none.mp4", r"16: cameras\.press4: .*/clips/none\.mp4: no such file or folder; give a video, a folder of images or a glob that matches some\."),
    ('"test://factory"', "csi://left", r"16: cameras\.press4: csi://left: a CSI camera is named by its sensor's number, such as csi://0\."),
    ('"test://factory"', "ftp://a/b", r"16: cameras\.press4: ftp://a/b: the address scheme 'ftp' is not known; use rtsp://, http://, v4l2://, csi://, file://, test://, gst:// or a path\."),
    ("loop: true", "normal: none.normal", r"4: runner: .*/none\.normal: .*"),
    ("  username: edge", "  username: edge\n  password_file: none", r"17: mqtt: .*/none: the password cannot be read \(No such file or directory\); put it there, alone, for mqtt_password\."),
    ("  username: edge", "  username: edge\n  password_file: empty", r"17: mqtt: .*/empty: is empty; the password is expected in it, alone, for mqtt_password\."),
    ("  username: edge", "  ca_file: none", r"17: mqtt: .*/none: this TLS file of the connection to the broker cannot be read \(No such file or directory\); put it there, as PEM\."),
    ("  username: edge", "  certificate_file: empty", r"17: mqtt: .*/empty: these TLS files of the connection to the broker do not serve \(.*\); certificates and the certificate's own key are expected, as PEM, without a passphrase\."),
    ("  webhook:", "  webhook_token_file: two\n  webhook:", r"20: hooks: .*/two: has several lines; the token is expected in it, alone, for hooks_webhook_token\."),
    ("  webhook:", "  webhook_token_file: none\n  webhook:", r"20: hooks: .*/none: the token cannot be read \(No such file or directory\); put it there, alone, for hooks_webhook_token\."),
    ("    zones:", "    username: me\n    password_file: none\n    zones:", r"6: cameras\.press3: .*/none: the password cannot be read \(No such file or directory\); put it there, alone, for camera_press3_password\."),
]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the bundle that the good configuration names, an empty file, and one of two lines."""
    made = tmp_path_factory.mktemp("named")
    write_tiny_bundle(made / "press.prednet")
    (made / "empty").touch()
    (made / "two").write_text("s3cret\nagain\n", encoding="utf-8")
    return made


@pytest.mark.parametrize(("text", "wrong", "message"), NAMED, ids=[message[:30] for *_, message in NAMED])
def test_what_is_named_and_cannot_be_used_is_told_with_its_key(
    folder: Path, text: str, wrong: str, message: str
) -> None:
    """Bundle, runner, sources, calibrations and secrets, with line and key."""
    path = folder / "config.yaml"
    assert text in GOOD
    path.write_text(GOOD.replace(text, wrong, 1))
    with pytest.raises(ConfigInvalid) as refused:
        read_device(path)
    assert re.fullmatch(rf"{re.escape(str(path))}:{message}", str(refused.value)), str(refused.value)
