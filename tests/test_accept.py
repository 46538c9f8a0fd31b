"""Acceptance: each promise against what happened, what cannot be judged is said, and the page cannot be changed."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from edge.acceptance.judging import (
    Promised,
    Uptime,
    broker_reconnects,
    false_events,
    latency,
    reconnects,
    self_tests,
    uptime,
)
from edge.acceptance.ledger import BROKER, FILE, Loss, PromiseLedger, bucket_of, milliseconds_of, share_within
from edge.acceptance.page import KEY_FILE, device_key
from edge.acceptance.record import Record
from edge.capture import Mailboxes
from edge.cli import main
from edge.coverage_ledger import Ledger, hour_of
from edge.event_ledger import EventLedger
from edge.frames import Frame
from edge.messages import Event, EventTime, new_event_id, utc_from_seconds
from edge.moments import Moment
from edge.self_tests.results import STATIONS, CameraTest, SelfTest, Station, keep_tests
from edge.signing import is_signed, signed
from edge.verdicts import Realised
from tests.brokers import mosquitto
from tests.bundles import write_device
from tests.commanding import Operator, running

PROMISED = Promised()
HOUR = 3600.0
FRAMES_BEGAN = time.time() - HOUR


def realised(promised: float | None, days: float, false: int = 0, real: int = 0, unanswered: int = 0) -> Realised:
    """What people said of a camera."""
    return Realised(
        camera="cam", watched_days=days, events=false + real + unanswered, real=real, false=false, unsure=0,
        unanswered=unanswered, false_per_day=None, most_per_day=None, promised_per_day=promised,
    )  # fmt: skip


FALSE_EVENTS = [
    (realised(1.0, 0.98), "kept", "at most 3.1 a day"),
    (realised(1.0, 0.98, false=1, real=5), "kept", "5 real"),
    (realised(1.0, 0.98, false=2), "broken", "2 called false"),
    (realised(1.0, 0.98, unanswered=2), "not judged", "depends on the answers"),
    (realised(0.1, 0.98), "not judged", "takes 120 hours watched or more"),
    (realised(0.1, 0.98, false=2), "broken", "2 called false"),
    (realised(None, 0.98), "not judged", "0 called false"),
    (realised(1.0, 0.3), "not judged", "takes 12 hours watched or more"),
]


@pytest.mark.parametrize(("one", "verdict", "told"), FALSE_EVENTS)
def test_false_events_are_counted_as_people_answered_them(one: Realised, verdict: str, told: str) -> None:
    """What nobody answered is neither passed nor held against the device; a time that is too short says how long."""
    clause = false_events(one)
    assert clause.verdict == verdict
    assert told in clause.seen


def time_of(**seconds: float) -> Uptime:
    """A day of one camera, watched but for what is said otherwise."""
    rest = {name: seconds.get(name, 0.0) for name in ("warming", "degraded", "blind", "disabled", "off")}
    flags = {name: bool(seconds.get(name, True)) for name in ("is_whole", "is_clock_sure")}
    return Uptime(camera="cam", watched=24 * HOUR - sum(rest.values()), total=24 * HOUR, **rest, **flags)


UPTIMES = [
    (time_of(blind=800.0), "kept"),
    (time_of(blind=900.0), "broken"),
    (time_of(off=900.0), "broken"),
    (time_of(disabled=6 * HOUR), "kept"),
    (time_of(disabled=13 * HOUR), "not judged"),
    (time_of(is_whole=False), "not judged"),
    (time_of(is_clock_sure=False), "not judged"),
]


@pytest.mark.parametrize(("one", "verdict"), UPTIMES)
def test_the_time_watched_is_held_against_the_time_wished(one: Uptime, verdict: str) -> None:
    """99 % of a day leave 864 s; what a person switched off is not wished; a young device is not judged."""
    assert uptime(one, PROMISED).verdict == verdict


RECONNECTS = [
    ([], "not judged"),
    ([Loss("cam", 0.0, 60.0, 6.0, 0)], "kept"),
    ([Loss("cam", 0.0, 60.0, 6.0, 0), Loss("cam", 90.0, 200.0, 15.1, 0)], "broken"),
    ([Loss("cam", 0.0, None, None, 0)], "not judged"),
    ([Loss("cam", 0.0, 60.0, 6.0, 1)], "not judged"),
]


@pytest.mark.parametrize(("losses", "verdict"), RECONNECTS)
def test_each_loss_must_have_ended_in_time_and_by_itself(losses: list[Loss], verdict: str) -> None:
    """What never happened, lasts, or took a start of the daemon is no pass."""
    assert reconnects("cam", losses, PROMISED).verdict == verdict


def test_the_broker_and_self_tests_are_judged_alike() -> None:
    """Back by itself; every test passed; nothing known, nothing passed."""
    assert broker_reconnects([]).verdict == "not judged"
    assert broker_reconnects([Loss(BROKER, 0.0, 5.0, None, 0)]).verdict == "kept"
    assert broker_reconnects([Loss(BROKER, 0.0, None, None, 0)]).verdict == "not judged"
    good, bad = self_test_at(0.0, passed=True), self_test_at(0.0, passed=False)
    assert [self_tests(tests).verdict for tests in ([], [good], [good, bad])] == ["not judged", "kept", "broken"]


def self_test_at(wall_seconds: float, *, passed: bool) -> SelfTest:
    """A self-test of `cam`."""
    stations = tuple(Station(name=name, passed=True, told="", milliseconds=20.0) for name in STATIONS)
    stations = stations if passed else stations[:2]
    return SelfTest(id="x", time=utc_from_seconds(wall_seconds), asked_by="schedule", passed=passed,
                    cameras=(CameraTest(camera="cam", stations=stations),))  # fmt: skip


LATENCIES = [
    ({bucket_of(100.0): 2000}, [20.0], "kept"),
    ({bucket_of(100.0): 1899, bucket_of(400.0): 101}, [20.0], "broken"),
    ({bucket_of(100.0): 2000}, [60.0], "broken"),
    ({bucket_of(100.0): 2000}, [], "not judged"),
    ({bucket_of(100.0): 999}, [20.0], "not judged"),
    ({}, [20.0], "not judged"),
]


@pytest.mark.parametrize(("counts", "acknowledged", "verdict"), LATENCIES)
def test_95_of_100_frames_and_the_way_to_the_broker_must_be_fast(
    counts: dict[int, int], acknowledged: list[float], verdict: str
) -> None:
    """Their sum counts; without a measurement of the way, or with few frames, nothing is said."""
    assert latency("cam", counts, acknowledged, PROMISED).verdict == verdict


def test_the_share_of_a_histogram_is_that_of_its_numbers_rounded_up() -> None:
    """Against numpy's percentile: at most a bucket, a tenth, above it, and never below."""
    values = np.random.default_rng(3).lognormal(3.0, 0.8, 5000)
    counts: dict[int, int] = {}
    for value in values:
        counts[bucket_of(value)] = counts.get(bucket_of(value), 0) + 1
    exact, found = float(np.percentile(values, 95)), share_within(counts, 0.95)
    assert found is not None
    assert exact * 0.999 <= found <= exact * 1.11
    assert share_within({}, 0.95) is None
    assert milliseconds_of(bucket_of(50.0)) >= 50.0


