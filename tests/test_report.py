"""`prednet-edge report`: what the page says is what the device noted, in one file, for people who do not know it."""

from __future__ import annotations

import base64
import json
import re
import shutil
import time
from datetime import timezone
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edge.cli import main
from edge.errors import UsageError
from edge.evidence_store import EVENT_FILE, FOLDER
from edge.fault_ledger import FAULTS_FILE, FaultLedger, past_faults
from edge.messages import Event, EventZone, Fault, utc_from_seconds
from edge.report_data import gather
from edge.report_page import page
from edge.report_words import Words, percent, promise_word, span
from edge.setup import read_device
from edge.verdicts import Realised
from tests.brokers import free_port
from tests.commanding import running
from tests.daemons import write_config
from tests.plant_week import DAY, HOUR, Week, write_week
from tests.publishing import wait_until
from tests.understood import understood

DOC = (Path(__file__).parents[1] / "docs" / "report.md").read_text(encoding="utf-8")
NOW = time.time()
VOID = {"meta", "img"}


class Page(HTMLParser):
    """A page, read: its elements, its pictures, its text; faults of nesting and things outside it are collected."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.faults: list[str] = []
        self.pictures: list[bytes] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        self.faults += self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        values = dict(attrs)
        if tag in ("script", "link", "iframe", "object", "form") or "href" in values:
            self.faults.append(f"<{tag}>")
        if tag == "img":
            kind, _, data = (values["src"] or "").partition(";base64,")
            self.faults += [] if kind.startswith("data:image/") and values["alt"] else [f"img {kind}"]
            self.pictures.append(base64.b64decode(data))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element that is closed at once."""

    def handle_endtag(self, tag: str) -> None:
        """Note an element's end."""
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        """Note what is read on the page."""
        if self.open[-1:] not in (["style"], ["title"]):
            self.words.append(data.strip())

    @property
    def text(self) -> str:
        """Everything that is read on it."""
        return re.sub(r"\s+", " ", " ".join(self.words))


@pytest.fixture(scope="module")
def week(tmp_path_factory: pytest.TempPathFactory) -> Week:
    """A week in a plant, for tests that change nothing of it."""
    return write_week(tmp_path_factory.mktemp("week"), NOW)


@pytest.fixture
def own_week(tmp_path: Path, week: Week) -> Week:
    """The same, for a test that changes it."""
    shutil.copytree(week.config.parent, tmp_path / "own")
    return Week(tmp_path / "own" / "config.yaml", tmp_path / "own" / "state", week.ids, week.seconds_watched)


def written(week: Week, out: Path, *options: str) -> Page:
    """Return the page that the command writes."""
    assert main(["report", "--config", str(week.config), "--since", "7d", "-o", str(out), *options]) == 0
    return Page(out.read_text(encoding="utf-8"))


