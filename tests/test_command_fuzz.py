"""Hostile commands: refused, counted, written down; nothing is carried out and the daemon is unharmed."""

from __future__ import annotations

import json
import os
import random
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.audit import AuditLog, Entry, excerpt
from edge.command_messages import VERBS, Command
from edge.command_store import REPLIES_LIMIT, CommandStore
from edge.commands import BYTES_LIMIT, Refused, order_from_command, read_command
from edge.messages import utc_from_seconds
from edge.mqtt import HeardCommand
from edge.mqtt.connection import MOST_PACKET_BYTES
from edge.mqtt.handover import COMMAND_LIMIT, Handover
from tests.brokers import mosquitto
from tests.commanding import R, served
from tests.daemons import write_config

NOW = 1_795_000_000.0
SOON = utc_from_seconds(NOW + 60)


def command(**fields: object) -> bytes:
    """Return a good command with parts of it replaced."""
    return json.dumps({"request_id": "a1", "expires": SOON, "args": {"camera": "busy"}} | fields).encode()


HOSTILE = {
    "nothing": b"",
    "no JSON": b"reboot",
    "half": command()[:-7],
    "not UTF-8": b'{"request_id": "\xff\xfe", "expires": "x"}',
    "a list": b"[1, 2]",
    "a number": b"1e999",
    "null": b"null",
    "huge": command(args={"camera": "x" * BYTES_LIMIT}),
    "megabyte": b"{" + b" " * 1_000_000 + b"}",
    "deep": b"[" * (BYTES_LIMIT - 1),
    "deep within args": b'{"request_id":"a","expires":"' + SOON.encode() + b'","args":{"camera":' + b'{"a":' * 650,
    "deep and whole": b'{"request_id":"a","expires":"' + SOON.encode() + b'","args":' + b'{"a":' * 600 + b"1" + b"}" * 601,
    "id that climbs": command(request_id="../../status"),
    "id that listens": command(request_id="#"),
    "id with a line": command(request_id="a\n"),
    "id with zero": command(request_id="a\x00"),
    "id too long": command(request_id="a" * 65),
    "id empty": command(request_id=""),
    "id no text": command(request_id=7),
    "id in Arabic digits": command(request_id="١٢٣"),
    "no expiry": b'{"request_id": "a1"}',
    "expiry no time": command(expires="never"),
    "expiry a number": command(expires=9e99),
    "unknown field": command(run="rm -rf /"),
    "args a text": command(args="; reboot"),
    "twice the same key": b'{"request_id":"a","request_id":{},"expires":"x"}',
}  # fmt: skip
ARGS = ("../../etc/passwd", "{{7*7}}", "${jndi:ldap://x}", "%s%n", "'; --", "\u202ebusy", "busy\n", "*", "b" * 4000)


@pytest.mark.parametrize("payload", HOSTILE.values(), ids=HOSTILE)
def test_no_payload_is_taken_for_a_command(payload: bytes) -> None:
    """Each is refused with a code of the contract, never with another error."""
    heard = HeardCommand("enable", payload, retained=False)
    with pytest.raises(Refused) as refused:
        order_from_command(heard, read_command(heard), NOW, allow_admin=True)
    assert refused.value.code in {"malformed", "too_large", "bad_arguments"}


@given(st.one_of(st.binary(max_size=300), st.recursive(st.none() | st.floats() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20).map(lambda value: json.dumps({"request_id": "a", "expires": SOON, "args": {"camera": value}}).encode())))  # fmt: skip
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_read_or_refused(payload: bytes) -> None:
    """Whatever comes, the outcome is an order whose camera is a name, or a refusal."""
    heard = HeardCommand("enable", payload, retained=False)
    try:
        order = order_from_command(heard, read_command(heard), NOW, allow_admin=True)
    except Refused as refused:
        assert refused.hint  # noqa: PT017 - both outcomes are good
    else:
        assert set(order.args.camera) <= set("abcdefghijklmnopqrstuvwxyz0123456789_-\n")  # type: ignore[attr-defined]


