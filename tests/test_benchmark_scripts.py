"""What single benchmarks count and time, held against what is known."""

from __future__ import annotations

import selectors
import sys
import threading
import time
from multiprocessing import Pipe
from pathlib import Path

import numpy as np
import onnx
import pytest

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "benchmarks"))

import capture  # noqa: E402
import cell  # noqa: E402
import conditions  # noqa: E402
import fleet_load  # noqa: E402
import glass  # noqa: E402
import latency  # noqa: E402
import quiet_clips  # noqa: E402
import real_clips  # noqa: E402
import recovery  # noqa: E402
import step  # noqa: E402
import step_candidates  # noqa: E402
from latency import filmed  # noqa: E402
from markdown import tables_of  # noqa: E402

from edge.capture import Mailboxes  # noqa: E402
from edge.captures import CameraSource, Captures  # noqa: E402
from edge.frames import FrameFormat  # noqa: E402
from edge.runner_onnx import OnnxRunner  # noqa: E402
from edge.truth import Seen  # noqa: E402
from tests.brokers import mosquitto  # noqa: E402
from tests.rtsp_cameras import RtspServer, frames_within, need_gstreamer  # noqa: E402
from tests.variant_steps import FRAMES, SPEC, STEP  # noqa: E402


def test_a_late_recovery_is_a_missed_bound() -> None:
    """The largest counts; what has no target is never late. So is a daemon that takes more memory than it may."""
    good = {what: [4.0] for what in recovery.RECOVERIES}
    assert not recovery.has_missed(good | {"broker back: live messages again": [99.0]}, 250.0)
    assert recovery.has_missed(good | {"killed camera noticed": [1.0, 5.1]}, 250.0)
    assert recovery.has_missed(good, 250.1)


def test_what_misses_a_bound_says_which(capsys: pytest.CaptureFixture[str]) -> None:
    """The page says that the output tells the bound: it does, beside what was measured."""
    late = {1: np.array([10.0, 151.0]), 8: np.array([10.0])}
    (rows,) = tables_of(latency.table(late))
    assert latency.is_late(late) is (float(rows[0]["95th percentile ms"]) > float(rows[0]["target ms"]) == 150.0)
    assert not latency.is_late({1: np.array([150.0])})
    (rows,) = tables_of(capture.rest_table([capture.Rest(2.5, 1.0, 5.0)]))
    assert [(row["ms a frame"], row["bound ms"]) for row in rows] == [("2.50", "2"), ("1.00", "–"), ("5.00", "–")]
    assert conditions.told([("clip", conditions.CHANGES[0].name, None, set(), 0)], 0, {}) == 4
    assert "asked for: a recall of 0.95" in capsys.readouterr().out


def test_the_factory_tells_false_events_in_one_line() -> None:
    """By kind; those on the accidents' days are only counted."""
    quiet, seen = cell.Day((), (), ()), Seen("day", 1.0, 1.0, 2.0)
    loud = cell.Day((seen, seen), ("surprise", "surprise"), ())
    *_, last = cell.told([quiet], [quiet, loud])
    assert last == "false events: 0 on the accidents' days, 2 in 600 s of normal work (2 surprise)"
    assert "(none)" in list(cell.told([quiet], [quiet]))[-1]


def test_the_loop_beside_capture_gives_what_capture_gives(tmp_path: Path) -> None:
    """As many frames of the same film, at the same rate: 30 frames at 30 a second are ten."""
    path, form = tmp_path / "film.mp4", FrameFormat(128, 160, 3, 10.0)
    capture.film(path, 30)
    count, seconds = capture.looped(path, form)
    frames, _, _ = capture.captured(path, form, "pyav")
    assert count == len(frames) == 10
    assert seconds > 0.0


def test_a_change_is_matched_with_the_frame_that_shows_it() -> None:
    """Not with a frame before it, and not with one after the next change; a change that no frame shows is left out."""
    found = glass.matched([1.0, 2.0, 3.0, 4.0], [0.5, 1.1, 2.25, 2.5, 4.125])
    assert found == pytest.approx([100.0, 250.0, 125.0])


def test_the_picture_of_a_real_camera_is_timed() -> None:
    """Two changes over RTSP and H.264: after they were made, and within the second until the next."""
    need_gstreamer()
    found = glass.latencies_ms("pyav", 2)
    assert len(found) == 2
    assert all(0.0 < one < 1500.0 for one in found)  # the longest time between two changes


def test_the_camera_of_recovery_sends_its_film(tmp_path: Path) -> None:
    """Drawn once, sent as it is, in its own time: no more than ten frames a second."""
    need_gstreamer()
    server, form = RtspServer(), FrameFormat(128, 160, 1, 10.0)
    server.start(str(filmed(tmp_path / "film", 10.0)))
    mailboxes = Mailboxes(["cam"])
    captures = Captures(form, mailboxes)
    try:
        captures.start("cam", CameraSource(server.url))
        times = frames_within(mailboxes, 20.0, 21)["cam"][1:]  # the first may be older, from the server's queue
    finally:
        captures.close()
        server.kill()
    assert len(times) == 20
    assert float(np.mean(np.diff(times))) > 0.08  # ten a second; a busy machine drops some, none comes before its time


