"""Beyond one machine: bridged brokers, shared streams, and the fleet's own commands, over real brokers."""

from __future__ import annotations

import json
import re
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import edge.cli
from edge.fleet import Ledger, fresh_events
from edge.messages import encode
from edge.mqtt import Received, Subscriber
from edge.outbox import Outbox
from edge.topics import Topics
from tests.brokers import Mosquitto, consumer, free_port, mosquitto
from tests.networks import FAR_ADDRESS, NEAR_ADDRESS, cable
from tests.publishing import HEALTH, event, publishing, settings_of, wait_until
from tests.test_loss import STEADY, next_words, publisher_process

FLEET_DOC = (Path(__file__).resolve().parent.parent / "docs" / "fleet.md").read_text(encoding="utf-8")


def bridge_of_the_documentation(port: int, host: str = "127.0.0.1") -> str:
    """Return the bridge's lines as the documentation gives them, for a central broker without TLS."""
    (block,) = re.findall(r"```conf\n(connection central.*?)```", FLEET_DOC, re.S)
    lines = [
        line
        for line in block.splitlines()
        if not line.startswith(("bridge_cafile", "bridge_certfile", "bridge_keyfile", "#"))
    ]
    text = "\n".join(lines).replace("central.example:8883", f"{host}:{port}")
    return f"allow_anonymous true\n{text}\n"


@contextmanager
def bridged(folder: Path) -> Iterator[tuple[Mosquitto, Mosquitto]]:
    """Run a plant's broker that is bridged to a central one; both may be stopped and started."""
    for name in ("plant", "central"):
        (folder / name).mkdir()
    with (
        mosquitto(folder / "central") as central,
        mosquitto(folder / "plant", bridge_of_the_documentation(central.port)) as plant,
    ):
        yield plant, central


def test_a_killed_centre_loses_nothing(tmp_path: Path) -> None:
    """Events of a plant reach a centre that is killed and comes back, and commands come back down."""
    with (
        bridged(tmp_path) as (plant, central),
        consumer(central, "prednet/v1/+/+/events", tmp_path) as lines,
        publishing(tmp_path, settings_of(plant)) as (publisher, outbox),
    ):
        for number in range(10):
            publisher.publish_event(event(number))
        wait_until(lambda: len(lines()) >= 10)
        central.kill()
        for number in range(10, 60):
            publisher.publish_event(event(number))
        wait_until(lambda: outbox.depth().messages == 0)
        assert len(lines()) == 10, "the plant's broker holds them"
        central.start()
        publisher.publish_event(event(60))
        wait_until(lambda: len({json.loads(line)["seq"] for line in lines()}) == 61)
        command = ["mosquitto_pub", "-h", central.host, "-p", str(central.port), "-q", "1", "-m", "down"]
        subprocess.run([*command, "-t", "prednet/v1/plant7/edge1/cmd/snooze"], check=True)
        wait_until(lambda: [one.payload for one in publisher.take_commands(5)] == [b"down"])
        with Subscriber(settings_of(central, "late"), "prednet/v1/plant7/edge1/status") as late:
            assert [one.payload for one in late.messages(0.5)] == [b"online"], "states are retained at the centre too"


def test_a_cut_link_between_brokers_loses_nothing(tmp_path: Path) -> None:
    """The cable between plant and centre is pulled for three seconds, silently, while events are made: all arrive."""
    for name in ("plant", "central"):
        (tmp_path / name).mkdir()
    with cable() as between:
        central = Mosquitto(tmp_path / "central", host=FAR_ADDRESS, within=between.far)
        bridge = bridge_of_the_documentation(central.port, FAR_ADDRESS)
        plant = Mosquitto(tmp_path / "plant", bridge, host=NEAR_ADDRESS, within=between.near)
        for broker in (central, plant):
            broker.start()
        try:
            with consumer(central, "prednet/v1/+/+/events", tmp_path, between.far) as lines:
                arguments = [str(tmp_path), NEAR_ADDRESS, str(plant.port), STEADY]
                with publisher_process(arguments, between.near) as process:
                    assert next_words(process) == ["connected"]
                    wait_until(lambda: len(lines()) > 0)
                    between.pull()
                    time.sleep(0.5)
                    before = len(lines())
                    time.sleep(2.5)
                    assert len(lines()) == before, "the link is cut"
                    between.plug_in()
                    assert next_words(process) == ["left", "0"], "the plant's broker has them all"
                wait_until(lambda: len({json.loads(line)["seq"] for line in lines()}) == 60)
        finally:
            for broker in (plant, central):
                broker.stop()


def test_shared_subscriptions_divide_the_stream(tmp_path: Path) -> None:
    """Two consumers of a group get each event once between them, and a third of none gets them all."""
    topic = "prednet/v1/+/+/events"
    with (
        mosquitto(tmp_path) as broker,
        Subscriber(settings_of(broker, "a"), f"$share/archive/{topic}") as first,
        Subscriber(settings_of(broker, "b"), f"$share/archive/{topic}") as second,
        Subscriber(settings_of(broker, "c"), topic) as alone,
        publishing(tmp_path, settings_of(broker)) as (publisher, outbox),
    ):
        for number in range(60):
            publisher.publish_event(event(number))
        wait_until(lambda: publisher.is_connected and outbox.depth().messages == 0)
        seqs = [[json.loads(one.payload)["seq"] for one in who.messages(0.5)] for who in (first, second, alone)]
    assert sorted(seqs[0] + seqs[1]) == sorted(seqs[2]) == list(range(1, 61))
    assert min(len(seqs[0]), len(seqs[1])) >= 20, "both work"


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Mosquitto, Path]]:
    """Run a broker with three devices of two sites, one of them gone and one ill; it logs who subscribes to what."""
    folder = tmp_path_factory.mktemp("fleet")
    with mosquitto(folder, "allow_anonymous true\nlog_type subscribe\n") as broker:
        with Subscriber(settings_of(broker, "ready"), "prednet/#") as ready:
            publish(broker, "plant7/edge1", "online", b"[]")
            publish(broker, "plant7/edge2", "offline", b"[]")
            faults = b'[{"code":"camera_lost","since":"2026-11-22T14:03:11.480Z","hint":"x.","camera":"press3"}]'
            publish(broker, "mill/edge1", "degraded", faults)
            assert len(list(ready.messages(0.3))) == 15
        yield broker, folder / "mosquitto.log"


