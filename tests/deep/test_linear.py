"""The exact limit of deep linear networks: twins; the sampled limit and wide networks near it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from meanfield import deep
from meanfield.errors import DivergenceError
from tests.deep.naive_deep import deep_linear_limit, linear_limit

LINEAR = {"activation": "identity", "step_size": 0.02}


def _data(m=4, d=6, seed=1):
    X = np.random.default_rng(seed).standard_normal((m, d)) / np.sqrt(d)
    return X, 2 * X[:, 0] - 4 * X[:, 1] + 0.5


def test_one_layer_is_closed_under_second_moments():
    X, y = _data()
    X_test = X[:2] * 1.5 - 0.3
    variances = {"input_variance": 0.7, "output_variance": 1.3}
    limit = deep.infinite_width(
        X, y, X_test=X_test, depth=1, n_samples=None, n_steps=60, weight_variance=(0.7, 1, 1.3),
        **LINEAR,
    )  # fmt: skip
    expected = linear_limit(X, X_test, y, 0.02, 60, **variances)
    found = np.hstack([limit.predictions, limit.predictions_test])
    np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize("depth", [2, 3, 4])
def test_deeper_limits_are_those_of_their_twin(depth):
    X, y = _data(m=3, d=4)
    limit = deep.infinite_width(X, y, depth=depth, n_samples=None, n_steps=6, **LINEAR)
    expected = deep_linear_limit(X, y, depth, 0.02, 6, n_axes=200)
    np.testing.assert_allclose(limit.predictions, expected, atol=1e-11)
    assert np.abs(np.diff(expected, n=2, axis=0)).max() > 1e-3  # further than the tangent kernel
    assert (limit.predictions_error == 0).all()
    assert (limit.replicas.engine, limit.replicas.predictions.shape) == ("exact", (1, 7, 3))


@pytest.mark.parametrize("depth", [2, 3, 4])
def test_samples_and_wide_networks_are_near(depth):
    X, y = _data()
    settings = {"depth": depth, "n_steps": 30, **LINEAR}
    exact = deep.infinite_width(X, y, n_samples=None, **settings)
    assert np.abs(exact.predictions[-1] - y).max() < 0.5 * np.abs(y).max()  # it has learned
    limit = deep.infinite_width(X, y, n_samples=4096, n_replicas=8, **settings)
    gap = np.abs(limit.predictions - exact.predictions)[1:]
    allowed = stats.t.isf(1e-4 / (2 * gap.size), 7) * limit.predictions_error[1:]
    assert (gap < allowed + 1 / 4096).all()
    assert allowed.max() < 0.02
    for layer in range(depth):
        np.testing.assert_allclose(limit.kernel_h[-1, layer], exact.kernel_h[-1, layer], atol=0.02)
    run = deep.train(X, y, width=1024, tol=1e-5, **settings)
    assert np.abs(run.predictions[0] - exact.predictions).max() < 5 / np.sqrt(1024)


@pytest.mark.slow
@pytest.mark.parametrize("depth", [2, 3, 4])
def test_a_network_of_width_16384_is_within_five_standard_deviations(depth):
    X, y = _data()
    settings = {"depth": depth, "n_steps": 30, "save_at": [], **LINEAR}
    exact = deep.infinite_width(X, y, n_samples=None, **settings)
    run = deep.train(X, y, width=16384, dtype="float32", engine="low-rank", **settings)
    assert np.abs(run.predictions[0] - exact.predictions).max() < 5 / np.sqrt(16384)


def test_minibatches_and_rounding():
    X, y = _data()
    settings = {"depth": 3, "batch_size": 2, "n_steps": 20, "n_samples": None, **LINEAR}
    fine = deep.infinite_width(X, y, **settings)
    coarse = deep.infinite_width(X, y, tol=1e-8, **settings)
    gap = np.abs(fine.predictions - coarse.predictions).max()
    assert 0 < gap < 1e-8
    assert coarse.replicas.ranks.sum() < fine.replicas.ranks.sum()


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_divergence_is_told_where_smaller_steps_need_more_axes():
    settings = {"depth": 4, "activation": "identity", "n_samples": None, "n_steps": 20}
    with pytest.raises(DivergenceError, match=r"diverged at .* stays finite") as caught:
        deep.infinite_width(*_data(), step_size=2.0, **settings)
    limit = deep.infinite_width(*_data(), step_size=caught.value.stable_step_size, **settings)
    assert limit.replicas.initial_features.shape[-1] > 128  # axes, of which a run begins with 128


def test_only_linear_networks_have_an_exact_limit():
    X, y = _data()
    with pytest.raises(ValueError, match=r"n_samples must be a number unless activation is 'ident"):
        deep.infinite_width(X, y, activation="tanh", n_samples=None)
