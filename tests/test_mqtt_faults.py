"""The publisher and what goes wrong: outages, kills, refusals, two devices with one name."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edge.mqtt import TlsFiles
from edge.mqtt.session import Session
from tests.brokers import Mosquitto, TakingOver, consumer, free_port, make_certificate, mosquitto
from tests.holding import child_environment
from tests.publishing import (
    QUICK,
    TOPICS,
    Address,
    event,
    events,
    heard_until,
    publishing,
    retained,
    settings_of,
    statuses,
    wait_until,
    watching,
)


@pytest.fixture
def real(tmp_path: Path) -> Iterator[Mosquitto]:
    """Run a Mosquitto that a test may stop and kill."""
    with mosquitto(tmp_path) as real:
        yield real


def test_broker_outage_loses_nothing(real: Mosquitto, tmp_path: Path) -> None:
    """Events put before, during and after a killed broker all arrive; only a resent one comes twice."""
    with (
        consumer(real, TOPICS.full("events"), tmp_path) as lines,
        publishing(tmp_path, settings_of(real)) as (publisher, outbox),
    ):
        wait_until(lambda: publisher.is_connected)
        for number in range(10):
            publisher.publish_event(event(number))
        wait_until(lambda: outbox.depth().messages == 0 and len(lines()) == 10)
        real.kill()
        for number in range(10, 25):
            publisher.publish_event(event(number))
        assert outbox.depth().messages == 15
        wait_until(lambda: not publisher.is_connected)  # what comes before it is seen is of the outage, too
        real.start()
        wait_until(lambda: publisher.is_connected)
        publisher.publish_event(event(25))
        wait_until(lambda: outbox.depth().messages == 0 and len(lines()) >= 26)
        assert retained(real)["status"] == b"online"
        arrived = [json.loads(line) for line in lines()]
    assert {one["seq"] for one in arrived} == set(range(1, 27))
    assert len({(one["event_id"], one["rev"]) for one in arrived}) == 26
    assert all(one["historical"] == (10 <= one["seq"] - 1 < 25) for one in arrived)


def test_states_are_republished_after_an_outage(real: Mosquitto, tmp_path: Path) -> None:
    """A broker that lost everything gets the last value of each state again, with a higher conn_seq."""
    with publishing(tmp_path, settings_of(real)) as (publisher, _):
        publisher.set_state("cam/press3/state", "watching")
        wait_until(lambda: publisher.is_connected)
        real.kill()
        (tmp_path / "mosquitto.db").unlink(missing_ok=True)
        publisher.set_state("cam/press3/state", "blind")
        publisher.set_state("cam/press3/state", "warming_up")
        wait_until(lambda: not publisher.is_connected)
        real.start()
        wait_until(lambda: retained(real).get("status") == b"online")
        found = retained(real)
        conn_seq = publisher.conn_seq
    assert found["cam/press3/state"] == b"warming_up"
    assert json.loads(found["info"])["conn_seq"] == conn_seq > 1


CHILD = """
import sys
from pathlib import Path
from tests.publishing import BrokerSettings, event, publishing, time
folder, port, events, expiry = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
settings = BrokerSettings("127.0.0.1", port, client_id="edge1", will_delay_seconds=expiry)
with publishing(folder, settings, "boot0") as (publisher, outbox):
    for number in range(events):
        print(publisher.publish_event(event(number)).seq, flush=True)
    while not publisher.is_connected:
        time.sleep(0.01)
    time.sleep(0.1)
    print("connected", flush=True)
    time.sleep(60)
