"""Commands to a running daemon over a real broker: what each verb does, and what is refused."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge.command_messages import VERBS
from edge.coverage_ledger import hour_of
from tests.brokers import Mosquitto
from tests.commanding import Operator, R, served
from tests.daemons import write_config
from tests.publishing import wait_until


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the module's daemon lives."""
    return tmp_path_factory.mktemp("commands")


@pytest.fixture(scope="module")
def operator(folder: Path, module_broker: Mosquitto) -> Iterator[Operator]:
    """Run one daemon for the module, with looping cameras and a private corner."""
    config = write_config(folder, module_broker.port, loop=True)
    config.write_text(config.read_text().replace("busy: {", "busy: {privacy_masks: [[[0, 0], [0.5, 0.5]]], "))
    with served(folder, config, module_broker) as operator:
        yield operator


def audit(folder: Path) -> list[dict[str, Any]]:
    """Return the audit log's entries."""
    return [json.loads(line) for line in (folder / "state" / "audit.jsonl").read_text().splitlines()]


def test_disable_ends_what_is_open_and_enable_begins_anew(operator: Operator) -> None:
    """The state says `disabled`, the open event ends for that reason, and only that camera is touched."""
    operator.wait("cam/busy/anomaly", holding=b"ON")
    before = len(operator.heard)
    assert operator.ask("disable", {"camera": "busy"})["result"]["is_off"] is True
    operator.wait("cam/busy/state", before, b"disabled")
    operator.wait("events", before, b'"end_reason":"disabled"')
    operator.wait("cam/busy/anomaly", before, b"OFF")
    enabled = len(operator.heard)
    assert operator.ask("enable", {"camera": "busy"})["code"] == "done"
    operator.wait("cam/busy/state", enabled, b"watching")
    states = [one.payload for one in operator.heard[before:] if one.topic == f"{R}/cam/busy/state"]
    assert b"warming_up" in states, "the network's state starts anew"
    ends = [event for event in operator.events("surprise", before) if event["type"] == "end"]
    assert [end["end_reason"] for end in ends[:1]] == ["disabled"]


def test_snooze_ends_by_itself(operator: Operator) -> None:
    """A snoozed camera is disabled and watches again after its time; the reply says until when."""
    before = len(operator.heard)
    began = time.time()
    until = operator.ask("snooze", {"camera": "quiet", "seconds": 1.5})["result"]["off_until"]
    assert began + 1.4 <= until <= time.time() + 1.6
    operator.wait("cam/quiet/state", before, b"disabled")
    operator.wait("cam/quiet/state", before, b"watching")
    assert time.time() >= until


def test_threshold_moves_the_limit_within_its_bounds(operator: Operator) -> None:
    """The next scores carry the new limit, null gives the calibration's own back."""
    own = operator.ask("threshold", {"camera": "quiet", "on": None})["result"]
    wanted = round((own["on"] + own["high"]) / 2, 3)
    before = len(operator.heard)
    assert operator.ask("threshold", {"camera": "quiet", "on": wanted})["result"]["on"] == wanted
    operator.wait("cam/quiet/score", before, f'"threshold":{wanted:g}'.encode())
    for beyond in (own["low"] - 0.01, own["high"] + 0.01):
        refused = operator.ask("threshold", {"camera": "quiet", "on": beyond})
        assert (refused["status"], refused["code"]) == ("error", "out_of_bounds")
    operator.ask("threshold", {"camera": "quiet", "on": None})
    operator.wait("cam/quiet/score", len(operator.heard), f'"threshold":{round(own["on"], 3):g}'.encode())


def test_snapshot_is_a_small_picture_without_the_private_part(operator: Operator) -> None:
    """The JPEG is that of the last frame, the private box is black, the rest is not."""
    cv2 = pytest.importorskip("cv2")
    np = pytest.importorskip("numpy")
    before = len(operator.heard)
    result = operator.ask("snapshot", {"camera": "busy"})["result"]
    jpeg = operator.wait("cam/busy/snapshot", before).payload
    assert (len(jpeg), result["width"], result["height"]) == (result["bytes"], 40, 32)
    picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert picture[:14, :18].max() < 40, "black but for JPEG's ringing at the edge of its 8×8 blocks"
    assert picture[18:, 24:].mean() > 60


def test_test_event_takes_the_way_of_every_event(operator: Operator) -> None:
    """It is marked as a test, names its camera, and the reply names the event."""
    before = len(operator.heard)
    event_id = operator.ask("test_event", {"camera": "quiet"})["result"]["event_id"]
    operator.wait("events", before, event_id.encode())
    (event,) = operator.events("test", before)
    assert (event["test"], event["type"], event["camera"]) == (True, "end", "quiet")
    seen = operator.ask("acknowledge", {"event_id": event_id})["result"]
    assert seen == {"event_id": event_id, "is_known": True, "camera": "quiet", "is_open": False}
    assert operator.ask("acknowledge", {"event_id": "0" * 26})["result"]["is_known"] is False


def test_self_test_and_diagnostics(operator: Operator) -> None:
    """They say what passes and what is so, and the coverage of an hour that is asked for."""
    checks = operator.ask("self_test")["result"]
    assert checks["cameras_seen"] == {"busy": True, "quiet": True}
    assert checks["checks"]["cameras"] is True
    found = operator.ask("diagnostics", {"hour": hour_of(time.time())})["result"]
    assert found["cameras"]["quiet"]["state"] == "watching"
    assert [hour["camera"] for hour in found["coverage"]] == ["busy", "quiet"]


