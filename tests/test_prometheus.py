"""Metrics for Prometheus: the numbers of `health`, all of them, by the library's own format, over a real daemon."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from edge.messages import Fault, Health
from edge.metrics import TOLD, StateCollector
from edge.mqtt import Subscriber
from edge.topics import Topics
from tests.brokers import HOST, Mosquitto, free_port, mosquitto
from tests.commanding import R, running
from tests.daemons import write_config
from tests.needs import need_program
from tests.publishing import TIME, settings_of, wait_until

TOPICS = Topics("plant7", "edge1")
FAULT = Fault(code="camera_lost", since=TIME, hint="x.", camera="press3")
DOC = Path(__file__).parents[1] / "docs" / "watch.md"


PLAIN = {
    msgspec.inspect.BoolType: lambda _: True,
    msgspec.inspect.IntType: lambda number: number,
    msgspec.inspect.FloatType: lambda number: number / 1024,  # exact in binary, and a fraction where one is asked for
    msgspec.inspect.StrType: lambda _: "text",
}


def filled(kind: Any, numbers: Iterator[int]) -> Any:
    """Return a value of a type, every field filled and every number another one."""
    if isinstance(kind, msgspec.inspect.StructType):
        return kind.cls(**{field.name: _of_field(field, numbers) for field in kind.fields})
    if isinstance(kind, msgspec.inspect.UnionType):
        return filled(next(one for one in kind.types if not isinstance(one, msgspec.inspect.NoneType)), numbers)
    if isinstance(kind, msgspec.inspect.DictType):
        return {name: filled(kind.value_type, numbers) for name in ("one", "two")}
    return PLAIN[type(kind)](next(numbers))


def _of_field(field: msgspec.inspect.Field, numbers: Iterator[int]) -> Any:
    return TIME if field.name == "time" else filled(field.type, numbers)


def full_health() -> Health:
    """A message in which nothing is absent."""
    health: Health = filled(msgspec.inspect.type_info(Health), iter(range(10, 1000)))
    return health


def exposed(health: Health) -> str:
    """Return what Prometheus would read."""
    states = {"health": msgspec.json.encode(health), "faults": msgspec.json.encode([FAULT])}
    registry = CollectorRegistry(auto_describe=False)
    registry.register(StateCollector(TOPICS, lambda: states))
    return generate_latest(registry).decode()


def samples(text: str) -> list[Sample]:
    """Return the samples of a page, read by the library's own parser."""
    return [sample for family in text_string_to_metric_families(text) for sample in family.samples]


def numbers_in(value: Any) -> list[float]:
    """Return every number of a JSON value."""
    if isinstance(value, dict):
        return [number for part in value.values() for number in numbers_in(part)]
    return [float(value)] if isinstance(value, (bool, int, float)) else []


def counted(numbers: list[float]) -> Counter[float]:
    """How often each number is there; a millisecond goes through seconds and back."""
    return Counter(round(number, 6) for number in numbers)


OTHERS = ("prednet_device_info", "prednet_camera_info", "prednet_fault", "prednet_health_timestamp_seconds")


def of_health(found: list[Sample]) -> list[float]:
    """Return the numbers that come of `health`, in its own units."""
    return [
        sample.value * (1000.0 if sample.name == "prednet_camera_latency_seconds" else 1.0)
        for sample in found
        if sample.name not in OTHERS
    ]


def test_every_number_of_health_is_told_and_no_other() -> None:
    """A message with all fields filled, each with a number of its own: the same numbers, as often, are exposed."""
    health = full_health()
    asked = numbers_in(msgspec.to_builtins(health))
    assert len(asked) >= 19
    assert counted(of_health(samples(exposed(health)))) == counted(asked)


def test_names_and_units_are_those_that_prometheus_asks_for() -> None:
    """Prometheus's own checker has nothing to say of the page."""
    command, page = [need_program("promtool", "prometheus"), "check", "metrics"], exposed(full_health())
    checked = subprocess.run(command, check=False, input=page, capture_output=True, text=True)
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


def test_the_alerts_of_the_documentation_are_rules(tmp_path: Path) -> None:
    """Prometheus's own checker takes them, and they ask for metrics that there are."""
    (rules,) = re.findall(r"```yaml\n(groups:.*?)```", DOC.read_text(encoding="utf-8"), re.S)
    (tmp_path / "rules.yaml").write_text(rules)
    subprocess.run([need_program("promtool", "prometheus"), "check", "rules", str(tmp_path / "rules.yaml")], check=True)
    assert set(re.findall(r"prednet_\w+", rules)) <= {one.name for one in samples(exposed(full_health()))}


