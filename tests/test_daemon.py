"""The daemon as a process, before a real broker: events, states, a clean stop, a kill."""

from __future__ import annotations

import errno
import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edge.capture import CaptureThread, Mailboxes
from edge.frames import Frame, FrameFormat, Source
from edge.mqtt import BrokerSettings, Received, Subscriber
from edge.sources import open_place
from tests.brokers import Mosquitto
from tests.daemons import ACCIDENT, R, receive, start, write_config
from tests.films import write_video


def events_of(received: list[Received]) -> list[dict[str, object]]:
    """Return the anomaly events in order; a busy machine may also tell of missing frames, and evidence comes when it does."""
    events = [json.loads(message.payload) for message in received if message.topic == f"{R}/events"]
    return [event for event in events if event["kind"] != "condition" and event["type"] != "evidence"]


def test_an_accident_reaches_a_subscriber_as_new_and_end(tmp_path: Path, broker: Mosquitto) -> None:
    """The whole way on files: states in order, one event with the contract's fields, silence elsewhere, exit 0."""
    config = write_config(tmp_path, broker.port)
    with Subscriber(BrokerSettings("127.0.0.1", broker.port, client_id="test"), "prednet/v1/#") as subscriber:
        daemon = start(config)
        received = receive(subscriber, f"{R}/status offline")
        assert daemon.wait(15) == 0, daemon.stderr and daemon.stderr.read()
    payloads: dict[str, list[str]] = {}
    for message in received:
        payloads.setdefault(message.topic, []).append(message.payload.decode())
    assert payloads[f"{R}/status"] == ["online", "stopping", "offline"]
    assert payloads[f"{R}/cam/busy/state"] == ["blind", "warming_up", "watching", "blind"]
    assert payloads[f"{R}/cam/busy/anomaly"] == ["OFF", "ON", "OFF"]
    assert payloads[f"{R}/cam/quiet/anomaly"] == ["OFF"]
    new, end = events_of(received)
    assert (new["type"], end["type"], end["end_reason"]) == ("new", "end", "cleared")
    assert new["event_id"] == end["event_id"]
    assert (new["rev"], end["rev"]) == (1, 2)
    assert new["seq"] < end["seq"]  # type: ignore[operator]
    assert new["camera"] == "busy"
    assert ACCIDENT[0] / 10 <= new["media"]["start"] <= ACCIDENT[0] / 10 + 1.0  # type: ignore[index]
    assert new["calibrated"] is False
    score = json.loads(payloads[f"{R}/cam/busy/score"][-1])
    assert score["valid"] is True
    assert json.loads(payloads[f"{R}/info"][0])["cameras"] == ["busy", "quiet"]


def test_sigterm_ends_the_open_event_and_says_goodbye(tmp_path: Path, broker: Mosquitto) -> None:
    """`stopped` closes the event, the retained states are true, and the process leaves with 0."""
    config = write_config(tmp_path, broker.port)
    with Subscriber(BrokerSettings("127.0.0.1", broker.port, client_id="test"), "prednet/v1/#") as subscriber:
        daemon = start(config)
        receive(subscriber, "cam/busy/anomaly ON")
        daemon.send_signal(signal.SIGTERM)
        received = receive(subscriber, f"{R}/status offline")
        assert daemon.wait(10) == 0
    (end,) = [event for event in events_of(received) if event["type"] == "end"]
    assert end["end_reason"] == "stopped"
    assert f"{R}/cam/busy/anomaly" in [message.topic for message in received]


def test_a_kill_within_an_event_is_closed_at_the_next_start(tmp_path: Path, broker: Mosquitto) -> None:
    """SIGKILL while an event is open: the next start ends it with `restart`, under the same id."""
    config = write_config(tmp_path, broker.port, loop=True)
    with Subscriber(BrokerSettings("127.0.0.1", broker.port, client_id="test"), f"{R}/#") as subscriber:
        daemon = start(config)
        opened = events_of(receive(subscriber, f'{R}/events "kind":"surprise"'))
        daemon.kill()
        daemon.wait()
        again = start(config)
        received = receive(subscriber, f"{R}/status online")
        received += receive(subscriber, "cam/quiet/state watching")
        again.send_signal(signal.SIGINT)
        assert again.wait(15) == 0
    ends = [event for event in events_of(received) if event.get("end_reason") == "restart"]
    assert [event["event_id"] for event in ends] == [opened[0]["event_id"]]


