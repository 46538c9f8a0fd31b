"""Sequences for training: an honest split, and lanes that go on or start anew."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from export.learning.sequences import Lanes, Stretch, split_footage


@pytest.mark.parametrize("lengths", [[300], [20, 300], [200, 190, 210], [150] * 16, [900, 30, 30, 30, 30], [7] * 60])
def test_split_is_never_by_frame(lengths: list[int]) -> None:
    """A clip is on one side of the split, or its end is held back after a gap of a sequence."""
    split = split_footage(lengths, gap=10, seed=4)
    held_back = sum(map(len, split.validation))
    assert 0.04 * sum(lengths) <= held_back <= 0.2 * sum(lengths)
    for judged in split.validation:
        for learned in split.training:
            assert learned.clip != judged.clip or learned.stop + 10 <= judged.start


def test_lanes_stay_in_their_stretch_and_go_on() -> None:
    """Sequences come from training stretches, and a lane that is not fresh follows on its last sequence."""
    clip = np.arange(200, dtype=np.uint8)[:, None, None, None] * np.ones((1, 8, 8, 1), np.uint8)
    lanes = lanes_of([clip], [Stretch(0, 30, 120)])
    last: NDArray[np.uint8] | None = None
    kept = 0
    for step in range(60):
        batch = lanes.draw(step)
        numbers = batch.images[:, :, 0, 0, 0]
        assert numbers.min() >= 30
        assert numbers.max() < 120
        assert (np.diff(numbers.astype(int), axis=0) == 1).all()
        if last is not None:
            assert (numbers[0, ~batch.fresh] == last[~batch.fresh] + 1).all()
            kept += int((~batch.fresh).sum())
        last = numbers[-1]
    assert kept > 60


def test_lanes_of_ranks_differ() -> None:
    """Two ranks see different sequences, one rank the same in every run."""
    clip = np.random.default_rng(0).integers(0, 255, (400, 8, 8, 1), np.uint8)
    first, again, other = (lanes_of([clip], [Stretch(0, 0, 400)], rank) for rank in (0, 0, 1))
    drawn = first.draw(0).images
    assert np.array_equal(drawn, again.draw(0).images)
    assert not np.array_equal(drawn, other.draw(0).images)


def lanes_of(images: list[NDArray[np.uint8]], stretches: list[Stretch], rank: int = 0) -> Lanes:
    """Return three lanes of ten frames."""
    return Lanes(images, stretches, length=10, lanes=3, seed=1, rank=rank)