def test_a_fuzzed_daemon_goes_on(tmp_path: Path) -> None:
    """Hundreds of hostile messages: each in the audit log or counted as dropped, no order obeyed, cameras watched."""
    (tmp_path / "broker").mkdir()
    chance = random.Random(7)
    with (
        mosquitto(tmp_path / "broker") as broker,
        served(tmp_path, write_config(tmp_path, broker.port, loop=True), broker) as operator,
    ):
        sent = 0
        verbs = [*VERBS, "shell", "..", "$(reboot)", "ü" * 50, "x" * 1000]
        for payload in [
            *HOSTILE.values(),
            *(command(args={"camera": name}, request_id=f"p{n}") for n, name in enumerate(ARGS)),
        ]:
            for verb in (chance.choice(verbs), "disable"):
                operator.send(f"{R}/cmd/{verb}", payload)
                sent += len(payload) < MOST_PACKET_BYTES  # what is larger the broker keeps to itself
        for _ in range(150):
            operator.send(f"{R}/cmd/{chance.choice(verbs)}", os.urandom(chance.randrange(1, 500)))
            sent += 1
        operator.send(f"{R}/cmd/disable/quiet", command(args={"camera": "quiet"}))  # no topic of ours
        before = len(operator.heard)
        time.sleep(0.5)
        found = operator.ask("diagnostics")["result"]
        written = (tmp_path / "state" / "audit.jsonl").read_bytes().splitlines()
        states = {camera: of["state"] for camera, of in found["cameras"].items()}
        operator.wait("cam/quiet/score", before, b'"valid":true')
    entries = [json.loads(line) for line in written]
    dropped = found["counts"]["commands"]
    assert found["counts"]["commands_refused"] == len(entries) - sum(entry["status"] == "ok" for entry in entries)
    assert not [entry for entry in entries if entry["verb"] != "diagnostics" and entry["status"] == "ok"]
    assert len(entries) - 1 + dropped >= sent, "but for our own question, all that came were looked at or counted"
    assert set(states.values()) <= {"watching", "warming_up", "blind"}, "none was disabled"
    assert all(32 <= byte < 127 for line in written for byte in line), "a terminal that shows the log obeys nothing"


def test_a_flood_is_bounded() -> None:
    """More commands than the river takes are dropped and counted."""
    handover = Handover()
    for number in range(100):
        handover.put_command(HeardCommand("enable", str(number).encode(), retained=False))
    assert handover.commands_dropped == 100 - COMMAND_LIMIT
    assert [one.payload for one in handover.take_commands(2)] == [b"0", b"1"]


def test_replies_outlive_a_restart_and_a_cut(tmp_path: Path) -> None:
    """A reply is found again after a restart; a command that was cut off in the midst is known without one."""
    with CommandStore(tmp_path / "c.sqlite") as store:
        assert store.find("a") == (False, None)
        assert store.begin("a", NOW + 60, NOW)
        store.finish("a", b"reply")
        assert store.begin("b", NOW + 60, NOW)
    with CommandStore(tmp_path / "c.sqlite") as store:
        assert store.find("a") == (True, b"reply")
        assert store.find("b") == (True, None)
        assert store.begin("c", NOW + 200_000, NOW + 190_000)
        assert store.find("a") == (False, None), "a day after its expiry it is forgotten"


def test_the_store_has_a_bound(tmp_path: Path) -> None:
    """A full store refuses to begin, so that nothing can be replayed by pushing replies out."""
    with CommandStore(tmp_path / "c.sqlite") as store:
        with store._database:
            rows = [(f"r{number}", NOW + 1000, b"") for number in range(REPLIES_LIMIT)]
            store._database.executemany("INSERT INTO replies VALUES (?, ?, ?)", rows)
        assert not store.begin("one-more", NOW + 60, NOW)
        assert store.begin("later", NOW + 3000, NOW + 2000)


def test_a_damaged_store_is_set_aside(tmp_path: Path) -> None:
    """Commands go on after damage."""
    (tmp_path / "c.sqlite").write_bytes(b"no database" * 500)
    with CommandStore(tmp_path / "c.sqlite") as store:
        assert store.begin("a", NOW + 60, NOW)
    assert (tmp_path / "c.sqlite.damaged").exists()


def test_the_audit_log_has_a_bound(tmp_path: Path) -> None:
    """It is rotated once and never grows beyond twice its limit."""
    log = AuditLog(tmp_path / "audit.jsonl", bytes_limit=2000)
    for number in range(100):
        log.write(
            Entry(
                time=SOON,
                verb="x",
                request_id=f"r{number}",
                status="ok",
                code="done",
                bytes=1,
                payload=excerpt(b"\x1b[2J"),
            )
        )
    sizes = [path.stat().st_size for path in sorted(tmp_path.iterdir())]
    assert len(sizes) == 2
    assert max(sizes) <= 2000
    last = json.loads((tmp_path / "audit.jsonl").read_text().splitlines()[-1])
    assert (last["request_id"], last["payload"]) == ("r99", "\\x1b[2J")


def test_a_command_that_is_good_is_read() -> None:
    """The same checks let a good one through."""
    heard = HeardCommand("enable", command(), retained=False)
    order = order_from_command(heard, read_command(heard), NOW, allow_admin=False)
    assert isinstance(read_command(heard), Command)
    assert (order.verb, order.request_id, order.expires_seconds) == ("enable", "a1", NOW + 60)
