"""Coverage: sums that are exact, a ledger that outlives restarts, and what a plant can prove from it."""

from __future__ import annotations

import json
import os
import random
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

import edge.announcer
import edge.cli
from edge.coverage import FIELDS, CoverageMeter
from edge.coverage_ledger import COLUMNS, Ledger, hour_of, proven_hours, seconds_of_hour, steps_of_last_day
from edge.errors import UsageError
from edge.hardware import is_throttled, temperatures_celsius
from edge.messages import Condition, ConditionName
from tests.brokers import mosquitto
from tests.commanding import R, served
from tests.daemons import write_config

NOON = seconds_of_hour("2026-11-22T12")


def test_sums_are_those_of_counting_seconds() -> None:
    """Over 26 h of random states the last hour and day are what counting every second gives, within a step's edge."""
    chance, now = random.Random(1), [0.0]
    meter = CoverageMeter(lambda: now[0])
    counted: list[str] = []
    while now[0] < 26 * 3600:
        stay = chance.randrange(1, 400)
        for _ in range(stay):
            counted.append(FIELDS[meter.state])
            now[0] += 1.0
            if now[0] % 60 == 0:
                meter.enter(meter.state)
        meter.enter(chance.choice(list(FIELDS)))
    told = meter.coverage()
    for span, length in ((told.hour, 3600), (told.day, 86400)):
        for column in COLUMNS:
            exact = sum(one == column for one in counted[-length:])
            # A step of a minute that the span's begin cuts is shared out evenly: at most its length is misplaced.
            assert abs(getattr(span, column) - exact) <= 60.0
        assert sum(getattr(span, column) for column in COLUMNS) == pytest.approx(length, abs=0.5)  # 0.1 s rounding


def test_an_hour_is_divided_at_its_turn(tmp_path: Path) -> None:
    """Seconds that reach over the turn of an hour are divided there, and the rest of an hour was off."""
    with Ledger(tmp_path / "c.sqlite") as ledger:
        ledger.add("a", NOON + 20.0, {"watched_seconds": 45.0, "blind_seconds": 15.0}, is_clock_synced=True)
        before, after = ledger.hours("2026-11-22T11", "2026-11-22T12")
    assert (before.hour, before.watched_seconds, before.blind_seconds) == ("2026-11-22T11", 30.0, 10.0)
    assert (after.watched_seconds, after.blind_seconds, after.off_seconds) == (15.0, 5.0, 3580.0)


def test_a_restart_keeps_what_was_proved(tmp_path: Path) -> None:
    """The ledger goes on in the same hour, and the retained last day begins with what it knows."""
    path = tmp_path / "c.sqlite"
    for _ in range(2):
        with Ledger(path) as ledger:
            ledger.add("a", NOON + 600.0, {"watched_seconds": 250.0}, is_clock_synced=True)
    with Ledger(path) as ledger:
        (hour,) = ledger.hours("2026-11-22T12", "2026-11-22T12")
        steps = steps_of_last_day(ledger, "a", NOON + 700.0, 5000.0)
    assert (hour.watched_seconds, hour.off_seconds) == (500.0, 3100.0)
    meter = CoverageMeter(lambda: 5000.0, earlier=steps)
    assert meter.coverage().day.watched_seconds == 500.0
    assert meter.coverage().hour.watched_seconds == 500.0


def test_an_unsynced_clock_marks_its_hours(tmp_path: Path) -> None:
    """One doubtful minute makes the hour doubtful."""
    with Ledger(tmp_path / "c.sqlite") as ledger:
        for is_synced in (True, False, True):
            ledger.add("a", NOON + 600.0, {"watched_seconds": 60.0}, is_clock_synced=is_synced)
        assert [hour.is_clock_synced for hour in ledger.hours("2026-11-22T12", "2026-11-22T12")] == [False]


def test_a_stepped_clock_throws_no_proof_away(tmp_path: Path) -> None:
    """A jump to 2040 and back leaves every hour that was known."""
    with Ledger(tmp_path / "c.sqlite") as ledger:
        for moment in (NOON, seconds_of_hour("2040-01-01T00"), NOON + 3600.0):
            ledger.add("a", moment + 100.0, {"watched_seconds": 60.0}, is_clock_synced=True)
        hours = [hour.hour for hour in ledger.hours("2026-01-01T00", "2041-01-01T00")]
    assert hours == ["2026-11-22T12", "2026-11-22T13", "2040-01-01T00"]


def test_a_damaged_ledger_is_set_aside(tmp_path: Path) -> None:
    """Watching goes on after damage, with what remains kept aside."""
    (tmp_path / "c.sqlite").write_bytes(b"no database" * 500)
    with Ledger(tmp_path / "c.sqlite") as ledger:
        assert ledger.hours("2000", "2100") == []
    assert (tmp_path / "c.sqlite.damaged").exists()


