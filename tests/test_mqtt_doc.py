"""docs/mqtt.md says what the contract is: its table of topics is the code's, its example a message of the contract."""

from __future__ import annotations

import json
import re
from pathlib import Path

from edge.contract import CHANNELS, Channel
from edge.schema import FOLDER
from edge.topics import DISCOVERY, HOME_ASSISTANT_BIRTH, PREFIX, Topics
from tests.holding import violations

PAGE = (Path(__file__).parents[1] / "docs" / "mqtt.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| `([\w/<>]+)` \| [^|]+ \| (\d) \| (yes|no|as asked) \| (out|in) \|$", re.M)
RETAINED = {True: "yes", False: "no", None: "as asked"}
# These are Home Assistant's: a device announces itself there, and listens for its start.
BESIDE = {
    Topics("site", "some-device").full(DISCOVERY).replace("some-device", "<device>"): ("1", "yes", "out"),
    HOME_ASSISTANT_BIRTH: ("1", "no", "in"),
}


def below_the_device(channel: Channel) -> str:
    """Return a channel's address as the table writes it."""
    address = channel.address.removeprefix(f"{PREFIX}/{{site}}/{{device}}/")
    return address.replace("{", "<").replace("}", ">")


def test_the_table_is_the_contract() -> None:
    """Every topic with its QoS, its retain flag and its direction, and none besides."""
    told = {topic: delivery for topic, *delivery in ROW.findall(PAGE)}
    contract = {below_the_device(one): [str(one.qos), RETAINED[one.retained], one.direction] for one in CHANNELS} | {
        topic: list(delivery) for topic, delivery in BESIDE.items()
    }
    assert told == contract


def test_the_table_is_what_ships_as_asyncapi() -> None:
    """Who builds from the table and who builds from the file get the same deliveries."""
    told = {topic: delivery for topic, *delivery in ROW.findall(PAGE)}
    shipped = json.loads((FOLDER / "asyncapi.json").read_text(encoding="utf-8"))
    for one in CHANNELS:
        operation = shipped["operations"][one.name]
        mqtt, direction = operation["bindings"]["mqtt"], {"send": "out", "receive": "in"}[operation["action"]]
        assert told[below_the_device(one)] == [str(mqtt["qos"]), RETAINED[mqtt.get("retain")], direction]


def test_the_example_is_an_event_of_the_contract() -> None:
    """An integrator can build on it."""
    (example,) = re.findall(r"```json\n(.*?)```", PAGE, re.S)
    event = json.loads(example)
    topic = f"{PREFIX}/{event['site']}/{event['device']}/events"
    assert violations(topic, example.encode(), qos=1, retain=False) == []
