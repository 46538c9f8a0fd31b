"""The gate's numbers: rank correlation against counting, and what each kind of harm does to them."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

from calibration.footage import spread
from calibration.parity import LEAST_RANK_CORRELATION, Rollout, compare, endless_frames, rank_correlation, roll_out
from edge.errors import UsageError
from tests.tiny import clip_from, normal_images, tiny_calibration, tiny_runner

RNG = np.random.default_rng(0)
SURPRISE = RNG.gamma(2.0, 1.0, 1000)
LEVEL = np.convolve(SURPRISE, np.ones(5) / 5, "same")
FRAME = np.full((4, 5, 1), 100, np.uint8)


def rollout(surprise: np.ndarray, level: np.ndarray, on: float = 5.0, shade: int = 0) -> Rollout:
    """A rollout of these numbers, whose predictions are `shade` grey levels brighter."""
    return Rollout(surprise, level, np.ones((len(surprise), 2)) + 0.1 * shade, on, [(FRAME, FRAME + np.uint8(shade))])


REFERENCE = rollout(SURPRISE, LEVEL)


def test_rank_correlation_is_that_of_ranks_counted_one_by_one() -> None:
    """Spearman's formula for values without ties, and Pearson's on mean ranks where there are some."""
    one, other = RNG.permutation(50).astype(float), RNG.permutation(50).astype(float)
    apart = [sum(x > y for y in one) - sum(u > v for v in other) for x, u in zip(one, other, strict=True)]
    expected = 1 - 6 * sum(d * d for d in apart) / (50 * (50**2 - 1))
    assert rank_correlation(one, other) == pytest.approx(expected, abs=1e-12)  # float64
    tied, mean_ranks = np.array([1.0, 1.0, 2.0, 5.0]), np.array([1.5, 1.5, 3.0, 4.0])
    straight = np.array([1.0, 2.0, 3.0, 4.0])
    assert rank_correlation(tied, straight) == pytest.approx(np.corrcoef(mean_ranks, straight)[0, 1])


def test_rank_correlation_of_what_never_changes() -> None:
    """Two constants agree; a constant and what changes do not."""
    still = np.ones(10)
    assert rank_correlation(still, 3 * still) == 1.0
    assert rank_correlation(still, np.arange(10.0)) == 0.0


def test_the_same_passes_and_so_does_another_scale() -> None:
    """Surprise on another scale with its limit on the same is the same alarm."""
    assert compare(REFERENCE, REFERENCE).failures == []
    found = compare(REFERENCE, rollout(SURPRISE, LEVEL, shade=3))
    assert found.failures == []
    assert found.prediction_levels == 3.0
    assert found.error_ratio == pytest.approx(1.3)


@pytest.mark.parametrize(
    ("other", "told"),
    [
        (rollout(SURPRISE + RNG.normal(0, 1.0, 1000), LEVEL), "rank correlation of the surprise"),
        (rollout(SURPRISE, LEVEL, on=1.5), "agreement at the limit"),
        (rollout(SURPRISE, LEVEL[::-1].copy()), "agreement at the level's quantiles"),
        (rollout(SURPRISE + np.linspace(0, 0.5, 1000), LEVEL), "drift 0.2"),
        (rollout(SURPRISE * np.nan, LEVEL), "rank correlation of the surprise"),
    ],
    ids=["noise", "another limit", "another order", "drift", "not a number"],
)
def test_each_harm_fails_the_gate_by_its_name(other: Rollout, told: str) -> None:
    """Noise, another limit, another order of levels, drift, and numbers that are none."""
    failures = compare(REFERENCE, other).failures
    assert any(one.startswith(told) for one in failures), failures


def test_the_bound_is_that_of_the_design() -> None:
    """0.99, over the whole rollout."""
    assert LEAST_RANK_CORRELATION == 0.99


def test_the_steps_are_those_that_are_scored() -> None:
    """What a dark camera pauses is no step of the gate: of bright and dark footage as many are scored as were asked for."""
    dark, runner, calibration = np.zeros((60, 32, 40, 1), np.uint8), tiny_runner(), tiny_calibration()
    clips, done = [clip_from(normal_images(60)), clip_from(dark)], []
    found = roll_out(clips, runner, calibration, 100, done.append)
    assert len(found.surprise) == len(found.level) == len(found.means) == 100
    assert len(found.pictures) == 3
    assert done == list(range(1, 101))
    with pytest.raises(
        UsageError, match=r"^\d of 2000 frames can be scored, 100 are needed: a condition of the camera"
    ):
        roll_out(clips[1:], runner, calibration, 100)


def test_stretches_stand_for_all_the_footage() -> None:
    """Of an hour ten stretches from beginning to end, of a short clip its beginning, and of what is not too long all."""
    hour, short = clip_from(np.zeros((36_000, 1, 1, 1), np.uint8)), clip_from(np.zeros((300, 1, 1, 1), np.uint8))
    stretches = spread([hour], 3000)
    assert [len(one.images) for one in stretches] == [300] * 10
    starts = [one.seconds[0] for one in stretches]
    assert (starts[0], stretches[-1].seconds[-1]) == (0.0, hour.seconds[-1])
    np.testing.assert_allclose(np.diff(starts), 3570.0 / 9, atol=0.1)  # whole frames
    assert [len(one.images) for one in spread([hour, short], 363)] == [120, 120, 120, 10]
    assert [len(one.images) for one in spread([short], 300)] == [300]


def test_endless_frames_begin_again_at_even_times() -> None:
    """Two clips of 3 and 2 frames: 12 frames at 10 a second."""
    clips = [clip_from(normal_images(3, seed=1)), clip_from(normal_images(2, seed=2))]
    frames = list(islice(endless_frames(clips, 10.0), 12))
    assert [frame.seconds for frame in frames] == pytest.approx([0.1 * number for number in range(12)])
    np.testing.assert_array_equal(frames[5].image, clips[0].images[0])
    np.testing.assert_array_equal(frames[9].image, clips[1].images[1])