class Connection:
    """A publisher as far as the record looks at it."""

    is_connected = True


def test_losses_and_latencies_are_noted_as_they_happen(tmp_path: Path) -> None:
    """A camera that goes and comes back, with the time since the last vain attempt; the broker; a start in between."""
    now = [100.0]
    mailboxes, connection = Mailboxes(["cam"], clock=lambda: now[0]), Connection()
    frame = Frame(np.zeros((2, 2, 1), np.uint8), 0.0)
    path = tmp_path / FILE
    with PromiseLedger(path) as ledger:
        record = Record(ledger, mailboxes, connection, lambda: now[0], lambda: now[0])  # type: ignore[arg-type]
        record.tick()
        record.see(Moment("cam", 0.0, "blind", lost="camera_lost"))
        now[0] = 130.0
        mailboxes.lose("cam", "no answer")
        now[0] = 136.0
        mailboxes.put("cam", frame, None)
        now[0] = 136.05
        record.see(seen(frame, "warming_up"))
        record.see(seen(frame, "watching"))
        connection.is_connected = False
        record.tick()
        now[0] = 400.0
        record.tick()
        (camera, broker) = ledger.losses(0.0, 500.0)
        assert (camera.name, camera.lost, camera.back) == ("cam", 100.0, 136.05)
        assert camera.recovery_seconds == pytest.approx(6.05)
        assert (broker.name, broker.lost, broker.back) == (BROKER, 136.05, None)
        assert ledger.latency(hour_of(0.0), hour_of(500.0)) == {"cam": {bucket_of(50.0): 2}}
    connection.is_connected = True
    with PromiseLedger(path) as ledger:
        Record(ledger, mailboxes, connection, lambda: now[0], lambda: now[0]).tick()  # type: ignore[arg-type]
        broker = ledger.losses(0.0, 500.0)[1]
        assert (broker.back, broker.restarts) == (400.0, 1)


