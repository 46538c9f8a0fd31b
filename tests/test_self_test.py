"""Self-tests: a known anomaly in a copy of the live stream, followed to a subscriber at a real broker."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edge.cli import main
from edge.frames import Frame
from edge.mqtt import Received
from edge.self_tests.asking import Talk
from edge.self_tests.following import followed, lead_frames, needed_frames, wait_for_acknowledgement
from edge.self_tests.planting import part, place_of, planted
from edge.self_tests.results import STATIONS, OrderedTests, read_tests
from edge.setup import read_device
from edge.topics import EVENTS, Topics, reply_subtopic
from tests.brokers import Mosquitto
from tests.bundles import write_device
from tests.commanding import Operator, running
from tests.tiny import RATE_HZ, normal_images


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the module's daemon lives."""
    return tmp_path_factory.mktemp("self-test")


@pytest.fixture(scope="module")
def operator(folder: Path, module_broker: Mosquitto) -> Iterator[Operator]:
    """Run one daemon for the module, with one camera."""
    hook = f"hooks: {{command: [sh, -c, 'cat >> {folder}/hooked; echo >> {folder}/hooked']}}\n"
    config = write_device(folder, module_broker.port, f"self_test: {{every_hours: 0}}\n{hook}")
    with Operator(module_broker.port) as operator, running(config):
        operator.wait("cam/cam/state", holding=b"watching")
        yield operator


def told(folder: Path, capsys: pytest.CaptureFixture[str], code: int) -> dict[str, object]:
    """Run the command, which ends with a code, and return what it prints; a machine too busy for frames gets another."""
    for _ in range(3):
        found = main(["self-test", "--config", str(folder / "config.yaml"), "--json"])
        result = json.loads(capsys.readouterr().out)
        if all(camera["stations"][0]["passed"] for camera in result["cameras"]):
            break
    assert found == code, result
    return result


def test_what_others_write_on_its_topics_does_not_end_who_asks() -> None:
    """No JSON, no event, no answer: left out; what follows is taken."""
    topics = Topics("plant7", "edge1")
    events, replies = topics.full(EVENTS), topics.full(reply_subtopic("x"))
    bad = [b"\xff", b"{", b"[" * 100_000, b"[]", b'{"test": true}', b'"words"']
    said = [Received(topic, payload, False) for topic in (events, replies) for payload in bad]
    said.append(Received(events, b'{"event_id": "E1", "test": true, "type": "new"}', False))

    class Broker:
        """What was said on the device's topics."""

        def messages(self, _: float) -> list[Received]:
            """All of it."""
            return said

    talk = Talk(Broker(), topics)  # type: ignore[arg-type]
    talk.listen(0.0)
    assert (talk.arrived, talk.replies) == ({"E1"}, {})


def until_hooked(folder: Path, event_id: str) -> list[str]:
    """Wait until the hook has an event, and return the ids of all that it has."""
    deadline = time.monotonic() + 20.0
    while True:
        text = (folder / "hooked").read_text() if (folder / "hooked").exists() else ""
        ids = [json.loads(line)["event_id"] for line in text.splitlines() if line.endswith("}")]
        if event_id in ids:
            return ids
        assert time.monotonic() < deadline, ids
        time.sleep(0.05)


