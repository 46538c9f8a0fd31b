"""Calibration of ranges: histograms, the four observers, and rollouts that are whole or an error."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from calibration.ranges import (
    BINS,
    KEPT_SHARE,
    LEAST_RANGE,
    OBSERVERS,
    Histogram,
    joined,
    observe_ranges,
    observed,
    range_by_entropy,
    range_by_largest,
    range_by_percentile,
    range_by_squared_error,
    ranges_from_histograms,
)
from edge.errors import PrednetError, UsageError
from tests.tiny import clip_from, normal_images


class Fake:
    """A runner of one activation, the frames' mean over 255; from step `broken` on it is not a number."""

    def __init__(self, broken: int = 10**9) -> None:
        self.steps, self.broken, self.resets = 0, broken, 0
        self.extras: Mapping[str, np.ndarray] = {}

    def step(self, frames: np.ndarray, advance: np.ndarray, reset: np.ndarray) -> None:
        """Show the frames' mean."""
        self.steps += 1
        self.resets += int(reset[0])
        value = np.nan if self.steps >= self.broken else frames.mean() / 255
        self.extras = {"r0": np.full((1, 2, 3), value, np.float32)}


def histogram(values: np.ndarray) -> Histogram:
    """The histogram of some values, seen in two parts."""
    half = len(values) // 2
    return observed(observed(None, values[:half].astype(np.float32)), values[half:].astype(np.float32))


def test_a_histogram_counts_every_value_but_zero_in_its_bin() -> None:
    """Whatever the order in which larger values come, counts equal those of numpy's histogram over the same bins."""
    values = np.random.default_rng(0).exponential(1.0, 4000).astype(np.float32)
    values[::10] = 0.0
    values[3000] = 40.0  # doubles the top several times
    found = histogram(values)
    assert found.largest == 40.0
    assert found.counts.sum() == np.count_nonzero(values)
    expected, _ = np.histogram(values[values > 0], BINS, (0.0, found.top))
    assert np.abs(np.cumsum(found.counts) - np.cumsum(expected)).max() <= 2  # float32 at the edges of bins


def test_largest_and_percentile_are_those_of_the_sorted_values() -> None:
    """The percentile is the value that one of ten thousand exceeds, to the width of a bin."""
    values = np.random.default_rng(1).normal(0.0, 1.0, 200_000)
    found = histogram(values)
    assert range_by_largest(found) == pytest.approx(np.abs(values).max(), rel=1e-6)  # float32
    assert range_by_percentile(found) == pytest.approx(
        np.quantile(np.abs(values), KEPT_SHARE), abs=found.top / BINS * 1.5
    )


def test_the_squared_error_observer_finds_what_trying_finds() -> None:
    """Its range rounds the values themselves at most 3 % worse than the best of 400 ranges: bins are coarser."""
    values = np.random.default_rng(2).laplace(0.0, 1.0, 50_000)

    def loss(reach: float) -> float:
        step = reach / 127
        return float(((np.clip(np.round(np.abs(values) / step), 0, 127) * step - np.abs(values)) ** 2).mean())

    found = range_by_squared_error(histogram(values))
    assert loss(found) <= 1.03 * min(loss(reach) for reach in np.linspace(0.5, np.abs(values).max(), 400))
    assert found < 0.95 * np.abs(values).max()


def test_the_entropy_observer_cuts_a_tail_and_keeps_a_full_range() -> None:
    """A hundred values far out do not widen the range; evenly spread values keep all of it."""
    rng = np.random.default_rng(3)
    tailed = np.concatenate([rng.normal(0, 1, 100_000), rng.uniform(20, 40, 100)])
    assert range_by_entropy(histogram(tailed)) < 10.0
    assert range_by_entropy(histogram(rng.uniform(0, 1, 100_000))) > 0.95


@pytest.mark.parametrize("name", OBSERVERS)
def test_every_observer_gives_a_usable_range(name: str) -> None:
    """Also of an activation that is always 0, of one value, and never more than was seen."""
    values = {"silent": np.zeros(10), "one": np.full(10, 0.25), "many": np.random.default_rng(4).normal(0, 3, 5000)}
    histograms = {key: histogram(one) for key, one in values.items()}
    ranges = ranges_from_histograms(histograms, name)
    assert ranges["silent"] == LEAST_RANGE
    for key in ("one", "many"):
        largest = np.abs(values[key]).max()
        assert 0.02 * largest < ranges[key] <= largest * 1.001


def test_joined_histograms_hold_both_rollouts() -> None:
    """Counts add up, and the wider top wins."""
    one, other = histogram(np.full(100, 0.5)), histogram(np.full(60, 3.0))
    both = joined({"r0": one}, {"r0": other})["r0"]
    assert both.counts.sum() == 160
    assert (both.largest, both.top) == (3.0, 3.0)


def test_a_rollout_resets_at_every_clip_and_counts_every_frame() -> None:
    """Two clips of 20 and 30 frames: 50 steps, 2 resets, 6 values each."""
    runner, done = Fake(), []
    clips = [clip_from(normal_images(20)), clip_from(normal_images(30))]
    found = observe_ranges(clips, runner, done.append)
    assert (runner.steps, runner.resets, done[-1]) == (50, 2, 50)
    assert found["r0"].counts.sum() == 50 * 6


def test_an_activation_that_is_not_finite_ends_the_calibration_with_its_count() -> None:
    """Never a shorter calibration: the error says at which step of how many."""
    with pytest.raises(PrednetError, match=r"clip: r0 is not finite in step 7 of 20; the calibration stopped"):
        observe_ranges([clip_from(normal_images(20))], Fake(broken=7))


def test_without_footage_there_is_no_int8() -> None:
    """It refuses instead of inventing ranges."""
    with pytest.raises(UsageError, match="INT8 needs footage of normal work"):
        observe_ranges([], Fake())


@pytest.mark.parametrize("reach", [float("inf"), float("nan"), 0.0, -1.0])
def test_an_observer_that_fails_is_an_error_with_its_count(monkeypatch: pytest.MonkeyPatch, reach: float) -> None:
    """A range that is none names the observer, the activation and how many there are; a silent activation is none."""
    monkeypatch.setitem(OBSERVERS, "entropy", lambda seen: reach if seen.largest < 2 else 2.0)
    histograms = {
        name: histogram(np.full(4, size)) for name, size in (("r0", 1.0), ("e0", 3.0), ("r1", 1.0), ("e1", 0.0))
    }
    with pytest.raises(
        PrednetError, match=rf"'entropy' gives {reach} for r0, and no range above 0 for 2 of 4 activations"
    ):
        ranges_from_histograms(histograms, "entropy")
