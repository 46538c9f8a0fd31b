"""A subscriber to copy: each event of a fleet once, holes in its numbers, states, with paho-mqtt (2.2 or later) alone.

python3 subscriber.py BROKER [PORT]     events as JSON lines on stdout, the rest on stderr; Ctrl-C ends it
"""

from __future__ import annotations

import json
import sys
from datetime import datetime, timezone
from typing import Any

from paho.mqtt.client import Client, MQTTMessage, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

CLIENT_ID = "my-subscriber"  # one for each that runs: the broker queues for it what comes while it is away
SESSION_SECONDS = 7 * 86400  # for so long; longer than your longest outage
TOPICS = ["events", "status", "faults", "cam/+/state", "cam/+/anomaly", "cam/+/condition"]
REMEMBERED = 100_000  # events
LATE_SECONDS = 60.0

seen: dict[str, set[int]] = {}  # the revisions of each event
alarmed: set[str] = set()
last: dict[tuple[str, str, str], int] = {}  # the highest number of each start of a device
missing: dict[tuple[str, str, str], set[int]] = {}
states: dict[str, str] = {}


def act(event: dict[str, Any]) -> None:
    """Keep the message; sound the horn for what happens now. Put yours here: it is acknowledged when this returns.

    Of an event the message with the highest `rev` counts; a backlog may bring lower ones after it.
    """
    print(json.dumps(event), flush=True)
    is_open = event["type"] in {"new", "update"} and event.get("kind") in {"surprise", "stall"}
    if is_open and not is_late(event) and event["event_id"] not in alarmed:
        alarmed.add(event["event_id"])
        say(f"ALARM {event['site']}/{event['device']} {event['camera']} {event['kind']} {event['event_id']}")


def is_late(event: dict[str, Any]) -> bool:
    """Whether it waited: on the device, which says `historical`, or in the broker while we were away."""
    published = datetime.strptime(event["time"]["published"], "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=timezone.utc)
    age_seconds = (datetime.now(timezone.utc) - published).total_seconds()
    return bool(event["historical"]) or (event["time"]["clock"] == "synced" and age_seconds > LATE_SECONDS)


def take_event(event: dict[str, Any]) -> None:
    """Act on a message unless it was seen: delivery is at least once, `event_id` and `rev` tell a repetition."""
    count(event)
    revisions = seen.setdefault(event["event_id"], set())
    if event["rev"] in revisions:
        return
    revisions.add(event["rev"])
    if len(seen) > REMEMBERED:
        oldest = next(iter(seen))
        del seen[oldest]
        alarmed.discard(oldest)
    act(event)


def count(event: dict[str, Any]) -> None:
    """Notice holes: `seq` rises by one with each message of a boot; a backlog fills them, a `gap` says what is lost."""
    boot = (event["site"], event["device"], event["boot_id"])
    absent, highest = missing.setdefault(boot, set()), last.get(boot, event["seq"] - 1)
    absent.discard(event["seq"])
    if event["seq"] > highest + 1:
        absent.update(range(highest + 1, event["seq"]))
        say(f"MISSING {'/'.join(boot)} {highest + 1} to {event['seq'] - 1}: may follow as historical")
    last[boot] = max(highest, event["seq"])
    if event["type"] == "gap":  # lost for good, on the device: the disk or a limit forced it
        lost = (event["site"], event["device"], event.get("lost_boot_id", "?"))
        first, final = event.get("from_seq"), event.get("to_seq")  # absent where a bad disk left nothing to count
        missing.setdefault(lost, set()).difference_update(range(first or 0, (final or -1) + 1))
        say(f"LOST {'/'.join(lost)} {first or '?'} to {final or '?'}: {event['reason']}")


def take_state(topic: str, value: str, retained: bool) -> None:
    """Keep a state. A retained one is how it stood when we came, not something that has just happened."""
    states[topic] = value
    status = states.get("/".join([*topic.split("/")[:4], "status"]))
    doubt = " (of before: the device is offline)" if status == "offline" and not topic.endswith("/status") else ""
    say(f"{'stands' if retained else 'is now'} {topic} {value}{doubt}")


def on_message(client: Client, data: object, message: MQTTMessage) -> None:
    """Sort what comes; what cannot be read is said and left, so that it does not come for ever."""
    try:
        if message.topic.endswith("/events"):
            take_event(json.loads(message.payload))
        else:
            take_state(message.topic, message.payload.decode(), message.retain)
    except (KeyError, TypeError, ValueError) as fault:
        say(f"UNREADABLE {message.topic}: {fault!r}")


def on_connect(client: Client, data: object, flags: Any, reason: Any, properties: Any) -> None:
    """Subscribe on every connect: the broker may have lost the session."""
    say(f"connection: {reason}")
    client.subscribe([(f"prednet/v1/+/+/{topic}", 1) for topic in TOPICS])


def say(sentence: str) -> None:
    """Tell a person."""
    print(sentence, file=sys.stderr, flush=True)


def main(host: str, port: str = "1883") -> None:
    """Listen for ever, over every outage of the broker, and from before it is there."""
    client = Client(CallbackAPIVersion.VERSION2, client_id=CLIENT_ID, protocol=MQTTv5)
    client.on_connect, client.on_message = on_connect, on_message
    client.on_connect_fail = lambda *_: say(f"no broker at {host}:{port}; trying on")
    client.on_disconnect = lambda *_: say("connection lost; trying on")
    # client.username_pw_set("integrator", "..."); client.tls_set("ca.pem")
    session = Properties(PacketTypes.CONNECT)
    session.SessionExpiryInterval = SESSION_SECONDS
    client.reconnect_delay_set(1, 60)
    client.connect_async(host, int(port), clean_start=False, properties=session)
    client.loop_forever(retry_first_connection=True)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(0)