def test_a_disk_that_refuses_does_not_stop_the_ledger(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Where no file can be made, the hours are kept in memory until the next start, and the log says so."""
    with Ledger(tmp_path / "no" / "folder" / "c.sqlite") as ledger:
        ledger.add("a", NOON + 60.0, {"watched_seconds": 60.0}, is_clock_synced=True)
        assert [hour.watched_seconds for hour in ledger.hours("2026-11-22T12", "2026-11-22T12")] == [60.0]
    assert "database_in_memory" in caplog.text


@contextmanager
def reading_alone(folder: Path) -> Iterator[None]:
    """Within it, this process may read what lies in a folder and write nothing there, whoever it is."""
    who, mode = os.geteuid(), folder.stat().st_mode
    folder.chmod(0o555)
    if who == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(who)
        folder.chmod(mode)


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder on whose way everyone may go, as /var/lib/prednet-edge."""
    folder = Path(tempfile.mkdtemp(prefix="coverage-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def watched(path: Path) -> list[float]:
    """The seconds of noon in which a camera was watched, as the command tells them."""
    return [hour.watched_seconds for hour in proven_hours(path, ["a"], "2026-11-22T12", "2026-11-22T12", NOON + 900.0)]


def test_who_may_only_read_is_shown_what_was_watched(public: Path) -> None:
    """Beside a running daemon, after its end and after a kill; never «off» for what is not to be read."""
    path = public / "c.sqlite"
    with Ledger(path) as ledger:
        ledger.add("a", NOON + 600.0, {"watched_seconds": 500.0}, is_clock_synced=True)
        with reading_alone(public):
            assert watched(path) == [500.0]
        shutil.copytree(public, public / "killed")
    with reading_alone(public):
        assert watched(path) == [500.0]
    with reading_alone(public / "killed"):
        assert watched(public / "killed" / "c.sqlite") == [500.0]
    assert [one.name for one in public.glob("c.sqlite*")] == ["c.sqlite"]


def test_who_may_not_read_is_told_what_to_do(public: Path) -> None:
    """A file or a folder that is closed, and what a kill left without its index: one sentence."""
    path = public / "c.sqlite"
    with Ledger(path) as ledger:
        ledger.add("a", NOON + 600.0, {"watched_seconds": 500.0}, is_clock_synced=True)
        shutil.copytree(public, public / "killed")
    (public / "killed" / "c.sqlite-shm").unlink()
    path.chmod(0o000)
    told = r"c\.sqlite: it cannot be read \(.+\); call it with sudo, or as the daemon's user\.$"
    for closed in (path, public / "killed" / "c.sqlite"):
        with reading_alone(closed.parent), pytest.raises(UsageError, match=told):
            watched(closed)
    (public / "inner").mkdir()
    shutil.copy(public / "killed" / "c.sqlite", public / "inner")
    (public / "inner").chmod(0o000)
    with reading_alone(public), pytest.raises(UsageError, match=told):
        watched(public / "inner" / "c.sqlite")
    (public / "inner").chmod(0o755)


def test_a_reader_leaves_a_damaged_ledger_to_the_daemon(tmp_path: Path) -> None:
    """It is said; the file is not renamed under the one that writes it."""
    path = tmp_path / "c.sqlite"
    path.write_bytes(b"no database" * 500)
    with pytest.raises(UsageError, match=r"is damaged .+; the daemon begins a new one when it starts"):
        watched(path)
    assert [one.name for one in tmp_path.iterdir()] == ["c.sqlite"]


def test_a_ledger_that_is_just_made_knows_nothing_yet(tmp_path: Path) -> None:
    """Before its first table is written, every hour was off."""
    with closing(sqlite3.connect(tmp_path / "c.sqlite")):
        (tmp_path / "c.sqlite").touch()
        assert watched(tmp_path / "c.sqlite") == [0.0]


def test_a_device_tells_its_condition_and_proves_its_hours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Health has every field of the contract, coverage adds up to the time that passed, and the command proves it."""
    monkeypatch.setattr(edge.announcer, "HEALTH_SECONDS", 0.5)
    monkeypatch.setattr(edge.announcer, "COVERAGE_SECONDS", 0.5)
    (tmp_path / "broker").mkdir()
    with mosquitto(tmp_path / "broker") as broker:
        config = write_config(tmp_path, broker.port, loop=True)
        began = time.monotonic()
        with served(tmp_path, config, broker) as operator:
            time.sleep(2.0)
            operator.ask("self_test")
            passed = time.monotonic() - began
            healths = [json.loads(one.payload) for one in operator.heard if one.topic == f"{R}/health"]
            spans = [json.loads(one.payload) for one in operator.heard if one.topic == f"{R}/cam/quiet/coverage"]
    health = healths[-1]
    assert {"outbox", "drops", "cameras", "memory_bytes", "disk_free_bytes", "uptime_seconds"} <= set(health)
    assert 5.0 <= health["cameras"]["quiet"]["fps"] <= 15.0, "10 a second, counted over half a second"
    assert health["cameras"]["quiet"]["latency_ms"] < 1000.0
    assert 0.0 <= health["cameras"]["quiet"]["last_frame_age_seconds"] < 1.0
    total = sum(spans[-1]["hour"].values())
    assert 1.0 < total <= passed + 0.5
    assert spans[-1]["hour"]["watched_seconds"] > 1.0
    first = hour_of(time.time() - 7200.0)
    assert edge.cli.main(["coverage", "--config", str(config), "--from", first, "--camera", "quiet", "--json"]) == 0
    hours = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(hours) == 3
    assert hours[0]["off_seconds"] == 3600.0
    assert sum(hour["watched_seconds"] for hour in hours) >= spans[-1]["hour"]["watched_seconds"] - 0.2
    assert edge.cli.main(["coverage", "--config", str(config)]) == 0
    assert "quiet: watched" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--from", "yesterday"], "'yesterday' is no hour"),
        (["--from", "2026-11-22T06", "--to", "2026-11-22T05"], "0 hours; ask for 1"),
        (["--camera", "x"], "--camera x: the configuration has busy, quiet."),
        ([], "there is no ledger"),
    ],
)
def test_wrong_questions_are_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    """Exit code 2, and what to do."""
    assert edge.cli.main(["coverage", "--config", str(write_config(tmp_path, 1883)), *arguments]) == 2
    assert message in capsys.readouterr().err


def test_conditions_and_zones_are_retained_states(tmp_path: Path) -> None:
    """The retained list is the present; events of conditions come from moments (tests/test_condition_events.py)."""
    from tests.telling import telling  # noqa: PLC0415

    def now(*names: ConditionName) -> tuple[Condition, ...]:
        return tuple(Condition(name=name, confidence=0.8) for name in names)

    with telling(tmp_path) as (announcer, outbox, states):
        for conditions in (now("blurred"), now("blurred"), now("blurred", "moved"), now("moved")):
            announcer.set_conditions("quiet", conditions)
        announcer.set_zone_anomaly("quiet", "ram", True)
        assert [one["name"] for one in json.loads(states()["cam/quiet/condition"])] == ["moved"]
        announcer.set_conditions("quiet", now())
        assert json.loads(states()["cam/quiet/condition"]) == []
        assert states()["cam/quiet/zone/ram/anomaly"] == b"ON"
        assert list(outbox.pending(0, 10)) == []


def test_faults_are_listed_while_they_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A nearly full disk is a fault with a hint and since when, the status says degraded, and both end with it."""
    from tests.telling import telling  # noqa: PLC0415

    with telling(tmp_path) as (announcer, _, states):
        announcer.tick()
        before = states()
        with monkeypatch.context() as full:
            full.setattr(edge.announcer, "DISK_LOW_BYTES", 2**60)
            announcer.tick()
        during = states()
        announcer.tick()
        after = states()
    (fault,) = json.loads(during["faults"])
    assert fault["code"] == "disk_low"
    assert fault["hint"].endswith(".")
    assert (before["status"], during["status"], after["status"]) == (b"online", b"degraded", b"online")
    assert json.loads(before["faults"]) == json.loads(after["faults"]) == []


def test_the_machine_is_read_as_linux_tells_it(tmp_path: Path) -> None:
    """Temperatures by zone, throttling by any cooling device that is no fan; nothing where there is nothing."""
    assert (temperatures_celsius(tmp_path), is_throttled(tmp_path)) == (None, None)
    thermal = tmp_path / "class" / "thermal"
    files = {
        "thermal_zone0": {"type": "cpu-thermal", "temp": "51500"},
        "thermal_zone1": {"type": "gpu-thermal", "temp": "48000"},
        "thermal_zone2": {"type": "cpu-thermal", "temp": "50000"},
        "thermal_zone3": {"type": "broken"},
        "cooling_device0": {"type": "pwm-fan", "cur_state": "3"},
        "cooling_device1": {"type": "cpufreq-cpu0", "cur_state": "0"},
    }
    for folder, contents in files.items():
        (thermal / folder).mkdir(parents=True)
        for name, text in contents.items():
            (thermal / folder / name).write_text(text + "\n")
    assert temperatures_celsius(tmp_path) == {"cpu-thermal": 51.5, "gpu-thermal": 48.0, "cpu-thermal-2": 50.0}
    assert is_throttled(tmp_path) is False
    (thermal / "cooling_device1" / "cur_state").write_text("2\n")
    assert is_throttled(tmp_path) is True
