"""The commands as users call them: replay, site, bundle, inspect, check, and their exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import calibration.cli
import edge.cli
import export.cli
from export.checkpoint import save_checkpoint
from tests.daemons import write_config
from tests.films import write_clip
from tests.tiny import normal_images, repeating_weights, tiny_architecture, with_accident, write_tiny_bundle


def test_replay_prints_events_as_json_lines_and_draws_the_chart(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One event, new and end, with its media time; the picture is there under the file's name."""
    monkeypatch.chdir(tmp_path)
    bundle = write_tiny_bundle(tmp_path / "tiny.prednet")
    video = write_clip(tmp_path / "busy.mkv", with_accident(normal_images(140, seed=5), 60, 100))
    assert edge.cli.main(["replay", str(video), "--bundle", str(bundle)]) == 0
    printed = capsys.readouterr()
    events = [json.loads(line) for line in printed.out.splitlines()]
    assert [event["type"] for event in events] == ["new", "end"]
    assert 6.0 <= events[0]["media"]["start"] <= 7.0
    assert "1 events in 140 frames; chart: busy.chart.png" in printed.err
    assert (tmp_path / "busy.chart.png").read_bytes().startswith(b"\x89PNG")


def test_a_site_is_calibrated_and_replayed_with(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The site's normality is written, told, and used: the events say `calibrated`."""
    bundle = write_tiny_bundle(tmp_path / "tiny.prednet")
    video = write_clip(tmp_path / "busy.mkv", with_accident(normal_images(240, seed=5), 160, 200))
    normal, chart = tmp_path / "a.normal", tmp_path / "a.png"
    arguments = ["site", str(video), "--first-part", "0.5", "--bundle", str(bundle), "-o", str(normal)]
    assert calibration.cli.main(arguments) == 0
    assert "no promise of a rate" in capsys.readouterr().out
    replay = ["replay", str(video), "--bundle", str(bundle), "--normal", str(normal), "--chart", str(chart)]
    assert edge.cli.main(replay) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [event["calibrated"] for event in events] == [True, True]


def test_a_checkpoint_becomes_a_bundle_that_inspect_shows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`bundle` fits and writes, warns of a network that predicts nothing, and `inspect` reads it back."""
    architecture = tiny_architecture()
    weights = tmp_path / "tiny.safetensors"
    save_checkpoint(weights, architecture, repeating_weights(architecture), {"seed": 3})
    video = write_clip(tmp_path / "normal.mkv", normal_images(120))
    out = tmp_path / "tiny.prednet"
    assert (
        export.cli.main(["bundle", str(weights), "--footage", str(video), "-o", str(out), "--variants", "float"]) == 0
    )
    printed = capsys.readouterr()
    assert "error beside that of repeating the last frame: 1.00" in printed.out
    assert "hardly beats repeating the last frame" in printed.err
    (report,) = [line.removeprefix("report: ") for line in printed.err.splitlines() if line.startswith("report: ")]
    assert Path(report).is_file()
    assert export.cli.main(["inspect", str(out)]) == 0
    assert "frames: 40×32 grey, 10 a second" in capsys.readouterr().out
    assert export.cli.main(["inspect", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["training"] == {"seed": 3}


def test_check_names_every_camera(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A good configuration is said to be good."""
    assert edge.cli.main(["check", "--config", str(write_config(tmp_path, 1883))]) == 0
    told = capsys.readouterr().out
    assert "busy: " in told
    assert "good; 2 cameras on tiny" in told


REFUSALS = [
    (edge.cli.main, ["replay", "/none.mp4", "--bundle", "{bundle}"], 2, "prednet-edge replay: /none.mp4: no such file or folder"),
    (edge.cli.main, ["replay", "{video}", "--bundle", "/none.prednet"], 1, "prednet-edge replay: /none.prednet: cannot be read"),
    (edge.cli.main, ["replay", "{text}", "--bundle", "{bundle}"], 2, "not a video that can be read"),
    (edge.cli.main, ["replay", "rtsp://127.0.0.1:1/a", "--bundle", "{bundle}"], 3, "the camera cannot be opened"),
    (edge.cli.main, ["replay", "{video}", "--bundle", "{bundle}", "--variant", "int8"], 1, "has no variant 'int8'; it holds float."),
    (edge.cli.main, ["replay", "{video}", "--bundle", "{bundle}", "--hold", "-1"], 2, "--hold is -1; give 0 seconds or more."),
    (edge.cli.main, ["check", "--config", "/none.yaml"], 78, "/none.yaml: cannot be read"),
    (calibration.cli.main, ["site", "{short}", "--bundle", "{bundle}", "-o", "x.normal"], 2, "scored frames; at least 10 are needed"),
    (export.cli.main, ["bundle", "/none.safetensors", "--footage", "{video}", "-o", "x"], 2, "/none.safetensors: there is no such file"),
    (export.cli.main, ["inspect", "{text}"], 1, "not a prednet-bundle archive"),
    # where the answer would be written is looked at before anything that is read
    (edge.cli.main, ["replay", "/none.mp4", "--bundle", "/none.prednet", "--chart", "/none/a.png"], 2, "/none/a.png: there is no folder /none"),
    (calibration.cli.main, ["site", "/none.mp4", "--bundle", "{bundle}", "-o", "/none/a.normal"], 2, "/none/a.normal: there is no folder /none"),
    (calibration.cli.main, ["site", "/none.mp4", "--bundle", "{bundle}", "-o", "{folder}"], 2, ": is a folder; give the name of a file"),
    (calibration.cli.main, ["masks", "/none.mp4", "--bundle", "/none.prednet", "--chart", "/none/m.png"], 2, "/none/m.png: there is no folder /none"),
    (calibration.cli.main, ["evaluate", "--dataset", "/none", "--out", "{text}"], 2, "text.mp4 is a file; give a folder"),
    (calibration.cli.main, ["evaluate", "--dataset", "/none", "--out", "{text}/curves"], 2, "text.mp4 is a file; give a folder"),
    (export.cli.main, ["bundle", "/none.safetensors", "--footage", "/none.mp4", "-o", "{folder}"], 2, ": is a folder; give the name of a file"),
    (export.cli.main, ["import", "/none.pt", "-o", "x.safetensors", "--picture", "/none/x.png"], 2, "/none/x.png: there is no folder /none"),
    (export.cli.main, ["import", "/none.pt", "-o", "/none/x.safetensors"], 2, "/none/x.safetensors: there is no folder /none"),
    (export.cli.main, ["sign", "/none.prednet", "--key", "/none.key", "-o", "/none/a.prednet"], 2, "/none/a.prednet: there is no folder /none"),
    (export.cli.main, ["inspect", "/none.prednet", "--report", "/none/a.html"], 2, "/none/a.html: there is no folder /none"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("main", "arguments", "code", "message"), REFUSALS, ids=[f"{row[1][0]} {row[3][:40]}" for row in REFUSALS]
)
def test_bad_input_is_one_sentence_and_its_exit_code(  # type: ignore[no-untyped-def]
    tmp_path: Path, capsys: pytest.CaptureFixture[str], main, arguments: list[str], code: int, message: str
) -> None:
    """No traceback, no half-written file."""
    paths = {
        "folder": tmp_path,
        "bundle": write_tiny_bundle(tmp_path / "tiny.prednet"),
        "video": write_clip(tmp_path / "a.mkv", normal_images(20)),
        "short": write_clip(tmp_path / "short.mkv", normal_images(8)),
        "text": tmp_path / "text.mp4",
    }
    paths["text"].write_text("no video")
    assert main([argument.format(**paths) for argument in arguments]) == code
    lines = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("reading ")]
    assert message in lines[-1]
    assert "Traceback" not in "".join(lines)


def test_usage_errors_leave_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown command or option points to the help."""
    for arguments in (["frobnicate"], ["run"], []):
        with pytest.raises(SystemExit) as left:
            edge.cli.main(arguments)
        assert left.value.code == 2
    assert "See 'prednet-edge" in capsys.readouterr().err


def test_the_factory_is_written_as_video_with_its_truth(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The folder holds film, labels and incidents; a second call does not overwrite it."""
    call = ["scene", "test://factory?seed=7&accidents=fire&first=1&seconds=3", "--write", str(tmp_path / "cell")]
    assert edge.cli.main([*call, "--size", "160x128", "--colour", "grey"]) == 0
    (incident,) = json.loads((tmp_path / "cell" / "incidents.json").read_text())
    labels = np.load(tmp_path / "cell" / "labels.npy")
    assert incident["kind"] == "fire"
    assert labels.tolist() == [0] * 10 + [1] * 20
    assert edge.cli.main(call) == 2
    assert "exists already" in capsys.readouterr().err