def test_a_pause_without_an_attempt_is_not_measured_from_an_earlier_one(tmp_path: Path) -> None:
    """A camera that falls silent and goes on by itself was never tried; attempts of an hour ago say nothing of it."""
    now = [100.0]
    mailboxes, frame = Mailboxes(["cam"], clock=lambda: now[0]), Frame(np.zeros((2, 2, 1), np.uint8), 0.0)
    with PromiseLedger(tmp_path / FILE) as ledger:
        record = Record(ledger, mailboxes, Connection(), lambda: now[0], lambda: now[0])  # type: ignore[arg-type]
        mailboxes.lose("cam", "no answer")
        now[0] = 3600.0
        mailboxes.put("cam", frame, None)
        mailboxes.take(0.0)
        now[0] = 3606.0
        ((silent,),) = (mailboxes.take(0.0),)
        record.see(Moment("cam", 0.0, "blind", lost=silent.lost["cam"]))
        mailboxes.put("cam", frame, None)
        record.see(seen(frame, "watching"))
        assert [(one.back, one.recovery_seconds) for one in ledger.losses(0.0, 5000.0)] == [(3606.0, None)]


def test_losses_are_bounded_and_one_that_lasts_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A camera that flaps for years costs no disk, and hides none that is away all the time."""
    monkeypatch.setattr("edge.acceptance.ledger.ROWS_KEPT", 3)
    with PromiseLedger(tmp_path / FILE) as ledger:
        ledger.lose("gone", 1.0)
        for number in range(10, 20):
            ledger.lose("cam", float(number))
            ledger.find("cam", number + 0.5, None)
        assert [(one.name, one.lost) for one in ledger.losses(0.0, 100.0)] == [
            ("gone", 1.0), ("cam", 17.0), ("cam", 18.0), ("cam", 19.0)
        ]  # fmt: skip
        monkeypatch.setattr("edge.acceptance.ledger.ROWS_KEPT", 1)
        ledger.begin()
        assert [one.lost for one in ledger.losses(0.0, 100.0)] == [1.0, 19.0]


def test_a_loss_is_found_by_its_index_in_older_ledgers_too(tmp_path: Path) -> None:
    """The river waits for it: with a million losses behind it, a search through all takes a tenth of a second."""
    with closing(sqlite3.connect(tmp_path / FILE)) as older:
        older.execute(
            "CREATE TABLE losses (id INTEGER PRIMARY KEY, name TEXT NOT NULL, lost REAL NOT NULL, back REAL, "
            "recovery REAL, restarts INTEGER NOT NULL DEFAULT 0)"
        )
    with PromiseLedger(tmp_path / FILE), closing(sqlite3.connect(tmp_path / FILE)) as database:
        for statement in (
            "SELECT 1 FROM losses WHERE name = 'cam' AND back IS NULL",
            "UPDATE losses SET back = 1.0 WHERE name = 'cam' AND back IS NULL",
            "UPDATE losses SET restarts = restarts + 1 WHERE back IS NULL",
        ):
            plan = " ".join(str(row) for row in database.execute(f"EXPLAIN QUERY PLAN {statement}"))
            assert "losses_that_last" in plan, statement


def seen(frame: Frame, state: str) -> Moment:
    """A moment of a frame; the record looks at no more of it."""
    return Moment("cam", 0.0, state, sensed=frame)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A device with a day and two hours of ledgers, as the daemon writes them."""
    folder = tmp_path_factory.mktemp("accept")
    path = write_device(folder, 1883)
    state, now = folder / "state", time.time()
    state.mkdir()
    with Ledger(state / "coverage.sqlite") as ledger:
        for back in range(25, -1, -1):
            ledger.add("cam", now - HOUR * back, {"watched_seconds": HOUR}, is_clock_synced=True)
    with EventLedger(state / "events.sqlite") as events:
        for hours, verdict in ((3.0, "real"), (9.0, None)):
            event = event_at(now - hours * HOUR)
            events.note(event)
            if verdict is not None:
                events.acknowledge(event.event_id, "real", now)
    with PromiseLedger(state / FILE) as promises:
        promises.add_latency(FRAMES_BEGAN, {("cam", bucket_of(30.0)): 5000})
        promises.lose("cam", now - 5 * HOUR)
        promises.find("cam", now - 5 * HOUR + 40.0, 5.0)
    keep_tests(state, [self_test_at(now - 2 * HOUR, passed=True)])
    return path


