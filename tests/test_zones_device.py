"""Zones and masks of a device: said on MQTT, held against what the limit was fitted with, and learned by `site`."""

from __future__ import annotations

import json
import re
import shlex
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from calibration.cli import main as calibrate
from calibration.footage import read_footage
from edge.cli import main
from edge.config_file import read_config
from edge.daemon import watch_device
from edge.detection import Rules
from edge.errors import ConfigInvalid
from edge.messages import Event
from edge.mqtt import BrokerSettings, Received, Subscriber
from edge.pipeline import rounds_from_frames, watch
from edge.privacy import mask_from_shapes
from edge.setup import read_device
from edge.shipped import BUNDLE
from tests.brokers import Mosquitto
from tests.daemons import ACCIDENT, R
from tests.films import write_clip
from tests.tiny import normal_images, with_accident, write_tiny_bundle

CORNER = "[[0.5, 0.5], [1.0, 1.0]]"


def write_config(folder: Path, camera: str, port: int = 1883) -> Path:
    """One camera on a file with an accident in its lower right corner."""
    if not (folder / "tiny.prednet").exists():
        write_tiny_bundle(folder / "tiny.prednet")
        write_clip(folder / "busy.mkv", with_accident(normal_images(140, seed=5), *ACCIDENT))
        write_clip(folder / "day.mkv", normal_images(200, seed=6))
    path = folder / "config.yaml"
    path.write_text(
        f"site: plant7\ndevice: edge1\nbundle: tiny.prednet\nstate_directory: state\nthreads: 1\nmqtt: {{port: {port}}}\n"
        f"cameras:\n  busy:\n    source: busy.mkv\n    playback: fast\n{camera}"
    )
    return path


def heard_of(config: Path, port: int) -> list[Received]:
    """Run the device to the end of its file; return everything that a subscriber received of it."""
    with Subscriber(BrokerSettings("127.0.0.1", port, client_id="test"), f"{R}/#") as subscriber:
        watch_device(read_device(config), threading.Event())
        return list(subscriber.messages(0.5))


def test_a_zones_anomaly_and_name_reach_a_subscriber(tmp_path: Path, broker: Mosquitto) -> None:
    """ON and OFF on the zone in which it happens, OFF alone on the other; the event names the one, and its share."""
    zones = f"    zones:\n      corner: {{polygon: {CORNER}}}\n      window: {{polygon: [[0, 0], [0.2, 0.2]]}}\n"
    received = heard_of(write_config(tmp_path, zones, broker.port), broker.port)
    said = [(message.topic.removeprefix(f"{R}/cam/busy/zone/"), message.payload) for message in received]
    assert [payload for topic, payload in said if topic == "corner/anomaly"] == [b"OFF", b"ON", b"OFF"]
    assert [payload for topic, payload in said if topic == "window/anomaly"] == [b"OFF"]
    new, end, _ = (json.loads(one.payload) for one in received if one.topic == f"{R}/events")
    for event in (new, end):
        (zone,) = event["zones"]
        assert zone["id"] == "corner"
        assert zone["share"] > 0.9
        assert 0 < zone["peak"] <= event["score"]["peak"]


def faults_of(received: list[Received]) -> list[dict[str, str]]:
    """Return the last list of faults."""
    return [json.loads(one.payload) for one in received if one.topic == f"{R}/faults"][-1]


