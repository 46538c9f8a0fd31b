"""Retention: what goes first, by age, severity and room; and deletion on request, which is logged."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import msgspec
import pytest

import edge.evidence_store
from edge.cli import main
from edge.evidence_settings import Evidence
from edge.evidence_store import EVENT_FILE, Kept, kept_evidence, make_room, sacrifices
from edge.json_files import read_json
from edge.labels import seconds_from_event_id, seconds_from_utc
from edge.messages import ClockState, Event, EventTime, new_event_id, utc_from_seconds
from edge.page import answers
from edge.page.listing import evidence_file
from tests.page_serving import EVENT_ID, bearer, served

DAY = 86400.0
NOW = 1_800_000_000.0
KB = 1000


def put(
    root: Path, days_ago: float, severity: str = "alert", camera: str = "press3", clock: ClockState = "synced"
) -> str:
    """Lay down an event's evidence: a clip of 100 kB, a heat map of 10 kB, a trace and the event; return its id."""
    event_id = new_event_id(NOW - days_ago * DAY, bytes([int(days_ago * 7) % 256] * 10))
    folder = root / camera / event_id
    folder.mkdir(parents=True)
    event = Event(
        type="end", event_id=event_id, site="a", device="b", camera=camera, kind="surprise", severity=severity,
        time=EventTime(clock=clock),
    )  # fmt: skip
    (folder / EVENT_FILE).write_bytes(msgspec.json.encode(event))
    for name, size in (("clip.mp4", 100 * KB), ("heatmap.png", 10 * KB), ("trace.csv", KB)):
        (folder / name).write_bytes(bytes(size))
    return event_id


def names(root: Path, event_id: str) -> set[str]:
    """Return the files that an event still has."""
    return {path.name for path in root.glob(f"*/{event_id}/*")}


@pytest.mark.parametrize("seconds", [0.0, 1.234, NOW, NOW + 0.999])
def test_times_come_back_from_their_labels(seconds: float) -> None:
    """To the millisecond, which is what a label holds; rounded down as it is."""
    assert seconds_from_utc(utc_from_seconds(seconds)) == pytest.approx(seconds, abs=0.001)
    assert seconds_from_event_id(new_event_id(seconds, bytes(10))) == pytest.approx(seconds, abs=0.001)
    assert seconds_from_event_id("no id!") == 0.0


def test_age_counts_by_severity(tmp_path: Path) -> None:
    """Alerts stay for 30 days, warnings for 7."""
    old, new = put(tmp_path, 31), put(tmp_path, 29)
    old_warning, new_warning = put(tmp_path, 8, "warning"), put(tmp_path, 6, "warning")
    make_room(tmp_path, Evidence(), 10**12, NOW, is_clock_known=True)
    assert {one.event_id for one in kept_evidence(tmp_path)} == {new, new_warning}
    assert old not in {one.event_id for one in kept_evidence(tmp_path)}
    assert names(tmp_path, old_warning) == set()


def test_a_clock_that_is_not_known_makes_nothing_old(tmp_path: Path) -> None:
    """Neither a step of the clock now, nor a start without the time then, deletes evidence."""
    put(tmp_path, 100)
    make_room(tmp_path, Evidence(), 10**12, NOW, is_clock_known=False)
    assert len(kept_evidence(tmp_path)) == 1
    put(tmp_path, 200, clock="unsynced")
    make_room(tmp_path, Evidence(), 10**12, NOW, is_clock_known=True)
    assert [one.is_clock_known for one in kept_evidence(tmp_path)] == [False]


def test_the_order_of_sacrifice_is_that_of_the_faults(tmp_path: Path) -> None:
    """Clips of what is no alert, heat maps, clips of alerts, whole events; each from the oldest on."""
    first, second, warning = put(tmp_path, 3), put(tmp_path, 2), put(tmp_path, 1, "warning")
    order = [
        (path.parent.name, path.name) if path.is_file() else (path.name, "")
        for path, _ in sacrifices(kept_evidence(tmp_path))
    ]
    assert order == [
        (warning, "clip.mp4"),
        (first, "heatmap.png"), (second, "heatmap.png"), (warning, "heatmap.png"),
        (first, "clip.mp4"), (second, "clip.mp4"),
        (first, ""), (second, ""), (warning, ""),
    ]  # fmt: skip


