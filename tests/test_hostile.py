"""What hostile parties send who are not the ones that other tests speak of: cameras, webhooks, brokers' other clients."""

from __future__ import annotations

import logging
import resource
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from paho.mqtt.client import Client, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion

from edge.capture import CaptureThread, Mailboxes
from edge.command_messages import Result
from edge.errors import PrednetError
from edge.fleet import Ledger, device_lines, fresh_events, line_of_event, printable, table
from edge.frames import FrameFormat
from edge.hooks import Outcome, post
from edge.messages import Event, EventTime
from edge.mqtt import Received
from edge.mqtt.connection import MOST_PACKET_BYTES
from edge.places import place_from_spec
from edge.sources import open_source
from edge.topics import EVENTS, FAULTS, HEALTH, INFO, STATUS
from edge.watch_view import View, with_messages
from tests.brokers import Mosquitto
from tests.commanding import Operator, R, running
from tests.daemons import write_config
from tests.publishing import TOPICS, event, publishing, settings_of, wait_until
from tests.test_hooks import Receiver

FORM = FrameFormat(32, 40, 1, 10.0)
# One picture of 12,000 × 12,000 pixels takes 144 MB decoded and 1.7 MB as it is sent.
SIDE = 12_000
ESCAPES = "\x1b]0;owned\x07\x1b[2J\r\n\u202e"


def large_picture() -> bytes:
    """A picture that is small to send and large to hold."""
    import cv2  # noqa: PLC0415 - a test's own encoder

    return bytes(cv2.imencode(".jpg", np.zeros((SIDE, SIDE), np.uint8))[1])


def test_a_picture_that_unpacks_to_a_gigabyte_is_refused_before_it_takes_memory(tmp_path: Path) -> None:
    """A camera or a film that claims 144 million pixels: an error, and no memory for the picture."""
    (tmp_path / "film.mjpeg").write_bytes(2 * large_picture())
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "1.jpg").write_bytes(large_picture())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for place in ("film.mjpeg", "images"):
        source = open_source(str(tmp_path / place), FORM)
        with pytest.raises(PrednetError):
            list(source.frames())
        source.close()
    grown = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    assert grown < 0.6 * SIDE * SIDE, "the picture alone would take 144 MB"


def test_a_webhook_that_points_elsewhere_gets_neither_token_nor_event_there(tmp_path: Path) -> None:
    """Redirects of every kind are failures; what they point to is never asked."""
    elsewhere = Receiver(200)
    asked: list[str] = []

    class Redirecting(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.path)
            self.send_response(int(self.path.strip("/")))
            self.send_header("Location", elsewhere.address)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Redirecting)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    (tmp_path / "token").write_text("s3cret")
    try:
        for status in (301, 302, 303, 307, 308):
            address = f"http://127.0.0.1:{server.server_address[1]}/{status}"
            assert post(address, b"{}", 2.0, str(tmp_path / "token")) is Outcome.FAILED
    finally:
        server.shutdown()
        server.server_close()
        elsewhere.close()
    assert len(asked) == 5
    assert elsewhere.headers == []


def test_a_device_that_lies_cannot_write_to_the_terminal_of_who_looks_at_the_fleet() -> None:
    """Escape sequences in names, states, faults and events are shown as replaced characters."""
    fault = b'[{"code":"\\u001b[2J","since":"2026-11-22T14:03:11.480Z","hint":"x","camera":"\\u001b]0;x\\u0007"}]'
    root = "prednet/v1/plant7/edge1"
    messages = [
        Received(f"{root}/status", ESCAPES.encode(), True),
        Received(f"{root}/cam/a{ESCAPES}/state", ESCAPES.encode(), True),
        Received(f"{root}/faults", fault, True),
    ]
    lying = Event(
        type="new", event_id="E1", site=ESCAPES, device=ESCAPES, camera=ESCAPES, time=EventTime(clock="synced")
    )
    for line in [*table(device_lines(messages)), line_of_event(lying)]:
        assert line.isprintable()
        assert "\N{REPLACEMENT CHARACTER}" in line
    assert printable("Presse 3 – größer") == "Presse 3 – größer"


NO_JSON = {"no UTF-8": b'{"boot_id": "\xff"}', "nesting without end": b'{"x":' + b"[" * 100_000}


