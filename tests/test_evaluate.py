"""`prednet-calibrate evaluate` from end to end: on a tiny dataset made here, and on three clips of the real Ped2."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import calibration.cli
from calibration.datasets import LabelledClip, read_dataset
from calibration.evaluate import Candidate, candidate_from_predictor, evaluate
from calibration.evaluate_cli import chosen_clips
from calibration.fit import fit_calibration, observe
from calibration.scoring import ScoredClip, score_clip, smoothed
from edge.detection import Rules
from edge.errors import UsageError
from edge.frames import FrameFormat
from edge.moments import Judge
from edge.pipeline import WARMUP_FRAMES
from edge.places import Place
from edge.runners import open_predictor
from tests.films import write_clip
from tests.tiny import RATE_HZ, clip_from, normal_images, with_accident, write_tiny_bundle

PED2 = Path(__file__).parents[2] / "shared" / "data" / "ped2"
FORM = FrameFormat(32, 40, 1, RATE_HZ)
ACCIDENT = (60, 100)


def write_dataset(root: Path) -> Path:
    """Normal work, and test clips with and without an accident."""
    (root / "normal").mkdir(parents=True)
    (root / "test").mkdir()
    write_clip(root / "normal" / "work.mkv", normal_images(200))
    labels = np.zeros(140, np.uint8)
    np.save(root / "test" / "quiet.labels.npy", labels)
    labels[slice(*ACCIDENT)] = 1
    np.save(root / "test" / "busy.labels.npy", labels)
    write_clip(root / "test" / "busy.mkv", with_accident(normal_images(140, seed=5), *ACCIDENT))
    write_clip(root / "test" / "quiet.mkv", normal_images(140, seed=6))
    return root


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """Run `evaluate` and return what it printed."""
    assert calibration.cli.main(["evaluate", *map(str, arguments)]) == 0
    return capsys.readouterr().out


def test_bundles_and_baselines_are_measured_side_by_side(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A flickering corner is found by all that look at differences; two bundles give a mean; curves are drawn."""
    data = write_dataset(tmp_path / "tiny")
    bundle, again = write_tiny_bundle(tmp_path / "seed0.prednet"), write_tiny_bundle(tmp_path / "seed1.prednet")
    told = json.loads(
        run(capsys, "--dataset", data, "--bundle", bundle, again, "--predictor", "last-frame", "flow",
            "--size", "40x32", "--out", tmp_path / "curves", "--json")
    )  # fmt: skip
    found = {one["name"]: one for one in told["predictors"]}
    assert list(found) == ["seed0", "seed1", "last-frame", "flow"]
    for name in ("seed0", "last-frame"):
        # A surprise is what is said for half a second: all but the first frames of a fall are in the right order.
        assert found[name]["scores"]["surprise"]["auc"] > 0.98
        assert found[name]["scores"]["level"]["auc"] > 0.95
        assert found[name]["events"]["recall"] == 1.0
        assert found[name]["events"]["false_events"] == 0
        assert 1.5 <= found[name]["events"]["median_delay_seconds"] <= 2.5  # the hold, and a second for the level
    assert told["seeds"]["surprise"]["sd"] == 0.0
    for name in ("roc.png", "events.png"):
        assert (tmp_path / "curves" / name).read_bytes().startswith(b"\x89PNG")