def test_no_more_goes_than_room_is_lacking(tmp_path: Path) -> None:
    """150 kB lack: the warning's clip, all heat maps and one clip of an alert go, the newer alert keeps its own."""
    old, new, warning = put(tmp_path, 3), put(tmp_path, 2), put(tmp_path, 1, "warning")
    settings = Evidence(free_megabytes=1.0)
    free = make_room(tmp_path, settings, 1_000_000 - 150 * KB, NOW, is_clock_known=True)
    assert names(tmp_path, old) == {"trace.csv", EVENT_FILE}
    assert names(tmp_path, new) == {"clip.mp4", "trace.csv", EVENT_FILE}
    assert names(tmp_path, warning) == {"trace.csv", EVENT_FILE}
    assert free == 1_000_000 - 150 * KB + 230 * KB


def test_the_budget_is_kept(tmp_path: Path) -> None:
    """Whatever room the disk has, evidence takes no more than it may."""
    for number in range(30):
        put(tmp_path, 20 - number / 2)
    make_room(tmp_path, Evidence(megabytes=1.0), 10**12, NOW, is_clock_known=True)
    assert sum(one.bytes for one in kept_evidence(tmp_path)) <= 1_000_000
    assert len(kept_evidence(tmp_path)) == 30, "the small files stay as long as they can"


def test_a_file_that_is_no_evidence_keeps_nothing_from_its_bounds(tmp_path: Path) -> None:
    """What somebody left beside the events is let lie; the disk is kept from filling all the same."""
    for number in range(30):
        put(tmp_path, 20 - number / 2)
    (tmp_path / "press3" / "Thumbs.db").write_bytes(b"left by a file manager")
    (tmp_path / "notes.txt").write_text("and by a person")
    make_room(tmp_path, Evidence(megabytes=1.0), 10**12, NOW, is_clock_known=True)
    assert sum(one.bytes for one in kept_evidence(tmp_path)) <= 1_000_000
    assert (tmp_path / "press3" / "Thumbs.db").exists()


def write_config(folder: Path) -> Path:
    """A configuration whose state directory is `state`."""
    path = folder / "config.yaml"
    path.write_text("site: a\nbundle: b.prednet\nstate_directory: state\ncameras: {press3: {source: x.mp4}}\n")
    return path


def test_deletion_on_request_is_logged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A camera's and a time's: what was asked for goes, the rest stays, the audit log says who asked for what."""
    root, config = tmp_path / "state" / "evidence", write_config(tmp_path)
    other, kept = put(root, 1, camera="press4"), put(root, 5)
    put(root, 1)
    since = utc_from_seconds(NOW - 2 * DAY)[:16]
    assert main(["evidence", "delete", "--config", str(config), "--camera", "press3", "--from", since]) == 0
    assert {one.event_id for one in kept_evidence(root)} == {other, kept}
    assert "deleted: 1 events, 0.1 MB" in capsys.readouterr().out
    (line,) = (tmp_path / "state" / "audit.jsonl").read_text().splitlines()
    entry = json.loads(line)
    assert (entry["verb"], entry["status"]) == ("evidence_delete", "ok")
    assert f"camera=press3 from={since} to=None by=" in entry["payload"]
    assert main(["evidence", "list", "--json", "--config", str(config)]) == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["event_id"] for one in told] == [kept, other]
    assert [one["bytes"] for one in told] == [one.bytes for one in kept_evidence(root)]


def test_what_may_not_be_deleted_is_said_and_logged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who may not delete is told that all is still there, with exit code 1; the audit log does not say that it went."""
    root, config = tmp_path / "state" / "evidence", write_config(tmp_path)
    event_id = put(root, 1)
    monkeypatch.setattr(shutil, "rmtree", lambda _path, ignore_errors: None)  # what it does where nothing is allowed
    assert main(["evidence", "delete", "--config", str(config), "--camera", "press3"]) == 1
    said = capsys.readouterr()
    assert f"{event_id}: this, and 0 more" in said.err
    assert "deleted:" not in said.out
    entry = json.loads((tmp_path / "state" / "audit.jsonl").read_text())
    assert (entry["status"], entry["code"]) == ("error", "failed")
    assert entry["payload"].endswith("bytes=0 not_deleted=1")
    assert len(names(root, event_id)) == 4


