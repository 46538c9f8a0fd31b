"""Who may speak to whom: certificates of every kind of wrong, and access lists tried by delivery."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import pytest

from edge.cli import main
from edge.errors import BROKER_UNREACHABLE, OK, USAGE, BrokerUnreachable
from edge.messages import encode
from edge.mqtt import BrokerSettings, Subscriber, TlsFiles
from tests.brokers import Mosquitto, mosquitto
from tests.certificates import Authority
from tests.needs import need_program
from tests.publishing import TOPICS, event, publishing, settings_of, wait_until

DOCS = Path(__file__).resolve().parent.parent / "docs" / "mosquitto"


@contextmanager
def secured(folder: Path, authority: Authority, extra: str = "", **dates: float) -> Iterator[Mosquitto]:
    """Run a broker with a certificate of the authority."""
    certificate, key = authority.issue("broker", **dates)  # type: ignore[arg-type]
    lines = f"allow_anonymous true\ncafile {authority.certificate}\ncertfile {certificate}\nkeyfile {key}\n{extra}"
    with mosquitto(folder, lines) as broker:
        yield broker


@pytest.mark.parametrize(
    ("wrong", "dates"),
    [
        ("not yet valid", {"begins_days": 1.0, "ends_days": 2.0}),
        ("expired", {"begins_days": -3.0, "ends_days": -1.0}),
        ("for another address", {"address": "192.0.2.1"}),
        ("of another authority", {}),
    ],
)
def test_a_wrong_server_certificate_is_a_fault(tmp_path: Path, wrong: str, dates: dict[str, float]) -> None:
    """The device says so, keeps the event, and sends no byte of it to a broker that it cannot trust."""
    authority = Authority(tmp_path / "ca")
    trusted = Authority(tmp_path / "other", "other-ca") if wrong == "of another authority" else authority
    with (
        secured(tmp_path, authority, **dates) as broker,
        publishing(tmp_path, settings_of(broker, tls=TlsFiles(ca=trusted.certificate))) as (publisher, outbox),
    ):
        publisher.publish_event(event(1))
        wait_until(lambda: publisher.fault == "broker_refused")
        assert not publisher.is_connected
        assert outbox.depth().messages == 1


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_the_fault_ends_when_the_certificate_is_right(tmp_path: Path, protocol: Literal["5", "3.1.1"]) -> None:
    """A clock that was not set or a renewed certificate heals by itself; the event arrives with either protocol."""
    authority = Authority(tmp_path / "ca")
    certificate, key = authority.issue("broker", begins_days=1.0, ends_days=2.0)
    lines = f"allow_anonymous true\ncertfile {certificate}\nkeyfile {key}\n"
    tls = TlsFiles(ca=authority.certificate)
    with mosquitto(tmp_path, lines) as broker:
        settings = settings_of(broker, tls=tls, protocol=protocol)
        with publishing(tmp_path, settings) as (publisher, outbox):
            publisher.publish_event(event(1))
            wait_until(lambda: publisher.fault == "broker_refused")
            broker.stop()
            authority.issue("broker")
            broker.start()
            wait_until(lambda: publisher.is_connected and publisher.fault is None)
            wait_until(lambda: outbox.depth().messages == 0)


def test_client_certificates(tmp_path: Path) -> None:
    """A device with a certificate of the plant's authority is let in under its name; others are a fault there."""
    authority, stranger = Authority(tmp_path / "ca"), Authority(tmp_path / "stranger", "stranger-ca")
    files = {name: ca.issue("edge1") for name, ca in (("own", authority), ("strange", stranger))}
    files["late"] = authority.issue("late", begins_days=-3.0, ends_days=-1.0)
    demanding = "require_certificate true\nuse_identity_as_username true\n"
    access = tmp_path / "acl"
    access.write_text("pattern readwrite prednet/v1/+/%u/#\n")
    with secured(tmp_path, authority, f"{demanding}acl_file {access}\n") as broker:
        good = TlsFiles(authority.certificate, *files["own"])
        with publishing(tmp_path, settings_of(broker, tls=good)) as (publisher, outbox):
            publisher.publish_event(event(1))
            wait_until(lambda: publisher.is_connected and outbox.depth().messages == 0)
        for pair in (files["strange"], files["late"], (None, None)):
            bad = settings_of(broker, tls=TlsFiles(authority.certificate, *pair))
            with publishing(tmp_path, bad) as (refused, _):
                wait_until(lambda refused=refused: refused.fault == "broker_refused")  # type: ignore[misc]
                assert not refused.is_connected