"""


@contextmanager
def child(folder: Path, port: int, events_put: int, will_delay_seconds: int) -> Iterator[subprocess.Popen[str]]:
    """Run a publisher in a process of its own, which is killed at the end."""
    arguments = [str(folder), str(port), str(events_put), str(will_delay_seconds)]
    process = subprocess.Popen(
        [sys.executable, "-c", CHILD, *arguments],
        stdout=subprocess.PIPE,
        text=True,
        env=child_environment(),
    )
    with process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGKILL)


def next_line(process: subprocess.Popen[str]) -> str:
    """Return the next line that the child prints."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_will_of_a_killed_process(real: Mosquitto, tmp_path: Path) -> None:
    """The broker says offline for a process that was killed, after the will's delay."""
    with watching(real) as watcher:
        with child(tmp_path, real.port, 0, will_delay_seconds=1) as process:
            assert next_line(process) == "connected"
            messages = heard_until(watcher, b"online")
        killed = time.monotonic()
        messages += heard_until(watcher, b"offline")
        took = time.monotonic() - killed
    assert statuses(messages) == ["online", "offline"]
    assert took > 0.5, "the will is delayed, so that a short break is no alarm"
    assert retained(real)["status"] == b"offline"


def test_late_will_does_not_hide_a_new_start(real: Mosquitto, tmp_path: Path) -> None:
    """A process that starts before the will's delay has passed is online, and stays so."""
    with child(tmp_path, real.port, 0, will_delay_seconds=1) as process:
        assert next_line(process) == "connected"
    with publishing(tmp_path, settings_of(real)) as (publisher, _):
        wait_until(lambda: publisher.is_connected)
        time.sleep(1.5)
        assert retained(real)["status"] == b"online"


def test_sigkill_while_the_broker_is_away(real: Mosquitto, tmp_path: Path) -> None:
    """Every event that was put by a process killed without a broker is delivered by the next start."""
    real.stop()
    with child(tmp_path, real.port, 15, will_delay_seconds=1) as process:
        for number in range(15):
            assert next_line(process) == str(number + 1)
    real.start()
    with watching(real) as watcher, publishing(tmp_path, settings_of(real)) as (publisher, outbox):
        for closing in outbox.closing_events():
            publisher.publish_event(closing)
        wait_until(lambda: publisher.is_connected and outbox.depth().messages == 0)
        arrived = events(list(watcher.messages(0.3)))
    begun = [one for one in arrived if one["boot_id"] == "boot0"]
    closed = [one for one in arrived if one["boot_id"] == "boot1"]
    assert {one["seq"] for one in begun} == set(range(1, 16))
    assert {(one["event_id"], one["rev"], one["end_reason"]) for one in closed} == {
        (f"E{number}", 2, "restart") for number in range(15)
    }


def test_stop_during_an_outage_is_quick(tmp_path: Path) -> None:
    """A stop without a broker does not wait for one; what was put stays on disk."""
    with publishing(tmp_path, settings_of(Address("127.0.0.1", free_port()))) as (publisher, outbox):
        publisher.publish_event(event(1))
        publisher.send("cam/press3/score", b"{}")
        began = time.monotonic()
        publisher.close()
        assert time.monotonic() - began < 2.0
        assert outbox.depth().messages == 1
        assert not publisher.is_connected


def attempts_are_seldom(attempts: Callable[[], int], of: int = 1) -> bool:
    """Whether so many devices wait for the floor of QUICK, 0.5 s, before each attempt within the next second.

    Without the floor each tries seven times. However long the second really was, it holds one attempt more than floors.
    """
    begun, before = time.monotonic(), attempts()
    time.sleep(1.0)
    made = attempts() - before
    return made <= of * (1.0 + (time.monotonic() - begun) / QUICK.refused_floor_seconds)


def test_refused_login(tmp_path: Path) -> None:
    """A refused login is a fault and is tried again slowly; it ends when the login is right."""
    with (
        mosquitto(tmp_path, "allow_anonymous false\n") as strict,
        publishing(tmp_path, settings_of(strict)) as (publisher, _),
    ):
        wait_until(lambda: publisher.fault == "broker_refused")
        assert attempts_are_seldom(lambda: publisher.conn_seq)
        assert not publisher.is_connected
        strict.stop()
        configuration = tmp_path / "mosquitto.conf"
        configuration.write_text(configuration.read_text().replace("anonymous false", "anonymous true"))
        strict.start()
        wait_until(lambda: publisher.is_connected and publisher.fault is None)


