"""The daemon's life: reload and fallback by signal, the last good configuration, the delay of failing starts."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edge.errors import OK, ConfigInvalid
from edge.mqtt import BrokerSettings, Subscriber
from edge.restart_delay import LONGEST_SECONDS, begin, delay_seconds, forget
from edge.service import run_daemon
from tests.brokers import Mosquitto, free_port
from tests.daemons import R, receive, write_config
from tests.holding import child_environment


@contextmanager
def started(config: Path, *options: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """A daemon as a service starts it; ended and waited for."""
    command = [sys.executable, "-c", "import sys; from edge.cli import main; sys.exit(main())", "run"]
    daemon = subprocess.Popen(
        [*command, "--config", str(config), *options],
        stderr=subprocess.PIPE,
        text=True,
        env=child_environment() | environment,
    )
    try:
        yield daemon
    finally:
        daemon.terminate()
        daemon.communicate(timeout=20)


def test_a_reload_swaps_a_good_configuration_and_falls_back_from_a_bad_one(tmp_path: Path, broker: Mosquitto) -> None:
    """SIGHUP: refused where it is not valid; taken where it is; and taken back where it is valid and cannot watch."""
    config = write_config(tmp_path, broker.port, loop=True)
    good = config.read_text()
    with (
        Subscriber(BrokerSettings("127.0.0.1", broker.port, client_id="test"), f"{R}/#") as subscriber,
        started(config) as daemon,
    ):
        first = json.loads(receive(subscriber, f"{R}/info boot_id")[-1].payload)
        receive(subscriber, "cam/quiet/state watching")
        config.write_text(good.replace("threads: 1", "thread: 1"))
        daemon.send_signal(signal.SIGHUP)
        heard = receive(subscriber, f"{R}/faults config_invalid")
        assert not any("blind" in message.payload.decode() for message in heard if message.topic.endswith("/state"))
        config.write_text(good + "detection: {hold_seconds: 2}\n")
        daemon.send_signal(signal.SIGHUP)
        second = json.loads(receive(subscriber, f"{R}/info boot_id")[-1].payload)
        assert second["config_hash"] != first["config_hash"]
        receive(subscriber, f"{R}/status online")  # the fault went with the bad configuration
        receive(subscriber, "cam/quiet/state watching")
        (tmp_path / "file").touch()
        config.write_text(good.replace("state_directory: state", "state_directory: file/below"))
        daemon.send_signal(signal.SIGHUP)
        third = json.loads(receive(subscriber, f"{R}/info boot_id")[-1].payload)
        assert third["config_hash"] == second["config_hash"]
        receive(subscriber, f"{R}/faults config_invalid")
        receive(subscriber, "cam/quiet/state watching")


def test_a_bad_configuration_at_a_start_gives_way_to_the_last_good_one(tmp_path: Path, broker: Mosquitto) -> None:
    """What came to watch is kept, word for word; the next start takes it, says so, and keeps it."""
    config, kept = write_config(tmp_path, broker.port, loop=True), tmp_path / "kept.yaml"
    good = config.read_text()
    with Subscriber(BrokerSettings("127.0.0.1", broker.port, client_id="test"), f"{R}/#") as subscriber:
        with started(config, "--last-good", str(kept)):
            receive(subscriber, "cam/quiet/state watching")
        assert kept.read_text() == good
        receive(subscriber, f"{R}/status offline")
        config.write_text("site: [\n")
        with started(config, "--last-good", str(kept)):
            receive(subscriber, f"{R}/faults config_invalid")
            receive(subscriber, "cam/quiet/state watching")
        assert kept.read_text() == good


def test_what_reads_well_and_cannot_watch_gives_way_at_a_start_too(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A state directory that cannot be written: the last good one watches its files to their end; without one, 78."""
    config, kept = write_config(tmp_path, free_port()), tmp_path / "kept.yaml"
    good = config.read_text()
    (tmp_path / "file").touch()
    config.write_text(good.replace("state_directory: state", "state_directory: file/below"))
    with pytest.raises(ConfigInvalid, match="the state directory cannot be written"):
        run_daemon(config, kept, {})
    kept.write_text(good)
    assert run_daemon(config, kept, {}) == OK
    assert "configuration_failed" in caplog.text
    assert kept.read_text() == good


def test_at_the_very_first_start_a_bad_configuration_ends_with_78(tmp_path: Path) -> None:
    """There is no last good one, or it is not good any more; the next start, by a person, is not put off."""
    config, kept, runtime = tmp_path / "config.yaml", tmp_path / "kept.yaml", tmp_path / "run"
    config.write_text("site: [\n")
    runtime.mkdir()
    with pytest.raises(ConfigInvalid, match="not YAML"):
        run_daemon(config, kept, {"RUNTIME_DIRECTORY": str(runtime)})
    kept.write_text("site: plant7\nbundle: gone.prednet\ncameras: {a: {source: 'test://factory'}}\n")
    with pytest.raises(ConfigInvalid, match=r"gone\.prednet: cannot be read"):
        run_daemon(config, kept, {"RUNTIME_DIRECTORY": str(runtime)})
    assert begin(runtime) == 0


def test_starts_that_fail_are_put_off_longer_and_longer_up_to_two_minutes() -> None:
    """The first restart comes at once, so that a kill costs no time."""
    assert [delay_seconds(failed) for failed in range(9)] == [0.0, 0.0, 4.0, 8.0, 16.0, 32.0, 64.0, 120.0, 120.0]
    assert delay_seconds(10_000) == LONGEST_SECONDS


def test_failed_starts_are_counted_until_one_is_good(tmp_path: Path) -> None:
    """Each start counts as failed until it is forgotten; a damaged count is none; no folder, no count."""
    assert [begin(tmp_path) for _ in range(3)] == [0, 1, 2]
    forget(tmp_path)
    assert begin(tmp_path) == 0
    (tmp_path / "starts.json").write_text("{")
    assert begin(tmp_path) == 0
    assert begin(None) == 0
    forget(None)


def test_a_daemon_that_was_killed_twice_waits_and_can_be_stopped_meanwhile(tmp_path: Path) -> None:
    """The start after two failed ones is put off by four seconds; SIGTERM ends it within the wait, with 0."""
    config, runtime = tmp_path / "config.yaml", tmp_path / "run"
    config.write_text("site: [\n")  # it is not even read while it waits
    runtime.mkdir()
    begin(runtime)
    begin(runtime)
    command = [sys.executable, "-c", "import sys; from edge.cli import main; sys.exit(main())", "run", "--config"]
    with subprocess.Popen(
        [*command, str(config)],
        stderr=subprocess.PIPE,
        text=True,
        env=child_environment() | {"RUNTIME_DIRECTORY": str(runtime)},
    ) as daemon:
        assert daemon.stderr is not None
        assert "start_put_off seconds=4 failed_starts=2" in daemon.stderr.readline()
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(3) == 0
    assert begin(runtime) == 0
