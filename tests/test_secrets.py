"""Secrets: found in a file, a credential or the environment; used; and never in a log, a message or a file."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest

import edge.kept_secrets
from edge.capture import CaptureThread, Mailboxes
from edge.config import Camera
from edge.errors import ConfigInvalid
from edge.frames import FrameFormat
from edge.kept_secrets import captured, environment_name, read_secret
from edge.mqtt import BrokerSettings, Subscriber
from edge.places import without_login
from edge.sources import Capture
from tests.brokers import mosquitto
from tests.films import write_clip
from tests.holding import child_environment
from tests.http_camera import http_camera
from tests.needs import need_program
from tests.rtsp_cameras import LIBRARIES, RtspServer, need_gstreamer
from tests.tiny import normal_images, with_accident, write_tiny_bundle

USER = "me@plant"
# Every character that an address treats in a way of its own.
CAMERA_PASSWORD, WRONG_PASSWORD = "c4m: p@ss/w?rd#%ü", "wr0ng:p@ss"
MQTT_PASSWORD, TOKEN = "m0squitt0 s3cret", "t0ken-s3cret"
FORM = FrameFormat(128, 160, 1, 10.0)


def test_a_secret_comes_from_the_file_else_the_credential_else_the_environment(tmp_path: Path) -> None:
    """In this order; the end of its line is no part of it; nowhere is None."""
    (tmp_path / "file").write_text("of the file\r\n")
    (tmp_path / "mqtt_password").write_text("of the credential\n")
    environment = {"CREDENTIALS_DIRECTORY": str(tmp_path), "PREDNET_MQTT_PASSWORD": "of the environment"}
    found = read_secret("mqtt_password", str(tmp_path / "file"), environment)
    assert (found and found.value, found and found.origin) == ("of the file", f"file {tmp_path}/file")
    found = read_secret("mqtt_password", "", environment)
    assert (found and found.value, found and found.origin) == ("of the credential", "credential mqtt_password")
    del environment["CREDENTIALS_DIRECTORY"]
    found = read_secret("mqtt_password", "", environment)
    assert found is not None
    assert (found.value, found.origin) == ("of the environment", "environment PREDNET_MQTT_PASSWORD")
    assert read_secret("mqtt_password", "", {}) is None
    assert "of the" not in repr(found).replace(found.origin, "")


def test_a_command_that_root_runs_by_hand_has_the_services_credentials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without systemd's folder they are read where root keeps them; in the service that place counts for nothing."""
    monkeypatch.setattr(edge.kept_secrets, "CREDENTIALS_ON_DISK", tmp_path)
    (tmp_path / "store_secret_key").write_text("of root")
    found = read_secret("store_secret_key", "", {})
    assert found is not None
    assert (found.value, found.origin) == ("of root", "credential store_secret_key")
    assert read_secret("mqtt_password", "", {}) is None
    assert read_secret("store_secret_key", "", {"CREDENTIALS_DIRECTORY": str(tmp_path / "none")}) is None


def test_a_file_that_is_named_and_not_there_is_no_reason_to_look_elsewhere(tmp_path: Path) -> None:
    """The environment does not stand in for a file in silence."""
    with pytest.raises(ConfigInvalid, match="the password cannot be read"):
        read_secret("mqtt_password", str(tmp_path / "none"), {"PREDNET_MQTT_PASSWORD": "other"})
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigInvalid, match="no text in UTF-8"):
        read_secret("mqtt_password", str(tmp_path / "binary"), {})


def test_the_variable_of_a_camera_is_one_that_a_shell_can_set() -> None:
    """Capitals, digits and underscores."""
    assert environment_name("camera_press-3_password") == "PREDNET_CAMERA_PRESS_3_PASSWORD"


def test_a_login_is_put_into_the_address_and_shown_to_nobody(tmp_path: Path) -> None:
    """Percent-encoded, for the library alone: neither name nor repr of what is captured has it."""
    (tmp_path / "secret").write_text(CAMERA_PASSWORD)
    camera = Camera(source="rtsp://10.0.0.9/s", username=USER, password_file=str(tmp_path / "secret"))
    source = captured("a", camera)
    assert source.spec == f"rtsp://me%40plant:{quote(CAMERA_PASSWORD, safe='')}@10.0.0.9/s"
    assert "p%40ss" not in repr(source)
    assert without_login(source.spec) == "rtsp://10.0.0.9/s"
    assert captured("a", Camera(source="rtsp://10.0.0.9/s", username="me")).spec == "rtsp://me@10.0.0.9/s"


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_camera_with_a_password_is_watched_through_every_library(tmp_path: Path, library: Capture) -> None:
    """A real RTSP server that lets in who knows it; every awkward character arrives."""
    need_gstreamer()
    server = RtspServer(USER, CAMERA_PASSWORD)
    server.start()
    (tmp_path / "secret").write_text(CAMERA_PASSWORD)
    source = captured("a", Camera(source=server.url, username=USER, password_file=str(tmp_path / "secret")))
    mailboxes = Mailboxes(["a"])
    thread = CaptureThread("a", source.spec, FORM, mailboxes, capture=library)
    thread.start()
    try:
        deadline = time.monotonic() + 20.0
        while not mailboxes.take(0.2):
            assert time.monotonic() < deadline, mailboxes.status()
    finally:
        thread.stop()
        server.kill()