def test_a_mask_that_the_limit_was_not_fitted_with_is_a_fault_until_the_site_is_learned(
    tmp_path: Path,
    broker: Mosquitto,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Events say `calibrated: false`, a fault names the command, `check` too; after the command all of it is gone."""
    normal, mask = "    normal: busy.normal\n", "    ignore_masks: [[[0.0, 0.0], [0.3, 0.3]]]\n"
    zones = f"    zones: {{corner: {{polygon: {CORNER}, sensitivity: 2}}}}\n"
    site = ["site", str(tmp_path / "day.mkv"), "--camera", "busy", "--config"]
    for regions, is_fitted in ((zones, True), (zones + mask, False)):
        config = write_config(tmp_path, normal + regions, broker.port)
        if is_fitted:
            assert calibrate([*site, str(config)]) == 0
        model = read_device(config).models["busy"]
        assert model.is_calibrated == is_fitted
        received = heard_of(config, broker.port)
        events = [json.loads(one.payload) for one in received if one.topic == f"{R}/events"]
        assert {event["calibrated"] for event in events} == {is_fitted}
        codes = [(fault["code"], fault["camera"]) for fault in faults_of(received)]
        assert (("zones_changed", "busy") in codes) == (not is_fitted)
        capsys.readouterr()
        assert main(["check", "--config", str(config)]) == 0
        told = f"run: prednet-calibrate site --config {config} --camera busy"
        assert (told in capsys.readouterr().out) == (not is_fitted)
    assert "prednet-calibrate site --config CONFIG --camera busy" in faults_of(received)[0]["hint"]
    assert not read_device(config).models["busy"].calibration.limits.is_promise


def test_a_zone_that_counts_as_all_else_needs_no_new_calibration(tmp_path: Path) -> None:
    """Names alone change no score: what the limit was fitted with is how much each cell counts, and nothing else."""
    config = write_config(tmp_path, "    normal: busy.normal\n")
    assert calibrate(["site", str(tmp_path / "day.mkv"), "--camera", "busy", "--config", str(config)]) == 0
    write_config(tmp_path, f"    normal: busy.normal\n    zones: {{corner: {{polygon: {CORNER}}}}}\n")
    assert read_device(config).models["busy"].is_calibrated
    write_config(tmp_path, f"    normal: busy.normal\n    privacy_masks: [{CORNER}]\n")
    assert not read_device(config).models["busy"].is_calibrated


BLACK = "[[0.0, 0.0], [0.3, 0.2]]"


def test_black_that_was_not_learned_is_not_judged(tmp_path: Path) -> None:
    """A privacy mask laid on a camera with the bundle's normality tells no event of its own, for all that it is black.

    Without the mask being known to the judge the same frames are far above the limit: the test would see it.
    """
    told = {}
    for name, masks in (("known", f"    privacy_masks: [{BLACK}]\n"), ("unknown", "")):
        path = tmp_path / f"{name}.yaml"
        path.write_text(
            f"site: a\nbundle: {BUNDLE}\nstate_directory: state\nthreads: 1\ncameras:\n  gate:\n    source: test://factory?seed=3\n{masks}"
        )
        model, rules = read_device(path).models["gate"], Rules()
        form = model.bundle.spec.form
        mask = mask_from_shapes([((0.0, 0.0), (0.3, 0.2))], form.height, form.width)
        assert mask is not None
        frames = read_footage(["test://factory?seed=3&seconds=4"], form)[0].frames()
        masked = [replace(frame, image=np.where(mask[..., None], np.uint8(0), frame.image)) for frame in frames]
        runner = model.runner(1, 1)
        moments = list(watch(rounds_from_frames("gate", masked), runner, {"gate": model.judge(rules)}))
        told[name] = max(one.level.mean for one in moments if one.level is not None and one.surprise is not None)
        limit = model.calibration.limit.on
    assert told["unknown"] > 2.0 * limit
    assert told["known"] < limit


MISTAKES = [
    (f"zones: {{Belt 1: {{polygon: {CORNER}}}}}", ".zones.Belt 1: The zone 'Belt 1' cannot stand in a topic"),
    ("zones: {belt: {polygon: [[0, 0]]}}", ".zones.belt.polygon: it has 1 points; give two opposite corners"),
    (f"zones: {{belt: {{polygon: {CORNER}, sensitivity: 11}}}}", ".zones.belt.sensitivity: 11 is not within 0 to 10"),
    (
        f"zones: {{belt: {{polygons: {CORNER}}}}}",
        "unknown key 'cameras.busy.zones.belt.polygons'; did you mean 'polygon'?",
    ),
    ("ignore_masks: [[[0, 0], [1, 40]]]", ".ignore_masks: mask 1 has the point (1, 40)"),
]


def refusal_of(camera: str, folder: Path) -> str:
    """Return what is said of a camera whose settings, in line 6 of the file, hold a mistake."""
    path = folder / "config.yaml"
    path.write_text(f"site: a\nbundle: b\ncameras:\n  busy:\n    source: x.mp4\n    {camera}\n")
    with pytest.raises(ConfigInvalid) as refused:
        read_config(path)
    return str(refused.value).removeprefix(str(path))


@pytest.mark.parametrize(("camera", "message"), MISTAKES, ids=[message[:30] for _, message in MISTAKES])
def test_a_mistake_is_named_with_its_line(camera: str, message: str, tmp_path: Path) -> None:
    """File, line, key, and what is expected."""
    said = refusal_of(camera, tmp_path)
    assert said.startswith(":6: ")
    assert message in said


def test_a_picture_that_is_ignored_altogether_is_refused(tmp_path: Path) -> None:
    """A camera that could never say anything does not start in silence."""
    config = write_config(tmp_path, "    ignore_masks: [[[0, 0], [1, 1]]]\n")
    with pytest.raises(ConfigInvalid, match=r"cameras\.busy: its zones and masks leave no cell to be watched"):
        read_device(config)


def test_an_event_with_every_zone_that_a_camera_can_have_is_small_enough() -> None:
    """As many zones as the configuration takes, with the longest names, fit into the 8 kB of an event."""
    from edge.messages import EVENT_BYTES_LIMIT, EventTime, EventZone, encode  # noqa: PLC0415 - beside their only use
    from edge.region_faults import MOST_ZONES  # noqa: PLC0415

    zones = tuple(EventZone(id=f"{number:048d}", peak=1234.567, share=0.123) for number in range(MOST_ZONES))
    event = Event(type="new", event_id="E", site="s" * 48, device="d" * 48, time=EventTime(clock="synced"), zones=zones)
    assert len(encode(event)) < EVENT_BYTES_LIMIT - 3000  # the rest of an event takes less than 3 kB


def test_the_document_shows_configurations_and_commands_that_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every camera of docs/zones.md can be copied, every command is understood."""
    import calibration.cli  # noqa: PLC0415 - beside their only use
    from edge.command import Parser  # noqa: PLC0415

    text = (Path(__file__).parents[1] / "docs" / "zones.md").read_text(encoding="utf-8")
    samples = re.findall(r"```yaml\n(.*?)```", text, re.S)
    assert len(samples) == 2
    for sample in samples:
        (tmp_path / "config.yaml").write_text(f"site: a\nbundle: b.prednet\n{sample}")
        assert "press3" in read_config(tmp_path / "config.yaml").cameras
    commands = [line for block in re.findall(r"```sh\n(.*?)```", text, re.S) for line in block.splitlines()]

    def parse_only(parser: Parser, words: Sequence[str] | None) -> int:
        return 0 if parser.parse_args(words).camera == "press3" else 1

    monkeypatch.setattr(calibration.cli, "run_command", parse_only)
    assert len(commands) == 2
    assert all(calibrate(shlex.split(command)[1:]) == 0 for command in commands)


def test_every_hint_can_be_told() -> None:
    """No hint has a brace that its camera's name does not fill."""
    from edge.announcer import HINTS  # noqa: PLC0415 - beside its only use

    assert all("{" not in hint.format(camera="press3") for hint in HINTS.values())