def test_a_wrong_configuration_stops_with_78_and_one_sentence(tmp_path: Path) -> None:
    """What is wrong stands on stderr, and no traceback."""
    config = tmp_path / "config.yaml"
    config.write_text("site: plant7\nbundel: x\ncameras: {}\n")
    daemon = start(config)
    _, errors = daemon.communicate(timeout=20)
    assert daemon.returncode == 78
    assert errors == f"prednet-edge run: {config}:2: unknown key 'bundel'; did you mean 'bundle'?\n"


def test_the_newest_frame_wins_and_drops_are_counted() -> None:
    """A slow river sees the last frame, and the status says how many it did not see."""
    mailboxes = Mailboxes(["a"])
    for number in range(3):
        mailboxes.put("a", Frame(np.zeros((1, 1, 1), np.uint8), float(number)), None)
    (now,) = mailboxes.take(0.0)
    assert now.frames["a"].seconds == 2.0
    assert mailboxes.status()["a"].dropped == 2
    assert mailboxes.take(0.0) == []


def test_a_camera_that_falls_silent_is_lost_after_five_seconds() -> None:
    """Whatever its library says, the absence of frames is noticed on our own clock."""
    now = [0.0]
    mailboxes = Mailboxes(["a"], clock=lambda: now[0])
    mailboxes.put("a", Frame(np.zeros((1, 1, 1), np.uint8), 0.0), None)
    mailboxes.take(0.0)
    now[0] = 4.9
    assert mailboxes.take(0.0) == []
    now[0] = 5.1
    mailboxes.lose("b", "x") if "b" in mailboxes.status() else None
    (lost,) = mailboxes.take(0.0)
    assert lost.lost == {"a": "camera_lost"}
    assert mailboxes.status()["a"].fault == "camera_silent"


def test_a_video_file_plays_to_the_river_at_its_own_speed(tmp_path: Path) -> None:
    """Two seconds of video take two seconds, and end as finished."""
    mailboxes = Mailboxes(["a"])
    video = write_video(tmp_path / "a.mp4", 60)
    thread = CaptureThread("a", str(video), FrameFormat(32, 40, 1, 10.0), mailboxes)
    began, seen = time.monotonic(), []
    thread.start()
    while not mailboxes.status()["a"].is_finished:
        for now in mailboxes.take(0.1):
            seen += [frame.seconds for frame in now.frames.values()]
        assert time.monotonic() - began < 10
    assert 1.8 <= time.monotonic() - began <= 3.5
    assert len(seen) == 20
    assert np.allclose(np.diff(seen), 0.1, atol=1e-6)


def test_a_capture_that_fails_as_nobody_foresaw_is_a_lost_camera_and_opens_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """No memory for a process, then a call that raises within a frame: lost with one traceback, then watched."""
    errors: list[Exception] = [OSError(errno.ENOMEM, "Cannot allocate memory"), RuntimeError("no thread")]

    class Failing:
        name, backend, is_live = "cam", "none", True

        def frames(self) -> Iterator[Frame]:
            raise errors.pop(0)

        def close(self) -> None:
            """Nothing is open."""

    def opens(*words: object, **more: object) -> Source:
        if len(errors) > 1:
            raise errors.pop(0)
        return Failing() if errors else open_place(*words, **more)  # type: ignore[arg-type]

    monkeypatch.setattr("edge.capture.open_place", opens)
    monkeypatch.setattr("edge.capture.FIRST_DELAY_SECONDS", (0.3, 0.4))
    mailboxes, codes, frames, began = Mailboxes(["a"]), set(), 0, time.monotonic()
    thread = CaptureThread("a", str(write_video(tmp_path / "a.mp4", 30)), FrameFormat(32, 40, 1, 10.0), mailboxes)
    thread.start()
    while frames < 3 and time.monotonic() - began < 15.0:
        codes.add(mailboxes.status()["a"].fault_code)
        frames += sum("a" in now.frames for now in mailboxes.take(0.05))
    thread.stop()
    assert frames == 3
    assert codes == {None, "camera_lost"}
    told = [record for record in caplog.records if "capture_failed" in record.message]
    assert [record.exc_info is not None for record in told] == [True]  # the second comes within the minute