@pytest.mark.parametrize("payload", NO_JSON.values(), ids=NO_JSON)
def test_what_is_no_json_on_a_device_s_own_topic_does_not_silence_it(
    payload: bytes, tmp_path: Path, broker: Mosquitto
) -> None:
    """Whoever may write where it says its birth cannot end what publishes its events."""
    with publishing(tmp_path, settings_of(broker)) as (publisher, outbox):
        wait_until(lambda: publisher.is_connected)
        attacker = Client(CallbackAPIVersion.VERSION2, client_id="attacker", protocol=MQTTv5)
        attacker.connect("127.0.0.1", broker.port)
        attacker.loop_start()
        attacker.publish(TOPICS.full(INFO), payload, qos=1).wait_for_publish(20.0)
        attacker.disconnect()
        attacker.loop_stop()
        time.sleep(0.5)
        publisher.publish_event(event(0))
        wait_until(lambda: outbox.depth().messages == 0)


@pytest.mark.parametrize("payload", NO_JSON.values(), ids=NO_JSON)
def test_what_is_no_json_does_not_end_who_looks_at_the_fleet(payload: bytes) -> None:
    """It is left out, or told; the next message is read."""
    root, warned = "prednet/v1/plant7/edge1", list[str]()
    messages = [Received(f"{root}/{leaf}", payload, True) for leaf in (INFO, FAULTS, HEALTH, "cam/a/condition", EVENTS)]
    messages.append(Received(f"{root}/{STATUS}", b"online", True))
    assert [line.status for line in device_lines(messages[:4] + messages[5:])] == ["online"]
    assert with_messages(View(), messages, 0.0).devices["plant7/edge1"].status == "online"
    assert list(fresh_events(messages[4:5], Ledger(), warned.append)) == []
    assert "no event" in warned[0]


def test_a_huge_message_never_reaches_the_device(tmp_path: Path, broker: Mosquitto) -> None:
    """The device tells its broker how much it takes; 30 MB to a command's topic cost it nothing, and it goes on."""
    with Operator(broker.port) as operator, running(write_config(tmp_path, broker.port, loop=True)):
        operator.wait("cam/busy/state", holding=b"watching")
        attacker = Client(CallbackAPIVersion.VERSION2, client_id="attacker", protocol=MQTTv5)
        attacker.connect("127.0.0.1", broker.port)
        attacker.loop_start()
        before = len(operator.heard)
        for size in (MOST_PACKET_BYTES + 1, 30_000_000):
            attacker.publish(f"{R}/cmd/snapshot", bytes(size), qos=1).wait_for_publish(20.0)
        attacker.disconnect()
        attacker.loop_stop()
        reply: Result = operator.ask("diagnostics")
        assert reply["code"] == "done"
        audited = (tmp_path / "state" / "audit.jsonl").read_text()
        assert '"verb":"diagnostics"' in audited
        assert '"verb":"snapshot"' not in audited, "they were not even read"
        assert not [one for one in operator.heard[before:] if one.topic.endswith("/status")], "it stayed connected"


@pytest.mark.parametrize("password", ["geheim", "p@ss", "a@b@c"])
def test_a_camera_s_password_stands_in_no_log_and_no_message(password: str, caplog: pytest.LogCaptureFixture) -> None:
    """Nor does what is left of one that holds an @: a camera that is not there is named without its login."""
    spec = f"rtsp://admin:{password}@127.0.0.1:9/stream"
    assert password not in place_from_spec(spec).name
    mailboxes = Mailboxes(["cam"])
    thread = CaptureThread("cam", spec, FORM, mailboxes, capture="pyav")
    with caplog.at_level(logging.DEBUG):
        thread.start()
        deadline = time.monotonic() + 20.0
        while mailboxes.status()["cam"].fault is None and time.monotonic() < deadline:
            time.sleep(0.05)
        thread.stop()
    fault = mailboxes.status()["cam"].fault
    assert fault is not None
    for secret in (password, password.split("@", 1)[-1] + "@"):
        assert secret not in fault
        assert secret not in caplog.text


def test_the_demo_of_a_stranger_s_film_runs_nothing_of_it(tmp_path: Path) -> None:
    """A playlist that calls itself a film names local files and addresses: none is opened as one."""
    secret = tmp_path / "secret.mjpeg"
    secret.write_bytes(b"top secret")
    for name, text in (
        ("list.mp4", f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{secret}\n#EXT-X-ENDLIST\n"),
        ("concat.mp4", f"ffconcat version 1.0\nfile '{secret}'\n"),
    ):
        (tmp_path / name).write_text(text)
        with pytest.raises(PrednetError):
            list(open_source(str(tmp_path / name), FORM).frames())
