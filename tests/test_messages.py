"""The payloads and topics of the MQTT contract."""

from __future__ import annotations

import json
import math
from datetime import datetime, timezone
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge import messages as m
from edge.errors import UsageError
from edge.topics import Topics, camera_subtopic, default_device, zone_subtopic

# The example of the contract, kept here as an integrator would have copied it.
CONTRACT_EVENT = """
{"schema": "prednet.event", "schema_version": "1.0", "type": "end",
 "event_id": "01JDA6Q3R8W5Z0M7T9K4C2B1XE", "rev": 4, "seq": 10482, "boot_id": "6f0c1d0e",
 "historical": false, "test": false, "site": "plant7", "device": "1424921012345", "camera": "press3",
 "kind": "surprise", "severity": "alert", "end_reason": "cleared",
 "time": {"start": "2026-11-22T14:03:11.480Z", "peak": "2026-11-22T14:03:14.080Z",
          "end": "2026-11-22T14:03:22.180Z", "published": "2026-11-22T14:03:22.276Z", "clock": "synced"},
 "score": {"peak": 4.91, "mean": 3.02, "z_peak": 7.4, "threshold_on": 3.1, "threshold_off": 2.4,
           "rate_per_hour": 0.011, "skill": 0.38, "valid_frames": 106},
 "zones": [{"id": "ram", "peak": 4.91, "share": 0.83}], "bbox": [0.41, 0.22, 0.63, 0.58],
 "conditions": [], "calibrated": true, "suppressed": 0,
 "model": {"bundle": "sha256:9d3a", "name": "press3-v7", "variant": "int8", "fps": 10},
 "latency_ms": {"capture_to_score": 41, "capture_to_publish": 96},
 "evidence": {"status": "ready", "clip": "a/clip.mp4", "strip": "a/strip.jpg",
              "heatmap": "a/heatmap.png", "trace": "a/trace.csv"}}
"""

SPAN = m.CoverageSpan(watched_seconds=3500, warming_seconds=40, degraded_seconds=0, blind_seconds=60)
INFO = m.Info(
    boot_id="6f0c1d0e",
    conn_seq=3,
    versions={"prednet_edge": "0.1", "l4t": "36.4", "tensorrt": "10.3"},
    cameras=("press3",),
    capabilities=("snapshot",),
    config_hash="sha256:1",
    engine="ready",
    bundle="sha256:9d3a",
    serial="1424921012345",
)
HEALTH = m.Health(
    time="2026-11-22T14:03:11.480Z",
    uptime_seconds=12.5,
    outbox=m.OutboxHealth(depth=2, bytes=900, oldest_seconds=4.0),
    drops={"press3": 1},
    cameras={"press3": m.CameraHealth(fps=10, latency_ms=41, last_frame_age_seconds=0.1)},
    temperatures_celsius={"gpu": 51.5},
    throttled=False,
    memory_bytes=200_000_000,
    disk_free_bytes=8_000_000_000,
)
FAULT = m.Fault(code="camera_lost", since="2026-11-22T14:03:11.480Z", hint="Check the cable.", camera="press3")
SCORE = m.Score(time="2026-11-22T14:03:11.480Z", valid=True, score=2.5, rate_per_hour=0.4, z=1.2, threshold=3.1)
COVERAGE = m.Coverage(hour=SPAN, day=SPAN)
EVENT = msgspec.json.decode(CONTRACT_EVENT, type=m.Event)
FIELDS = [
    (INFO, "boot_id conn_seq versions serial bundle engine cameras capabilities config_hash schemas"),
    (HEALTH, "temperatures_celsius throttled memory_bytes disk_free_bytes outbox drops cameras"),
    (FAULT, "code since camera hint"),
    (SCORE, "score rate_per_hour z threshold valid time"),
    (COVERAGE, "hour day"),
]


@pytest.mark.parametrize("message", [EVENT, INFO, HEALTH, FAULT, SCORE, COVERAGE], ids=lambda one: type(one).__name__)
def test_round_trip(message: msgspec.Struct) -> None:
    """A message decodes to what was encoded."""
    assert msgspec.json.decode(m.encode(message), type=type(message)) == message


def test_contract_event() -> None:
    """The example of the contract comes back field by field."""
    assert json.loads(m.encode(EVENT)) == json.loads(CONTRACT_EVENT)


@pytest.mark.parametrize(("message", "fields"), FIELDS, ids=lambda one: type(one).__name__)
def test_contract_fields(message: msgspec.Struct, fields: str) -> None:
    """Every field that the contract names is in the payload."""
    assert set(fields.split()) <= set(json.loads(m.encode(message)))