def test_what_is_absent_is_not_zero() -> None:
    """A machine without thermal zones, and a camera that never came, have no such metrics."""
    names = {sample.name for sample in samples(exposed(msgspec.json.decode(MINIMAL, type=Health)))}
    assert "prednet_uptime_seconds" in names
    assert not names & {"prednet_temperature_celsius", "prednet_throttled", "prednet_camera_latency_seconds"}


MINIMAL = json.dumps(
    {
        "schema": "prednet.health", "schema_version": "1.0", "time": TIME, "uptime_seconds": 1.5,
        "outbox": {"depth": 0, "bytes": 0}, "drops": {}, "cameras": {"press3": {"fps": 0.0}},
    }
)  # fmt: skip


def test_faults_are_told_with_their_cameras() -> None:
    """An alert can be made of them."""
    (fault,) = (sample for sample in samples(exposed(full_health())) if sample.name == "prednet_fault")
    assert (fault.labels, fault.value) == ({"code": "camera_lost", "camera": "press3"}, 1.0)


def test_the_documentation_lists_every_metric() -> None:
    """The table names each, and no other."""
    names = {sample.name for sample in samples(exposed(full_health()))}
    listed = {line.split("`")[1] for line in DOC.read_text().splitlines() if line.startswith("| `prednet_")}
    assert listed == names
    assert len(TOLD) == len(names) - len(OTHERS)


def scraped(port: int) -> list[Sample]:
    """Return what a scrape reads; nothing where nobody listens."""
    try:
        with urllib.request.urlopen(f"http://{HOST}:{port}/metrics", timeout=2.0) as answer:
            return samples(answer.read().decode())
    except OSError:
        return []


def test_a_daemon_tells_prometheus_what_it_tells_the_broker(tmp_path: Path) -> None:
    """Scraped beside the retained `health`: the same numbers; on loopback alone; closed when the daemon ends."""
    port = free_port()
    (tmp_path / "broker").mkdir()
    with mosquitto(tmp_path / "broker") as broker:
        config = write_config(tmp_path, broker.port, loop=True)
        config.write_text(config.read_text() + f"metrics: {{port: {port}}}\n")
        with running(config):
            wait_until(lambda: bool(scraped(port)))
            wait_until(lambda: counted(of_health(scraped(port))) == counted(retained_numbers(broker)))
            assert listening(port) == {"0100007F"}, "127.0.0.1 alone, as the kernel writes it"
    assert scraped(port) == []


def retained_numbers(broker: Mosquitto) -> list[float]:
    """Return the numbers of the `health` that the broker retains; none before the first."""
    with Subscriber(settings_of(broker, "reader"), f"{R}/health") as reader:
        found = [message.payload for message in reader.messages(0.3) if message.retained]
    return numbers_in(json.loads(found[-1])) if found else []


def listening(port: int) -> set[str]:
    """Return the addresses on which a port is open, in the kernel's own writing."""
    rows = [line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]]
    return {row[1].split(":")[0] for row in rows if row[3] == "0A" and int(row[1].split(":")[1], 16) == port}


def test_a_port_that_is_taken_is_a_fault_and_no_more(tmp_path: Path) -> None:
    """Cameras are watched; `faults` names it with what to do."""
    (tmp_path / "broker").mkdir()
    with socket.create_server((HOST, 0)) as taken, mosquitto(tmp_path / "broker") as broker:
        config = write_config(tmp_path, broker.port, loop=True)
        config.write_text(config.read_text() + f"metrics: {{port: {taken.getsockname()[1]}}}\n")
        with Subscriber(settings_of(broker, "reader"), f"{R}/#") as reader, running(config):
            heard: dict[str, bytes] = {}
            for message in reader.messages(20.0):
                heard[message.topic.removeprefix(f"{R}/")] = message.payload
                if b"metrics_refused" in heard.get("faults", b"") and heard.get("cam/quiet/state") == b"watching":
                    break
    (fault,) = json.loads(heard["faults"])
    assert (fault["code"], heard["cam/quiet/state"]) == ("metrics_refused", b"watching")
    assert "metrics.port" in fault["hint"]


@pytest.mark.parametrize("port", [-1, 65536])
def test_a_port_that_is_none_is_refused(tmp_path: Path, port: int) -> None:
    """With the line and the key."""
    from edge.config_file import read_config  # noqa: PLC0415 - beside its only use
    from edge.errors import ConfigInvalid  # noqa: PLC0415

    config = tmp_path / "config.yaml"
    config.write_text(f"site: a\nbundle: b\ncameras: {{a: {{source: x.mp4}}}}\nmetrics: {{port: {port}}}\n")
    with pytest.raises(ConfigInvalid, match=rf":4: metrics.port: {port} is no port"):
        read_config(config)
