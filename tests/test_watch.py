"""`prednet-edge watch`: what a terminal shows is what the device publishes, over a broker and on the device itself."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from edge.cli import main
from edge.errors import DeviceUnavailable
from edge.event_ledger import EVENTS_FILE, EventLedger
from edge.messages import Condition, Event, EventScore, EventTime, Fault, Score, encode, utc_from_seconds
from edge.mqtt import Received
from edge.topics import Topics
from edge.watch_screen import Looks, bar_of, picture, trend
from edge.watch_view import View, watch_filters, with_earlier, with_messages
from edge.window import WINDOW_FILE, open_window, seen_through
from tests.brokers import Mosquitto, free_port, mosquitto
from tests.commanding import running
from tests.daemons import write_config
from tests.holding import child_environment
from tests.needs import need_root, need_system_python
from tests.publishing import TIME, wait_until
from tests.test_ack import noted
from tests.understood import understood

WHO = "plant7/edge1"
DOC = (Path(__file__).parents[1] / "docs" / "watch.md").read_text(encoding="utf-8")
NOW = 1000.0


def said(leaf: str, payload: str | bytes, who: str = WHO) -> Received:
    """A message of a device."""
    return Received(f"prednet/v1/{who}/{leaf}", payload.encode() if isinstance(payload, str) else payload, True)


def scored(level: float | None, second: int = 0, limit: float = 4.0) -> bytes:
    """A camera's score at a second."""
    return encode(Score(time=utc_from_seconds(second), valid=level is not None, score=level, threshold=limit))


def event_of(type_: str, rev: int, second: float, event_id: str = "E1", **changes: object) -> Received:
    """A message of an event that began at a second, and ends at its end seven seconds later."""
    time_ = EventTime(
        clock="synced", start=utc_from_seconds(second), end=utc_from_seconds(second + 7) if type_ == "end" else None
    )
    score = EventScore(peak=8.0, mean=5.0, threshold_on=4.0, threshold_off=3.0, valid_frames=9)
    event = Event(
        type=type_, event_id=event_id, rev=rev, site="plant7", device="edge1", camera="press3", kind="surprise",
        time=time_, score=score, **changes,
    )  # type: ignore[arg-type] # fmt: skip
    return said("events", encode(event))


def lines_of(
    view: View, width: int = 80, height: int = 24, *, is_plain: bool = False, trouble: str | None = None
) -> list[str]:
    """Return the picture as a terminal of that size, without colour, shows it."""
    text = StringIO()
    console = Console(file=text, width=width, height=height, color_system=None)
    console.print(picture(view, "here", trouble, Looks(width, height, is_plain, NOW, 86400.0 * 20000)))
    return [line.rstrip() for line in text.getvalue().splitlines()]


def full_view(cameras: int = 2) -> View:
    """A device with cameras of which the last but one has an anomaly, the last a condition."""
    messages = [said("status", "degraded")]
    for number in range(cameras):
        camera = f"cam/camera{number}"
        messages += [said(f"{camera}/state", "watching"), said(f"{camera}/score", scored(1.0 + number))]
    messages.append(said(f"cam/camera{cameras - 2}/anomaly", "ON"))
    moved = encode((Condition(name="moved", confidence=0.9),))
    messages.append(said(f"cam/camera{cameras - 1}/condition", moved))
    fault = Fault(code="camera_lost", since=TIME, hint="Check the camera's power and its cable. " * 5, camera="camera1")
    messages.append(said("faults", encode((fault,))))
    return with_messages(View(), messages, NOW)


def test_every_state_is_a_word() -> None:
    """Without colour the picture says which camera has an anomaly, which a condition, which fault is active."""
    lines = lines_of(full_view())
    (anomalous,), (moved,) = (
        [line for line in lines if name in line and "FAULT" not in line] for name in ("camera0", "camera1")
    )
    assert "ANOMALY" in anomalous
    assert "moved" in moved
    assert "ANOMALY" not in moved
    assert "1.00 / 4.00" in anomalous
    assert any(line.startswith("FAULT camera_lost camera1: Check the camera's power") for line in lines)
    assert "plant7/edge1 degraded" in lines[0]


