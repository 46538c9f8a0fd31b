"""The MQTT contract, version 1, as a table: every topic, its delivery, and the type of its payload.

JSON Schema and AsyncAPI (`edge/schema.py`), `prednet-edge schema` and the tests all read this table.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec

from edge.command_messages import Command, Reply
from edge.messages import Condition, Coverage, Event, Fault, Health, Info, Score
from edge.topics import NAME_LENGTH_LIMIT, PREFIX

DeviceStatus = Literal["online", "degraded", "stopping", "offline"]
CameraState = Literal["watching", "warming_up", "blind", "degraded", "disabled", "rebuilding"]
Anomaly = Literal["ON", "OFF"]
Picture = Annotated[bytes, msgspec.Meta(max_length=100_000)]

_NAME = rf"[a-z0-9_-]{{1,{NAME_LENGTH_LIMIT}}}"
_PARAMETERS = {
    "site": (_NAME, "The site, as configured."),
    "device": (_NAME, "The Jetson module's serial number, or the host name, or as configured."),
    "camera": (_NAME, "The camera's name in the configuration."),
    "zone": (_NAME, "The zone's name in the configuration."),
    "verb": ("[a-z_]{1,48}", "What is asked: one of the verbs of the contract."),
    "request_id": ("[A-Za-z0-9._-]{1,64}", "The `request_id` of the command that is answered."),
}


@dataclass(frozen=True)
class Channel:
    """One topic: `retained` None where the sender of the request decides; `payload` is a type of the contract."""

    name: str
    address: str
    payload: Any
    summary: str
    direction: Literal["out", "in"] = "out"
    qos: int = 1
    retained: bool | None = True
    content_type: str = "application/json"

    @property
    def parameters(self) -> list[str]:
        """The names in braces of the address, in order."""
        return re.findall(r"{(\w+)}", self.address)

    def matches(self, topic: str) -> bool:
        """Return whether a topic is one of this channel's."""
        pattern = re.sub(r"{(\w+)}", lambda found: _PARAMETERS[found[1]][0], self.address)
        return re.fullmatch(pattern, topic) is not None


_R = f"{PREFIX}/{{site}}/{{device}}"
_CAMERA = f"{_R}/cam/{{camera}}"
_TEXT = "text/plain"

CHANNELS = (
    Channel("status", f"{_R}/status", DeviceStatus, "About the device; the last will says offline", content_type=_TEXT),
    Channel("info", f"{_R}/info", Info, "The birth: who this device is, sent on every connect"),
    Channel("health", f"{_R}/health", Health, "The device's own condition, every 30 s", qos=0),
    Channel("faults", f"{_R}/faults", tuple[Fault, ...], "The list of active faults"),
    Channel("state", f"{_CAMERA}/state", CameraState, "Whether the camera is seen by anything", content_type=_TEXT),
    Channel("anomaly", f"{_CAMERA}/anomaly", Anomaly, "Whether an event is open", content_type=_TEXT),
    Channel(
        "zone_anomaly",
        f"{_CAMERA}/zone/{{zone}}/anomaly",
        Anomaly,
        "Whether an event is open within a zone",
        content_type=_TEXT,
    ),
    Channel("score", f"{_CAMERA}/score", Score, "At most once a second", qos=0, retained=False),
    Channel("condition", f"{_CAMERA}/condition", tuple[Condition, ...], "The camera's own condition"),
    Channel("coverage", f"{_CAMERA}/coverage", Coverage, "What silence is worth: the last hour and day"),
    Channel("event", f"{_R}/events", Event, "The event stream of all cameras, queued on disk", retained=False),
    Channel(
        "snapshot",
        f"{_CAMERA}/snapshot",
        Picture,
        "A JPEG, on the command `snapshot`",
        qos=0,
        retained=None,
        content_type="image/jpeg",
    ),
    Channel("command", f"{_R}/cmd/{{verb}}", Command, "What is asked of the device", "in", retained=False),
    Channel("reply", f"{_R}/reply/{{request_id}}", Reply, "The answer to a command", retained=False),
)


def channel_of(topic: str) -> Channel | None:
    """Return the channel that a topic belongs to, None for one that the contract does not know."""
    return next((channel for channel in CHANNELS if channel.matches(topic)), None)


def parameter(name: str) -> tuple[str, str]:
    """Return the pattern and the description of a parameter of addresses."""
    return _PARAMETERS[name]