def test_four_cameras_stand_beside_four_single_steps() -> None:
    """Medians, ratios to ONNX Runtime's float step, four cameras over four times one, and the share of the limit."""
    seconds = {"ONNX Runtime, float": [0.01, 0.03, 0.02], "the CPU variant": [0.006, 0.004, 0.005]}
    seconds |= {"ONNX Runtime, float, 4 cameras": [0.08] * 3, "the CPU variant, 4 cameras": [0.016] * 3}
    seconds |= {"OpenVINO, Q/DQ int8": [0.004] * 3, "ONNX Runtime, Q/DQ int8 as written": [0.01] * 3}
    times = {name: np.array([taken, 2 * np.array(taken)]).T for name, taken in seconds.items()}
    times["the CPU variant, 4 cameras"][:, 1] = 0.038
    rows = step.table("edge", step.NETWORKS["edge"], times, 100.0, 1000.0).splitlines()
    products = float(rows[0].split()[1])
    told = {row.split(" | ")[0].removeprefix("| "): [cell.strip() for cell in row.split("|")[2:-1]] for row in rows[4:]}
    assert told["the CPU variant"][:6] == ["5.0", "4.0", "10.0", "4.00", "4.00", ""]
    assert told["the CPU variant, 4 cameras"][:6] == ["16.0", "16.0", "38.0", "5.00", "4.21", "0.80 (0.95)"]
    whole, plain = f"{100 * products / 0.004 / 1000:.0f} %", f"{100 * products / 0.01 / 100:.0f} %"
    assert told["the CPU variant"][6] == told["OpenVINO, Q/DQ int8"][6] == whole
    assert told["ONNX Runtime, float"][6] == told["ONNX Runtime, Q/DQ int8 as written"][6] == plain


def test_candidates_are_measured_in_processes_of_their_own_and_what_fails_is_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Times of the steps that count, by the clock and of the processors; a candidate that is none is left out."""
    monkeypatch.setattr(step, "STEPS", 3)
    times = step.measured("edge", ["ONNX Runtime, float", "the CPU variant", "an abacus"], 1, 2, 0.0)
    assert list(times) == ["ONNX Runtime, float", "the CPU variant"]
    assert all(one.shape == (6, 2) and (one > 0).all() for one in times.values())
    assert capsys.readouterr().out == "left out: an abacus (KeyError: 'an abacus')\n"


def test_a_candidate_that_fails_later_is_left_out_and_the_others_are_kept(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that fails at its third answer, and one whose process ends: what the others took is told."""

    class Failing:
        def __init__(self, network: str, name: str, threads: int) -> None:
            self.name, self.asked = name, 0

        def told(self, steps: int, gap_seconds: float) -> object:
            self.asked += 1
            return f"broke in {network}" if self.name == "bad" and self.asked == 3 else [(0.1, 0.2)] * steps

        def end(self) -> None:
            pass

    network = "edge"
    monkeypatch.setattr(step, "Candidate", Failing)
    times = step.measured(network, ["good", "bad"], 1, 4, 0.0)
    assert {name: len(one) for name, one in times.items()} == {"good": 4 * step.STEPS}
    assert capsys.readouterr().out == "left out: bad (broke in edge)\n"
    monkeypatch.undo()
    dead = step.Candidate("edge", "ONNX Runtime, float", 1)
    dead.end()
    assert str(dead.told(1, 0.0)).startswith("its process ended")


def test_branches_below_compute_what_the_step_computes() -> None:
    """Convolved at its own resolution and doubled, or doubled and convolved: the same maps, to float32's rounding."""
    below = step_candidates.with_branches_below(STEP)
    kinds = [node.op_type for node in onnx.load_from_string(below).graph.node]
    assert kinds.count("DepthToSpace") == 2
    assert "Resize" not in kinds
    runners = [OnnxRunner(one, SPEC, 1, threads=1) for one in (STEP, below)]
    for number, frame in enumerate(FRAMES[:5]):
        first = np.array([number == 0])
        one, other = (runner.step(frame[None], np.ones(1, bool), first).errors for runner in runners)
        np.testing.assert_allclose(one, other, atol=2e-6)


def test_steps_wait_for_their_frames_where_that_is_asked_for() -> None:
    """The gap is no part of what a step takes; the first two steps do not count."""
    calls: list[float] = []
    taken = step.timed(lambda: calls.append(time.perf_counter()), 2, 0.02)
    assert len(calls) == 4
    assert len(taken) == 2
    assert max(clock for clock, _ in taken) < 0.02  # the gap
    assert calls[3] - calls[0] >= 3 * 0.02


def test_no_footage_is_no_camera(tmp_path: Path) -> None:
    """Cameras of the quiet clips are those whose files are here."""
    assert list(quiet_clips.cameras(tmp_path)) == []
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "car-detection-270p.mp4").touch()
    (one,) = quiet_clips.cameras(tmp_path)
    assert one.name == "car park"
    assert not set(one.learned) & set(one.watched)


def test_an_unknown_case_is_named_beside_those_that_there_are(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No traceback, and nothing is trained."""
    monkeypatch.setattr(sys, "argv", ["real_clips.py", "botle", "worker"])
    with pytest.raises(SystemExit, match="2"):
        real_clips.main()
    assert "there is no case botle; there are bottle, worker" in capsys.readouterr().err


def test_events_that_come_after_the_load_ended_are_counted(tmp_path: Path) -> None:
    """The consumer waits for as many as were sent."""
    ours, theirs = Pipe()
    with mosquitto(tmp_path, fleet_load.QUIET) as broker, selectors.DefaultSelector() as selector:
        threading.Thread(target=fleet_load.consume, args=(broker.port, theirs), daemon=True).start()
        assert ours.recv() == "ready"
        device = fleet_load.Device(broker, 0)
        selector.register(device.client.socket(), selectors.EVENT_READ, device)
        fleet_load.wait_for_connections(selector, [device])
        ours.send(2)
        for _ in range(2):
            device.tell_event()
        fleet_load.settle(selector, 0.5)
        latencies, scores, dropped = ours.recv()
        device.client.disconnect()
    assert (len(latencies), scores, dropped) == (2, 0, 0)
