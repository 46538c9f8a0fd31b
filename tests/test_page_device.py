"""The page within a device: its token, its port, its link, its faults, and the privacy mask on it."""

from __future__ import annotations

import http.client
import json
import re
import socket
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from msgspec import structs

from edge.cli import main
from edge.config_file import read_config
from edge.daemon import watch_device
from edge.errors import ConfigInvalid
from edge.event_ledger import EVENTS_FILE, EventLedger
from edge.messages import Event, EventScore, EventTime, new_event_id
from edge.mqtt import Publisher
from edge.outbox import Outbox
from edge.page import page_desk
from edge.page.board import MESSAGES_KEPT, POINTS_KEPT, Board
from edge.page.page_desk import open_page, read_place
from edge.page.server import DEFAULT_PORT, open_socket
from edge.page.settings import Page
from edge.page.token import configured_token, open_token
from edge.setup import read_device
from tests.brokers import free_port
from tests.daemons import write_config
from tests.films import write_clip
from tests.page_serving import bearer, moment_of, wait_for_place
from tests.tiny import normal_images, write_tiny_bundle

WAIT_SECONDS = 20.0


def test_the_token_is_made_once_for_the_service_alone(tmp_path: Path) -> None:
    """Hard to guess, readable for nobody else, and the same at the next start."""
    token = open_token(tmp_path, Page())
    path = tmp_path / "page.token"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(token) >= 43  # 256 bits in base64
    assert open_token(tmp_path, Page()) == token
    path.unlink()
    assert open_token(tmp_path, Page()) != token


@pytest.mark.parametrize(
    "text", ["", "swordfish", "fifteen-letters", "sixteen letters with blanks", "sixteen-letters-ä"]
)
def test_a_token_that_is_none_is_refused_with_its_file(tmp_path: Path, text: str) -> None:
    """One that is short, or that no header can carry; the message does not say what it is."""
    path = tmp_path / "page.secret"
    path.write_text(text)
    with pytest.raises(ConfigInvalid, match=r"page\.secret: ") as refused:
        configured_token(Page(token_file=str(path)))
    assert not text or text not in str(refused.value)