@pytest.mark.parametrize(("width", "height"), [(80, 24), (104, 24), (200, 60), (40, 12)])
@pytest.mark.parametrize("cameras", [2, 16])
def test_it_fits_the_terminal_and_shows_the_unwell_first(width: int, height: int, cameras: int) -> None:
    """No line is longer or further down than the terminal is; an anomaly is always among what is shown."""
    messages = [event_of("end", 2, number, f"E{number}") for number in range(30)]
    view = with_messages(full_view(cameras), messages, NOW)
    lines = lines_of(view, width, height)
    assert len(lines) <= height
    assert max(map(len, lines)) <= width
    shown = [line for line in lines if re.match(r"came", line)]
    assert any(line.startswith(f"camera{cameras - 2}"[:5]) for line in shown)
    if width >= 80:
        assert sum("ANOMALY" in line for line in lines) == 1
        assert len(shown) == cameras or f"{cameras - len(shown)} more cameras" in "\n".join(lines)
        assert any("unexpected" in line for line in lines), "the last event is there too"


def test_a_terminal_without_unicode_gets_ascii() -> None:
    """Everything that is drawn has a plain form."""
    assert "\n".join(lines_of(full_view(), 120, is_plain=True, trouble="The broker is gone.")).isascii()


@pytest.mark.parametrize(
    ("level", "bar"),
    [
        (None, ".......|.."),
        (-1.0, ".......|.."),
        (2.0, "====...|.."),
        (3.9, "=======|.."),
        (5.2, "=======|#."),
        (99.0, "=======|##"),
    ],
)
def test_the_bar_reaches_the_mark_at_the_limit(level: float | None, bar: str) -> None:
    """Half of the limit is half of the way to the mark; what is above it is drawn otherwise."""
    assert bar_of(level, 4.0, 10, is_plain=True).plain == bar


def test_the_trend_keeps_the_highest_of_each_part() -> None:
    """Forty levels on twenty places: a single high one is still seen, the newest is last."""
    history = [0.0] * 40
    history[7], history[39] = 1.5, 0.7
    drawn = trend(tuple(history), 20, is_plain=False)
    assert len(drawn) == 20
    assert (drawn[3], drawn[19]) == ("█", "▄")
    assert set(drawn[:3] + drawn[4:19]) == {"▁"}


def test_what_a_device_that_is_gone_retains_is_not_shown_as_true() -> None:
    """After the last will no camera is watching, no level is one, and how long an event lasted is not known."""
    view = with_messages(full_view(), [event_of("new", 1, 86400.0 * 20000 - 60), said("status", "offline")], NOW)
    text = "\n".join(lines_of(view))
    assert "watching" not in text
    assert "ANOMALY" not in text
    assert "1.00 /" not in text
    assert "unknown" in text


def test_an_old_level_is_not_shown_as_one() -> None:
    """A score that is older than ten seconds, seen again and again, is none."""
    view = full_view()
    for _ in range(3):
        view = with_messages(view, [said("cam/camera0/score", scored(1.0))], NOW + 11.0)
    assert view.devices[WHO].cameras["camera0"].level_seconds == NOW
    assert len(view.devices[WHO].cameras["camera0"].history) == 1
    text = StringIO()
    Console(file=text, width=80, color_system=None).print(
        picture(view, "here", None, Looks(80, 24, True, NOW + 11.0, 0.0))
    )
    assert "- / 4.00" in text.getvalue()


def test_an_event_is_shown_by_its_last_message() -> None:
    """Repetitions and older revisions change nothing; the newest event is first; gaps are no events."""
    messages = [event_of("new", 1, 10), event_of("end", 3, 10), event_of("update", 2, 10), event_of("new", 1, 50, "E2")]
    view = with_messages(View(), [*messages, messages[0], said("events", b"rubbish")], NOW)
    assert list(view.events) == ["E2", "E1"]
    assert [(one.is_open, one.seconds) for one in view.events.values()] == [(True, None), (False, 7.0)]