def test_a_known_anomaly_comes_through_to_a_subscriber(
    operator: Operator, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every station passes; the event says that it is a test, to hooks too; the live scene is not touched by it."""
    before = len(operator.heard)
    result = told(folder, capsys, 0)
    (camera,) = result["cameras"]  # type: ignore[misc]
    assert [one["name"] for one in camera["stations"]] == list(STATIONS)
    assert camera["stations"][-1]["told"] == "acknowledged, and received by a subscriber"
    operator.wait("events", before, camera["event_id"].encode())
    (event,) = operator.events("test", before)
    assert (event["test"], event["type"], event["event_id"]) == (True, "end", camera["event_id"])
    assert event["score"]["peak"] > event["score"]["threshold_on"]
    assert event["bbox"][2] - event["bbox"][0] < 0.8
    until_hooked(folder, camera["event_id"])
    assert operator.events("surprise", before) == []
    assert not [one for one in operator.heard[before:] if one.topic.endswith("/anomaly") and one.payload == b"ON"]


def test_where_it_is_lost_is_said_and_is_a_fault(
    operator: Operator, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the limit out of reach it is lost there: code 4, the level and the limit, and a fault until one passes."""
    bounds = operator.ask("threshold", {"camera": "cam", "on": None})["result"]
    device = read_device(folder / "config.yaml")
    assert bounds["high"] > device.models["cam"].calibration.limits.on
    operator.ask("threshold", {"camera": "cam", "on": bounds["high"]})
    before = len(operator.heard)
    result = told(folder, capsys, 4)
    (camera,) = result["cameras"]  # type: ignore[misc]
    assert [one["passed"] for one in camera["stations"]] == [True, True, False]
    assert f"the limit is {bounds['high']:.2f}" in camera["stations"][-1]["told"]
    operator.wait("faults", before, b"self_test_failed")
    assert operator.events("test", before) == []
    operator.ask("threshold", {"camera": "cam", "on": None})
    before = len(operator.heard)
    assert told(folder, capsys, 0)["passed"] is True
    operator.wait("faults", before, b"[]")


def test_the_device_tests_itself_every_so_many_hours(operator: Operator, folder: Path) -> None:
    """Nobody asks, and the results lie on the device, the newest last; no hook has them, and sounds no siren."""
    config = folder / "config.yaml"
    config.write_text(config.read_text().replace("every_hours: 0", "every_hours: 0.001"))
    known = len(read_tests(folder / "state"))
    operator.ask("reload")
    deadline = time.monotonic() + 60
    while len(kept := read_tests(folder / "state")) < known + 2:
        assert time.monotonic() < deadline, kept
        time.sleep(0.1)
    assert [one.asked_by for one in kept[known:]] == ["schedule"] * len(kept[known:])
    by_itself = {camera.event_id for one in kept[known:] for camera in one.cameras}
    asked_for = operator.ask("test_event", {"camera": "cam"})["result"]["event_id"]
    assert None not in by_itself
    assert not by_itself & set(until_hooked(folder, asked_for)), "the hook has what came later, and not these"
    config.write_text(config.read_text().replace("every_hours: 0.001", "every_hours: 0"))
    operator.ask("reload")


def test_without_a_daemon_or_a_broker_the_command_says_so(
    folder: Path,
    tmp_path: Path,
    module_broker: Mosquitto,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Codes 3 and 5 with what to look at."""
    config = tmp_path / "config.yaml"
    text = (folder / "config.yaml").read_text().replace("device: edge1", "device: edge2")
    config.write_text(text)
    monkeypatch.setattr("edge.self_tests.asking.ANSWER_SECONDS", 0.3)
    assert main(["self-test", "--config", str(config)]) == 3
    assert "no daemon answers within 0.3 s" in capsys.readouterr().err
    config.write_text(text.replace(f"port: {module_broker.port}", "port: 1"))
    assert main(["self-test", "--config", str(config)]) == 5


def frames_of(images: np.ndarray) -> list[Frame]:
    """The images as live frames."""
    return [Frame(image, number / RATE_HZ) for number, image in enumerate(images)]


def test_the_anomaly_stands_in_a_ninth_of_a_copy_and_is_always_the_same() -> None:
    """The frames before it and the rest of the picture are as they were, and so are the originals."""
    frames = frames_of(normal_images(10))
    before = [frame.image.copy() for frame in frames]
    first, again = planted(frames, 4, (1, 1)), planted(frames, 4, (1, 1))
    assert all((one.image == other).all() for one, other in zip(frames, before, strict=True))
    assert all((one.image == other.image).all() for one, other in zip(first, again, strict=True))
    assert all((one.image == other).all() for one, other in zip(first[:4], before[:4], strict=True))
    changed = np.any([one.image != other for one, other in zip(first, before, strict=True)], axis=0)[..., 0]
    assert part(changed, (1, 1)).mean() == 1.0
    assert changed.sum() == part(changed, (1, 1)).size


def test_the_anomaly_stands_where_the_camera_is_judged() -> None:
    """A camera whose middle is ignored is tested at its side; one that is ignored everywhere, in the middle."""
    ignored = np.zeros((12, 12), np.bool_)
    assert place_of(None) == place_of(ignored) == (1, 1)
    ignored[4:8, :] = True
    assert place_of(ignored) == (0, 1)
    assert place_of(np.ones((12, 12), np.bool_)) == (1, 1)


def test_a_picture_that_is_unusual_itself_proves_nothing(folder: Path) -> None:
    """What is over the limit without the anomaly is said, instead of taken for a pass."""
    model = read_device(folder / "config.yaml").models["cam"]
    judge, runner = model.judge(read_device(folder / "config.yaml").config.detection.rules), model.runner(1)
    images = normal_images(needed_frames(RATE_HZ, judge))
    wild = planted(frames_of(images), lead_frames(RATE_HZ), (2, 2))
    stations = followed(wild, runner, judge).stations
    assert (stations[-1].name, stations[-1].passed) == ("limit", False)
    assert "over the limit without the anomaly" in stations[-1].told
    runner.close()


def test_an_event_that_the_broker_does_not_take_is_lost_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """The station says how long was waited; one that leaves the outbox says after how many milliseconds."""
    monkeypatch.setattr("edge.self_tests.following.MOST_WAIT_SECONDS", 0.05)
    lost = wait_for_acknowledgement(lambda: True, lambda: False)
    assert (lost.name, lost.passed) == ("broker", False)
    answers = iter([True, True, False])
    taken = wait_for_acknowledgement(lambda: next(answers), lambda: False)
    assert taken.passed
    assert taken.milliseconds is not None


def test_who_asks_while_one_is_under_way_gets_that_one() -> None:
    """A second self-test does not begin beside the first."""
    tests = OrderedTests()
    first = tests.ask(1.0, os.urandom(10))
    assert tests.ask(2.0, os.urandom(10)) == first
    tests.wanted, tests.running = "", first
    assert tests.ask(3.0, os.urandom(10)) == first
    tests.running = ""
    assert tests.ask(4.0, os.urandom(10)) != first