def test_a_token_may_come_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As every secret may, and then none is made."""
    monkeypatch.setenv("PREDNET_PAGE_TOKEN", "from-the-environment")
    assert open_token(tmp_path, Page()) == "from-the-environment"
    assert not (tmp_path / "page.token").exists()
    monkeypatch.setenv("PREDNET_PAGE_TOKEN", "too-short")
    with pytest.raises(ConfigInvalid, match="environment PREDNET_PAGE_TOKEN: the page's token is shorter"):
        open_token(tmp_path, Page())


def test_a_configured_token_is_looked_at_before_the_start(tmp_path: Path) -> None:
    """`check` and `run` refuse a file that is missing; what is in a good one stands nowhere in the configuration."""
    config = write_config(tmp_path, free_port())
    with config.open("a") as file:
        file.write("page: {token_file: page.secret}\n")
    with pytest.raises(ConfigInvalid, match=r"page\.secret: the token cannot be read"):
        read_device(config)
    (tmp_path / "page.secret").write_text("long-enough-to-be-one\n")
    device = read_device(config)
    assert open_token(tmp_path, device.config.page) == "long-enough-to-be-one"
    assert "long-enough" not in repr(device)
    assert not (tmp_path / "page.token").exists()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("page: {bind: edge1}", "page.bind: 'edge1' is no address of a machine; write 127.0.0.1, or 0.0.0.0 for all"),
        ("page: {port: 70000}", "page.port: 70000 is no port; write one from 1 to 65535, or 0 for 8470 or the next"),
        ("page: {tokenfile: x}", "unknown key 'page.tokenfile'; did you mean 'token_file'?"),
    ],
)
def test_a_wrong_key_of_the_page_is_named(tmp_path: Path, line: str, message: str) -> None:
    """With file, line and remedy, as every key."""
    config = tmp_path / "config.yaml"
    config.write_text(f"site: a\nbundle: b\ncameras: {{c: {{source: d}}}}\n{line}\n")
    with pytest.raises(ConfigInvalid, match=re.escape(message)):
        read_config(config)


def test_the_default_port_gives_way_and_a_named_one_does_not() -> None:
    """Two devices on one machine both have their page; who names a port gets that one or none."""
    with open_socket("127.0.0.1", 0) as first, open_socket("127.0.0.1", 0) as second:
        ports = first.getsockname()[1], second.getsockname()[1]
        assert DEFAULT_PORT <= ports[0] < ports[1]
        with pytest.raises(OSError, match="in use"):
            open_socket("127.0.0.1", ports[0])


def test_the_board_keeps_the_last_points_and_the_last_word_of_each_event() -> None:
    """However long the device runs, memory stays; of an event its newest message stands."""
    board = Board(["a"])
    for count in range(POINTS_KEPT + 10):
        board.see(moment_of("a", count / 10, level=float(count)))
    assert [point.level for point in board.points("a", 0, board.number)] == list(range(10, POINTS_KEPT + 10))
    ids = [new_event_id(1e9 + count, bytes(10)) for count in range(MESSAGES_KEPT + 5)]
    for type_ in ("new", "end"):
        for event_id in ids:
            board.hear(event_of(event_id, type_))
    told = board.events(0, board.number)
    assert [event.event_id for event in told] == ids[5:]
    assert {event.type for event in told} == {"end"}
    assert board.event(ids[-1]) is not None
    assert board.event(ids[0]) is None


def event_of(event_id: str, type_: str) -> Event:
    """A message of an event."""
    return Event(type=type_, event_id=event_id, site="s", device="d", camera="a", time=EventTime(clock="synced"))  # type: ignore[arg-type]


@contextmanager
def running(config: Path) -> Iterator[Path]:
    """Run the daemon of a configuration in a thread; yield its state directory once its page is served."""
    stopping, state = threading.Event(), Path(read_config(config).state_directory)
    daemon = threading.Thread(target=watch_device, args=(read_device(config), stopping), name="daemon")
    daemon.start()
    try:
        yield state
    finally:
        stopping.set()
        daemon.join()


def fetch(port: int, path: str, token: str) -> tuple[int, bytes]:
    """Return status and body of an answer to who has the token."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path, headers=bearer(token))
    answer = connection.getresponse()
    found = answer.status, answer.read()
    connection.close()
    return found


def test_the_live_picture_is_black_beneath_the_privacy_mask(tmp_path: Path) -> None:
    """A white field under the mask: frame, prediction and error are dark there, and show what lies beside it."""
    images = normal_images(60, seed=5)
    images[:, :12, :16] = 255
    write_tiny_bundle(tmp_path / "tiny.prednet")
    write_clip(tmp_path / "secret.mkv", images)
    config = tmp_path / "config.yaml"
    config.write_text(
        f"site: plant7\ndevice: edge1\nbundle: tiny.prednet\nstate_directory: state\nthreads: 1\n"
        f"cameras: {{a: {{source: secret.mkv, loop: true, privacy_masks: [[[0, 0], [0.4, 0.4]]]}}}}\n"
        f"mqtt: {{port: {free_port()}}}\n"
    )
    with running(config) as state:
        port, token = wait_for_place(state).port, (state / "page.token").read_text().strip()
        deadline = time.monotonic() + WAIT_SECONDS
        while (found := fetch(port, "/api/cameras/a/live.jpg", token))[0] != 200:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    picture = cv2.imdecode(np.frombuffer(found[1], np.uint8), cv2.IMREAD_GRAYSCALE).reshape(3, 32, 40)
    # A ring of three pixels beside the mask may take part of a block of the JPEG that reaches over the edge.
    assert picture[:, :9, :13].max() <= 12
    assert picture[0, 16:, 20:].mean() > 60


