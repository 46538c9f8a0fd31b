"""`make bench`: every script stands in the table, runs are kept as they were, and the page tells what is kept."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import cv2
import msgspec
import numpy as np
import psutil
import pytest

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "benchmarks"))

import all as bench  # noqa: E402 - scripts, imported to be held to their word
import cameras  # noqa: E402
import capture  # noqa: E402
import document  # noqa: E402
import entries  # noqa: E402
import figures  # noqa: E402
import glass  # noqa: E402
import kept as keeping  # noqa: E402
import mqtt_loss  # noqa: E402
import plots  # noqa: E402
import quiet_clips  # noqa: E402
import recovery  # noqa: E402
from entries import BENCHMARKS, OTHERS, Benchmark  # noqa: E402
from kept import Choice, Kept  # noqa: E402
from latency import filmed  # noqa: E402
from markdown import tables_of  # noqa: E402

from edge.capture import Mailboxes  # noqa: E402
from edge.captures import CameraSource, Captures  # noqa: E402
from edge.frames import FrameFormat  # noqa: E402
from tests.loss import Account  # noqa: E402
from tests.test_rtsp import RtspServer, frames_within, need_gstreamer  # noqa: E402
from tests.understood import understood  # noqa: E402

STEPS = """arithmetic limit here: 70 GMAC/s

| candidate | median ms | least ms | processor ms | float ÷ it | by processor time | 4 cameras ÷ 4 × 1 | of the limit |
|---|---|---|---|---|---|---|---|
| ONNX Runtime, float | 8.0 | 7.5 | 15.0 | 1.00 | 1.00 |  | 50 % |
| the CPU variant | 4.0 | 3.9 | 7.5 | 2.00 | 2.00 |  | 60 % |
| the CPU variant, 4 cameras | 12.0 | 11.0 | 22.0 | 2.00 | 2.00 | 0.75 | 60 % |
"""
CAMERAS = "\n".join([
    "commit abc; x86_64", "", cameras.head(),
    cameras.row(1, 10.0, 1.0, 9.6, 1.75, 11.0, 0.17, 160.0),
    cameras.row(8, 9.97, 8.0, 59.2, 1.2, 130.0, 1.28, 370.0),
    cameras.row(16, 5.6, 16.0, 157.0, 1.1, 267.0, 1.59, 580.0),
])  # fmt: skip
LEVELS = """| all, by their level | frame AUC | EER |
|---|---|---|
| ped2-seed0 | 0.9648 | 0.1 |
| last-frame 192x128 | 0.9735 | 0.1 |
"""


def made(name: str, **changed: object) -> Kept:
    """Return a result that ended well, but for what is changed."""
    one = Kept(
        name=name, command=f"python benchmarks/{name}.py", is_quick=False, began="2026-01-02 03:04 UTC", seconds=61.0,
        exit_code=0, commit="abc1234", machine="a machine, 2 cores", versions={"python": "3.11"}, load=0.5,
    )  # fmt: skip
    return msgspec.structs.replace(one, **changed)


def fake(name: str, code: str, folder: Path, **changed: object) -> Benchmark:
    """Return a benchmark whose script is a line of Python."""
    script = folder / f"{name}.py"
    script.write_text(code, encoding="utf-8")
    path = os.path.relpath(script, ROOT / "benchmarks")
    options = {"quick": "--quick", "minutes": 1.0, "question": "Why?", **changed}
    return Benchmark(name, "step", script=path, **options)  # type: ignore[arg-type]


def test_every_file_of_the_folder_stands_in_the_table() -> None:
    """A script is measured by `make bench`, or is named with what it is for instead."""
    files = {path.name for path in (ROOT / "benchmarks").iterdir() if path.suffix in (".py", ".sh")}
    measured = {one.script for one in BENCHMARKS}
    assert measured | OTHERS.keys() == files
    assert not measured & OTHERS.keys()


def test_the_folders_own_page_names_every_file() -> None:
    """benchmarks/README.md has a line for each script that measures."""
    told = (ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8")
    assert [one.script for one in BENCHMARKS if f"`{one.script}" not in told] == []


def test_names_chapters_and_needs_are_known() -> None:
    """Names are unique anchors, every chapter has a title, every need a remedy."""
    assert len({one.name for one in BENCHMARKS}) == len(BENCHMARKS)
    assert {one.chapter for one in BENCHMARKS} == entries.CHAPTERS.keys()
    assert {need for one in BENCHMARKS for need in one.needs} <= entries.REMEDIES.keys()


def test_a_quick_run_ends_within_twenty_minutes() -> None:
    """By the table's own minutes, and with time to start each of them."""
    assert sum(one.quick_minutes for one in BENCHMARKS if one.quick is not None) <= 20.0
    assert all(one.quick_minutes > 0.0 for one in BENCHMARKS if one.quick is not None)