@contextmanager
def webhook() -> Iterator[tuple[str, list[str]]]:
    """A receiver that refuses every post, and notes what logins came."""
    logins: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            logins.append(self.headers.get("Authorization", ""))
            self.send_error(401)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/", logins
    finally:
        server.shutdown()
        server.server_close()


# The daemon with everything in its log that any library of ours can be brought to say.
LOUD = "import logging, sys; logging.basicConfig(level=logging.DEBUG); from edge.cli import main; sys.exit(main())"
SECRETS = (CAMERA_PASSWORD, WRONG_PASSWORD, MQTT_PASSWORD, TOKEN)


def test_no_secret_is_in_a_log_a_message_or_a_file(tmp_path: Path) -> None:
    """Right and wrong passwords of cameras, broker and webhook, used for real, refused for real; the log at its loudest."""
    need_gstreamer()
    users = tmp_path / "users"
    users.touch()
    program = need_program("mosquitto_passwd", "mosquitto")
    subprocess.run([program, "-b", str(users), "edge1", MQTT_PASSWORD], check=True)
    write_tiny_bundle(tmp_path / "tiny.prednet")
    write_clip(tmp_path / "busy.mkv", with_accident(normal_images(140, seed=5), 40, 80))
    server = RtspServer(USER, CAMERA_PASSWORD)
    server.start()
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "camera_right_password").write_text(CAMERA_PASSWORD)
    (credentials / "camera_wrong_password").write_text(WRONG_PASSWORD)
    (credentials / "camera_wrong-gst_password").write_text(WRONG_PASSWORD)
    (tmp_path / "token").write_text(TOKEN)
    picture = np.full((64, 80, 3), 90, np.uint8)
    with (
        mosquitto(tmp_path, f"allow_anonymous false\npassword_file {users}\n") as broker,
        http_camera([picture], 10.0, f"{USER}:{CAMERA_PASSWORD}") as http,
        webhook() as (address, logins),
        Subscriber(BrokerSettings("127.0.0.1", broker.port, client_id="t", username="edge1", password=MQTT_PASSWORD), "prednet/#") as subscriber,
    ):  # fmt: skip
        config = tmp_path / "config.yaml"
        config.write_text(
            f"site: plant7\ndevice: edge1\nbundle: tiny.prednet\nstate_directory: state\nthreads: 1\n"
            f"cameras:\n"
            f"  right: {{source: {server.url}, username: {USER}, capture: pyav}}\n"
            f"  wrong: {{source: {server.url}, username: {USER}, capture: pyav}}\n"
            f"  wrong-gst: {{source: {server.url}, username: {USER}, capture: gstreamer}}\n"
            f"  http: {{source: {http}, username: {USER}}}\n"
            f"  busy: {{source: busy.mkv, loop: true}}\n"
            f"mqtt: {{port: {broker.port}, username: edge1}}\n"
            f"hooks: {{webhook: '{address}', webhook_token_file: token}}\n"
            f"detection: {{hold_seconds: 0.5}}\n"
        )
        environment = child_environment() | {
            "CREDENTIALS_DIRECTORY": str(credentials),
            "PREDNET_MQTT_PASSWORD": MQTT_PASSWORD,
            "PREDNET_CAMERA_HTTP_PASSWORD": CAMERA_PASSWORD,
        }
        command = [sys.executable, "-c", LOUD, "run", "--config", str(config)]
        told = tmp_path / "told"
        heard: dict[str, set[str]] = {}
        with told.open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log, env=environment) as daemon:
            deadline = time.monotonic() + 60.0
            while not (_all_happened(heard) and f"Bearer {TOKEN}" in logins):
                assert time.monotonic() < deadline, (heard.keys(), logins[:3])
                for message in subscriber.messages(0.5):
                    heard.setdefault(message.topic.partition("edge1/")[2], set()).add(message.payload.decode("latin-1"))
                    if time.monotonic() > deadline:
                        break
            daemon.terminate()
            daemon.wait(20)
    server.kill()
    files = {path: path.read_bytes() for path in (tmp_path / "state").rglob("*") if path.is_file()}
    assert len(files) > 5
    spoken = told.read_bytes() + json.dumps([sorted(one) for one in heard.values()], ensure_ascii=False).encode()
    assert b"capture_lost camera=wrong " in spoken
    for secret in (form for one in SECRETS for form in (one, quote(one), quote(one, safe=""))):
        assert secret.encode() not in spoken, secret
        assert [path for path, data in files.items() if secret.encode() in data] == []


def _all_happened(heard: dict[str, set[str]]) -> bool:
    """Whether right passwords opened their cameras, wrong ones were refused, and an event went out."""
    faults = "".join(sorted(heard.get("faults", ())))
    return (
        all("watching" in heard.get(f"cam/{camera}/state", ()) for camera in ("right", "http"))
        and faults.count("camera_refused") >= 2
        and '"camera":"wrong-gst"' in faults
        and any('"type":"new"' in event for event in heard.get("events", ()))
    )
