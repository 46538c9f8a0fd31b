"""What people say of events: kept, counted beside the promise, and exported as footage."""

from __future__ import annotations

import json
import sqlite3
import time
from pathlib import Path

import pytest

from calibration.footage import read_footage
from edge.cli import main
from edge.coverage_ledger import Ledger
from edge.desk import LEDGER_FILE
from edge.event_ledger import EVENTS_FILE, EventLedger, LedgerEvent
from edge.frames import FrameFormat
from edge.labels import seconds_from_span
from edge.messages import Event, EventScore, EventTime, new_event_id
from edge.verdict_clips import export_clips
from edge.verdicts import line_of_realised, realised
from tests.brokers import mosquitto
from tests.commanding import served
from tests.daemons import write_config
from tests.films import write_video
from tests.tiny import write_tiny_bundle

DAY = 86400.0
NOON = 1_800_000_000.0


def noted(ledger: EventLedger, seconds: float, number: int, camera: str = "busy", kind: str = "surprise") -> str:
    """Note an event as the daemon does; return its id."""
    event_id = new_event_id(seconds, number.to_bytes(10, "big"))
    score = EventScore(peak=4.0, mean=3.0, threshold_on=2.0, threshold_off=1.0, valid_frames=9)
    for type_ in ("new", "update", "end", "evidence"):
        ledger.note(
            Event(
                type=type_, event_id=event_id, site="s", device="d", camera=camera, kind=kind, severity="alert",  # type: ignore[arg-type]
                time=EventTime(clock="synced"), score=score if type_ == "end" else None,
            )
        )  # fmt: skip
    return event_id


def entry(verdict: str | None, number: int, kind: str = "surprise") -> LedgerEvent:
    """An event of the ledger."""
    return LedgerEvent(str(number), "busy", kind, 0.0, None, verdict, None)  # type: ignore[arg-type]


def test_the_rate_is_that_of_false_events_in_the_time_watched() -> None:
    """Two false in half a day watched are four a day; with what nobody answered, eight. Conditions promise nothing."""
    said = ["false", "false", "real", "unsure", None]
    events = [entry(verdict, number) for number, verdict in enumerate(said)] + [entry("false", 9, "condition")]
    found = realised("busy", events, DAY / 2, 1.0)
    assert (found.events, found.false, found.real, found.unsure, found.unanswered) == (5, 2, 1, 1, 1)
    assert (found.false_per_day, found.most_per_day, found.promised_per_day) == (4.0, 8.0, 1.0)
    assert line_of_realised(found) == (
        "busy: 5 events (1 real, 2 false, 1 unsure, 1 without an answer); 4 false events a day in 0.50 days watched, "
        "8 if all that is open was false; promised: at most 1 a day"
    )
    for seconds, told in ((0.0, "not watched in this time"), (1200.0, "watched for 20 minutes, which is too short")):
        short = realised("busy", events, seconds, None)
        assert short.false_per_day is None
        assert told in line_of_realised(short)