def test_messages_that_cannot_be_read_change_nothing() -> None:
    """Rubbish on any topic is passed over."""
    view = full_view()
    leaves = ("health", "faults", "info", "cam/camera0/score", "cam/camera0/condition", "cam/camera0/coverage")
    assert with_messages(view, [said(leaf, b"\xff{") for leaf in leaves], NOW) == view


def test_cameras_of_the_past_are_not_shown() -> None:
    """The birth says which cameras a device has; what is retained of others is left out."""
    info = b'{"schema":"prednet.info","schema_version":"1.0","boot_id":"b","conn_seq":1,"versions":{},"schemas":{},"cameras":["camera1"],"capabilities":[],"config_hash":"h","engine":"e"}'
    view = with_messages(full_view(), [said("info", info)], NOW)
    assert list(view.devices[WHO].shown_cameras) == ["camera1"]


def test_two_devices_are_told_apart() -> None:
    """Each camera and each event has its device before it."""
    view = with_messages(
        full_view(), [said("status", "online", "mill/edge2"), said("cam/saw/state", "blind", "mill/edge2")], NOW
    )
    view = with_messages(view, [event_of("new", 1, 10)], NOW)
    lines = lines_of(view, 110)
    assert "2 devices, 1 online" in lines[0]
    assert any(line.startswith("mill/edge2 ") and "saw" in line and "blind" in line for line in lines)
    assert any("plant7/edge1/press3" in line for line in lines)


def test_the_subscriptions_are_a_devices_own() -> None:
    """No command, reply or picture is asked for."""
    filters = watch_filters("plant7", "edge1")
    assert "prednet/v1/plant7/edge1/cam/+/score" in filters
    assert not any("#" in one or "cmd" in one or "snapshot" in one for one in filters)
    assert watch_filters(None, None)[0] == "prednet/v1/+/+/status"


