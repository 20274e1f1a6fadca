"""Intervals hold what they should as often as they say."""

import numpy as np
import pytest
from scipy.stats import binomtest

from meanfield.statistics.estimate import Estimate
from meanfield.statistics.intervals import mean_interval, wilson_interval


def test_student_interval_has_its_coverage_and_one_replica_none():
    rng = np.random.default_rng(0)
    values = rng.exponential(size=(4000, 16)).T
    _, low, high = mean_interval(values)
    assert 0.90 < np.mean((low < 1) & (high > 1)) < 0.96
    positive = Estimate.positive_mean(values)
    assert 0.92 < np.mean((positive.low < 1) & (positive.high > 1)) < 0.97
    _, low, high = mean_interval(values[:1])
    assert np.isnan([low, high]).all()
    assert Estimate.positive_mean(values[:1]).interval is None


@pytest.mark.parametrize("n", [1, 7, 40])
def test_wilson_interval(n):
    """SciPy's own, for every count at once and for one."""
    hits = np.arange(n + 1)
    low, high = wilson_interval(hits, n)
    expected = [binomtest(int(k), n).proportion_ci(method="wilson") for k in hits]
    np.testing.assert_allclose(low, [ci.low for ci in expected], rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(high, [ci.high for ci in expected], rtol=1e-12, atol=1e-15)
    assert low[0] == 0
    assert high[-1] == 1
    assert wilson_interval(0, n) == (low[0], high[0])
