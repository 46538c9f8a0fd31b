"""Holds published messages to the contract: topic, QoS, retain flag, schema, and no field that the schema lacks."""

from __future__ import annotations

import copy
import functools
import json
import os
from pathlib import Path
from typing import Any

import jsonschema

from edge.contract import Channel, channel_of
from edge.messages import EVENT_BYTES_LIMIT
from edge.mqtt.connection import Wire
from edge.schema import documents
from edge.topics import PREFIX

RECORDED = Path(__file__).with_name("recorded") / "v1"


def violations(topic: str, payload: bytes, *, qos: int | None = None, retain: bool | None = None) -> list[str]:
    """Return what a message of a device breaks of the contract; None for what the caller cannot know."""
    if not topic.startswith(PREFIX + "/"):
        return []
    if topic.split("/")[4:5] == ["cmd"]:  # what is asked of a device is not its own message
        return []
    channel = channel_of(topic)
    if channel is None:
        return [f"{topic} is no topic of the contract"]
    found = _of_delivery(channel, qos, retain) + _of_payload(channel, payload)
    return [f"{topic}: {one}: {payload[:300]!r}" for one in found]


def hold_publishing(found: Path) -> None:
    """Let whatever this process publishes be looked at first; what breaks the contract is written down in a file."""
    publish = Wire.publish

    def held_publish(self: Wire, topic: str, payload: bytes, **options: Any) -> int:
        broken = violations(topic, payload, qos=options["qos"], retain=options["retain"])
        if broken:
            with found.open("a", encoding="utf-8") as file:
                file.writelines(f"{one}\n" for one in broken)
        return publish(self, topic, payload, **options)

    Wire.publish = held_publish  # type: ignore[method-assign]


def child_environment() -> dict[str, str]:
    """Return the environment of a child process that publishes: what it sends is held as ours is."""
    here = Path(__file__).parent
    return os.environ | {"PYTHONPATH": os.pathsep.join([str(here.parent), str(here / "held")])}


def _of_delivery(channel: Channel, qos: int | None, retain: bool | None) -> list[str]:
    found = []
    if qos is not None and qos != channel.qos:
        found.append(f"QoS {qos} instead of {channel.qos}")
    if retain is not None and channel.retained is not None and retain != channel.retained:
        found.append(f"retain is {retain}")
    return found


def _of_payload(channel: Channel, payload: bytes) -> list[str]:
    if channel.content_type == "image/jpeg":
        sound = payload.startswith(b"\xff\xd8") and payload.endswith(b"\xff\xd9") and len(payload) <= 100_000
        return [] if sound or not payload else ["no JPEG of 100 kB or less"]
    if channel.name == "event" and len(payload) >= EVENT_BYTES_LIMIT:
        return [f"{len(payload)} bytes"]
    try:
        value = (
            payload.decode() if channel.content_type == "text/plain" else json.loads(payload, parse_constant=_refuse)
        )
    except ValueError as error:
        return [str(error)]
    faults = [*strict_validator(channel.name).iter_errors(value), *first_validator(channel.name).iter_errors(value)]
    return [f"{list(fault.absolute_path)} {fault.message[:200]}" for fault in faults]


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


@functools.cache
def strict_validator(name: str) -> jsonschema.Draft202012Validator:
    """Return a validator that also refuses fields which the schema does not name."""
    return jsonschema.Draft202012Validator(closed(documents()[name]))


@functools.cache
def first_validator(name: str) -> jsonschema.Draft202012Validator:
    """Return a validator by the schema that version 1.0 had: what a consumer of that day relies on."""
    return jsonschema.Draft202012Validator(json.loads((RECORDED / "schema" / f"{name}.json").read_text()))


def closed(document: dict[str, Any]) -> dict[str, Any]:
    """Return a schema whose objects allow no further fields."""
    document = copy.deepcopy(document)
    for part in document.get("$defs", {}).values():
        if part.get("type") == "object":
            part["additionalProperties"] = False
    return document
