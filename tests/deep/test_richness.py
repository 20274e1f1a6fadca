"""Richness γ₀: an output multiplier with its rate, from the tangent kernel to learned features."""

from __future__ import annotations

import numpy as np
import pytest

from meanfield import deep
from meanfield.problem import get_activation
from tests.deep import naive_deep


def _data(m=5, d=6, seed=1):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((m, d)) / np.sqrt(d), np.sign(rng.standard_normal(m))


@pytest.mark.parametrize("scheme", ["sp", "ntp", "ip", "mup"])
@pytest.mark.parametrize("engine", ["dense", "low-rank"])
def test_the_output_is_divided_and_rates_are_multiplied_by_the_square(scheme, engine):
    X, y = _data()
    weights = naive_deep.initial_weights(scheme, 24, 3, 6, seed=2)
    rates = naive_deep.layer_rates(scheme, 24, 3, 0.05)
    # The multiplier in the output weights: their own rate keeps its size.
    weights[-1] = weights[-1] / 0.3
    rates = [rate * 0.3**2 for rate in rates[:-1]] + [rates[-1]]
    batches = [range(5)] * 6
    expected, _ = naive_deep.train(weights, rates, get_activation("tanh"), X, y, "squared", batches)
    run = deep.train(
        X, y, width=24, depth=3, parametrization=scheme, activation="tanh", step_size=0.05,
        richness=0.3, n_steps=6, seed=2, engine=engine, tol=0.0,
    )  # fmt: skip
    np.testing.assert_allclose(run.predictions[0], expected, atol=1e-11)
    plain = deep.train(X, y, width=24, parametrization=scheme, n_steps=0, seed=2, activation="tanh")
    np.testing.assert_allclose(run.predictions[0, 0], plain.predictions[0, 0] / 0.3, rtol=1e-12)


def test_a_lazy_limit_follows_the_tangent_kernel_and_richness_moves_features():
    X, y = _data()
    settings = {"depth": 3, "activation": "erf", "step_size": 0.04, "n_steps": 20}
    settings |= {"n_samples": 2048, "n_replicas": 2}
    kernel = naive_deep.tangent_kernel(X, naive_deep.arc_sine_kernels, depth=3)
    lazy = [np.zeros(5)]
    for _ in range(20):
        lazy.append(lazy[-1] - 0.04 * 2 * kernel @ (lazy[-1] - y))
    moved, distances = [], []
    for richness in (0.05, 0.2, 0.5, 1.0):
        limit = deep.infinite_width(X, y, richness=richness, **settings)
        distances.append(np.linalg.norm(limit.predictions - lazy) / np.linalg.norm(lazy))
        change = limit.kernel_h[-1] - limit.kernel_h[0]
        moved.append(np.linalg.norm(change, axis=(1, 2)))
    assert distances[0] < 0.02
    assert distances[-1] > 0.1
    assert (np.diff(moved, axis=0) > 0).all()
    assert (np.array(moved[1]) > 8 * np.array(moved[0])).all()  # like the square at first


def test_the_sharpness_is_that_of_the_output_with_its_multiplier():
    X, y = _data()
    settings = {"width": 64, "activation": "tanh", "n_steps": 0}
    rich = deep.train(X, y, **settings)
    lazy = deep.train(X, y, richness=0.1, **settings)
    # Initial tangent kernels are the same, rates too: what the multiplier divides, they give back.
    np.testing.assert_allclose(lazy.sharpness, rich.sharpness, rtol=1e-12)


def test_richness_is_positive():
    X, y = _data()
    for function in (deep.train, deep.infinite_width):
        with pytest.raises(ValueError, match="richness must be"):
            function(X, y, richness=0.0, n_steps=1)