def view_printed(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    """Return what `watch --json` prints."""
    assert main(["watch", "--json", *arguments]) == 0
    found: dict[str, object] = json.loads(capsys.readouterr().out)
    return found


def test_the_broker_and_the_device_itself_show_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A real daemon: both ways show its cameras with a level and a limit; on the device the events before it, too."""
    (tmp_path / "broker").mkdir()
    with mosquitto(tmp_path / "broker") as broker:
        config = write_config(tmp_path, broker.port, loop=True)
        with running(config):
            wait_until(
                lambda: b"watching" in [one.payload for one in seen(tmp_path) if "quiet/state" in one.topic], 60.0
            )
            over_mqtt = judged_view(["--port", str(broker.port), "--wait", "10"], capsys)
            here = judged_view(["--config", str(config), "--wait", "10"], capsys)
            wait_until(lambda: bool(with_messages(View(), seen(tmp_path), NOW).events), 60.0)
            broker.kill()
            heard = with_messages(View(), seen(tmp_path), NOW).events
            shown = view_printed(["--config", str(config)], capsys)["events"]
            assert set(heard) <= set(shown), "without a broker, too"  # type: ignore[call-overload]
    for found in (over_mqtt, here):
        cameras = found["devices"][WHO]["cameras"]  # type: ignore[index]
        assert set(cameras) == {"busy", "quiet"}
        for camera in cameras.values():
            assert camera["state"] in ("watching", "warming_up", "degraded")
            assert camera["limit"] > 0
    assert here["devices"][WHO]["cameras"]["quiet"]["limit"] == over_mqtt["devices"][WHO]["cameras"]["quiet"]["limit"]  # type: ignore[index]


def judged_view(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    """Return what is printed once both cameras are judged: on a machine that is too busy frames are missing at first."""
    found: list[dict[str, object]] = []

    def is_judged() -> bool:
        found.append(view_printed(arguments, capsys))
        return all(camera["limit"] for camera in found[-1]["devices"][WHO]["cameras"].values())  # type: ignore[index]

    wait_until(is_judged, 60.0)
    return found[-1]


def seen(folder: Path) -> list[Received]:
    """Return what the window shows; nothing while no daemon runs."""
    try:
        return seen_through(folder / "state")
    except DeviceUnavailable:
        return []


def test_events_before_this_start_come_from_the_ledger(tmp_path: Path) -> None:
    """They stand behind what a message tells, which replaces them."""
    with EventLedger(tmp_path / "events.sqlite") as ledger:
        event_id = noted(ledger, 1_700_000_000.0, 1, "press3")
        view = with_earlier(View(), WHO, ledger.events(0.0, 2e9))
    assert [(one.event_id, one.peak, one.is_open) for one in view.events.values()] == [(event_id, 4.0, False)]
    view = with_messages(view, [event_of("end", 2, 1_700_000_000.0, event_id)], NOW)
    assert [one.seconds for one in view.events.values()] == [7.0]


def test_events_that_cannot_be_read_are_said_and_the_device_is_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A damaged ledger is left to the daemon, and what is told from now on can be seen."""
    config = tmp_path / "config.yaml"
    config.write_text("site: plant7\nbundle: b\nstate_directory: state\ncameras: {a: {source: x.mp4}}\n")
    (tmp_path / "state").mkdir()
    ledger = tmp_path / "state" / EVENTS_FILE
    ledger.write_bytes(b"no database" * 500)
    with open_window(tmp_path / "state", Topics("plant7", "edge1"), lambda: {"status": b"online"}):
        assert main(["watch", "--config", str(config), "--json", "--wait", "0"]) == 0
    told = capsys.readouterr()
    assert "earlier events are not shown: " in told.err
    assert "plant7/edge1" in told.out
    assert ledger.read_bytes() == b"no database" * 500


def test_only_the_daemons_user_may_look(tmp_path: Path) -> None:
    """Another user of the machine is refused by the kernel."""
    need_root()
    python = need_system_python()
    script = "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])"
    folder = Path("/tmp") / f"prednet-window-{os.getpid()}"  # each folder above pytest's own is root's alone
    folder.mkdir(mode=0o755)
    try:
        with open_window(folder, Topics("plant7", "edge1"), lambda: {"status": b"online"}):
            command = [python, "-c", script, str(folder / WINDOW_FILE)]
            refused = subprocess.run(command, check=False, user="nobody", capture_output=True, text=True)
            assert "PermissionError" in refused.stderr
            assert [one.payload for one in seen_through(folder)] == [b"online"]
        assert not (folder / WINDOW_FILE).exists()
    finally:
        folder.rmdir()


def test_a_killed_daemons_window_is_opened_anew(tmp_path: Path) -> None:
    """What is left of it is in nobody's way, and a visitor who says nothing holds up no other."""
    (tmp_path / WINDOW_FILE).touch()
    deep = tmp_path / ("x" * 100)
    deep.mkdir()
    for folder in (tmp_path, deep):
        with open_window(folder, Topics("plant7", "edge1"), lambda: {"status": b"online"}) as window:
            assert window is not None
            assert [one.topic for one in seen_through(folder)] == [f"prednet/v1/{WHO}/status"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--config", "{config}"], 3, "no daemon answers here"),
        (["--config", "{config}", "--site", "a"], 2, "--config watches the daemon of this machine"),
        (["--port", "{port}", "--once"], 5, "cannot be used"),
        (["--site", "A/B"], 2, "The site 'A/B' cannot stand in a topic"),
    ],
)
def test_what_cannot_be_watched_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, message: str
) -> None:
    """With the exit code of the table."""
    config = tmp_path / "config.yaml"
    config.write_text("site: a\nbundle: b\nstate_directory: state\ncameras: {a: {source: x.mp4}}\n")
    (tmp_path / "state").mkdir()
    words = [one.format(config=config, port=free_port()) for one in arguments]
    assert main(["watch", *words]) == code
    assert message in capsys.readouterr().err