def test_an_answer_is_kept_and_replaced_and_audited(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The last answer counts; an event that nobody knows is refused; both stand in the audit log."""
    config = write_device(tmp_path)
    with EventLedger(tmp_path / "state" / EVENTS_FILE) as ledger:
        event_id = noted(ledger, time.time() - 60, 1)
    for answer in ("real", "false"):
        assert main(["ack", event_id, answer, "--config", str(config)]) == 0
    assert main(["ack", "01JUNKNOWN", "real", "--config", str(config)]) == 2
    assert "there was no such event here" in capsys.readouterr().err
    assert main(["ack", event_id, "--config", str(config)]) == 2
    with EventLedger(tmp_path / "state" / EVENTS_FILE) as ledger:
        kept = ledger.event(event_id)
    assert kept is not None
    assert (kept.verdict, kept.peak) == ("false", 4.0)
    lines = [json.loads(line) for line in (tmp_path / "state" / "audit.jsonl").read_text().splitlines()]
    assert [(line["verb"], line["status"]) for line in lines] == [("acknowledge", "ok")] * 2 + [
        ("acknowledge", "error")
    ]
    assert f"event_id={event_id} verdict=false by=" in lines[1]["payload"]


def test_an_answer_that_cannot_be_kept_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who may only read is told so in a sentence, and what to do."""
    config = write_device(tmp_path)
    with EventLedger(tmp_path / "state" / EVENTS_FILE) as ledger:
        event_id = noted(ledger, time.time() - 60, 1)

    def refuse(*_: object) -> None:
        raise sqlite3.OperationalError("attempt to write a readonly database")

    monkeypatch.setattr(EventLedger, "acknowledge", refuse)
    assert main(["ack", event_id, "real", "--config", str(config)]) == 1
    assert "the answer is not kept (attempt to write a readonly database); call it with sudo" in capsys.readouterr().err


def test_an_answer_begins_no_ledger_anew(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A damaged one is the daemon's to set aside: the answer is refused, and the file stays as it is."""
    config = write_device(tmp_path)
    ledger = tmp_path / "state" / EVENTS_FILE
    ledger.write_bytes(b"no database" * 500)
    assert main(["ack", "01JUNKNOWN", "real", "--config", str(config)]) == 1
    assert "the answer is not kept (file is not a database)" in capsys.readouterr().err
    assert main(["ack", "--config", str(config)]) == 2
    assert "is damaged (file is not a database); the daemon begins a new one" in capsys.readouterr().err
    assert ledger.read_bytes() == b"no database" * 500
    assert [path.name for path in ledger.parent.iterdir()] == [EVENTS_FILE]


def write_device(folder: Path) -> Path:
    """A configuration with a tiny bundle, whose limit promises nothing, and an empty state directory."""
    write_tiny_bundle(folder / "tiny.prednet")
    (folder / "state").mkdir()
    path = folder / "config.yaml"
    path.write_text(
        "site: a\nbundle: tiny.prednet\nstate_directory: state\ncameras: {busy: {source: 'test://factory'}}\n"
    )
    return path


def test_the_command_tells_what_the_promise_was_worth(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One false event in six hours watched are four a day; what lies before --since does not count."""
    config, now = write_device(tmp_path), time.time()
    with EventLedger(tmp_path / "state" / EVENTS_FILE) as ledger:
        ledger.acknowledge(noted(ledger, now - 60, 1), "false", now)
        ledger.acknowledge(noted(ledger, now - 20 * DAY, 2), "false", now)
    with Ledger(tmp_path / "state" / LEDGER_FILE) as coverage:
        for hour in range(6):
            coverage.add("busy", now - 3600.0 * hour, {"watched_seconds": 3600.0}, is_clock_synced=True)
    assert main(["ack", "--config", str(config), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["events"], told["false"], told["false_per_day"]) == (1, 1, 4.0)
    assert told["promised_per_day"] is None


def test_false_events_become_footage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Their clips can be read as footage; what was real is not among them; clips that are gone are counted."""
    config, now = write_device(tmp_path), time.time()
    with EventLedger(tmp_path / "state" / EVENTS_FILE) as ledger:
        false, real, gone = (noted(ledger, now - 60 - number, number) for number in range(3))
        for event_id, verdict in ((false, "false"), (real, "real"), (gone, "false")):
            ledger.acknowledge(event_id, verdict, now)  # type: ignore[arg-type]
    for event_id in (false, real):
        folder = tmp_path / "state" / "evidence" / "busy" / event_id
        folder.mkdir(parents=True)
        write_video(folder / "clip.mp4", 30)
    assert main(["ack", "--config", str(config), "--export", str(tmp_path / "footage")]) == 0
    assert "1 clips copied; 1 events called false have no clip (any more)" in capsys.readouterr().out
    exported = tmp_path / "footage" / "false" / "busy"
    assert [path.name for path in exported.iterdir()] == [f"{false}.mp4"]
    (clip,) = read_footage([str(exported)], FrameFormat(32, 40, 1, 10.0))
    assert len(clip.images) == 10
    index = tmp_path / "footage" / "false" / "busy.events.json"
    assert [one["event_id"] for one in json.loads(index.read_text())] == [false]


def test_a_later_export_keeps_the_index_of_clips_that_are_there(tmp_path: Path) -> None:
    """A shorter --since brings the newest event alone; what lay there stays told, and what was taken away does not."""
    root, folder = tmp_path / "evidence", tmp_path / "footage"
    known = [LedgerEvent(new_event_id(NOON + day * DAY, bytes(10)), "busy", "surprise", NOON + day * DAY, None, "false",
                         None) for day in range(3)]  # fmt: skip
    for one in known:
        (root / "busy" / one.event_id).mkdir(parents=True)
        (root / "busy" / one.event_id / "clip.mp4").write_bytes(b"film")
    export_clips(root, known[:2], "false", folder)
    (folder / "false" / "busy" / f"{known[0].event_id}.mp4").unlink()
    copied, missing = export_clips(root, known[2:], "false", folder)
    assert (copied, missing) == ({"busy": [f"{known[2].event_id}.mp4"]}, 0)
    index = json.loads((folder / "false" / "busy.events.json").read_text())
    assert [one["event_id"] for one in index] == [one.event_id for one in known[1:]]


def test_the_command_over_mqtt_keeps_the_verdict(tmp_path: Path) -> None:
    """`acknowledge` with a verdict reaches the same ledger while the daemon runs; the reply repeats it."""
    (tmp_path / "broker").mkdir()
    with mosquitto(tmp_path / "broker") as broker:
        config = write_config(tmp_path, broker.port, loop=True)
        with served(tmp_path, config, broker) as operator:
            event_id = operator.ask("test_event", {"camera": "quiet"})["result"]["event_id"]
            reply = operator.ask("acknowledge", {"event_id": event_id, "verdict": "unsure"})
            assert reply["result"]["verdict"] == "unsure"
            assert operator.ask("acknowledge", {"event_id": event_id, "verdict": "maybe"})["code"] == "bad_arguments"
            with EventLedger(tmp_path / "state" / EVENTS_FILE) as ledger:
                kept = ledger.event(event_id)
    assert kept is not None
    assert kept.verdict == "unsure"


@pytest.mark.parametrize(("text", "seconds"), [("30m", 1800.0), ("12h", 43200.0), ("7d", 7 * DAY), ("2w", 14 * DAY)])
def test_spans_of_time(text: str, seconds: float) -> None:
    """Minutes, hours, days and weeks."""
    assert seconds_from_span(text) == seconds