def event_at(wall_seconds: float) -> Event:
    """A surprise that began and ended then."""
    event_id = new_event_id(wall_seconds, bytes(10))
    label = EventTime(clock="synced", start=utc_from_seconds(wall_seconds))
    return Event(type="new", event_id=event_id, site="plant7", device="edge1", camera="cam", kind="surprise",
                 time=label)  # fmt: skip


@pytest.fixture
def page(config: Path, tmp_path: Path) -> Path:
    """The page of that device."""
    out = tmp_path / "acceptance.html"
    assert main(["accept", "--hours", "24", "--config", str(config), "-o", str(out)]) == 0
    return out


def test_a_day_is_judged_from_the_ledgers_and_written_on_one_page(
    config: Path, page: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every promise has its verdict; the page needs nothing else; what cannot be judged is said."""
    assert main(["accept", "--config", str(config), "-o", str(page), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    verdicts = {clause["name"]: clause["verdict"] for clause in found["clauses"]}
    assert verdicts == {
        "false events": "not judged",  # the bundle of the test promises nothing
        "uptime": "kept",
        "reconnects": "kept",
        "latency": "kept",
        "broker": "not judged",
        "self-test": "kept",
    }
    text = page.read_text()
    assert not re.search(r"(?:src|href)=|@import|url\(", text)
    assert "Everything that could be judged was kept." in text
    assert text.count('class="mark not-judged"') == 2
    (facts,) = re.findall(r'id="facts">(.*?)</script>', text)
    assert json.loads(facts) == found
    assert 23.0 <= found["hours"] <= 24.0
    (speed,) = (clause["seen"] for clause in found["clauses"] if clause["name"] == "latency")
    assert f"of 5,000 frames (since {hour_of(FRAMES_BEGAN)}, UTC; of earlier hours none are kept)" in speed


def test_a_broken_promise_is_code_4(config: Path, tmp_path: Path) -> None:
    """A stricter promise than what was kept."""
    words = ["accept", "--config", str(config), "-o", str(tmp_path / "page.html")]
    assert main([*words, "--recovery", "4"]) == 4
    assert "Not everything that was promised was kept." in (tmp_path / "page.html").read_text()


def test_a_changed_page_is_found_and_a_right_one_verified(
    config: Path, page: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Any changed byte, another key, a page without a signature, text behind it; openssl agrees with the signature.

    The key that is told is the one that was given, whatever the page names beside its signature.
    """
    state = config.parent / "state"
    assert (state / KEY_FILE).stat().st_mode & 0o777 == 0o600
    words = ["accept", "verify", str(page)]
    assert main(words) == 0
    assert main([*words, "--key", str(state / "device.pub")]) == 0
    good = page.read_bytes()
    for changed in (
        good.replace(b"kept", b"KEPT", 1),
        good.replace(b"99.0%", b"99.9%", 1),
        good + b"<p>more</p>",
        good[: good.index(b"<!-- prednet-edge signature")],
        good.replace(b'"ed25519":"', b'"ed25519":"00', 1),
        good.replace(b'"ed25519":"', b'"ed25519":"\xff', 1),
    ):
        assert changed != good
        page.write_bytes(changed)
        assert main(words) == 1
    named = re.search(rb'"public_key":"([0-9a-f]{64})"} -->', good)
    assert named is not None
    page.write_bytes(good.replace(named[0], b'"public_key":"' + 64 * b"0" + b'"} -->'))
    capsys.readouterr()
    assert main([*words, "--key", str(state / "device.pub"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["public_key"] == named[1].decode()
    page.write_bytes(good)
    other = tmp_path / "other.pem"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", str(other)], check=True, capture_output=True)
    public = tmp_path / "other.pub"
    subprocess.run(["openssl", "pkey", "-in", str(other), "-pubout", "-out", str(public)], check=True)
    assert main([*words, "--key", str(public)]) == 1
    text, _, rest = good.rpartition(b"<!-- prednet-edge signature ")
    (tmp_path / "signed").write_bytes(b"prednet-edge acceptance page\n" + text)
    signature = json.loads(rest.removesuffix(b" -->\n"))["ed25519"]
    (tmp_path / "signature").write_bytes(bytes.fromhex(signature))
    judged = subprocess.run(
        ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", str(state / "device.pub"), "-rawin",
         "-in", str(tmp_path / "signed"), "-sigfile", str(tmp_path / "signature")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert judged.returncode == 0, judged.stderr


def test_the_key_is_made_once(config: Path, page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every page of a device has the same key, which `accept key` prints."""
    assert main(["accept", "key", "--config", str(config), "--json"]) == 0
    public = json.loads(capsys.readouterr().out)["public_key"]
    assert f'"public_key":"{public}"' in page.read_text()


REFUSALS = [
    (["--hours", "1"], "--hours 1 is not within 2 to 2160"),
    (["--uptime", "101"], "--uptime 101 is not within 0 to 100 percent"),
    (["verify"], "accept verify wants a page"),
]


def test_a_key_whose_making_was_cut_off_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk or a power cut within it leaves no half key, which would be in the way for ever."""

    def full(handle: int) -> None:
        if KEY_FILE in Path(f"/proc/self/fd/{handle}").readlink().name:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        device_key(tmp_path)
    assert not (tmp_path / KEY_FILE).exists()
    monkeypatch.undo()
    signature = signed(b"page", device_key(tmp_path))
    assert is_signed(b"page", signature, signature.public_key)
    assert {path.name for path in tmp_path.iterdir()} == {KEY_FILE, "device.pub"}


@pytest.mark.parametrize(("words", "message"), REFUSALS, ids=[words[0] for words, _ in REFUSALS])
def test_what_makes_no_sense_is_refused(
    config: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Code 2 and a sentence."""
    assert main(["accept", *words, "--config", str(config)]) == 2
    assert message in capsys.readouterr().err


def test_a_young_device_passes_nothing(tmp_path: Path) -> None:
    """A daemon that has run for seconds before a real broker: its frames are noted, and nothing is judged kept."""
    (tmp_path / "broker").mkdir()
    with mosquitto(tmp_path / "broker") as broker:
        config = write_device(tmp_path, broker.port)
        with Operator(broker.port) as operator, running(config):
            operator.wait("cam/cam/state", holding=b"watching")
    with sqlite3.connect(tmp_path / "state" / FILE) as database:
        assert database.execute("SELECT sum(count) FROM latency WHERE camera = 'cam'").fetchone()[0] >= 5
    out = tmp_path / "page.html"
    assert main(["accept", "--config", str(config), "-o", str(out)]) == 4
    text = out.read_text()
    assert "Nothing could be judged yet." in text
    assert "younger than this time" in text
    assert 'class="mark kept"' not in text
