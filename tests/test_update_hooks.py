"""The scripts for Mender and balena, run by a shell as those run them; neither is at hand here."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edge.bundle import read_bundle
from edge.cli import main
from edge.setup import read_device
from edge.updates.alive import Alive, write_alive
from edge.updates.desk import refuse, took_over
from edge.updates.store import BundleStore
from tests.brokers import free_port
from tests.bundles import write_device, write_named_bundle
from tests.publishing import wait_until

Environment = dict[str, str]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A device whose daemon has run, the scripts, and an Artifact's files."""
    folder = tmp_path_factory.mktemp("hooks")
    config = write_device(folder, free_port())
    (folder / "state").mkdir()
    took_over(read_device(config))
    assert main(["bundle", "hooks", "--write", str(folder / "scripts")]) == 0
    (folder / "artifact" / "files").mkdir(parents=True)
    write_named_bundle(folder / "artifact" / "files" / "b.prednet")
    program = folder / "prednet-edge"
    program.write_text(
        f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(Path(__file__).parents[1])!r})\n"
        "from edge.cli import main\nsys.exit(main())\n"
    )
    program.chmod(0o755)
    return folder


@pytest.fixture
def environment(folder: Path) -> Environment:
    """What the scripts are told."""
    given = {"PREDNET_EDGE": str(folder / "prednet-edge"), "PREDNET_CONFIG": str(folder / "config.yaml")}
    return os.environ | given | {"PREDNET_WITHIN": "10", "PREDNET_EVERY": "0.1"}


@contextmanager
def daemon(folder: Path, refuses: bool = False) -> Iterator[None]:
    """Say every moment what a daemon would that runs the live bundle; one that refuses a new one goes back."""
    store, stopping = BundleStore(folder / "state"), threading.Event()
    first = store.state.live

    def run() -> None:
        while not stopping.wait(0.05):
            live = store.state.live
            if refuses and live != first:
                refuse(store, live, "its scores do not fit.")
            alive = Alive(boot_id="x", bundle=store.state.live, name="x", runner="cpu", is_on_trial=False,
                          cameras={"cam": "watching"}, faults=())  # fmt: skip
            write_alive(folder / "state", alive)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()


def call(folder: Path, environment: Environment, state: str) -> subprocess.CompletedProcess[str]:
    """One call of the update module, as Mender makes it."""
    module = folder / "scripts" / "mender" / "prednet-bundle"
    command = [str(module), state, str(folder / "artifact")]
    return subprocess.run(command, env=environment, text=True, capture_output=True, check=False)


def test_an_artifact_brings_a_bundle_and_a_rollback_takes_it_back(folder: Path, environment: Environment) -> None:
    """Install, commit and rollback through a shell; a state that the module does not know is none of its business."""
    live = BundleStore(folder / "state")
    before = live.state.live
    with daemon(folder):
        assert call(folder, environment, "Download").returncode == 0
        assert call(folder, environment, "NeedsArtifactReboot").stdout == "No\n"
        assert call(folder, environment, "SupportsRollback").stdout == "Yes\n"
        assert call(folder, environment, "ArtifactInstall").returncode == 0
        assert live.state.live == read_bundle(folder / "artifact" / "files" / "b.prednet").digest
        assert call(folder, environment, "ArtifactCommit").returncode == 0
        assert call(folder, environment, "ArtifactRollback").returncode == 0
    assert live.state.live == before


def test_an_artifact_whose_bundle_the_device_refuses_is_not_committed(folder: Path, environment: Environment) -> None:
    """The commit fails with the reason, and Mender's rollback leaves the good bundle where it is."""
    store = BundleStore(folder / "state")
    before = store.state.live
    with daemon(folder, refuses=True):
        assert call(folder, environment, "ArtifactInstall").returncode == 0
        commit = call(folder, environment | {"PREDNET_WITHIN": "2"}, "ArtifactCommit")
        assert commit.returncode != 0
        assert "it runs the bundle" in commit.stderr
        assert call(folder, environment, "ArtifactRollback").returncode == 0
    assert store.state.live == before


def test_the_health_script_says_it_by_its_exit_code(folder: Path, environment: Environment) -> None:
    """Mender's state script and balena's health check are one script: 0 while the daemon sees, 1 when it does not."""
    scripts = folder / "scripts"
    environment = environment | {"PREDNET_HEALTH": str(scripts / "health.sh"), "PREDNET_WITHIN": "5"}
    script = scripts / "mender" / "ArtifactCommit_Enter_50_prednet-edge"
    with daemon(folder):
        assert subprocess.run([str(script)], env=environment, check=False).returncode == 0
    (folder / "state" / "alive.json").unlink()
    environment |= {"PREDNET_WITHIN": "0"}
    assert subprocess.run([str(script)], env=environment, check=False).returncode == 1


def test_the_update_lock_is_held_while_a_bundle_is_on_trial(folder: Path, environment: Environment) -> None:
    """It comes with the trial and goes with it, also after a kill; a lock of another is left alone; nothing stays."""
    lock = folder / "updates.lock"
    environment = environment | {"BALENA_LOCK": str(lock)}
    config = ["--config", str(folder / "config.yaml")]
    assert main(["bundle", "install", str(folder / "artifact" / "files" / "b.prednet"), *config]) == 0
    assert main(["bundle", "activate", "b", *config]) == 0
    script = str(folder / "scripts" / "balena" / "update-lock.sh")
    killed = subprocess.Popen([script], env=environment)
    wait_until(lambda: lock.exists() and bool(lock.read_text()), 30.0)
    killed.kill()
    killed.wait(10)
    holder = subprocess.Popen([script], env=environment)
    try:
        assert main(["bundle", "rollback", *config]) == 0
        wait_until(lambda: not lock.exists(), 30.0)
        lock.write_text("the supervisor's")
        assert main(["bundle", "activate", "b", *config]) == 0
        time.sleep(0.5)
    finally:
        holder.terminate()
        holder.wait(10)
    assert lock.read_text() == "the supervisor's"