def printed(week: Week, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """Return the data that the command prints."""
    assert main(["report", "--config", str(week.config), "--since", "7d", "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_coverage_is_what_was_counted(week: Week, capsys: pytest.CaptureFixture[str]) -> None:
    """Seconds watched and blind, by camera; before its first hour a camera was not off; an hour under way has its part."""
    cameras = {one["camera"]: one for one in printed(week, capsys)["cameras"]}
    for name, camera in cameras.items():
        assert sum(hour["watched_seconds"] for hour in camera["hours"]) == pytest.approx(
            week.seconds_watched[name], abs=1
        )
    assert sum(hour["blind_seconds"] for hour in cameras["press3"]["hours"]) == pytest.approx(8 * 3599.0, abs=1)
    first = NOW - NOW % HOUR - 6 * DAY
    total = sum(
        sum(value for name, value in hour.items() if name.endswith("_seconds")) for hour in cameras["press3"]["hours"]
    )
    now = time.time()
    assert total == pytest.approx(now - first, abs=10), "the whole time until now; the command ended seconds ago"
    assert len(cameras["gate"]["hours"]) == int((now - first - 4 * DAY) // HOUR) + 1


def test_false_alarms_are_those_that_people_called_so(week: Week, capsys: pytest.CaptureFixture[str]) -> None:
    """A day of the time watched; answers are counted by camera, and the open ones as the worst case."""
    cameras = {one["camera"]: one["realised"] for one in printed(week, capsys)["cameras"]}
    days = week.seconds_watched["press3"] / DAY
    assert (cameras["press3"]["events"], cameras["press3"]["false"], cameras["press3"]["real"]) == (4, 1, 2)
    assert cameras["press3"]["false_per_day"] == pytest.approx(1 / days, abs=0.001)  # rounded to three places
    assert cameras["press3"]["most_per_day"] == pytest.approx(2 / days, abs=0.001)
    assert (cameras["gate"]["events"], cameras["gate"]["unanswered"]) == (2, 2)


def test_the_page_is_one_file_and_shows_what_happened(week: Week, tmp_path: Path) -> None:
    """No script, no address; the pictures in it are the files of the evidence, the newest first; every answer is there."""
    found = written(week, tmp_path / "r.html")
    assert found.faults == []
    files = [
        (next(week.state.glob(f"{FOLDER}/*/{event_id}")) / name).read_bytes()
        for event_id in reversed(week.ids)
        for name in ("strip.jpg", "heatmap.png")
    ]
    assert found.pictures == files
    for words in (
        "plant7 / edge1", "Something unexpected", "A usual movement did not come", "it was real", "false alarm",
        "nobody could say", "not answered yet", "lasted 12 s", "gate , ram".replace(" ,", ","), "camera moved",
        "2 real, 1 false, 3 open", "blind 8 hours", "1 active now", "8 hours", "10 minutes until the device ended",
        "Work has left what gate was calibrated on",
    ):  # fmt: skip
        assert words in found.text, words
    assert all(event_id in found.text for event_id in week.ids)
    assert "http" not in (tmp_path / "r.html").read_text(encoding="utf-8")


def test_a_drill_is_no_event(week: Week, capsys: pytest.CaptureFixture[str]) -> None:
    """Test events are left out; a camera's conditions are told apart from what happened."""
    kinds = [one["kind"] for one in printed(week, capsys)["events"]]
    assert sorted(kinds) == ["condition", "stall", *["surprise"] * 5]


def test_only_so_many_pictures(week: Week, tmp_path: Path) -> None:
    """The rest is a table, and nothing of it is left out."""
    found = written(week, tmp_path / "r.html", "--pictures", "2")
    assert len(found.pictures) == 4
    assert "4 earlier ones, without pictures" in found.text
    assert all(event_id in found.text for event_id in week.ids)


def test_what_retention_took_is_said(own_week: Week, tmp_path: Path) -> None:
    """An event outlives its evidence: it is told, without pictures."""
    shutil.rmtree(own_week.state / FOLDER)
    found = written(own_week, tmp_path / "r.html")
    assert found.pictures == []
    assert found.text.count("Its pictures are not kept any more.") == 6
    assert found.faults == []


def test_nothing_of_an_event_becomes_part_of_the_page(own_week: Week, tmp_path: Path) -> None:
    """A name that is HTML is shown as it is written."""
    path = next(own_week.state.glob(f"{FOLDER}/*/{own_week.ids[0]}")) / EVENT_FILE
    event = msgspec.json.decode(path.read_bytes(), type=Event)
    hostile = EventZone(id="<script>alert(1)</script>", peak=1.0, share=1.0)
    path.write_bytes(msgspec.json.encode(msgspec.structs.replace(event, zones=(hostile,))))
    found = written(own_week, tmp_path / "r.html")
    assert found.faults == []
    assert "<script>alert(1)</script>" in found.text


def test_times_are_those_of_the_zone(week: Week, tmp_path: Path) -> None:
    """Hours and events of India are five and a half hours later than UTC's."""
    begun = NOW - 0.7 * DAY
    for zone, offset in (("UTC", 0.0), ("Asia/Kolkata", 5.5 * HOUR)):
        found = written(week, tmp_path / "r.html", "--timezone", zone)
        assert Words(timezone.utc).second(begun + offset) in found.text
        assert f"times are {'UTC' if zone == 'UTC' else 'IST'}" in found.text


def test_a_week_in_which_nothing_happened_says_so(tmp_path: Path) -> None:
    """No event, no fault: the page says what that is worth."""
    quiet = write_week(tmp_path, NOW, events=0)
    (quiet.state / FAULTS_FILE).unlink()
    shutil.rmtree(quiet.state / FOLDER)
    found = written(quiet, tmp_path / "r.html")
    assert "Nothing unusual was seen in this time." in found.text
    assert "Nothing kept the device or a camera from doing its work." in found.text
    assert "nothing unusual was seen" in found.text
    assert found.faults == []


@pytest.mark.parametrize(
    ("promised", "false", "most", "word"),
    [
        (None, 1.0, 1.0, "nothing was promised"),
        (1.0, None, None, "not watched for long enough"),
        (1.0, 0.5, 1.0, "within the promise"),
        (1.0, 0.5, 1.5, "depends on open answers"),
        (1.0, 1.5, 2.0, "above what was promised"),
    ],
)
def test_a_promise_is_judged_by_answers(
    promised: float | None, false: float | None, most: float | None, word: str
) -> None:
    """Kept only where even the open answers cannot break it."""
    one = Realised("a", 1.0, 1, 0, 0, 0, 0, false, most, promised)
    assert promise_word(one) == word


@pytest.mark.parametrize(
    ("share", "told"), [(None, "–"), (1.0, "100 %"), (0.9997, "99.9 %"), (0.5, "50 %"), (0.0, "0 %")]
)
def test_almost_all_is_not_called_all(share: float | None, told: str) -> None:
    """Half a minute of an unseen day is not rounded away."""
    assert percent(share) == told


@pytest.mark.parametrize(("seconds", "told"), [(12, "12 s"), (60, "1 minute"), (5400, "1.5 hours"), (86400, "1 day")])
def test_lengths_of_time(seconds: float, told: str) -> None:
    """As people say them."""
    assert span(seconds) == told


def test_faults_are_noted_with_their_times(tmp_path: Path) -> None:
    """Begun and ended once each, however often they are told; the same fault of two cameras are two."""
    clock = [1000.0]
    a, b = (
        Fault(code="camera_lost", since=utc_from_seconds(since), hint="x.", camera=name)
        for name, since in (("a", 990), ("b", 995))
    )
    with FaultLedger(tmp_path / FAULTS_FILE, lambda: clock[0]) as ledger:
        for faults in ((a,), (a,), (a, b), (b,)):
            ledger.note(faults)
            clock[0] += 10.0
        found = past_faults(tmp_path / FAULTS_FILE, 0.0, 2000.0)
        assert [(one.camera, one.since_seconds, one.until_seconds) for one in found] == [
            ("a", 990.0, 1030.0),
            ("b", 995.0, None),
        ]
    (_, cut) = past_faults(tmp_path / FAULTS_FILE, 0.0, 2000.0)
    assert (cut.until_seconds, cut.is_cut) == (1040.0, True)
    assert [one.camera for one in past_faults(tmp_path / FAULTS_FILE, 1035.0, 2000.0)] == ["b"], "a was over by then"


def test_a_kill_leaves_a_fault_that_the_next_start_ends(tmp_path: Path) -> None:
    """How long it lasted is not known; the ledger says so."""
    fault = Fault(code="drift", since=utc_from_seconds(100.0), hint="x.", camera="a")
    FaultLedger(tmp_path / FAULTS_FILE, lambda: 200.0).note((fault,))  # and no more: killed
    with FaultLedger(tmp_path / FAULTS_FILE, lambda: 300.0):
        (found,) = past_faults(tmp_path / FAULTS_FILE, 0.0, 1000.0)
    assert (found.until_seconds, found.is_cut) == (300.0, True)


def test_a_damaged_ledger_keeps_no_camera_from_being_watched(tmp_path: Path) -> None:
    """It is set aside and begun anew."""
    (tmp_path / FAULTS_FILE).write_bytes(b"rubbish" * 1000)
    with FaultLedger(tmp_path / FAULTS_FILE, lambda: 1.0) as ledger:
        ledger.note((Fault(code="drift", since=utc_from_seconds(0.5), hint="x.", camera="a"),))
    assert len(past_faults(tmp_path / FAULTS_FILE, 0.0, 2.0)) == 1
    assert (tmp_path / f"{FAULTS_FILE}.damaged").exists()
    assert past_faults(tmp_path / "none.sqlite", 0.0, 2.0) == []
    (tmp_path / FAULTS_FILE).write_bytes(b"rubbish" * 1000)
    with pytest.raises(UsageError, match="is damaged"):  # who only reads sets nothing aside
        past_faults(tmp_path / FAULTS_FILE, 0.0, 2.0)
    assert (tmp_path / FAULTS_FILE).read_bytes() == b"rubbish" * 1000


def test_a_daemons_faults_are_in_the_report(tmp_path: Path) -> None:
    """A real daemon with a camera that does not answer: the page names it."""
    config = write_config(tmp_path, free_port(), loop=True)
    text = config.read_text().replace("cameras:\n", "cameras:\n  gate: {source: 'rtsp://127.0.0.1:1/none'}\n")
    config.write_text(text)
    with running(config):
        wait_until(lambda: bool(past_faults(tmp_path / "state" / FAULTS_FILE, 0.0, 2e9)), 20.0)
    (fault,) = past_faults(tmp_path / "state" / FAULTS_FILE, 0.0, 2e9)
    assert (fault.code, fault.camera, fault.is_cut) == ("camera_lost", "gate", True)
    found = written(Week(config, tmp_path / "state", [], {}), tmp_path / "r.html")
    assert "Camera lost gate" in found.text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--since", "soon"], "'soon' is no span of time; write 30m, 12h, 7d or 2w."),
        (["--timezone", "Mars/Olympus"], "--timezone Mars/Olympus: this machine knows no such zone"),
        (["-o", "/none/r.html"], "/none/r.html: there is no folder /none; make it first."),
        (["--pictures", "-1"], "--pictures -1: a number of events from 0 on is expected."),
    ],
)
def test_what_cannot_be_reported_is_one_sentence(
    week: Week, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    """A wrong call, with code 2."""
    assert main(["report", "--config", str(week.config), *options]) == 2
    assert message in capsys.readouterr().err


def test_before_the_first_start_there_is_nothing_to_tell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It says what writes it."""
    assert main(["report", "--config", str(write_config(tmp_path, 1)), "-o", str(tmp_path / "r.html")]) == 2
    assert "there are no events; they are noted by 'prednet-edge run'" in capsys.readouterr().err


def test_a_camera_that_is_gone_is_named(own_week: Week, tmp_path: Path) -> None:
    """Its events are told, and that it is not there any more."""
    text = own_week.config.read_text().replace("  gate: {source: clip.mkv}\n", "")
    own_week.config.write_text(text)
    found = written(own_week, tmp_path / "r.html")
    assert "Events of cameras that it no longer has are among them: gate." in found.text


def test_promises_stand_beside_what_became_of_them(week: Week) -> None:
    """One camera within its promise, one above: the row and the tile say so."""
    report = gather(read_device(week.config), NOW - 7 * DAY, NOW)
    changes = ({"promised_per_day": 1.0}, {"promised_per_day": 0.5, "false_per_day": 0.6, "most_per_day": 1.0})
    cameras = [
        msgspec.structs.replace(one, realised=msgspec.structs.replace(one.realised, **change))
        for one, change in zip(report.cameras, changes, strict=True)
    ]
    found = Page(page(msgspec.structs.replace(report, cameras=cameras), Words(timezone.utc), 0))
    assert "promise kept on 1 of 2 cameras" in found.text
    assert "press3 1 0.18 0 0.36 within the promise" in found.text
    assert "gate 0.5 0.6 0 1 above what was promised" in found.text


def test_progress_is_told_picture_by_picture(week: Week) -> None:
    """Long work shows how far it is."""
    told: list[int] = []
    page(gather(read_device(week.config), NOW - 7 * DAY, NOW), Words(timezone.utc), 3, lambda: told.append(1))
    assert len(told) == 3


@pytest.mark.parametrize("command", re.findall(r"^prednet-edge .*$", DOC, re.M))
def test_the_commands_of_the_documentation_are_understood(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """They exist as they are written."""
    understood(command, monkeypatch)