def test_absent_parts_are_omitted() -> None:
    """An optional part that is absent is left out; what a consumer always reads is there."""
    event = m.Event(type="new", event_id="A", site="s", device="d", time=m.EventTime(clock="unsynced"))
    found = json.loads(m.encode(event))
    assert set(found) == {
        *("schema", "schema_version", "type", "event_id", "rev", "seq", "boot_id", "historical", "test"),
        *("site", "device", "time", "conditions", "suppressed"),
    }
    assert found["time"] == {"clock": "unsynced"}


def test_zero_is_a_number() -> None:
    """A score of 0.0 is written; only None is absence."""
    score = m.Score(time="t", valid=True, score=0.0, z=0.0)
    assert json.loads(m.encode(score)) == {"time": "t", "valid": True, "score": 0.0, "z": 0.0}


def test_lists() -> None:
    """The topics of faults and conditions carry lists, also empty ones."""
    assert m.encode(()) == b"[]"
    condition = m.Condition(name="frozen", confidence=0.5)
    assert m.encode([condition]) == b'[{"name":"frozen","confidence":0.5}]'


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, np.float32("nan")])
def test_non_finite_numbers_are_refused(bad: float) -> None:
    """NaN and Infinity are refused with the field's name, however deep they are."""
    assert EVENT.score is not None
    event = msgspec.structs.replace(EVENT, score=msgspec.structs.replace(EVENT.score, mean=bad))
    with pytest.raises(m.MessageError, match=r"Event\.score\.mean is -?(nan|inf)"):
        m.encode(event)


def test_numpy_numbers() -> None:
    """Scalars of numpy are written as the numbers that they are."""
    found = json.loads(m.encode(m.Score(time="t", valid=True, score=np.float32(0.5))))
    assert found["score"] == 0.5


def test_event_size() -> None:
    """An event of 8192 bytes is refused, one byte less is not."""
    room = m.EVENT_BYTES_LIMIT - len(m.encode(msgspec.structs.replace(EVENT, severity="")))
    fits = msgspec.structs.replace(EVENT, severity="x" * (room - 1))
    assert len(m.encode(fits)) == m.EVENT_BYTES_LIMIT - 1
    with pytest.raises(m.MessageError, match="8192 bytes"):
        m.encode(msgspec.structs.replace(EVENT, severity="x" * room))


def test_unknown_fields_are_ignored() -> None:
    """An event of a later minor version is read."""
    later = json.dumps({**json.loads(CONTRACT_EVENT), "mood": "good"})
    assert msgspec.json.decode(later, type=m.Event) == EVENT


@given(
    earlier=st.integers(0, 2**40),
    later=st.integers(1, 2**40),
    a=st.binary(min_size=10, max_size=10),
    b=st.binary(min_size=10, max_size=10),
)
def test_event_ids_sort_by_time(earlier: int, later: int, a: bytes, b: bytes) -> None:
    """Ids are 26 characters of Crockford's alphabet and sort by their millisecond."""
    first = m.new_event_id(earlier / 1000 + 1e-5, a)
    second = m.new_event_id((earlier + later) / 1000 + 1e-5, b)
    assert len(first) == 26
    assert set(first) <= set("0123456789ABCDEFGHJKMNPQRSTVWXYZ")
    assert first < second


def test_event_id_of_the_specification() -> None:
    """The time part of ULID's own example: 1469918176385 ms is 01ARYZ6S41."""
    assert m.new_event_id(1469918176.3851, bytes(10)) == "01ARYZ6S41" + "0" * 16


@given(st.integers(0, 4_000_000_000_000))
def test_utc(milliseconds: int) -> None:
    """The label is the same moment to the standard library, to the millisecond."""
    label = m.utc_from_seconds(milliseconds / 1000 + 1e-5)  # 1e-5: above the float's own rounding
    moment = datetime.strptime(label, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=timezone.utc)
    assert round(moment.timestamp() * 1000) == milliseconds


def test_topics() -> None:
    """Topics are built from site, device, camera and zone."""
    topics = Topics("plant7", "1424921012345")
    assert topics.full("status") == "prednet/v1/plant7/1424921012345/status"
    assert camera_subtopic("press3", "state") == "cam/press3/state"
    assert zone_subtopic("press3", "ram") == "cam/press3/zone/ram/anomaly"


@pytest.mark.parametrize("name", ["", "Plant", "a/b", "a+b", "#", "a b", "ü", "a\n", "x" * 49])
def test_names_are_refused(name: str) -> None:
    """A name that a topic cannot carry is refused, with a name that it could."""
    with pytest.raises(UsageError, match=r"The site .* cannot stand in a topic: 1 to 48"):
        Topics(name, "d")


def test_default_device(tmp_path: Path) -> None:
    """The device is the module's serial number, without its final zero byte; elsewhere the host."""
    serial = tmp_path / "serial-number"
    serial.write_bytes(b"1424921012345\x00")
    assert default_device(serial) == "1424921012345"
    assert default_device(tmp_path / "none", "Edge Box.local") == "edge-box-local"
    assert Topics("s", default_device(tmp_path / "none")).site == "s"
