"""The yardstick's numbers against counting."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.event_metrics import Stretch, WatchedClip, recall_at, score_events, stretches_from_labels, sweep_limits
from calibration.metrics import (
    area,
    auc,
    cell_shares,
    equal_error_rate,
    pixel_level_roc,
    pixel_roc,
    roc,
    scaled_by_clip,
    weighted_roc,
)
from edge.detection import Limit, Reading, Rules

# Both sides sum at most a few thousand float64 shares.
EXACT = 1e-9


def counted_auc(scores: list[float], flags: list[bool]) -> float:
    """The share of pairs (anomalous, normal) in the right order, ties half: the definition."""
    anomalous = [score for score, flag in zip(scores, flags, strict=True) if flag]
    normal = [score for score, flag in zip(scores, flags, strict=True) if not flag]
    pairs = [1.0 if a > n else 0.5 if a == n else 0.0 for a in anomalous for n in normal]
    return sum(pairs) / len(pairs)


@given(st.lists(st.tuples(st.integers(-3, 3), st.booleans()), min_size=2, max_size=60))
def test_auc_equals_counted_pairs_with_ties(rows: list[tuple[int, bool]]) -> None:
    """Small integers tie often; where labels are of one kind there is no number."""
    scores, flags = [float(score) for score, _ in rows], [flag for _, flag in rows]
    found = auc(np.array(scores), np.array(flags))
    if len(set(flags)) == 1:
        assert found is None
    else:
        assert found == pytest.approx(counted_auc(scores, flags), abs=EXACT)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=12))
def test_weights_count_as_that_many_frames(rows: list[tuple[int, int, int]]) -> None:
    """A cell with three anomalous pixels and two normal ones is five frames with its score."""
    scores, positive, negative = (np.array(column, np.float64) for column in zip(*rows, strict=True))
    flat = [(score, flag) for score, p, n in rows for flag in [True] * p + [False] * n]
    found = area(weighted_roc(scores, positive, negative))
    if len({flag for _, flag in flat}) < 2:
        assert found is None
    else:
        counted = counted_auc([float(score) for score, _ in flat], [flag for _, flag in flat])
        assert found == pytest.approx(counted, abs=EXACT)


@given(st.lists(st.tuples(st.floats(-5, 5), st.booleans()), min_size=2, max_size=40))
def test_at_the_equal_error_rate_both_errors_are_equal(rows: list[tuple[float, bool]]) -> None:
    """The point lies on the curve, and what it misses is what it disturbs."""
    curve = roc(np.array([score for score, _ in rows]), np.array([flag for _, flag in rows]))
    if curve is None:
        return
    error = equal_error_rate(curve)
    # On a vertical stretch several heights share one abscissa: the point must lie between them.
    heights = curve.true[np.isclose(curve.false, error, atol=EXACT)]
    between = np.interp(error, curve.false, curve.true)
    lowest, highest = min([*heights, between]), max([*heights, between])
    assert lowest - EXACT <= 1.0 - error <= highest + EXACT


def test_equal_error_rate_of_known_curves() -> None:
    """Perfect is 0, chance is a half, upside down is 1; one of four wrong on each side is a quarter."""
    flags = np.array([False] * 4 + [True] * 4)
    assert equal_error_rate(roc(np.array([0, 1, 2, 3, 4, 5, 6, 7.0]), flags)) == 0.0
    assert equal_error_rate(roc(np.ones(8), flags)) == 0.5
    assert equal_error_rate(roc(np.array([4, 5, 6, 7, 0, 1, 2, 3.0]), flags)) == 1.0
    assert equal_error_rate(roc(np.array([0, 1, 2, 5, 4, 6, 7, 8.0]), flags)) == 0.25


def test_stretching_clips_sets_each_ones_range_and_leaves_a_constant_one_at_0() -> None:
    """The second clip is one level throughout: nothing can be said within it."""
    first, second = scaled_by_clip([np.array([2.0, 4.0, 3.0]), np.array([5.0, 5.0])])
    assert first.tolist() == [0.0, 1.0, 0.5]
    assert second.tolist() == [0.0, 0.0]


def test_pixels_have_the_score_of_their_cell() -> None:
    """The pixel curve equals counting every pixel; a grid that does not divide the mask loses none."""
    rng = np.random.default_rng(0)
    cells, masks = rng.integers(0, 4, (3, 2, 3)).astype(float), rng.random((3, 7, 10)) < 0.3
    inside, sizes = cell_shares(masks, (2, 3))
    assert inside.sum() == masks.sum()
    rows, columns = np.arange(7) * 2 // 7, np.arange(10) * 3 // 10
    pixels = cells[:, rows][:, :, columns]
    counted = counted_auc(pixels.ravel().tolist(), masks.ravel().tolist())
    assert area(pixel_roc(cells, inside, np.broadcast_to(sizes, cells.shape))) == pytest.approx(counted, abs=EXACT)


def test_an_anomaly_counts_as_found_where_two_fifths_of_it_are_covered() -> None:
    """A frame alarmed at the wrong place is not found; one whose second cell completes 40 % is found there."""
    normal = np.array([[1.0, 2.0, 0.0]])
    wrong_place = np.array([[9.0, 0.5, 0.0]])  # the anomaly is in the second cell
    spread = np.array([[3.0, 8.0, 5.0]])  # 30 % under 8, 40 % under 5, 30 % under 3
    cells = np.stack([normal, wrong_place, spread])
    inside = np.array([[[0.0, 0.0, 0.0]], [[0.0, 10.0, 0.0]], [[30.0, 30.0, 40.0]]])
    # Scores are 2 (normal), 0.5 (missed) and 5 (found): one pair of two is right.
    assert area(pixel_level_roc(cells, inside)) == pytest.approx(0.5, abs=EXACT)
    inside[1] = [[10.0, 0.0, 0.0]]
    assert area(pixel_level_roc(cells, inside)) == pytest.approx(1.0, abs=EXACT)


def readings(levels: list[float], rate_hz: float = 10.0) -> tuple[Reading, ...]:
    """The daemon's readings of these levels."""
    return tuple(Reading(number / rate_hz, level, 0.0, (0, 0, 1, 1)) for number, level in enumerate(levels))