@pytest.mark.parametrize("allowed", ["status", "+"])
def test_refused_messages(tmp_path: Path, allowed: str) -> None:
    """What an access list refuses is a fault, tried again slowly; an event of it stays in the outbox."""
    access = tmp_path / "access"
    access.write_text(f"topic write prednet/v1/plant7/edge1/{allowed}\ntopic deny prednet/v1/plant7/edge1/events\n")
    begun = time.monotonic()
    with (
        mosquitto(tmp_path, f"allow_anonymous true\nacl_file {access}\n") as strict,
        publishing(tmp_path, settings_of(strict)) as (publisher, outbox),
    ):
        publisher.publish_event(event(1))
        wait_until(lambda: publisher.fault == "broker_refused")
        wait_until(lambda: not publisher.is_connected)  # Mosquitto 2.0.11 hangs up; later ones do not
        time.sleep(0.2)
        attempts = publisher.conn_seq
        assert attempts == 1 or time.monotonic() - begun > QUICK.refused_floor_seconds
        wait_until(lambda: publisher.fault == "broker_refused")
        assert outbox.depth().messages == 1


def test_tls(tmp_path: Path) -> None:
    """A broker whose certificate is trusted is used; one whose certificate is not is a fault."""
    make_certificate(tmp_path)
    tls = f"allow_anonymous true\ncertfile {tmp_path}/server.pem\nkeyfile {tmp_path}/server.key\n"
    trusting = TlsFiles(ca=tmp_path / "server.pem")
    with mosquitto(tmp_path, tls) as secure:
        with publishing(tmp_path, settings_of(secure, tls=trusting)) as (publisher, outbox):
            publisher.publish_event(event(1))
            wait_until(lambda: publisher.is_connected and outbox.depth().messages == 0)
        with publishing(tmp_path, settings_of(secure, tls=TlsFiles())) as (publisher, _):
            wait_until(lambda: publisher.fault == "broker_refused")
            assert not publisher.is_connected


def test_two_devices_with_one_id(real: Mosquitto, tmp_path: Path) -> None:
    """Two devices with one id both say so and come back slowly, though this broker gives no reason."""
    (tmp_path / "rival").mkdir()
    with publishing(tmp_path, settings_of(real), "boot1") as (publisher, _):
        wait_until(lambda: publisher.is_connected)
        with publishing(tmp_path / "rival", settings_of(real), "rival") as (rival, _):
            wait_until(lambda: publisher.fault == rival.fault == "duplicate_client_id")
            assert attempts_are_seldom(lambda: publisher.conn_seq + rival.conn_seq, of=2)
        wait_until(lambda: publisher.is_connected)
        assert publisher.fault == "duplicate_client_id", "one connect proves nothing"
        wait_until(lambda: publisher.fault is None)


def test_session_taken_over(tmp_path: Path) -> None:
    """A broker that says «session taken over» is believed at once."""
    fake = TakingOver()
    fake.start()
    with publishing(tmp_path, settings_of(fake)) as (publisher, _):
        wait_until(lambda: publisher.fault == "duplicate_client_id")
        assert attempts_are_seldom(lambda: fake.accepted)
        wait_until(lambda: fake.accepted >= 2)
    fake.close()


def test_the_publisher_outlives_what_nobody_foresaw(
    real: Mosquitto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """No memory for paho's thread, and none while it sends: it connects again, and nothing is lost."""
    left, begin, pump = ["thread", "memory"], threading.Thread.start, Session.pump

    def start(thread: threading.Thread) -> None:
        if thread.name.startswith("paho-mqtt-client-edge1") and "thread" in left:
            left.remove("thread")
            raise RuntimeError("can't start new thread")
        begin(thread)

    def short_of_memory(session: Session) -> float:
        if "memory" in left:
            left.remove("memory")
            raise MemoryError
        return pump(session)

    monkeypatch.setattr(threading.Thread, "start", start)
    monkeypatch.setattr(Session, "pump", short_of_memory)
    with caplog.at_level("INFO"), publishing(tmp_path, settings_of(real)) as (publisher, outbox):
        publisher.publish_event(event(0))
        wait_until(lambda: outbox.depth().messages == 0)
        assert (left, publisher.conn_seq) == ([], 3)
    assert "no thread for the connection: can't start new thread" in caplog.text
    assert "mqtt_failed host=127.0.0.1 count=1" in caplog.text
