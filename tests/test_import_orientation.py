"""How kernels lie in a file: said by it, settled on footage, or asked; and the proof that footage gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.errors import UsageError
from export.architecture import Architecture
from tests.needs import need

need("h5py")
need("torch")

import torch  # noqa: E402 - after the check that it is there

from export.importing import network, reading  # noqa: E402
from export.importing.found import Given  # noqa: E402
from export.importing.network import read_network, settled  # noqa: E402
from export.importing.orientation import READINGS, with_reading  # noqa: E402
from export.importing.proof import prove  # noqa: E402
from tests.foreign import drawn, faithful_state_dict, keras_weights, small, write_hdf5  # noqa: E402
from tests.oracle import NumpyPredNet  # noqa: E402
from tests.tiny import clip_from  # noqa: E402

SIZE = Given(size=(24, 16))


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read in this process: a child for each of many files would take most of the test's time."""
    monkeypatch.setattr(network, "read_apart", lambda kind, path: reading._reader(kind)(path))


def predicting(architecture: Architecture) -> dict[str, np.ndarray]:
    """Weights that shift a moving pattern to the right, which is right only as long as nobody turns them.

    R_0 holds the frame of the past: C_0 is the signed error summed, f = 1, i = o = 1/2 or more.
    """
    weights = {name: np.zeros_like(values) for name, values in drawn(architecture).items()}
    weights["c.0.weight"][0, 1, 1, 1], weights["c.0.weight"][0, 2, 1, 1] = -1.0, 1.0
    for gate in "io":
        weights[f"{gate}.0.bias"][:] = 2.5
    weights["f.0.bias"][:] = -2.5
    weights["ahat.0.weight"][0, 0, 1, 0] = 1.6  # the pixel on the left comes here next
    weights["ahat.0.bias"][:] = 0.05
    return weights


def moving_clip() -> Any:
    """A pattern that moves one pixel to the right in every frame."""
    pattern = np.random.default_rng(3).integers(0, 200, (16, 24, 1), dtype=np.uint8)
    return clip_from(np.stack([np.roll(pattern, shift, axis=1) for shift in range(30)]))


SHIFTING = {"stack": (1,), "r_stack": (1,), "a_kernels": (), "ahat_kernels": (3,), "r_kernels": (3,)}


def test_an_unknown_orientation_is_settled_on_footage_and_told(tmp_path: Path, in_process: None) -> None:
    """Without a backend both readings run; the one that predicts better is taken, both errors are told."""
    architecture = small(**SHIFTING)
    weights = predicting(architecture)
    for theano, expected in ((True, "rotated"), (False, "stored")):
        path = write_hdf5(tmp_path / f"{theano}.hdf5", keras_weights(weights, theano=theano))
        held, proof = settled(read_network([path], SIZE), [moving_clip()])
        assert held.reading == expected
        assert held.said_by == "the lowest error on footage"
        assert set(held.errors) == {"stored", "rotated"}
        assert (
            f"said by the lowest error on footage (mean error: stored {held.errors['stored']:.5f};" in held.told_kernels
        )
        assert proof is not None
        assert proof.error == held.errors[expected] == min(held.errors.values())
        assert np.array_equal(held.weights["ahat.0.weight"], weights["ahat.0.weight"])


def test_an_unknown_orientation_is_never_guessed(tmp_path: Path, in_process: None) -> None:
    """Without footage, or where it does not tell, the user must say; kernels of one pixel have nothing to say."""
    architecture = small(**SHIFTING)
    weights = predicting(architecture)
    path = write_hdf5(tmp_path / "a.hdf5", keras_weights(weights, theano=True))
    with pytest.raises(UsageError, match="give --footage to try both, or --kernels stored or --kernels rotated"):
        settled(read_network([path], SIZE), ())
    weights["ahat.0.weight"][:] = 0
    path = write_hdf5(tmp_path / "b.hdf5", keras_weights(weights, theano=True))
    with pytest.raises(UsageError, match="the footage does not tell how the kernels lie"):
        settled(read_network([path], SIZE), [moving_clip()])
    points = small(**(SHIFTING | {"ahat_kernels": (1,), "r_kernels": (1,)}))
    path = write_hdf5(tmp_path / "c.hdf5", keras_weights(drawn(points), theano=True))
    assert settled(read_network([path], SIZE), ())[0].said_by == "kernels of one pixel"


def test_a_file_whose_word_the_footage_contradicts_is_warned_of(tmp_path: Path, in_process: None) -> None:
    """A converter that swapped height and width, or a wrong backend, is told, not corrected in silence."""
    weights = with_reading(predicting(small(**SHIFTING)), "transposed")
    torch.save(faithful_state_dict(weights), tmp_path / "a.pt")
    held, _ = settled(read_network([tmp_path / "a.pt"], SIZE), [moving_clip()])
    assert held.reading == "stored"
    assert "predicted better with them transposed" in held.warnings[0]
    assert set(held.errors) == set(READINGS)
    listed = keras_weights(predicting(small(**SHIFTING)), theano=True)
    path = write_hdf5(tmp_path / "b.hdf5", listed, backend="tensorflow")
    held, _ = settled(read_network([path], SIZE), [moving_clip()])
    assert "--kernels rotated takes them so" in held.warnings[0]


def test_the_proof_counts_the_error_that_the_oracle_counts() -> None:
    """Mean absolute errors after the warm-up, beside those of repeating the last frame, and the picture's frame."""
    architecture = small()
    weights = drawn(architecture)
    images = np.random.default_rng(1).integers(0, 256, (20, 16, 24, 1), dtype=np.uint8)
    proof = prove(architecture, weights, [clip_from(images)])
    oracle, errors, repeats = NumpyPredNet(architecture, weights), [], []
    for number, image in enumerate(images):
        prediction, _ = oracle.step(image)
        errors.append(np.abs(prediction - image / 255.0).mean())
        repeats.append(np.abs(image / 255.0 - images[max(number - 1, 0)] / 255.0).mean())
    assert proof.frames == 15
    assert proof.error == pytest.approx(np.mean(errors[5:]), abs=1e-6)  # float32 sums
    assert proof.repeated == pytest.approx(np.mean(repeats[5:]), abs=1e-9)
    assert np.array_equal(proof.frame, images[5 + int(np.argmax(repeats[5:]))])
