"""Home Assistant's device discovery: the published format, its birth, and cameras that are gone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema

from edge.mqtt import Subscriber
from tests.brokers import Mosquitto
from tests.commanding import WAIT_SECONDS, Operator, R, running
from tests.daemons import write_config
from tests.publishing import settings_of

TOPIC = "homeassistant/device/edge1/config"

# Home Assistant's published format, in its long names (home-assistant.io, «MQTT discovery», «device discovery»):
# device, origin and components are required, a device needs an identifier, a component its platform; unknown options
# are refused there, so that they are refused here.
COMMON = [
    "availability",
    "entity_category",
    "icon",
    "name",
    "platform",
    "qos",
    "state_topic",
    "unique_id",
    "value_template",
]
OPTIONS = {
    "binary_sensor": [*COMMON, "device_class", "expire_after", "off_delay", "payload_on", "payload_off"],
    "sensor": [*COMMON, "device_class", "expire_after", "state_class", "unit_of_measurement", "options"],
}
CLASSES = {"binary_sensor": ["problem", "motion", "running"], "sensor": ["duration", "temperature", "enum"]}
TEXT = {"type": "string", "minLength": 1}
AVAILABILITY = {
    "type": "object",
    "required": ["topic"],
    "additionalProperties": False,
    "properties": {"topic": TEXT, "payload_available": TEXT, "payload_not_available": TEXT, "value_template": TEXT},
}


def component(platform: str) -> dict[str, Any]:
    """Return the format of a component of a platform: whole, or with its platform alone, which removes it."""
    properties: dict[str, Any] = dict.fromkeys(OPTIONS[platform], TEXT)
    properties |= {"platform": {"const": platform}, "expire_after": {"type": "integer", "minimum": 0}}
    properties |= {"device_class": {"enum": CLASSES[platform]}, "entity_category": {"enum": ["config", "diagnostic"]}}
    if "state_class" in properties:
        properties["state_class"] = {"enum": ["measurement", "total", "total_increasing"]}
    whole = {
        "required": ["platform", "unique_id", "state_topic"],
        "properties": properties,
        "additionalProperties": False,
    }
    gone = {"required": ["platform"], "properties": {"platform": {"const": platform}}, "additionalProperties": False}
    return {"type": "object", "anyOf": [whole, gone]}


FORMAT = {
    "type": "object",
    "required": ["device", "origin", "components"],
    "additionalProperties": False,
    "properties": {
        "device": {
            "type": "object",
            "required": ["identifiers"],
            "additionalProperties": False,
            "properties": {
                "identifiers": {"type": "array", "minItems": 1, "items": TEXT},
                **dict.fromkeys(["name", "manufacturer", "model", "sw_version", "hw_version", "serial_number"], TEXT),
            },
        },
        "origin": {
            "type": "object",
            "required": ["name"],
            "additionalProperties": False,
            "properties": {"name": TEXT, "sw_version": TEXT, "support_url": TEXT},
        },
        "availability": {"type": "array", "items": AVAILABILITY},
        "qos": {"enum": [0, 1, 2]},
        "components": {
            "type": "object",
            "propertyNames": {"pattern": "^[a-zA-Z0-9_-]+$"},
            "additionalProperties": {"anyOf": [component(platform) for platform in OPTIONS]},
        },
    },
}


def configured(folder: Path, broker: Mosquitto, *, is_on: bool = True, cameras: str = "busy quiet") -> Path:
    """Write a configuration with some of its cameras."""
    path = write_config(folder, broker.port, loop=True)
    lines = [
        line
        for line in path.read_text().splitlines()
        if not line.startswith("  ") or line.split(":")[0].strip() in cameras.split()
    ]
    text = "\n".join(lines).replace("mqtt: {", f"mqtt: {{home_assistant: {str(is_on).lower()}, ")
    path.write_text(text + "\n")
    return path


def announced(broker: Mosquitto) -> bytes | None:
    """Return what the broker retains for Home Assistant."""
    with Subscriber(settings_of(broker, "late"), "homeassistant/#") as late:
        return next((one.payload for one in late.messages(0.3) if one.topic == TOPIC and one.retained), None)


def test_discovery_is_off_by_default(tmp_path: Path, broker: Mosquitto) -> None:
    """Without being asked, the device says nothing to Home Assistant."""
    with Operator(broker.port) as operator, running(write_config(tmp_path, broker.port, loop=True)):
        operator.wait("cam/busy/state", holding=b"watching")
        assert announced(broker) is None


def test_discovery_keeps_the_published_format_and_is_sent_again_on_birth(tmp_path: Path, broker: Mosquitto) -> None:
    """It comes first on connect, fits the format, names topics that are there, and comes again when asked for."""
    with (
        Subscriber(settings_of(broker, "ha"), "homeassistant/device/#", "prednet/#") as ears,
        Operator(broker.port) as operator,
        running(configured(tmp_path, broker)),
    ):
        first = next(ears.messages(WAIT_SECONDS))
        assert first.topic == TOPIC, "before info and all states"
        payload = json.loads(first.payload)
        jsonschema.Draft202012Validator(FORMAT).validate(payload)
        for topic in {part["state_topic"] for part in payload["components"].values()}:
            operator.wait(topic.removeprefix(f"{R}/"))
        assert payload["availability"][0]["topic"] == f"{R}/status"
        operator.send("homeassistant/status", b"online")
        again = next(message for message in ears.messages(WAIT_SECONDS) if message.topic == TOPIC)
        assert again.payload == first.payload
    assert announced(broker) == first.payload, "retained"


def test_what_is_gone_is_removed(tmp_path: Path, broker: Mosquitto) -> None:
    """A camera that left the configuration is removed there, and the whole device when discovery is switched off."""
    for cameras in ("busy quiet", "busy"):
        with (
            Operator(broker.port, name=cameras[:3]) as operator,
            running(configured(tmp_path, broker, cameras=cameras)),
        ):
            operator.wait("status", holding=b"online")
    payload = json.loads(announced(broker) or b"{}")
    jsonschema.Draft202012Validator(FORMAT).validate(payload)
    parts = payload["components"]
    assert parts["quiet_anomaly"] == {"platform": "binary_sensor"}
    assert parts["quiet_score"] == {"platform": "sensor"}
    assert parts["busy_anomaly"]["state_topic"] == f"{R}/cam/busy/anomaly"
    with Operator(broker.port, name="off") as operator, running(configured(tmp_path, broker, is_on=False)):
        operator.wait("status", holding=b"online")
    assert announced(broker) is None


def test_the_format_refuses_what_home_assistant_refuses() -> None:
    """The check is able to fail: a component without a platform, a device without an identifier, an unknown option."""
    good = {"device": {"identifiers": ["a"]}, "origin": {"name": "b"}, "components": {"c": {"platform": "sensor"}}}
    check = jsonschema.Draft202012Validator(FORMAT)
    assert check.is_valid(good)
    for wrong in ({"components": {"c": {}}}, {"device": {"identifiers": []}}, {"origin": {}}, {"mood": "good"}):
        assert not check.is_valid(good | wrong)