class Terminal:
    """A process before a terminal of 80 by 24; `shown` is all that it wrote."""

    def __init__(self, arguments: list[str]) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        command = [
            sys.executable,
            "-c",
            # What a shell runs in the background inherits that SIGINT is ignored; what it runs in a terminal does not.
            "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler);"
            "from edge.cli import main; sys.exit(main(sys.argv[1:]))",
            "watch",
            *arguments,
        ]
        environment = child_environment() | {"TERM": "xterm-256color", "LANG": "C.UTF-8"}
        self.process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=environment)
        os.close(slave)
        self.shown = b""

    def wait_for(self, condition: Callable[[bytes], bool]) -> None:
        """Read until what was written since the last call meets a condition."""
        begin, deadline = len(self.shown), time.monotonic() + 20.0
        while not condition(self.shown[begin:]):
            assert time.monotonic() < deadline, self.shown[begin:][-2000:]
            if select.select([self._master], [], [], 0.1)[0]:
                try:
                    self.shown += os.read(self._master, 65536)
                except OSError:  # the last of it has been read
                    assert condition(self.shown[begin:]), self.shown[begin:][-2000:]
                    return

    def close(self) -> None:
        """End it in any case."""
        self.process.kill()
        self.process.wait(5.0)
        os.close(self._master)


@contextmanager
def terminal(arguments: list[str]) -> Iterator[Terminal]:
    """Run `watch` before a terminal."""
    shown = Terminal(arguments)
    try:
        yield shown
    finally:
        shown.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_live_terminal_follows_outlives_the_broker_and_is_left_clean(tmp_path: Path, number: int) -> None:
    """States change as they are said; a killed broker is told and found again; the end gives the screen back, code 0."""
    broker = Mosquitto(tmp_path)
    broker.start()
    try:
        say(broker, "status", "online")
        say(broker, "cam/press3/state", "blind")
        with terminal(["--port", str(broker.port)]) as shown:
            shown.wait_for(lambda new: b"press3" in new and b"blind" in new)
            assert b"\x1b[?1049h" in shown.shown
            say(broker, "cam/press3/state", "watching")
            shown.wait_for(lambda new: b"watching" in new)
            if number == signal.SIGINT:
                broker.kill()
                shown.wait_for(lambda new: b"cannot be used" in new)
                broker.start()
                say(broker, "cam/press3/state", "disabled")
                shown.wait_for(lambda new: b"disabled" in new and b"cannot be used" not in new.rsplit(b"UTC", 1)[-1])
            shown.process.send_signal(number)
            shown.wait_for(lambda new: b"\x1b[?1049l" in new)
            assert shown.process.wait(10.0) == 0
    finally:
        broker.stop()


def say(broker: Mosquitto, leaf: str, payload: str) -> None:
    """Retain a state of a device."""
    command = ["mosquitto_pub", "-h", broker.host, "-p", str(broker.port), "-r", "-q", "1"]
    subprocess.run([*command, "-t", f"prednet/v1/{WHO}/{leaf}", "-m", payload], check=True)


def test_printed_once_has_no_colour_for_a_pipe(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Plain lines, as a script wants them."""
    with mosquitto(tmp_path) as broker:
        say(broker, "status", "online")
        say(broker, "cam/press3/state", "blind")
        assert main(["watch", "--port", str(broker.port), "--once"]) == 0
    printed = capsys.readouterr().out
    assert "\x1b" not in printed
    assert re.search(r"press3 +blind", printed)


@pytest.mark.parametrize("command", re.findall(r"^prednet-edge .*$", DOC, re.M))
def test_the_commands_of_the_documentation_are_understood(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """They exist as they are written."""
    understood(command, monkeypatch)