def test_the_fleet_is_seen_with_a_client_certificate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By `--certificate` and `--key`; without them the broker refuses, and a key alone is a wrong call."""
    authority = Authority(tmp_path / "ca")
    certificate, key = map(str, authority.issue("integrator"))
    with secured(tmp_path, authority, "require_certificate true\n") as broker:
        seen = ["fleet", "status", "--port", str(broker.port), "--ca", str(authority.certificate), "--wait", "1"]
        assert main([*seen, "--certificate", certificate, "--key", key]) == OK
        assert main(seen) == BROKER_UNREACHABLE
        capsys.readouterr()
        assert main([*seen, "--key", key]) == USAGE
    assert f"--key {key}: name its certificate, too, by --certificate." in capsys.readouterr().err


USERS = ("edge1", "edge2", "integrator", "operator", "administrator", "homeassistant")
PASSWORD = "test"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    """Run a broker with the access list of the documentation, and a password for each user."""
    folder = tmp_path_factory.mktemp("guarded")
    passwords = folder / "passwords"
    passwords.touch()
    for user in USERS:
        program = need_program("mosquitto_passwd", "mosquitto")
        subprocess.run([program, "-b", str(passwords), user, PASSWORD], check=True)
    access = folder / "acl"
    access.write_text((DOCS / "acl").read_text(encoding="utf-8"), encoding="utf-8")
    with mosquitto(folder, f"allow_anonymous false\npassword_file {passwords}\nacl_file {access}\n") as broker:
        yield broker


OWN, OTHER = "prednet/v1/plant7/edge1", "prednet/v1/plant7/edge2"
DELIVERIES = [
    # who writes, the topic, who listens, whether it arrives
    ("edge1", f"{OWN}/events", "integrator", True),
    ("edge1", f"{OWN}/cam/a/state", "operator", True),
    ("edge1", f"{OWN}/status", "edge2", False),
    ("edge1", f"{OTHER}/events", "integrator", False),
    ("edge1", f"{OTHER}/cmd/disable", "edge2", False),
    ("edge2", f"{OTHER}/reply/a", "edge1", False),
    ("integrator", f"{OWN}/cmd/snooze", "edge1", False),
    ("integrator", f"{OWN}/events", "operator", False),
    ("operator", f"{OWN}/cmd/snooze", "edge1", True),
    ("operator", f"{OWN}/cmd/acknowledge", "edge1", True),
    ("operator", f"{OWN}/cmd/disable", "edge1", False),
    ("operator", f"{OWN}/cmd/rollback", "edge1", False),
    ("operator", f"{OWN}/events", "integrator", False),
    ("administrator", f"{OWN}/cmd/rollback", "edge1", True),
    ("administrator", f"{OWN}/events", "integrator", False),
    ("edge1", "homeassistant/device/edge1/config", "homeassistant", True),
    ("edge1", "homeassistant/device/edge2/config", "homeassistant", False),
    ("homeassistant", "homeassistant/status", "edge1", True),
    ("homeassistant", f"{OWN}/cmd/disable", "edge1", False),
]


@pytest.mark.parametrize(("writer", "topic", "reader", "arrives"), DELIVERIES)
def test_access_by_delivery(guarded: Mosquitto, writer: str, topic: str, reader: str, arrives: bool) -> None:
    """A broker grants every subscription; what counts is what is delivered."""
    payload = encode(event(1)) if topic == f"{OWN}/events" else b"blind"  # what the contract allows there
    settings = BrokerSettings(guarded.host, guarded.port, client_id=f"{reader}-r", username=reader, password=PASSWORD)
    publish = need_program("mosquitto_pub", "mosquitto-clients")
    command = [publish, "-h", guarded.host, "-p", str(guarded.port), "-u", writer, "-P", PASSWORD]
    with Subscriber(settings, "#") as subscriber:
        subprocess.run(
            [*command, "-V", "5", "-q", "1", "-t", topic, "-m", payload.decode()], check=False, capture_output=True
        )
        marker = [
            *command[:5],
            "-u",
            "homeassistant",
            "-P",
            PASSWORD,
            "-q",
            "1",
            "-t",
            "homeassistant/status",
            "-m",
            "end",
        ]
        subprocess.run(marker, check=True)
        received = [message.payload for message in subscriber.messages(0.25)]
    assert (payload in received) == arrives


def test_wrong_passwords_are_refused(guarded: Mosquitto, tmp_path: Path) -> None:
    """A wrong password is a fault at the device, one sentence to a person, and nobody comes in without one."""
    wrong = {"username": "edge1", "password": "guess"}
    with publishing(tmp_path, settings_of(guarded, **wrong)) as (publisher, _):
        wait_until(lambda: publisher.fault == "broker_refused")
        assert not publisher.is_connected
    for login in (wrong, {}):
        with pytest.raises(BrokerUnreachable, match="cannot be used"):
            Subscriber(settings_of(guarded, "x", connect_timeout_seconds=0.5, **login), "#").__enter__()


def test_a_device_under_its_own_access_list(guarded: Mosquitto, tmp_path: Path) -> None:
    """The whole of a device's life fits the list: it connects, publishes, hears commands, says goodbye."""
    settings = settings_of(guarded, username="edge1", password=PASSWORD)
    listener = BrokerSettings(guarded.host, guarded.port, client_id="i", username="integrator", password=PASSWORD)
    with Subscriber(listener, TOPICS.full("#")) as subscriber:
        with publishing(tmp_path, settings) as (publisher, outbox):
            publisher.publish_event(event(1))
            wait_until(lambda: publisher.is_connected and outbox.depth().messages == 0)
            publish = need_program("mosquitto_pub", "mosquitto-clients")
            command = [publish, "-h", guarded.host, "-p", str(guarded.port), "-q", "1"]
            for user in ("operator", "integrator"):
                login = ["-u", user, "-P", PASSWORD]
                subprocess.run([*command, *login, "-t", TOPICS.full("cmd/snooze"), "-m", user], check=False)
            wait_until(lambda: [one.payload for one in publisher.take_commands(9)] == [b"operator"])
            assert publisher.fault is None
        last = [message.payload for message in subscriber.messages(0.3)][-1]
    assert last == b"offline"
