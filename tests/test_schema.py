"""The schemas that ship, and the promise that version 1 stays what it was."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

import edge.cli
from edge import schema
from edge.contract import CHANNELS, channel_of
from tests.holding import RECORDED, child_environment, first_validator, violations
from tests.test_messages import CONTRACT_EVENT

MESSAGES = [json.loads(line) for line in (RECORDED / "messages.jsonl").read_text(encoding="utf-8").splitlines()]
JSON_MESSAGES = [one for one in MESSAGES if channel_of(one["topic"]).content_type == "application/json"]  # type: ignore[union-attr]
DOCUMENTS = {name: json.loads(schema.text_of(one)) for name, one in schema.documents().items()}


def named(one: dict[str, Any]) -> str:
    """Return a short name of a recorded message."""
    return str(one["topic"]).split("/", 4)[-1]


@pytest.mark.parametrize("name", sorted(DOCUMENTS))
def test_what_ships_is_what_the_types_say(name: str) -> None:
    """A change of a type that forgets the files fails; `prednet-edge schema --write edge/data/schema` renews them."""
    assert (schema.FOLDER / f"{name}.json").read_text(encoding="utf-8") == schema.text_of(DOCUMENTS[name])


def test_nothing_else_ships() -> None:
    """No file of an older name lies about."""
    assert {path.stem for path in schema.FOLDER.iterdir()} == set(DOCUMENTS)


@pytest.mark.parametrize("name", sorted(set(DOCUMENTS) - {schema.ASYNCAPI}))
def test_schemas_are_json_schema(name: str) -> None:
    """Each is valid by the dialect's own meta-schema."""
    jsonschema.Draft202012Validator.check_schema(DOCUMENTS[name])


def references(part: object) -> Iterator[str]:
    """Yield every reference within a document."""
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for value in part.values():
            yield from references(value)
    elif isinstance(part, list):
        for value in part:
            yield from references(value)


def test_asyncapi_holds_together() -> None:
    """Every reference leads somewhere, every topic stands there with its payload, QoS and retain flag."""
    document = DOCUMENTS[schema.ASYNCAPI]
    for reference in set(references(document)):
        place: Any = document
        for step in reference.removeprefix("#/").split("/"):
            place = place[step]
    assert [channel["address"] for channel in document["channels"].values()] == [one.address for one in CHANNELS]
    for channel in CHANNELS:
        operation = document["operations"][channel.name]
        assert operation["action"] == ("send" if channel.direction == "out" else "receive")
        assert operation["bindings"]["mqtt"]["qos"] == channel.qos
        assert operation["bindings"]["mqtt"].get("retain") == channel.retained
        assert set(document["channels"][channel.name]["parameters"]) == set(channel.parameters)


# The table of the contract, as an integrator reads it: address, direction, QoS, retained.
CONTRACT_TABLE = """
status out 1 yes
info out 1 yes
health out 0 yes
faults out 1 yes
cam/{camera}/state out 1 yes
cam/{camera}/anomaly out 1 yes
cam/{camera}/zone/{zone}/anomaly out 1 yes
cam/{camera}/score out 0 no
cam/{camera}/condition out 1 yes
cam/{camera}/coverage out 1 yes
events out 1 no
cam/{camera}/snapshot out 0 asked
cmd/{verb} in 1 no
reply/{request_id} out 1 no
"""


def test_the_table_is_the_contract_s() -> None:
    """No topic, direction, QoS or retain flag differs."""
    retained = {True: "yes", False: "no", None: "asked"}
    told = [
        f"{one.address.removeprefix('prednet/v1/{site}/{device}/')} {one.direction} {one.qos} {retained[one.retained]}"
        for one in CHANNELS
    ]
    assert told == CONTRACT_TABLE.strip().splitlines()


def test_the_contract_s_example_is_valid() -> None:
    """The event that integrators copy from the contract passes."""
    assert violations("prednet/v1/plant7/1424921012345/events", CONTRACT_EVENT.encode(), qos=1, retain=False) == []


DAMAGE = [
    ({"type": "begin"}, "type"),
    ({"event_id": None}, "event_id"),
    ({"rev": "4"}, "rev"),
    ({"camera": None}, "camera"),
    ({"end_reason": None}, "end_reason"),
    ({"time": {"clock": "synced", "start": "22.11.2026"}}, "start"),
    ({"bbox": [0.1, 0.2, 1.4, 0.5]}, "bbox"),
    ({"bbox": [0.1, 0.2]}, "bbox"),
    ({"conditions": ["sleepy"]}, "conditions"),
    ({"mood": "good"}, "mood"),
    ({"kind": "test"}, "test"),
    ({"type": "gap"}, "reason"),
]