def test_test_clips_without_an_anomaly_have_curves_without_points(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing could be found, so no share of it is drawn; both pictures are there."""
    data = write_dataset(tmp_path / "tiny")
    (data / "test" / "busy.mkv").unlink()
    (data / "test" / "busy.labels.npy").unlink()
    told = run(capsys, "--dataset", data, "--predictor", "last-frame", "--size", "40x32", "--out", tmp_path / "curves")
    assert "| last-frame |" in told
    for name in ("roc.png", "events.png"):
        assert (tmp_path / "curves" / name).read_bytes().startswith(b"\x89PNG")


def test_the_table_names_every_score_and_says_what_is_normalised(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Markdown for a person: figures, events, and the note on clips that are stretched."""
    told = run(capsys, "--dataset", write_dataset(tmp_path / "tiny"), "--predictor", "moving-block", "--size", "40x32")
    for words in (
        "| moving-block | surprise |",
        "| moving-block | largest 0 |",
        "1 of 1 found",
        "comparison with papers",
    ):
        assert words in told


def test_whole_videos_are_ranked_by_their_highest_score(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One pair of clips, in the right order; a bundle's own calibration serves where nothing normal is given."""
    data = write_dataset(tmp_path / "tiny")
    (data / "test" / "video_labels.txt").write_text("busy 1\nquiet 0\n")
    (data / "normal" / "work.mkv").unlink()
    bundle = write_tiny_bundle(tmp_path / "tiny.prednet")
    told = json.loads(run(capsys, "--dataset", data, "--bundle", bundle, "--json"))["predictors"][0]
    assert told["scores"]["level"]["auc"] == 1.0
    assert told["events"] is None
    assert told["is_own_calibration"]


def test_the_limit_is_fitted_for_the_hold_that_events_are_decided_by(tmp_path: Path) -> None:
    """Normal work with flickers of a second: a hold that they do not outlast needs no limit above them."""
    data = write_dataset(tmp_path / "tiny")
    work = normal_images(700)  # a minute and more: less footage gives its highest level as the limit
    for start in range(40, 700, 80):
        work = with_accident(work, start, start + 10, seed=start)
    write_clip(data / "normal" / "work.mkv", work)
    dataset = read_dataset(data)
    limits = []
    for hold in (0.0, 5.0):
        found = evaluate(dataset, candidate_from_predictor("last-frame", FORM), Rules(hold_seconds=hold), _quiet)
        assert found.events is not None
        limits.append(found.events.limit)
    assert limits[1] < limits[0]


def test_milliseconds_are_those_of_every_frame_that_was_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two clips of 140 frames that take 0.14 s each: a millisecond, though the warm-up of each is not scored."""

    def timed(*arguments: Any) -> ScoredClip:
        return replace(score_clip(*arguments), watch_seconds=0.14)

    monkeypatch.setattr("calibration.evaluate.score_clip", timed)
    dataset = read_dataset(write_dataset(tmp_path / "tiny"))
    found = evaluate(dataset, candidate_from_predictor("last-frame", FORM), Rules(), _quiet)
    assert found.frames == 2 * (140 - WARMUP_FRAMES)
    assert found.frame_milliseconds == pytest.approx(1.0)


def tiny_judge() -> Judge:
    """What differences of normal work look like."""
    clips = [clip_from(normal_images(200))]
    fitted = fit_calibration(clips, observe(clips, open_predictor("last-frame", FORM, 1)), RATE_HZ)
    return Judge(fitted.normality, fitted.limits.noise, None)


def test_warm_up_counts_as_the_frame_after_it_and_skipped_frames_as_the_one_before(tmp_path: Path) -> None:
    """A clip of 20 frames a second before a network of 10: every label has a score, two by two alike."""
    images = np.repeat(normal_images(30), 2, axis=0)
    video = write_clip(tmp_path / "a.mkv", images)  # its 60 frames are 10 a second: half of them at 5 Hz
    form = FrameFormat(32, 40, 1, 5.0)
    labelled = LabelledClip(Place("video", str(video)), False, np.zeros(60, np.uint8))
    clip = score_clip(labelled, open_predictor("last-frame", form, 1), tiny_judge(), lambda: None)
    scores = clip.scores["largest 0"]
    assert len(scores) == 60
    assert set(scores[: 2 * WARMUP_FRAMES + 2].tolist()) == {scores[2 * WARMUP_FRAMES]}
    np.testing.assert_array_equal(scores[::2], scores[1::2])
    assert len(clip.watched.readings) == 30 - WARMUP_FRAMES
    assert clip.watched.normal_seconds == pytest.approx(6.0)


def test_each_witness_is_scored_alone_and_left_out(tmp_path: Path) -> None:
    """With two witnesses, what is without one is the other alone, and the surprise is the higher of both."""
    video = write_clip(tmp_path / "a.mkv", normal_images(60))
    labelled = LabelledClip(Place("video", str(video)), False, np.zeros(60, np.uint8))
    form = FrameFormat(32, 40, 1, RATE_HZ)
    clip = score_clip(labelled, open_predictor("last-frame", form, 1), tiny_judge(), lambda: None)
    assert {name for name in clip.scores if " " in name and name.split()[0] in ("only", "without")} == {
        "only error", "only speed", "without error", "without speed",
    }  # fmt: skip
    np.testing.assert_array_equal(clip.scores["only speed"], clip.scores["without error"])
    np.testing.assert_array_equal(clip.scores["only error"], clip.scores["without speed"])
    seconds = np.arange(60 - WARMUP_FRAMES) / RATE_HZ
    both = smoothed(clip.scores["surprise"][WARMUP_FRAMES:], seconds)
    assert (both >= np.maximum(clip.scores["only error"], clip.scores["only speed"])[WARMUP_FRAMES:] - 1e-6).all()


def test_masks_that_are_coarser_than_the_scores_are_refused(tmp_path: Path) -> None:
    """A cell of which no pixel tells anything cannot be right or wrong."""
    video = write_clip(tmp_path / "a.mkv", normal_images(20))
    np.save(tmp_path / "a.npy", np.zeros((20, 4, 3), bool))
    labelled = LabelledClip(Place("video", str(video)), False, np.zeros(20, np.uint8), tmp_path / "a.npy")
    with pytest.raises(UsageError, match=r"a\.mkv: its masks have 4 rows and 3 columns; its scores have 4 and 5 cells"):
        score_clip(labelled, open_predictor("last-frame", FORM, 1), tiny_judge(), lambda: None)


def test_frames_after_a_gap_count_as_the_scored_frame_after_them(tmp_path: Path) -> None:
    """A video with a missing second: the frame after it is degraded, the next one warms up."""
    import av  # noqa: PLC0415 - a test's own recorder

    path = tmp_path / "gap.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=10)
        stream.width, stream.height, stream.pix_fmt = 40, 32, "gray"
        for number, image in enumerate(normal_images(40)):
            frame = av.VideoFrame.from_ndarray(image[..., 0], format="gray")
            frame.pts, frame.time_base = number + (10 if number >= 20 else 0), Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    labelled = LabelledClip(Place("video", str(path)), False, np.zeros(40, np.uint8))
    clip = score_clip(labelled, open_predictor("last-frame", FORM, 1), tiny_judge(), lambda: None)
    assert len(clip.watched.readings) == 40 - WARMUP_FRAMES - 2
    for scores in clip.scores.values():
        assert np.isfinite(scores).all()
        assert scores[20] == scores[21] == scores[22]


def test_smoothing_is_causal_and_settles_on_a_step() -> None:
    """Nothing before the step knows of it; after one time constant 63 % is reached."""
    seconds = np.arange(40) / 10.0
    means = smoothed((seconds >= 2.0).astype(float), seconds)
    assert means[:20].max() == 0.0
    assert means[22] == pytest.approx(1.0 - np.exp(-1.0))  # 0.3 s from the last 0


REFUSALS = [
    (["--dataset", "{data}", "--clips", "nowhere"], "has no test clip 'nowhere'; it holds busy, quiet."),
    (["--dataset", "{short}", "--size", "40x32"], "busy.mkv: has 140 frames and 139 labels; they must be equal."),
    (["--dataset", "{bare}", "--size", "40x32"], "holds no normal clips to learn from, and last-frame brings no calibration"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "message"), REFUSALS, ids=[row[1][:30] for row in REFUSALS])
def test_what_cannot_be_measured_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    """And exit code 2."""
    folders = {name: write_dataset(tmp_path / name) for name in ("data", "short", "bare")}
    np.save(folders["short"] / "test" / "busy.labels.npy", np.zeros(139, np.uint8))
    (folders["bare"] / "normal" / "work.mkv").unlink()
    assert calibration.cli.main(["evaluate", *(word.format(**folders) for word in arguments)]) == 2
    assert message in capsys.readouterr().err


def test_a_candidate_is_closed_where_it_cannot_be_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each holds a device's memory."""
    data, closed = write_dataset(tmp_path / "data"), []
    np.save(data / "test" / "busy.labels.npy", np.zeros(139, np.uint8))

    def opens(name: str, form: FrameFormat) -> Candidate:
        candidate = candidate_from_predictor(name, form)
        monkeypatch.setattr(candidate.runner, "close", lambda: closed.append(name))
        return candidate

    monkeypatch.setattr("calibration.evaluate_cli.candidate_from_predictor", opens)
    assert (
        calibration.cli.main(["evaluate", "--dataset", str(data), "--predictor", "last-frame", "--size", "40x32"]) == 2
    )
    assert closed == ["last-frame"]


@pytest.mark.skipif(not PED2.is_dir(), reason=f"the real Ped2 is not at {PED2}; see shared/data/README.md")
def test_the_real_ped2_is_read_and_flow_finds_its_bicycles() -> None:
    """Clips 1, 4 and 6, with normal and anomalous frames each; learned from two normal clips."""
    dataset = chosen_clips(read_dataset(PED2), ["01", "04", "06"])
    assert [len(clip.labels) for clip in dataset.test if clip.labels is not None] == [180, 180, 180]
    dataset = type(dataset)(dataset.name, dataset.layout, dataset.normal[:2], dataset.test, dataset.rate_hz)
    found = evaluate(dataset, candidate_from_predictor("flow-light", FrameFormat(128, 160, 1, 10.0)), Rules(), _quiet)
    speed = found.figures["largest 1"]
    assert speed.auc is not None
    assert speed.pixel_auc is not None
    assert speed.auc > 0.85  # a bicycle is faster than who walks
    assert speed.pixel_auc > 0.85


def _quiet(_: str, __: int) -> None:
    """No progress."""