def test_a_port_that_is_taken_is_a_fault_until_it_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The device watches all the same, says `page_unavailable`, and serves the page once the port is free."""
    monkeypatch.setattr(page_desk, "AGAIN_SECONDS", 0.2)
    said: list[list[str]] = []
    told = Publisher.set_state

    def heard(self: Publisher, subtopic: str, payload: str | bytes, **options: bool | int) -> None:
        if subtopic == "faults":
            said.append([fault["code"] for fault in json.loads(payload)])
        told(self, subtopic, payload, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Publisher, "set_state", heard)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        config = write_config(tmp_path, free_port(), loop=True)
        with config.open("a") as file:
            file.write(f"page: {{port: {port}}}\n")
        with running(config) as state:
            deadline = time.monotonic() + WAIT_SECONDS
            while not any("page_unavailable" in codes for codes in said):
                assert time.monotonic() < deadline
                time.sleep(0.02)
            other.close()
            assert wait_for_place(state).port == port
            while "page_unavailable" in said[-1]:
                assert time.monotonic() < deadline
                time.sleep(0.02)
            token = (state / "page.token").read_text().strip()
            assert fetch(port, "/api/live", token)[0] == 200
    assert len([one for one in caplog.records if one.getMessage().startswith("page_unavailable")]) == 1
    assert read_place(state) is None


def test_the_command_prints_the_link_of_the_daemon_that_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The link opens the page; `--json` has it in parts; without a daemon it says so."""
    config = write_config(tmp_path, free_port(), loop=True)
    command = ["page", "--config", str(config)]
    with running(config) as state:
        place = wait_for_place(state)
        assert main(command) == 0
        address, _, token = capsys.readouterr().out.strip().partition("#token=")
        assert main([*command, "--json"]) == 0
        assert json.loads(capsys.readouterr().out) == {"address": address, "token": token}
        assert address == f"http://127.0.0.1:{place.port}/"
        assert fetch(place.port, "/api/live", token)[0] == 200
    assert main(command) == 2
    assert "no daemon of this configuration serves its page now" in capsys.readouterr().err


def test_an_event_that_a_kill_left_open_is_shown_as_ended_and_its_last_peak_is_kept(tmp_path: Path) -> None:
    """Page and ledger hear of its end though it comes before all else; of its evidence nothing is said, there is none."""
    config, event_id = write_config(tmp_path, free_port(), loop=True), new_event_id(time.time() - 60.0, bytes(10))
    state = tmp_path / "state"
    state.mkdir()
    with (
        Outbox(state / "outbox.sqlite", "plant7", "edge1", "before") as outbox,
        EventLedger(state / EVENTS_FILE) as ledger,
    ):
        for type_, peak in (("new", 5.0), ("update", 9.0)):
            score = EventScore(peak=peak, mean=4.0, threshold_on=4.0, threshold_off=3.0, valid_frames=9)
            left = structs.replace(event_of(event_id, type_), camera="quiet", kind="surprise", score=score)
            ledger.note(outbox.put(left))
    with running(config):
        port, deadline = wait_for_place(state).port, time.monotonic() + WAIT_SECONDS
        token = (state / "page.token").read_text().strip()
        while not (shown := json.loads(fetch(port, "/api/live", token)[1])["events"]):
            assert time.monotonic() < deadline
            time.sleep(0.02)
    assert (shown[0]["event_id"], shown[0]["end_reason"]) == (event_id, "restart")
    with EventLedger(state / EVENTS_FILE) as ledger:
        kept = ledger.event(event_id)
    assert kept is not None
    assert kept.peak == 9.0
    with Outbox(state / "outbox.sqlite", "plant7", "edge1", "after") as outbox:
        messages = [json.loads(row.payload) for row in outbox.pending(0, 1000)]
    assert [one["type"] for one in messages if one["event_id"] == event_id] == ["new", "update", "end"]


def test_a_page_that_is_not_wanted_is_not_served(tmp_path: Path) -> None:
    """`serve: false` opens no port and makes no token: nothing of the device is asked for it."""
    config = tmp_path / "config.yaml"
    config.write_text("site: a\nbundle: b\nstate_directory: state\ncameras: {c: {source: d}}\npage: {serve: false}\n")
    device = SimpleNamespace(config=read_config(config))
    with open_page(device, None, None, "boot1") as page:  # type: ignore[arg-type]
        page.tick()
        assert read_place(tmp_path / "state") is None
    assert not (tmp_path / "state").exists()