def test_deletion_takes_nothing_of_cameras_that_are_not_named(tmp_path: Path) -> None:
    """A camera's name is no pattern and no path: frames elsewhere stay."""
    (tmp_path / "state" / "evidence").mkdir(parents=True)
    config, films = write_config(tmp_path), [tmp_path / "state" / "ring" / "press3", tmp_path / "footage"]
    for folder in films:
        folder.mkdir(parents=True)
        (folder / "00000000001000.mkv").write_bytes(b"film")
    for camera in ("*", "../../footage", "press"):
        assert main(["evidence", "delete", "--config", str(config), "--camera", camera]) == 0
    assert all((folder / "00000000001000.mkv").exists() for folder in films)


def test_who_asked_is_not_what_the_environment_claims(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The audit log names the user that the kernel knows, also one without a name, as containers have."""
    config = write_config(tmp_path)
    monkeypatch.delenv("SUDO_USER", raising=False)
    for variable in ("LOGNAME", "USER"):
        monkeypatch.setenv(variable, "somebody-else")
    monkeypatch.setattr(os, "getuid", lambda: 61_234_567)  # nobody's
    put(tmp_path / "state" / "evidence", 1)
    assert main(["evidence", "delete", "--config", str(config), "--camera", "press3"]) == 0
    assert " by=61234567 " in json.loads((tmp_path / "state" / "audit.jsonl").read_text())["payload"]


def test_everything_is_never_deleted_by_leaving_words_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`delete` alone is refused, and so is a time that is none."""
    put(tmp_path / "state" / "evidence", 1)
    config = write_config(tmp_path)
    assert main(["evidence", "delete", "--config", str(config)]) == 2
    assert main(["evidence", "delete", "--config", str(config), "--from", "yesterday"]) == 2
    assert "'yesterday' is no time" in capsys.readouterr().err
    assert len(kept_evidence(tmp_path / "state" / "evidence")) == 1


def test_evidence_that_vanishes_while_it_is_listed_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command deletes an event after the daemon's sweep has found its folder: the sweep goes on with the others."""
    gone, left = put(tmp_path, 3), put(tmp_path, 2)

    def deleted_meanwhile(path: Path, kind: type, default: object) -> object:
        if path.parent.name == gone:
            shutil.rmtree(path.parent)
        return read_json(path, kind, default)

    monkeypatch.setattr(edge.evidence_store, "read_json", deleted_meanwhile)
    known: dict[Path, Kept] = {}
    assert [one.event_id for one in kept_evidence(tmp_path, known)] == [left]
    assert [path.name for path in known] == [left]


def test_the_page_says_that_evidence_has_just_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the look and the reading of a clip it is deleted: 404 with a sentence, as a moment later."""

    def deleted_meanwhile(state: Path, place: str) -> Path | None:
        path = evidence_file(state, place)
        if path is not None:
            path.unlink()
        return path

    monkeypatch.setattr(answers, "evidence_file", deleted_meanwhile)
    with served(tmp_path) as page:
        status, _, body = page.ask(f"/evidence/busy/{EVENT_ID}/clip.mp4", headers=bearer())
    assert (status, json.loads(body)["error"][:30]) == (404, "There is no such evidence: it ")


def test_what_is_known_is_not_read_again(tmp_path: Path) -> None:
    """An event's file that turned to rubbish counts as it was read; what came, went and shrank is seen."""
    first, second = put(tmp_path, 3), put(tmp_path, 2)
    known: dict[Path, Kept] = {}
    assert len(kept_evidence(tmp_path, known)) == 2
    (tmp_path / "press3" / first / EVENT_FILE).write_bytes(b"rubbish")
    assert [one.severity for one in kept_evidence(tmp_path, known)] == ["alert", "alert"]
    third = put(tmp_path, 1)
    shutil.rmtree(tmp_path / "press3" / second)
    assert [one.event_id for one in kept_evidence(tmp_path, known)] == [first, third]
    make_room(tmp_path, Evidence(free_megabytes=1.0), 995 * KB, NOW, is_clock_known=True, known=known)  # one heat map
    assert [set(one.files) for one in kept_evidence(tmp_path, known)] == [
        {"clip.mp4", "trace.csv", EVENT_FILE}, {"clip.mp4", "heatmap.png", "trace.csv", EVENT_FILE},
    ]  # fmt: skip