@pytest.mark.parametrize(("change", "word"), DAMAGE, ids=[row[1] + str(n) for n, row in enumerate(DAMAGE)])
def test_a_damaged_event_is_found_out(change: dict[str, Any], word: str) -> None:
    """The check that every test's messages pass is able to fail."""
    event = json.loads(CONTRACT_EVENT) | change
    event = {name: value for name, value in event.items() if value is not None}
    found = violations("prednet/v1/plant7/edge1/events", json.dumps(event).encode(), qos=1, retain=False)
    assert any(word in one for one in found), found


@pytest.mark.parametrize(
    ("topic", "payload", "options"),
    [
        ("prednet/v1/plant7/edge1/state", b"x", {}),
        ("prednet/v1/plant7/edge1/status", b"asleep", {}),
        ("prednet/v1/plant7/edge1/status", b"online", {"retain": False}),
        ("prednet/v1/plant7/edge1/events", CONTRACT_EVENT.encode(), {"qos": 0}),
        ("prednet/v1/plant7/edge1/cam/a/score", b'{"time":"2026-11-22T14:03:11.480Z","valid":true,"score":NaN}', {}),
        ("prednet/v1/plant7/edge1/cam/a/snapshot", b"GIF89a", {}),
    ],
)
def test_wrong_topics_and_deliveries_are_found_out(topic: str, payload: bytes, options: dict[str, Any]) -> None:
    """So are unknown topics, wrong words, QoS and retain flags, and numbers that JSON has not."""
    assert violations(topic, payload, **options) != []


def test_what_a_child_process_publishes_is_held_too(tmp_path: Path) -> None:
    """A wrong word that a process of its own sends is written down for the test that started it."""
    program = (
        "from edge.mqtt.connection import Wire\n"
        "Wire.publish(None, 'prednet/v1/plant7/edge1/status', b'asleep', qos=1, retain=True)"
    )
    found = tmp_path / "held"
    environment = child_environment() | {"PREDNET_HELD_TO": str(found)}
    subprocess.run([sys.executable, "-c", program], env=environment, check=False, capture_output=True)
    assert "asleep" in found.read_text(encoding="utf-8")


@pytest.mark.parametrize("one", MESSAGES, ids=named)
def test_recorded_messages_of_version_1_keep_the_contract_of_today(one: dict[str, Any]) -> None:
    """What a device of 1.0 sent is still valid: with a schema of today a consumer can read an old device."""
    payload = one["payload"].encode("latin1" if one["topic"].endswith("snapshot") else "utf-8")
    assert violations(one["topic"], payload, qos=one["qos"], retain=one["retain"]) == []


@pytest.mark.parametrize("one", JSON_MESSAGES, ids=named)
def test_recorded_messages_are_read_by_the_types_of_today(one: dict[str, Any]) -> None:
    """No field of 1.0 was renamed, removed or given another meaning of its type: all comes back."""
    channel = channel_of(one["topic"])
    assert channel is not None
    read = msgspec.json.decode(one["payload"], type=channel.payload)
    assert_within(json.loads(one["payload"]), json.loads(msgspec.json.encode(read)))


def assert_within(old: Any, new: Any) -> None:
    """Fail where something of the old value is not in the new one."""
    if isinstance(old, dict):
        for name, value in old.items():
            assert_within(value, new[name])
    elif isinstance(old, list):
        assert len(old) == len(new)
        for before, after in zip(old, new, strict=True):
            assert_within(before, after)
    else:
        assert old == new


def test_the_recording_is_whole() -> None:
    """Every topic of the contract, and every type and kind of event, was recorded."""
    assert {channel_of(one["topic"]) for one in MESSAGES} == set(CHANNELS)
    events = [json.loads(one["payload"]) for one in MESSAGES if one["topic"].endswith("/events")]
    assert {event["type"] for event in events} == {"new", "update", "end", "evidence", "gap"}
    assert {event.get("kind") for event in events} == {"surprise", "stall", "condition", "flood", "test", None}


def test_a_consumer_of_1_0_reads_what_minor_versions_add() -> None:
    """The frozen schema lets unknown fields pass, and still finds a field that went missing."""
    event = json.loads(CONTRACT_EVENT)
    assert first_validator("event").is_valid(event | {"mood": "good"})
    del event["seq"]
    assert not first_validator("event").is_valid(event)


def test_schema_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It lists, prints and writes, and names what there is where the name is wrong."""
    assert edge.cli.main(["schema"]) == 0
    assert set(capsys.readouterr().out.split()) == set(DOCUMENTS)
    assert edge.cli.main(["schema", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == sorted(DOCUMENTS)
    assert edge.cli.main(["schema", "event"]) == 0
    assert json.loads(capsys.readouterr().out) == DOCUMENTS["event"]
    assert edge.cli.main(["schema", "--write", str(tmp_path / "s")]) == 0
    assert {path.stem for path in (tmp_path / "s").iterdir()} == set(DOCUMENTS)
    assert edge.cli.main(["schema", "evnt"]) == 2
    assert "there is no document 'evnt'" in capsys.readouterr().err