def publish(broker: Mosquitto, who: str, status: str, faults: bytes) -> None:
    """Retain what a device would."""
    info = b'{"schema":"prednet.info","schema_version":"1.0","boot_id":"b","conn_seq":1,"versions":{"prednet-edge":"0.9"},"schemas":{},"cameras":[],"capabilities":[],"config_hash":"h","engine":"e"}'
    state = b"blind" if b"camera_lost" in faults else b"watching"
    for leaf, payload in (
        ("status", status.encode()),
        ("info", info),
        ("health", HEALTH),
        ("faults", faults),
        ("cam/press3/state", state),
    ):
        command = [
            "mosquitto_pub",
            "-h",
            broker.host,
            "-p",
            str(broker.port),
            "-r",
            "-q",
            "1",
            "-t",
            f"prednet/v1/{who}/{leaf}",
            "-s",
        ]
        subprocess.run(command, input=payload, check=True)


def test_fleet_status_for_people(fleet: tuple[Mosquitto, Path], capsys: pytest.CaptureFixture[str]) -> None:
    """A line a device says what a person must see; the number online stands on stderr."""
    assert edge.cli.main(["fleet", "status", "--port", str(fleet[0].port)]) == 0
    printed = capsys.readouterr()
    lines = printed.out.splitlines()
    assert [line.split()[:2] for line in lines] == [
        ["mill/edge1", "degraded"],
        ["plant7/edge1", "online"],
        ["plant7/edge2", "offline"],
    ]
    assert "press3 blind, fault camera_lost:press3" in lines[0]
    assert "1/1 watching" in lines[1]
    assert "3 devices, 1 online" in printed.err


def test_fleet_status_for_machines(fleet: tuple[Mosquitto, Path], capsys: pytest.CaptureFixture[str]) -> None:
    """JSON lines of one site alone, over 3.1.1 too."""
    call = ["fleet", "status", "--port", str(fleet[0].port), "--site", "plant7", "--json", "--protocol", "3.1.1"]
    assert edge.cli.main(call) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["device"], line["status"], line["version"]) for line in lines] == [
        ("edge1", "online", "0.9"),
        ("edge2", "offline", "0.9"),
    ]
    assert lines[0]["cameras"] == {"press3": "watching"}


def test_fleet_events_prints_each_once(
    fleet: tuple[Mosquitto, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every event is printed once, until so many were seen; what was put before the connection may come after the rest."""
    broker, log = fleet
    code: list[int] = []
    call = ["fleet", "events", "--port", str(broker.port), "--count", "6", "--json", "--seconds", "20"]
    printer = threading.Thread(target=lambda: code.append(edge.cli.main(call)))
    printer.start()
    wait_until(lambda: re.search(r"prednet-fleet-\w+ \d prednet/v1/\S+/events", log.read_text()) is not None)
    with publishing(tmp_path, settings_of(broker, "p")) as (publisher, _):
        for number in range(6):
            publisher.publish_event(event(number))
        printer.join(20.0)
    assert code == [0]
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert sorted(one["event_id"] for one in events) == [f"E{number}" for number in range(6)]


def test_a_stream_is_told_once_and_its_holes_are_told(tmp_path: Path) -> None:
    """A repetition is silent, a missing number is told, a gap is told with its reason, rubbish is told."""
    with Outbox(tmp_path / "o.db", "plant7", "edge1", "boot1") as outbox:
        stored = [outbox.put(event(number)) for number in range(4)]
    topic = Topics("plant7", "edge1").full("events")
    payloads = [encode(stored[0]), encode(stored[1]), encode(stored[1]), encode(stored[3]), b"rubbish"]
    warned: list[str] = []
    messages = [Received(topic, payload, retained=False) for payload in payloads]
    events = list(fresh_events(messages, Ledger(), warned.append))
    assert [one.seq for one in events] == [1, 2, 4]
    assert warned[0] == "plant7/edge1: 3 to 3 not seen yet"
    assert "no event" in warned[1]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["status", "--port", "{port}"], 5, "cannot be used"),
        (["events", "--port", "{port}"], 5, "cannot be used"),
        (["status", "--site", "A/B"], 2, "The site 'A/B' cannot stand in a topic"),
        (["events", "--ca", "/none.pem"], 2, "/none.pem: there is no such file."),
        (["status", "--password-file", "/none"], 78, "/none: the password cannot be read"),
    ],
)
def test_what_cannot_be_reached_is_one_sentence(
    capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, message: str
) -> None:
    """With the exit code of the table."""
    port = str(free_port())
    assert edge.cli.main(["fleet", *(one.format(port=port) for one in arguments)]) == code
    assert message in capsys.readouterr().err
