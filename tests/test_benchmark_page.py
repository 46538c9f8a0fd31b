"""docs/benchmarks.md tells what is kept: tables, figures of the whole device, plots, and what was not run."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "benchmarks"))

import all as bench  # noqa: E402 - scripts, imported to be held to their word
import capture  # noqa: E402
import document  # noqa: E402
import entries  # noqa: E402
import figures  # noqa: E402
import kept as keeping  # noqa: E402
import latency  # noqa: E402
import mqtt_loss  # noqa: E402
import plots  # noqa: E402
import quiet_clips  # noqa: E402
import recovery  # noqa: E402
from entries import BENCHMARKS  # noqa: E402
from markdown import tables_of  # noqa: E402

from tests.benching import CAMERAS, LEVELS, STEPS, made  # noqa: E402
from tests.loss import Account  # noqa: E402


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


def test_what_was_made_before_is_told_as_it_was_made(tmp_path: Path) -> None:
    """With the footage that was named by --data; where that was not kept, with the usual folder."""
    (one,) = (one for one in BENCHMARKS if one.name == "int8-ped2")
    kept = keeping.run(one, keeping.Choice(False, tmp_path / "footage", tmp_path / "out"))
    assert f"```sh\n{kept.before}\n{kept.command}\n```" in document.told_benchmark(one, kept)
    assert f"{keeping.told_path(tmp_path / 'footage')}/ped2/train/* -o" in kept.before
    assert "../shared/data/ped2/train/*" in document.told_benchmark(one, made("int8-ped2"))


def test_the_figures_of_a_device_are_read_from_what_was_printed() -> None:
    """Cameras that keep the rate, shares of a camera, times, losses and false events, counted by hand."""
    account = Account(put=210, received=215, duplicates=5, told_lost=0, boots=9, lost=[], never_ended=[])
    times = {what: [2.0, 3.0, 7.0] for what in figures.RECOVERIES}
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
    assert rows["ONNX Runtime's float step against the CPU variant"] == "2.00 times (4.0 and 8.0 ms)"
    assert rows["the fastest way of running the edge network's step"] == "the CPU variant (4.0 ms)"
    assert rows["eager PyTorch against the CPU variant"] == figures.NOT_MEASURED, "it is not in the table"
    assert rows["cameras at 10 frames a second, by the float step"] == "8"
    assert rows["processor of a camera, of one core"] == "17 % with 1, 16 % each with 8"
    assert rows["memory of the river"] == "160 MB with 1, 28 MB for each more"
    assert rows["killed camera noticed"] == "median 3.0 s, largest of 3: 7.0 s"
    assert rows["memory of the daemon with one RTSP camera"] == "212 MB"
    assert rows["processor of it, of one core"] == "17 %"
    assert rows["lost through kills of the daemon and the broker"] == "0 of 210; starts of the device: 9"
    # 36 s are a hundredth of an hour; no event excludes more than −ln 0.05 = 3.0 in it.
    assert rows["false events an hour on real clips of normal work"] == "0 (at most 300); 0 in 36 s"
    assert rows["lost through a day of outages"] == figures.NOT_MEASURED


def test_a_missed_target_and_a_quick_run_are_told_in_the_table() -> None:
    """Each figure beside its target says whether it was kept: 1.97 times is not twice, and a quick run is no proof."""
    ways = STEPS.replace("| 4.0 | 3.9 | 7.5 | 2.00 |", "| 4.0 | 3.9 | 7.5 | 1.97 |")
    libraries = "| capture | changes seen | median ms | 95th percentile ms |\n|---|---|---|---|\n"
    kept = {
        "step": made("step", output=ways),
        "recovery": made(
            "recovery",
            output=f"{recovery.table({'killed camera noticed': [1.0, 5.1]})}\n\n{recovery.used_table((212.4, 0.173))}",
            is_quick=True,
        ),
        "glass": made("glass", output=f"{libraries}| pyav | 9 of 9 | 119 | 165 |\n| gstreamer | 9 of 9 | 87 | 126 |"),
        "latency": made("latency", output=latency.table({1: np.arange(101.0)})),
    }
    rows = {row["figure"]: row for row in tables_of(figures.told_figures(kept))[0]}
    step = rows["ONNX Runtime's float step against the CPU variant"]
    assert (step["here"], step["target"], step["kept"]) == (
        "1.97 times (4.0 and 8.0 ms)", "at least 2 times", "**missed**",
    )  # fmt: skip
    noticed = rows["killed camera noticed"]
    assert (noticed["target"], noticed["kept"], noticed["from"]) == (
        "at most 5 s", "**missed**", "[recovery](#recovery), quick",
    )  # fmt: skip
    assert rows["memory of the daemon with one RTSP camera"]["kept"] == "yes"
    assert rows["first start to watching"]["kept"] == "–", "it was not measured"
    both = rows["both parts added, beyond the time that an anomaly must last"]
    assert both["here"] == "pyav median 169 ms, 95 % about 260 ms; gstreamer median 137 ms, 95 % about 221 ms"


def test_what_stands_beside_others_is_read_with_them() -> None:
    """Capture beside OpenCV, networks beside other predictors, both parts of the latency, cuts of the power."""
    libraries = f"| {' | '.join(capture.COLUMNS)} |\n{'|---' * len(capture.COLUMNS)}|\n" + "\n".join(
        f"| {colour} | {told} | 3.10 | 3.00 to 3.20 | {ratio} | 30 |"
        for colour, told, ratio in [
            ("grey", "pyav", "0.59"), ("rgb", "OpenCV, VideoCapture loop", "1.00"),
            ("rgb", "pyav", "0.69"), ("rgb", "gstreamer (avdec_h264)", "0.85"),
        ]
    )  # fmt: skip
    rest = capture.rest_table([capture.Rest(2.0, 1.0, 5.0), capture.Rest(3.0, 1.5, 6.0), capture.Rest(2.5, 1.0, 5.5)])
    cuts = "| changes of the disk | cuts | messages that had to be there | missing | damaged |\n|---|---|---|---|---|\n"
    kept = {
        "capture": made("capture", output=f"{libraries}\n\nthe rest:\n\n{rest}", exit_code=4),
        "latency": made("latency", output=latency.table({1: np.arange(101.0), 8: np.full(5, 151.0)}), exit_code=4),
        "power-cuts": made("power-cuts", output=f"{cuts}| 900 | 500 | 11000 | 0 | 0 |"),
        "ped2": made("ped2", output=f"| predictor |\n|---|\n| other |\n\n{LEVELS}"),
    }
    rows = {row["figure"]: row["here"] for row in tables_of(figures.told_figures(kept))[0]}
    assert rows["lost through cuts of the power"] == "0 of 11000; cuts: 500"
    assert rows["processor time of capture against a loop of OpenCV"] == "pyav 0.69 times, gstreamer 0.85 times"
    assert rows["capture to decision, less decoding and step"] == "2.50 ms a frame"
    assert rows["processor time of it, all threads"] == "5.50 ms a frame"
    assert rows["second part: arrival to subscriber, one camera"] == "median 50.0 ms, 95 % 95.0 ms"
    assert rows["second part with eight cameras"] == "median 151.0 ms, 95 % 151.0 ms"
    assert rows["frame AUC on Ped2: PredNet's level"] == "0.9648 (mean of 1)"
    assert rows["frame differences in the same machinery"] == "0.9735 (last-frame 192x128)"
    assert rows["optical flow in the same machinery"] == "0.9700 (flow-light 192x128)"


def test_versions_that_changed_between_runs_are_told_apart() -> None:
    """A machine has a row for each set of versions that something was measured with; what did not run has none."""
    kept = {
        "step": made("step"),
        "cameras": made("cameras", commit="def5678"),
        "glass": made("glass", commit="def5678", versions={"python": "3.13"}),
        "v4l2": made("v4l2", commit="0000000", exit_code=None),
    }
    rows = [(row["commits"], row["versions"]) for row in tables_of(document.told_machines(kept))[0]]
    assert rows == [("abc1234, def5678", "python 3.11"), ("def5678", "python 3.13")]


def test_a_table_that_changed_is_said_on_the_page() -> None:
    """A column that is gone does not cost the whole page."""
    kept = {"cameras": made("cameras", output=CAMERAS.replace("memory MB", "memory"))}
    rows = {row["figure"]: row["here"] for row in tables_of(figures.told_figures(kept))[0]}
    assert rows["memory of the river"] == "unreadable: KeyError('memory MB')"
    assert rows["cameras at 10 frames a second, by the float step"] == "8"


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
