"""Medians and quantiles, held against numpy's."""

from __future__ import annotations

import numpy as np
import pytest

from edge.ranks import median, quantile


@pytest.mark.parametrize("count", [1, 2, 3, 40, 161, 320])
def test_they_are_those_of_numpy(count: int) -> None:
    """For odd and even counts, with equal values among them, of more than one axis, and values are left as they are."""
    values = np.random.default_rng(count).integers(0, 9, (count, 2)).astype(np.float32)
    before = values.copy()
    assert median(values) == pytest.approx(float(np.median(values)))
    for share in (0.0, 0.05, 0.5, 0.8, 1.0):
        assert quantile(values, share) == pytest.approx(float(np.quantile(values, share)), abs=1e-6)
    np.testing.assert_array_equal(values, before)