SCRIPTS = sorted({one.script for one in BENCHMARKS if one.script.endswith(".py")})


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_option_of_the_table_is_one_of_the_script(script: str) -> None:
    """What the table passes stands in the script's own parser."""
    source = (ROOT / "benchmarks" / script).read_text(encoding="utf-8")
    for one in BENCHMARKS:
        if one.script == script:
            for option in re.findall(r"--[a-z0-9-]+", f"{one.arguments} {one.quick or ''}"):
                assert f'add_argument("{option}"' in source, f"{one.name}: {option}"


def test_every_command_of_the_page_and_the_makefile_exists() -> None:
    """`make bench`, its QUICK and DATA, and the options of all.py that the documents name."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (recipe,) = re.findall(r"^bench:.*\n\t(.*)", makefile, re.M)
    assert "benchmarks/all.py" in recipe
    assert {"QUICK", "DATA"} <= set(re.findall(r"\$\(if \$\((\w+)\)", recipe))
    pages = [document.HEAD, document.QUICK, (ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8"), recipe]
    options = {
        one
        for text in pages
        for line in re.findall(r"benchmarks/all\.py(.*)", text)
        for one in re.findall(r"--\w+", line)
    }
    known = {option for action in bench.arguments()._actions for option in action.option_strings}
    assert {"--quick", "--data", "--only"} <= options <= known


def test_what_is_made_before_is_a_command_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """With its folders filled in, the program understands it; what it makes is what the benchmark is given."""
    befores = [one for one in BENCHMARKS if one.before]
    assert befores
    for one in befores:
        command = one.before.format(data="data", out="out")
        made_file = Path(understood(command, monkeypatch).out)
        assert str(made_file) in one.arguments.format(data="data", out="out").split()


def test_a_run_is_kept_as_it_was(tmp_path: Path) -> None:
    """Output, exit code, command, commit, machine and versions; what came on stderr of a good run is not."""
    choice = Choice(True, tmp_path / "data", tmp_path / "out")
    code = "import sys; print('| a |\\n|---|\\n| ' + sys.argv[1] + ' |'); print('talk', file=sys.stderr); sys.exit(4)"
    keeping.write_kept(keeping.run(fake("one", code, tmp_path, quick_minutes=0.1), choice), choice.out)
    (one,) = keeping.read_kept(choice.out).values()
    assert (one.exit_code, one.output, one.said) == (4, "| a |\n|---|\n| --quick |", "")
    assert one.command.endswith("one.py --quick")
    assert one.is_measured
    assert one.machine
    assert one.versions["numpy"] == np.__version__
    head = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert one.commit.rstrip("+") == (head.stdout.strip() or "unknown")


def test_a_failed_run_keeps_what_it_complained_of(tmp_path: Path) -> None:
    """Exit code and the end of stderr."""
    choice = Choice(False, tmp_path / "data", tmp_path / "out")
    one = keeping.run(fake("one", "raise ValueError('no such thing')", tmp_path), choice)
    assert (one.exit_code, one.is_measured) == (1, False)
    assert one.said.endswith("ValueError: no such thing")


def is_alive(process_id: int) -> bool:
    """Return whether a process still runs; one that only waits to be reaped does not."""
    return psutil.pid_exists(process_id) and psutil.Process(process_id).status() != psutil.STATUS_ZOMBIE


def test_a_run_that_hangs_is_ended(tmp_path: Path) -> None:
    """With all that it started, after its patience, and said so."""
    started = "import subprocess; one = subprocess.Popen(['sleep', '60']); print(one.pid, flush=True); one.wait()"
    code, output, said = keeping.called(["python", "-c", started], tmp_path / "one.log", 2.0, 0.0, lambda _: None)
    assert code == -1
    assert "without a result" in said
    deadline = time.monotonic() + 20.0
    while is_alive(int(output)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_alive(int(output))


def test_what_is_missing_is_said_and_is_no_error(tmp_path: Path) -> None:
    """Footage that is not here, a program that is not here, and a benchmark that is no part of a quick run."""
    choice = Choice(False, tmp_path, tmp_path / "out")
    assert "ped2 is not here: name the folder" in keeping.run(fake("a", "", tmp_path, needs=("ped2",)), choice).reason
    absent = fake("b", "print('skipped: nothing is here')", tmp_path)
    assert keeping.run(absent, choice).reason == "skipped: nothing is here"
    long = fake("c", "", tmp_path, quick=None, minutes=40.0)
    assert "no part of a quick run (40 minutes)" in keeping.run(long, Choice(True, tmp_path, tmp_path)).reason


def test_a_run_that_was_stopped_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was measured at this commit is left out; a full result serves a quick run, and not the other way round."""
    monkeypatch.setattr(bench, "commit", lambda: "abc1234")
    keeping.write_kept(made("step"), tmp_path)
    keeping.write_kept(made("capture", commit="older"), tmp_path)
    keeping.write_kept(made("cameras", exit_code=1), tmp_path)
    keeping.write_kept(made("latency", is_quick=True), tmp_path)
    left = {
        is_quick: {one.name for one in bench.chosen(None, Choice(is_quick, tmp_path, tmp_path))}
        for is_quick in (True, False)
    }
    assert {"capture", "cameras"} <= left[True] == {one.name for one in BENCHMARKS} - {"step", "latency"}
    assert left[False] == left[True] | {"latency"}
    assert [one.name for one in bench.chosen(["step"], Choice(False, tmp_path, tmp_path))] == ["step"]


