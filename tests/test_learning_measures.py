"""The measures of learning: what counts as moving, what the loss weighs, and what skill is reported."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from edge.pipeline import WARMUP_FRAMES
from export.architecture import Architecture
from tests.needs import need

torch = need("torch")

from export.learning.evaluation import skill_report  # noqa: E402 - after the check that torch is there
from export.learning.loss import STILL_WEIGHT, movement_threshold, plain_loss, prediction_loss  # noqa: E402
from export.learning.network import PredNet  # noqa: E402
from export.learning.sequences import Stretch  # noqa: E402

SMALL = Architecture(height=8, width=8, channels=1, rate_hz=10.0, stack=(1, 2), r_stack=(2, 2), head="residual")


def noisy_clip(sigma: float, size: int = 8) -> NDArray[np.uint8]:
    """Return 60 frames of grey noise on which a white pixel walks, [T, size, size, 1]."""
    noise = np.random.default_rng(2).normal(100, sigma, (60, size, size, 1))
    images: NDArray[np.uint8] = noise.round().clip(0, 255).astype(np.uint8)
    images[np.arange(60), np.arange(60) % size, 3] = 255
    return images


def test_a_network_that_repeats_the_last_frame_has_ratio_one() -> None:
    """Before training a residual network repeats the last frame, whose error numpy counts."""
    clip = noisy_clip(1.0)
    threshold = movement_threshold([clip])
    stretches = [Stretch(0, 0, 40), Stretch(0, 45, 60)]
    skill = skill_report(PredNet(SMALL), [clip], stretches, threshold)
    differences = np.abs(np.diff(clip.astype(float), axis=0)) / 255
    counted = np.concatenate([differences[s.start + WARMUP_FRAMES - 1 : s.stop - 1] for s in stretches])
    moving = counted > threshold
    assert skill.frames == len(counted) == 35 + 10
    assert skill.ratio == skill.moving_ratio == 1.0
    # float32 sums of 64 pixels a frame
    assert skill.repeated == pytest.approx(counted.mean(), rel=1e-6)
    assert skill.moving_share == pytest.approx(moving.mean(), rel=1e-6)
    assert skill.moving_repeated == pytest.approx(counted[moving].mean(), rel=1e-6)


@pytest.mark.parametrize("sigma", [3.0, 8.0])
def test_noise_hardly_moves(sigma: float) -> None:
    """The threshold is five sigma of the difference of two noisy frames, √2 times that of one."""
    # a quantile of whole grey levels is right to one level
    assert movement_threshold([noisy_clip(sigma, 64)]) * 255 == pytest.approx(5 * np.sqrt(2) * sigma, abs=5)


def test_loss_weighs_what_moves() -> None:
    """An error near a moving pixel weighs (1 + STILL_WEIGHT) / STILL_WEIGHT times one where all is still."""
    frames = torch.zeros(1, 1, 1, 16, 16)
    frames[..., 4, 4] = 1.0
    near, far = frames.clone(), frames.clone()
    near[..., 6, 6] = 0.5
    far[..., 12, 12] = 0.5
    rest = (torch.zeros_like(frames), torch.ones(1, 1, dtype=torch.bool), 0.1)
    losses = [float(prediction_loss(predictions, frames, *rest)) for predictions in (near, far)]
    assert losses[0] / losses[1] == pytest.approx((1 + STILL_WEIGHT) / STILL_WEIGHT)
    # 25 pixels of a 5×5 neighbourhood move, 231 do not
    assert losses[1] == pytest.approx(0.5 * STILL_WEIGHT / (25 * (1 + STILL_WEIGHT) + 231 * STILL_WEIGHT))


def test_uncounted_steps_weigh_nothing() -> None:
    """Wild predictions of steps that do not count change neither loss."""
    frames = torch.rand(3, 2, 1, 4, 4, generator=torch.Generator().manual_seed(1))
    before = torch.zeros_like(frames)
    counted = torch.tensor([[False, True], [True, True], [True, True]])
    calm = frames + 0.25
    wild = calm.clone()
    wild[0, 0] = 100.0
    assert float(plain_loss(wild, frames, counted)) == pytest.approx(0.125)
    assert torch.equal(
        prediction_loss(wild, frames, before, counted, 0.1), prediction_loss(calm, frames, before, counted, 0.1)
    )


def test_skill_is_told_beside_the_flow_by_layer_and_by_region() -> None:
    """A spot that glides on: the flow predicts it better than repeating; each ninth and layer has its own ratio."""
    rows, columns = np.mgrid[:24, :48]
    spots = [255 * np.exp(-((rows - 12) ** 2 + (columns - 6 - 0.8 * number) ** 2) / 18) for number in range(40)]
    clip: NDArray[np.uint8] = np.stack(spots).round().astype(np.uint8)[..., None]
    architecture = Architecture(
        height=24, width=48, channels=1, rate_hz=10.0, stack=(1, 2), r_stack=(2, 2), head="residual"
    )
    skill = skill_report(PredNet(architecture), [clip], [Stretch(0, 0, 40)], 5 / 255)
    assert skill.moving_ratio == 1.0  # an untrained residual network repeats
    assert skill.flow_ratio > 2.0  # and the flow errs less than half as much
    differences = np.abs(np.diff(clip[WARMUP_FRAMES - 1 :].astype(float), axis=0)) / 255
    assert skill.repeated == pytest.approx(differences.mean(), rel=1e-6)  # float32 sums of a frame
    assert skill.layers[0].ratio == pytest.approx(1.0, rel=1e-6)
    assert skill.layers[0].error == pytest.approx(0.5 * differences.mean(), rel=1e-6)
    assert len(skill.layers) == 2
    moved = [
        [(part > 5 / 255).any() for part in np.array_split(row, 3, axis=2)]
        for row in np.array_split(differences, 3, axis=1)
    ]
    assert np.isfinite(skill.regions).tolist() == [[bool(cell) for cell in row] for row in moved]
    assert np.nanmin(skill.regions) == np.nanmax(skill.regions) == pytest.approx(1.0, rel=1e-6)
