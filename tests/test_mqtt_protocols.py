"""Both versions of the protocol against Mosquitto, and the numbers by which a late will is known as stale."""

from __future__ import annotations

import json
import queue
import time
from pathlib import Path
from typing import Any, Literal

import pytest
from paho.mqtt.client import Client, MQTTMessage, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion

from edge.mqtt import Subscriber
from tests.brokers import mosquitto
from tests.commanding import Operator, R, running
from tests.daemons import write_config
from tests.publishing import (
    TOPICS,
    event,
    events,
    heard_until,
    publishing,
    settings_of,
    statuses,
    subtopic,
    wait_until,
    watching,
)
from tests.test_mqtt_faults import child, next_line


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_a_device_s_life_in_either_version(tmp_path: Path, protocol: Literal["5", "3.1.1"]) -> None:
    """Order on connect, events, a command, a reply and the clean end are the same; only the protocol differs."""
    with mosquitto(tmp_path) as broker:
        settings = settings_of(broker, protocol=protocol)
        with watching(broker) as watcher:
            with publishing(tmp_path, settings) as (publisher, outbox):
                publisher.set_state("cam/press3/state", "watching")
                messages = heard_until(watcher, b"online")
                publisher.publish_event(event(1))
                wait_until(lambda: outbox.depth().messages == 0)
                with Operator(broker.port) as operator:
                    operator.send(f"{R}/cmd/snooze", b"{}")
                    wait_until(lambda: [one.verb for one in publisher.take_commands(9)] == ["snooze"])
            messages += heard_until(watcher, b"offline")
    names = [subtopic(one) for one in messages if "/cmd/" not in one.topic]
    assert names[0] == "info"
    assert names.index("cam/press3/state") < names.index("status")
    assert statuses(messages) == ["online", "stopping", "offline"]
    assert [one["seq"] for one in events(messages)] == [1]


def test_the_will_says_of_which_connection_it_is(tmp_path: Path) -> None:
    """A killed device's will carries the boot and connection of its birth, so that a late one is known as stale."""
    heard: queue.SimpleQueue[tuple[MQTTMessage, Any]] = queue.SimpleQueue()
    with mosquitto(tmp_path) as broker:
        client = Client(CallbackAPIVersion.VERSION2, client_id="ears", protocol=MQTTv5)
        client.on_message = lambda _, __, message: heard.put((message, message.properties))
        client.connect(broker.host, broker.port)
        client.loop_start()
        client.subscribe(TOPICS.full("+"), 1)
        time.sleep(0.2)
        found: dict[str, Any] = {}

        def hear_until(word: str) -> None:
            while word not in found:
                message, properties = heard.get(timeout=10.0)
                leaf = message.topic.rsplit("/", 1)[1]
                if leaf == "info":
                    found["info"] = json.loads(message.payload)
                elif leaf == "status":
                    found[message.payload.decode()] = dict(properties.UserProperty)

        with child(tmp_path, broker.port, 0, will_delay_seconds=0) as process:
            assert next_line(process) == "connected"
            hear_until("online")  # the last of what a start says
        hear_until("offline")
        client.disconnect()
        client.loop_stop()
    expected = {"boot_id": "boot0", "conn_seq": str(found["info"]["conn_seq"])}
    assert found["offline"] == found["online"] == expected


def test_online_is_the_last_word_of_a_start(tmp_path: Path) -> None:
    """At the very first connect of a daemon every camera's retained states are there before `online`."""
    (tmp_path / "broker").mkdir()
    with mosquitto(tmp_path / "broker") as broker:
        config = write_config(tmp_path, broker.port, loop=True)
        with Subscriber(settings_of(broker, "w"), f"{R}/#") as watcher, running(config):
            first = []
            for message in watcher.messages(10.0):
                first.append(message)
                if message.payload == b"online":
                    break
    topics = [message.topic.removeprefix(f"{R}/") for message in first]
    assert topics[0] == "info"
    wanted = {f"cam/{camera}/{leaf}" for camera in ("busy", "quiet") for leaf in ("state", "anomaly", "coverage")}
    assert wanted | {"faults", "health"} <= set(topics[:-1])