def test_that_nothing_was_measured_does_not_replace_what_was(tmp_path: Path) -> None:
    """A quick run does not take a long measurement off the page."""
    bench.keep(made("long-stream", output="| a |\n|---|\n| 1 |"), tmp_path)
    bench.keep(made("long-stream", exit_code=None, reason="no part of a quick run"), tmp_path)
    assert keeping.read_kept(tmp_path)["long-stream"].exit_code == 0


def test_the_page_tells_measured_failed_and_not_run(tmp_path: Path) -> None:
    """Each with its question and command; tables as tables, other lines as they were printed."""
    kept = {
        "step": made("step", output=STEPS),
        "capture": made("capture", exit_code=1, said="Traceback\nValueError: broken"),
        "v4l2": made("v4l2", exit_code=None, reason="qemu is not here"),
        "cameras": made("cameras", output=CAMERAS, exit_code=4, is_quick=True),
    }
    (tmp_path / "docs").mkdir()
    bench.write_page(kept, tmp_path / "docs" / "benchmarks.md")
    text = (tmp_path / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^### (\S+)\n(.*?)(?=^##|\Z)", text, re.M | re.S))
    assert list(sections) == [one.name for chapter in entries.CHAPTERS for one in BENCHMARKS if one.chapter == chapter]
    assert "| the CPU variant | 4.0 |" in sections["step"]
    assert "```text\narithmetic limit here: 70 GMAC/s\n```" in sections["step"]
    assert "Commit abc1234, 2026-01-02 03:04 UTC, 61 s, load 0.5" in sections["step"]
    assert "**Failed** with exit code 1" in sections["capture"]
    assert "ValueError: broken" in sections["capture"]
    assert "**Not run**: qemu is not here." in sections["v4l2"]
    assert "missed a bound" in sections["cameras"]
    assert "; quick." in sections["cameras"]
    assert "**Not run yet.**" in sections["latency"]
    assert (
        f"2 of {len(BENCHMARKS)} were measured; missed a bound: [cameras](#cameras); failed: [capture](#capture)"
        in text
    )
    assert "«quick»" in text
    assert "on paper, not measured" in text
    for name in re.findall(r"\]\(images/(.*?)\)", text):
        assert (tmp_path / "docs" / "images" / name).exists()


def test_the_figures_of_a_device_are_read_from_what_was_printed() -> None:
    """Cameras that keep the rate, shares of a camera, times, losses and false events, counted by hand."""
    account = Account(put=210, received=215, duplicates=5, told_lost=0, boots=9, lost=[], never_ended=[])
    times = {what: [2.0, 3.0, 7.0] for what in recovery.TARGETS}
    silent = quiet_clips.row("all", quiet_clips.Counted(20.0, 60.0, 36.0, 0))
    columns = f"| camera | learned | watched | scored s | false events | {figures.RATE} |\n|---|---|---|---|---|---|"
    kept = {
        "step": made("step", output=STEPS),
        "cameras": made("cameras", output=CAMERAS),
        "recovery": made("recovery", output=f"{recovery.table(times)}\n\n{recovery.used_table((212.4, 0.173))}"),
        "loss-kills": made("loss-kills", output=mqtt_loss.table("kills", account)),
        "quiet-clips": made("quiet-clips", output=f"{columns}\n{silent}"),
        "loss-day": made("loss-day", exit_code=1, output="| nonsense |\n|---|\n| 1 |"),
    }
    (told,) = tables_of(figures.told_figures(kept))
    rows = {row["figure"]: row["here"] for row in told}
    assert rows["ONNX Runtime's float step against the CPU variant"] == "2.0 times (4.0 and 8.0 ms)"
    assert rows["the fastest way of running the edge network's step"] == "the CPU variant (4.0 ms)"
    assert rows["eager PyTorch against the CPU variant"] == figures.NOT_MEASURED, "it is not in the table"
    assert rows["cameras at 10 frames a second"] == "8"
    assert rows["processor of a camera, of one core"] == "17 % with 1, 16 % each with 8"
    assert rows["memory of the river"] == "160 MB with 1, 28 MB for each more"
    assert rows["killed camera noticed"] == "median 3.0 s, largest of 3: 7.0 s"
    assert rows["memory of the daemon with one RTSP camera"] == "212 MB"
    assert rows["processor of it, of one core"] == "17 %"
    assert rows["lost through kills of the daemon and the broker"] == "0 of 210, 9 starts"
    # 36 s are a hundredth of an hour; no event excludes more than −ln 0.05 = 3.0 in it.
    assert rows["false events on real clips of normal work"] == "0 in 36 s: 0 (at most 300)"
    assert rows["lost through a day of outages"] == figures.NOT_MEASURED


def test_the_figures_have_the_targets_that_recovery_is_held_to() -> None:
    """One table of targets in the script and on the page."""
    told = {
        what: None if bound == "–" else float(bound.removesuffix(" s")) for what, bound in figures.RECOVERIES.items()
    }
    assert told == recovery.TARGETS


def test_a_late_recovery_is_a_missed_bound() -> None:
    """The largest counts; what has no target is never late."""
    good = {what: [4.0] for what in recovery.TARGETS}
    assert not recovery.is_late(good | {"broker back: live messages again": [99.0]})
    assert recovery.is_late(good | {"killed camera noticed": [1.0, 5.1]})


@pytest.mark.parametrize(("name", "output"), [("step", STEPS), ("cameras", CAMERAS), ("ped2", LEVELS)])
def test_a_plot_is_drawn_on_a_ground_of_its_own(name: str, output: str, tmp_path: Path) -> None:
    """Opaque, and darker ink than ground by the contrast that text needs, whatever page it stands on."""
    (plot,) = plots.draw_plots({name: made(name, output=output)}, tmp_path)
    image = cv2.imread(str(plot.path), cv2.IMREAD_UNCHANGED)
    assert image.shape[2] == 3 or int(image[..., 3].min()) == 255
    corner = image[2, 2, :3].astype(int)
    darkest = image[..., :3].astype(int).sum(axis=2).min() / 3
    assert (corner.mean() + 13) / (darkest + 13) > 4.5  # the ratio that WCAG asks of text, by mean level


def test_a_benchmark_that_failed_is_not_drawn(tmp_path: Path) -> None:
    """No plot of half a measurement, nor of none."""
    assert (
        plots.draw_plots({"step": made("step", exit_code=1, output=STEPS), "cameras": made("cameras")}, tmp_path) == []
    )


def test_the_page_in_the_repository_is_of_this_table() -> None:
    """docs/benchmarks.md has a section for every benchmark and no other."""
    text = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"^### (\S+)", text, re.M)) == sorted(one.name for one in BENCHMARKS)


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


def test_no_footage_is_no_camera(tmp_path: Path) -> None:
    """Cameras of the quiet clips are those whose files are here."""
    assert list(quiet_clips.cameras(tmp_path)) == []
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "car-detection-270p.mp4").touch()
    (one,) = quiet_clips.cameras(tmp_path)
    assert one.name == "car park"
    assert not set(one.learned) & set(one.watched)