def watched(levels: list[float], labels: list[int]) -> WatchedClip:
    """A clip at 10 frames a second."""
    stretches = stretches_from_labels(np.array(labels, np.uint8), np.arange(len(labels)) / 10.0)
    return WatchedClip(readings(levels), stretches, labels.count(0) / 10.0)


def test_labels_become_stretches_with_exclusive_ends() -> None:
    """Runs at the borders of the clip too."""
    labels = np.array([1, 1, 0, 0, 1, 0, 1], np.uint8)
    found = stretches_from_labels(labels, np.arange(7) / 10.0)
    expected = [(0.0, 0.2), (0.4, 0.5), (0.6, 0.7)]
    assert [pytest.approx((one.start_seconds, one.end_seconds)) for one in found] == expected


def test_events_are_counted_as_the_daemon_decides() -> None:
    """One stretch found after its hold, one missed, one event of nothing; delay is to the announcement."""
    levels = [0.0] * 50 + [5.0] * 30 + [0.0] * 100 + [5.0] * 30 + [0.0] * 90
    labels = [0] * 48 + [1] * 40 + [0] * 162 + [1] * 20 + [0] * 30
    score = score_events([watched(levels, labels)], Limit(3.0, 1.0), Rules(hold_seconds=1.5))
    assert (score.stretches, score.false_events, score.recall) == (2, 1, 0.5)
    assert score.median_delay_seconds == pytest.approx(0.2 + 1.5, abs=0.1)  # a frame of 0.1 s
    assert score.false_per_hour == pytest.approx(3600.0 / 24.0)


def test_an_event_that_merely_lasts_into_a_stretch_finds_nothing() -> None:
    """It began long before: it was false, and hides the accident."""
    clip = watched([0.0] * 10 + [5.0] * 90, [0] * 60 + [1] * 40)
    score = score_events([clip], Limit(3.0, 1.0), Rules())
    assert (score.recall, score.false_events) == (0.0, 1)


def test_a_sweep_trades_false_events_for_found_ones() -> None:
    """The accident is higher than the false alarm: a limit between them finds it alone."""
    levels = [0.0] * 50 + [3.0] * 30 + [0.0] * 50 + [6.0] * 30 + [0.0] * 40
    clip = watched(levels, [0] * 130 + [1] * 30 + [0] * 40)
    sweep = sweep_limits([clip], 0.0, Rules())
    best = recall_at(sweep, 0.0)
    assert best is not None
    assert (best.recall, best.false_events) == (1.0, 0)
    assert 3.0 <= best.limit < 6.0
    assert any(one.false_events for one in sweep)
    assert sweep_limits([WatchedClip((), (Stretch(0, 1),), 1.0)], 0.0, Rules()) == []