def test_the_same_request_is_carried_out_once(operator: Operator, folder: Path) -> None:
    """The same id gets the same reply, even with another verb; one event is made."""
    before = len(operator.heard)
    first = operator.ask("test_event", {"camera": "quiet"}, request_id="twice-1")
    again = operator.ask("test_event", {"camera": "quiet"}, request_id="twice-1")
    other = operator.ask("disable", {"camera": "quiet"}, request_id="twice-1")
    assert first == again == other
    operator.ask("self_test")
    assert len(operator.events("test", before)) == 1
    entries = [entry for entry in audit(folder) if entry.get("request_id") == "twice-1"]
    assert [entry.get("repeated", False) for entry in entries] == [False, True, True]


REFUSALS = [
    ("self_test", {"expires": "2026-01-01T00:00:00Z"}, "expired"),
    ("self_test", {"expires": "2099-01-01T00:00:00Z"}, "bad_expiry"),
    ("self_test", {"expires": "2026-13-41T00:00:00Z"}, "bad_expiry"),
    ("self_destruct", {}, "unknown_verb"),
    ("rebuild_engine", {}, "not_allowed"),
    ("rollback", {}, "not_allowed"),
    ("enable", {}, "bad_arguments"),
    ("enable", {"args": {"camera": "nowhere"}}, "unknown_camera"),
    ("enable", {"args": {"camera": "../../etc"}}, "bad_arguments"),
    ("enable", {"args": {"camera": "busy", "shell": "rm"}}, "bad_arguments"),
    ("snooze", {"args": {"camera": "busy", "seconds": 86401}}, "bad_arguments"),
    ("snooze", {"args": {"camera": "busy", "seconds": -1}}, "bad_arguments"),
    ("threshold", {"args": {"camera": "busy", "on": "high"}}, "bad_arguments"),
    ("diagnostics", {"args": {"hour": "yesterday"}}, "bad_arguments"),
    ("acknowledge", {"args": {"event_id": "a b"}}, "bad_arguments"),
]


@pytest.mark.parametrize(("verb", "fields", "code"), REFUSALS, ids=[f"{row[0]}-{row[2]}" for row in REFUSALS])
def test_refusals_have_a_code_and_a_sentence(
    operator: Operator, folder: Path, verb: str, fields: dict[str, Any], code: str
) -> None:
    """What is refused is answered, and stands in the audit log."""
    reply = operator.ask(verb, **fields)
    assert (reply["status"], reply["code"], reply["verb"]) == ("error", code, verb)
    assert reply["hint"].endswith(".")
    entry = next(entry for entry in audit(folder) if entry.get("request_id") == reply["request_id"])
    assert (entry["status"], entry["code"], entry["verb"]) == ("error", code, verb)


def test_every_verb_of_the_contract_has_an_action() -> None:
    """None is promised that is not served."""
    from edge.command_actions import ACTIONS  # noqa: PLC0415

    assert set(ACTIONS) == set(VERBS)


def test_retained_commands_are_refused_live_and_after_a_connect(operator: Operator, folder: Path) -> None:
    """A retained command does nothing, neither when it comes nor when the device connects again."""
    before = len(operator.heard)
    request_id = operator.order("test_event", {"camera": "quiet"}, retain=True)
    assert operator.reply(request_id, before)["code"] == "retained"
    config = folder / "config.yaml"
    config.write_text(config.read_text() + "detection: {update_seconds: 4.0}\n")
    reloaded = len(operator.heard)
    assert operator.ask("reload")["result"]["is_changed"] is True
    assert operator.reply(request_id, reloaded)["code"] == "retained"
    operator.send(f"{R}/cmd/test_event", b"", retain=True)
    assert operator.events("test", before) == []


def test_reload_keeps_the_last_good_configuration(operator: Operator, folder: Path) -> None:
    """A bad file is refused with its sentence and a fault, watching goes on; a good one takes over."""
    config = folder / "config.yaml"
    good = config.read_text()
    before = len(operator.heard)
    config.write_text(good + "bundel: x\n")
    refused = operator.ask("reload")
    assert refused["code"] == "failed"
    assert "unknown key 'bundel'" in refused["hint"]
    operator.wait("faults", before, b"config_invalid")
    operator.wait("cam/quiet/score", len(operator.heard), b'"valid":true')
    config.write_text(good)
    assert operator.ask("reload")["result"]["is_changed"] is False
    told = f"{R}/faults"
    wait_until(lambda: b"config_invalid" not in [one.payload for one in operator.heard if one.topic == told][-1])


def test_switches_outlive_a_restart(operator: Operator, folder: Path) -> None:
    """A camera that was disabled is still disabled after the configuration was changed and read again."""
    operator.ask("disable", {"camera": "quiet"})
    config = folder / "config.yaml"
    config.write_text(config.read_text().replace("update_seconds: 4.0", "update_seconds: 3.0"))
    before = len(operator.heard)
    assert operator.ask("reload")["result"]["is_changed"] is True
    operator.wait("status", before, b"stopping")
    operator.wait("info", before)
    operator.wait("cam/quiet/state", before, b"disabled")
    enabled = len(operator.heard)
    operator.ask("enable", {"camera": "quiet"})
    operator.wait("cam/quiet/state", enabled, b"watching")
