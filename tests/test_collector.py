"""The collectors of the documentation: an existing exporter into a time-series database, with the very files."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from edge.contract import channel_of
from edge.messages import Coverage, CoverageSpan, encode
from edge.mqtt import TlsFiles
from tests.brokers import free_port, mosquitto
from tests.certificates import Authority
from tests.needs import need_program
from tests.publishing import HEALTH, publishing, settings_of

DOCS = Path(__file__).resolve().parent.parent / "docs" / "collector"
WAIT_SECONDS = 40.0


@contextmanager
def started(command: Sequence[str], log: Path) -> Iterator[None]:
    """Run a program in the background, and end it."""
    with log.open("wb") as sink:
        process = subprocess.Popen(list(command), stdout=sink, stderr=sink)
    try:
        yield
    finally:
        process.terminate()
        process.wait(20.0)


def asked(port: int, query: str) -> list[dict[str, Any]]:
    """Return Prometheus' answer to a query, empty while it is not ready."""
    address = f"http://127.0.0.1:{port}/api/v1/query?query={urllib.parse.quote(query)}"
    try:
        with urllib.request.urlopen(address, timeout=5.0) as answer:
            result: list[dict[str, Any]] = json.loads(answer.read())["data"]["result"]
            return result
    except OSError:
        return []


def test_a_collector_brings_coverage_and_health_into_a_time_series_database(tmp_path: Path) -> None:
    """What a device retains stands in Prometheus under its names, a series a camera and a device."""
    exporter, prometheus = need_program("prometheus-mqtt-exporter"), need_program("prometheus")
    span = CoverageSpan(watched_seconds=3500, warming_seconds=40, degraded_seconds=0, blind_seconds=60)
    ports = {name: free_port() for name in ("coverage", "health", "prometheus")}
    scraping = (DOCS / "prometheus.yml").read_text().replace("15s", "1s")
    for old, new in (("9641", "coverage"), ("9642", "health")):
        scraping = scraping.replace(f"127.0.0.1:{old}", f"127.0.0.1:{ports[new]}")
    (tmp_path / "prometheus.yml").write_text(scraping)
    with ExitStack() as stack:
        broker = stack.enter_context(mosquitto(tmp_path))
        publisher, _ = stack.enter_context(publishing(tmp_path, settings_of(broker)))
        publisher.set_state("health", HEALTH, qos=0)
        publisher.set_state("cam/press3/coverage", encode(Coverage(hour=span, day=span)))
        for name in ("coverage", "health"):
            text = (
                (DOCS / f"mqtt-exporter-{name}.yaml").read_text().replace("127.0.0.1:1883", f"127.0.0.1:{broker.port}")
            )
            (tmp_path / f"{name}.yaml").write_text(text)
            command = [exporter, "-config", str(tmp_path / f"{name}.yaml"), "-listen-address", "127.0.0.1"]
            stack.enter_context(started([*command, "-listen-port", str(ports[name])], tmp_path / f"{name}.log"))
        command = [prometheus, f"--config.file={tmp_path}/prometheus.yml", f"--storage.tsdb.path={tmp_path}/tsdb"]
        address = f"--web.listen-address=127.0.0.1:{ports['prometheus']}"
        stack.enter_context(started([*command, address], tmp_path / "prometheus.log"))
        found = {
            query: wait_for(ports["prometheus"], query) for query in ("prednet_watched_seconds", "prednet_outbox_depth")
        }
    (watched,), (depth,) = found["prednet_watched_seconds"], found["prednet_outbox_depth"]
    assert watched["metric"]["sensor"] == "plant7/edge1/cam/press3"
    assert watched["metric"]["topic"] == "prednet/v1/plant7/edge1/cam/press3/coverage"
    assert float(watched["value"][1]) == 3500.0
    assert (depth["metric"]["sensor"], float(depth["value"][1])) == ("plant7/edge1", 0.0)


