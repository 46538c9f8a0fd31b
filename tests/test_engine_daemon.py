"""The daemon and its engines over a real broker: built beside the CPU, taken over, rebuilt on command, refused when wrong.

TensorRT and CUDA are simulated; everything else is the daemon as it runs on a Jetson.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from edge import daemon
from edge.engine.runner_tensorrt import TensorRtRunner
from edge.engine.store import FOLDER, Store
from edge.runner import Runner
from tests import simulated
from tests.brokers import Mosquitto
from tests.commanding import Operator, running
from tests.test_inference import Faulty, raising
from tests.variant_bundle import write_variant_bundle


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle with one variant for TensorRT and one for the CPU."""
    return write_variant_bundle(tmp_path_factory.mktemp("bundle") / "press.prednet", ("fp16", "cpu"))


@contextmanager
def device(folder: Path, bundle: Path, broker: Mosquitto) -> Iterator[Operator]:
    """Run a daemon with one camera, and an operator beside it."""
    path = folder / "config.yaml"
    path.write_text(
        f"site: plant7\ndevice: edge1\nbundle: {bundle}\nstate_directory: {folder}/state\nthreads: 1\n"
        "cameras: {press3: {source: 'test://factory', loop: true}}\n"
        f"mqtt: {{port: {broker.port}, allow_admin: true}}\n"
    )
    with Operator(broker.port) as operator, running(path):
        yield operator


def engine(operator: Operator, holding: str, after: int = 0) -> dict[str, object]:
    """Wait for an `info` whose engine says so."""
    found: dict[str, object] = json.loads(operator.wait("info", after, f'"engine":"{holding}'.encode()).payload)
    return found


def test_the_cpu_serves_until_the_engine_is_built_and_a_command_builds_it_anew(
    tmp_path: Path, bundle: Path, broker: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Watching all along; `info` tells building, then TensorRT with its version; the command's end is taken over."""
    simulated.install(monkeypatch, build_seconds=2)
    with device(tmp_path, bundle, broker) as operator:
        engine(operator, "onnxruntime-cpu cpu; building")
        operator.wait("cam/press3/state", holding=b"watching")
        info = engine(operator, "tensorrt fp16")
        assert info["versions"]["tensorrt"] == "10.3.0"  # type: ignore[index]
        assert info["versions"]["cuda"] == "12.6"  # type: ignore[index]
        before = len(operator.heard)
        operator.wait("cam/press3/state", before, b"watching")
        reply = operator.ask("rebuild_engine")
        assert (reply["code"], reply["result"]) == ("done", {"building": ["fp16"]})
        assert operator.ask("rebuild_engine")["code"] == "busy"
        engine(operator, "tensorrt fp16", before)
        operator.wait("status", before, b"online")


def test_an_engine_that_computes_nonsense_is_a_fault_and_the_cpu_watches(
    tmp_path: Path, bundle: Path, broker: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The golden answer decides before the first frame: `engine_mismatch`, `degraded`, and the camera is watched."""
    simulated.install(monkeypatch, wrong="ahat")
    with device(tmp_path, bundle, broker) as operator:
        operator.wait("faults", 0, b"engine_mismatch")
        operator.wait("status", 0, b"degraded")
        engine(operator, "onnxruntime-cpu cpu; no engine is right")
        operator.wait("cam/press3/state", holding=b"watching")


def test_an_engine_whose_inference_keeps_failing_is_given_up_for_the_cpu(
    tmp_path: Path, bundle: Path, broker: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the third failure it is built once more beside the CPU; fails that as well, the CPU watches, and it is a fault."""
    simulated.install(monkeypatch)
    opened = daemon.open_chosen

    def failing(*which: Any) -> Runner:
        runner = opened(*which)
        return Faulty(runner, raising) if isinstance(runner, TensorRtRunner) else runner

    monkeypatch.setattr(daemon, "open_chosen", failing)
    with device(tmp_path, bundle, broker) as operator:
        engine(operator, "tensorrt fp16")
        operator.wait("faults", holding=b"inference_failed")
        operator.wait("faults", holding=b"engine_mismatch")
        engine(operator, "onnxruntime-cpu cpu; no engine is right")
        (record,) = Store(tmp_path / "state" / FOLDER).records()
        assert record.failure == "its inference failed 3 times in ten minutes"
        operator.wait("cam/press3/state", len(operator.heard), b"watching")
        told_engines = [json.loads(one.payload)["engine"] for one in operator.heard if one.topic.endswith("/info")]
    assert len([one for one in told_engines if "; building" in one]) >= 2, told_engines


def test_a_cpu_that_is_too_slow_waits_for_the_engine(
    tmp_path: Path, bundle: Path, broker: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`rebuilding`, and nothing watched, until the engine is there; then `watching`."""
    simulated.install(monkeypatch, build_seconds=1)
    monkeypatch.setattr(daemon, "keeps_up", lambda runner, rate_hz: False)
    with device(tmp_path, bundle, broker) as operator:
        operator.wait("cam/press3/state", holding=b"rebuilding")
        engine(operator, "tensorrt fp16")
        operator.wait("cam/press3/state", holding=b"watching")
        states = [one.payload for one in operator.heard if one.topic.endswith("cam/press3/state")]
        assert states.index(b"rebuilding") < states.index(b"watching")
        assert b"warming_up" not in states[: states.index(b"rebuilding")]


def test_without_tensorrt_the_command_is_unsupported_and_says_why(
    tmp_path: Path, bundle: Path, broker: Mosquitto
) -> None:
    """On this machine there is none."""
    with device(tmp_path, bundle, broker) as operator:
        operator.wait("cam/press3/state", holding=b"watching")
        reply = operator.ask("rebuild_engine")
        assert reply["code"] == "unsupported"
        assert "tensorrt is not installed" in reply["hint"]
        assert operator.ask("rollback")["code"] == "unsupported"
