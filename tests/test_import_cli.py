"""`prednet-export import` and `bundle` of other programs' files, as users call them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import export.cli
from edge.bundle import read_bundle
from edge.runner_onnx import OnnxRunner
from tests.needs import need

need("h5py")
need("torch")

import torch  # noqa: E402 - after the check that it is there

from export.checkpoint import load_checkpoint  # noqa: E402
from tests.films import write_clip  # noqa: E402
from tests.foreign import (  # noqa: E402
    drawn,
    keras_json,
    keras_weights,
    leido_tensors,
    small,
    torch_tensors,
    write_hdf5,
)
from tests.oracle_leido import NumpyLeido  # noqa: E402
from tests.tiny import normal_images  # noqa: E402

SMALL = small(height=32, width=40)


@pytest.fixture
def model(tmp_path: Path) -> list[str]:
    """The JSON and the weights of a model, as Theano saved them without saying so."""
    (tmp_path / "model.json").write_text(json.dumps(keras_json(SMALL, extrap_start_time=10)))
    write_hdf5(tmp_path / "weights.hdf5", keras_weights(drawn(SMALL), theano=True))
    return [str(tmp_path / "model.json"), str(tmp_path / "weights.hdf5")]


@pytest.fixture
def video(tmp_path: Path) -> str:
    """Normal work, 60 frames."""
    return str(write_clip(tmp_path / "normal.mkv", normal_images(60)))


def test_import_writes_checkpoint_picture_and_report(
    model: list[str], video: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """JSON tells everything; the picture is drawn; a network worse than repeating the last frame is warned of."""
    out = tmp_path / "net.safetensors"
    words = ["import", *model, "-o", str(out), "--footage", video, "--kernels", "rotated"]
    assert export.cli.main([*words, "--json"]) == 0
    printed = capsys.readouterr()
    told = json.loads(printed.out)
    assert (told["kind"], told["tensors_used"], told["kernels"]) == ("Keras", 34, "rotated")
    assert told["parameters"] == sum(values.size for values in drawn(SMALL).values())
    assert told["ratio"] == pytest.approx(told["error"] / told["repeated"])
    assert told["ratio"] >= 0.9
    assert "warning: its error is" in printed.err
    assert told["set_aside"] == [f"{layer}/{part}:0" for layer in ("time_distributed_1", "dense_2") for part in ("kernel", "bias")]  # fmt: skip
    assert any("extrap_start_time 10 is ignored" in note for note in told["notes"])
    assert (tmp_path / "net.png").read_bytes().startswith(b"\x89PNG")
    architecture, weights, facts = load_checkpoint(out)
    assert architecture == SMALL
    assert all(np.array_equal(weights[name], values) for name, values in drawn(SMALL).items())
    assert facts["imported_from"] == "Keras"
    assert export.cli.main(words) == 0
    assert "34 tensors" in capsys.readouterr().out


def test_import_without_footage_and_orientation_is_refused(
    model: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is guessed, nothing is written; with --kernels the missing proof is said."""
    out = tmp_path / "net.safetensors"
    assert export.cli.main(["import", *model, "-o", str(out)]) == 2
    assert "give --footage to try both, or --kernels stored or --kernels rotated" in capsys.readouterr().err
    assert not out.exists()
    assert export.cli.main(["import", *model, "-o", str(out), "--kernels", "rotated"]) == 0
    assert "it is not proved that the network predicts anything" in capsys.readouterr().err


def test_another_programs_network_goes_straight_to_a_bundle(
    video: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`bundle` takes a leido file; the manifest names the variant, and the step in it is the variant's."""
    tensors = leido_tensors((1, 4), (2, 3))
    torch.save(torch_tensors(tensors), tmp_path / "training.pt")
    out = tmp_path / "net.prednet"
    words = [
        "bundle",
        str(tmp_path / "training.pt"),
        "--size",
        "40x32",
        "--footage",
        video,
        "-o",
        str(out),
        "--variants",
        "float",
    ]
    assert export.cli.main(words) == 0
    assert "note: cell 'leido'" in capsys.readouterr().err
    bundle = read_bundle(out)
    assert bundle.manifest.architecture["cell"] == "leido"
    assert bundle.manifest.training["imported_from"] == "leido/pytorch-prednet"
    runner, oracle = OnnxRunner(bundle.step("float"), bundle.spec, 1, threads=1), NumpyLeido(tensors, 32, 40)
    for image in normal_images(10):
        step = runner.step(image[None], np.ones(1, bool), np.zeros(1, bool))
        prediction, _ = oracle.step(image)
    assert np.abs(step.prediction[0] - prediction).max() <= 0.501  # whole grey levels
    assert export.cli.main(["inspect", str(out)]) == 0
    assert "cell leido" in capsys.readouterr().out


def test_a_variant_that_cannot_be_trained_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`train --start` takes networks with the original's cell alone."""
    torch.save(torch_tensors(leido_tensors((1, 4), (2, 3))), tmp_path / "training.pt")
    out = tmp_path / "net.safetensors"
    assert export.cli.main(["import", str(tmp_path / "training.pt"), "--size", "40x32", "-o", str(out)]) == 0
    words = ["train", "--footage", "none.mp4", "--start", str(out), "--out", str(tmp_path / "b.safetensors")]
    assert export.cli.main(words) == 2
    assert "its cell is 'leido', which can be bundled, not trained." in capsys.readouterr().err