def wait_for(port: int, query: str) -> list[dict[str, Any]]:
    """Return the first answer that is not empty."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not (found := asked(port, query)):
        assert time.monotonic() < deadline, f"{query} never came"
        time.sleep(0.2)
    return found


def test_a_collector_reads_the_plants_broker_by_its_certificate(tmp_path: Path) -> None:
    """With the lines of fleet.md, on a broker that asks for client certificates and keeps to the access list."""
    exporter, authority = need_program("prometheus-mqtt-exporter"), Authority(tmp_path / "ca")
    files = {name: authority.issue(name) for name in ("broker", "edge1", "integrator")}
    access = tmp_path / "acl"
    access.write_text((DOCS.parent / "mosquitto" / "acl").read_text(encoding="utf-8"), encoding="utf-8")
    certificate, key = files["broker"]
    lines = f"cafile {authority.certificate}\ncertfile {certificate}\nkeyfile {key}\nacl_file {access}\n"
    lines += "require_certificate true\nuse_identity_as_username true\nallow_anonymous false\n"
    (told,) = re.findall(r"```yaml\n(mqtt:\n.*?)```", (DOCS.parent / "fleet.md").read_text(encoding="utf-8"), re.S)
    span, port = (
        CoverageSpan(watched_seconds=3500, warming_seconds=40, degraded_seconds=0, blind_seconds=60),
        free_port(),
    )
    with ExitStack() as stack:
        broker = stack.enter_context(mosquitto(tmp_path, lines))
        tls = TlsFiles(authority.certificate, *files["edge1"])
        publisher, _ = stack.enter_context(publishing(tmp_path, settings_of(broker, tls=tls)))
        publisher.set_state("cam/press3/coverage", encode(Coverage(hour=span, day=span)))
        for name, path in zip(("plant-ca.pem", "integrator.pem", "integrator.key"),
                              (authority.certificate, *files["integrator"]), strict=True):  # fmt: skip
            told = told.replace(f"/etc/prometheus/{name}", str(path))
        settings = yaml.safe_load((DOCS / "mqtt-exporter-coverage.yaml").read_text())
        settings["mqtt"] |= yaml.safe_load(told.replace("broker.plant7:8883", f"127.0.0.1:{broker.port}"))["mqtt"]
        (tmp_path / "coverage.yaml").write_text(yaml.safe_dump(settings))
        command = [exporter, "-config", str(tmp_path / "coverage.yaml"), "-listen-address", "127.0.0.1"]
        stack.enter_context(started([*command, "-listen-port", str(port)], tmp_path / "exporter.log"))
        deadline = time.monotonic() + WAIT_SECONDS
        while not (found := re.findall(r"^prednet_watched_seconds{.*} (\d+)", metrics_of(port), re.M)):
            assert time.monotonic() < deadline, (tmp_path / "exporter.log").read_text()
            time.sleep(0.2)
    assert found == ["3500"]


def metrics_of(port: int) -> str:
    """Return what an exporter tells, empty while it is not ready."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5.0) as answer:
            text: str = answer.read().decode()
            return text
    except OSError:
        return ""


@pytest.mark.skipif(sys.version_info < (3, 11), reason="tomllib came with Python 3.11")
def test_the_telegraf_configuration_names_what_there_is() -> None:
    """It is TOML, its topics are the contract's, and each path is a field of the messages there."""
    import tomllib  # noqa: PLC0415

    schema = json.loads((DOCS.parent.parent / "edge" / "data" / "schema" / "event.json").read_text())["$defs"]
    inputs = tomllib.loads((DOCS / "telegraf.conf").read_text())["inputs"]["mqtt_consumer"]
    for one in inputs:
        for topic in one["topics"]:
            plain = re.sub(r"^\$share/\w+/", "", topic).replace("+", "x")
            assert channel_of(plain) is not None
    (parser,) = inputs[0]["json_v2"]
    for part in [{"path": parser["timestamp_path"]}, *parser["tag"], *parser["field"]]:
        first, *rest = part["path"].split(".")
        assert first in schema["Event"]["properties"]
        for name in rest:
            assert name in schema[{"time": "EventTime", "score": "EventScore"}[first]]["properties"]


def test_the_exporters_take_paths_of_the_contract() -> None:
    """Each `mqtt_name` is a field of the payload of its topic."""
    schemas = DOCS.parent.parent / "edge" / "data" / "schema"
    for name, nested in (("coverage", {"hour": "CoverageSpan"}), ("health", {"outbox": "OutboxHealth"})):
        parts = json.loads((schemas / f"{name}.json").read_text())["$defs"]
        for metric in yaml.safe_load((DOCS / f"mqtt-exporter-{name}.yaml").read_text())["metrics"]:
            first, *rest = metric["mqtt_name"].split(".")
            assert first in parts[name.capitalize()]["properties"]
            assert all(field in parts[nested[first]]["properties"] for field in rest)
