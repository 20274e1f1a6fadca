"""The compiled losses against those that the package shows."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from meanfield.flow.compiled import losses
from meanfield.flow.compiled.cache_key import CacheKey
from meanfield.problem.losses import LOSSES

pytestmark = pytest.mark.scalar


def residuals(loss, f, targets, weights):
    """What the step computes, for predictions and targets (n, k)."""
    n, k = f.shape
    out = np.empty(f.size)
    data = losses.Residuals(out, f.ravel(), targets.ravel(), weights, n, k)
    losses._set_residuals(CacheKey(LOSSES[loss].code), data)
    return out.reshape(n, k)


def test_every_loss_is_compiled():
    assert list(losses._DERIVATIVES) == list(LOSSES)


@pytest.mark.parametrize("name", LOSSES)
def test_residuals_are_the_weighted_derivatives(name):
    rng = np.random.default_rng(0)
    f = rng.normal(size=(40, 3)) * np.logspace(-3, 3, 40)[:, None]
    targets = {
        "squared": rng.normal(size=f.shape),
        "logistic": rng.choice([-1.0, 1.0], f.shape),
        "cross-entropy": np.eye(3)[rng.integers(3, size=40)],
    }[name]
    weights = rng.uniform(0, 2, 40)
    want = LOSSES[name].derivative(f, targets)
    got = residuals(name, f, targets, np.ones(40)) * 40
    assert_allclose(got, want, rtol=1e-14, atol=1e-16)
    weighted = residuals(name, f, targets, weights)
    assert_allclose(weighted * 40, weights[:, None] * want, rtol=1e-14, atol=1e-16)


def test_predictions_of_any_size_do_not_overflow():
    f, ones = np.array([[1e4], [-1e4]]), np.ones(2)
    assert_array_equal(residuals("logistic", f, np.ones((2, 1)), ones), [[0], [-0.5]])
    f = np.array([[1e4, -1e4], [-1e4, 1e4]])
    got = residuals("cross-entropy", f, np.array([[1.0, 0.0], [1.0, 0.0]]), ones)
    assert_array_equal(got, [[0, 0], [-0.5, 0.5]])
