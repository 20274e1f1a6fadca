"""Joint refit against full least squares by SciPy, and its identities."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import least_squares

from meanfield.dictionary.refit import WIDE, Regression
from meanfield.problem import ACTIVATIONS


def regression(name, k=1, n=300, d=3, seed=0, noise=0.3, affine=True, **prior):
    rng = np.random.default_rng(seed)
    X = np.column_stack([rng.standard_normal((n, d)), np.ones(n)])
    places, c = rng.standard_normal((3, d + 1)), rng.standard_normal((3, k))
    Y = ACTIVATIONS[name].value(X @ places.T) @ c + noise * rng.standard_normal((n, k))
    columns = X if affine else X[:, :0]
    return Regression(ACTIVATIONS[name], X, Y, columns, **prior), places


@pytest.mark.parametrize("name", ["tanh", "silu", "relu"])
@pytest.mark.parametrize("k", [1, 2])
def test_agrees_with_least_squares_in_all_parameters(name, k):
    reg, start = regression(name, k, ridge=0.7, place_ridge=0.0 if name == "relu" else 0.3)
    found = reg.refit(start, 200, 1e-14)
    s, d = start.shape

    def residuals(parameters):
        places, c = parameters[: s * d].reshape(s, d), parameters[s * d :].reshape(s + d, k)
        fit = reg.features(places) @ c[:s] + reg.affine @ c[s:]
        prior = [np.sqrt(reg.ridge) * c[:s].ravel(), np.sqrt(reg.place_ridge) * places.ravel()]
        return np.concatenate([(reg.Y - fit).ravel(), *prior])

    here = [found.places.ravel(), found.coefficients.ravel(), found.affine.ravel()]
    twin = least_squares(residuals, np.concatenate(here), xtol=1e-15, ftol=1e-15)
    assert (residuals(np.concatenate(here)) ** 2).sum() == pytest.approx(found.cost, rel=1e-10)
    # Nothing is left to gain, whichever parameters move; the length of relu atoms is fixed.
    floor = found.cost if name != "relu" else 2 * twin.cost
    assert 2 * twin.cost >= floor * (1 - 1e-6)


@pytest.mark.parametrize("name", ["tanh", "silu", "he3"])
def test_normal_equations_are_the_gradient(name):
    reg, places = regression(name, 2, ridge=0.5, place_ridge=0.2)
    places = places + 0.1
    pull = reg._normal_equations(places, *reg._fixed(places)[1])[1]
    h = 1e-6
    for i in range(places.size):
        step = np.zeros(places.size)
        step[i] = h
        step = step.reshape(places.shape)
        slope = (reg.cost(places + step) - reg.cost(places - step)) / (2 * h)
        assert -2 * pull[i] == pytest.approx(slope, rel=2e-4, abs=1e-3)


def test_a_wide_system_is_that_of_single_precision():
    rng = np.random.default_rng(5)
    X = rng.standard_normal((150, WIDE // 4 + 1))
    places, Y = 0.2 * rng.standard_normal((4, X.shape[1])), rng.standard_normal((150, 2))
    reg = Regression(ACTIVATIONS["gelu"], X, Y, X[:, :1], ridge=0.5, place_ridge=0.2)
    hessian, pull = reg._normal_equations(places, *reg._fixed(places)[1])
    # Columns of the projected Jacobian, one place and output at a time.
    coefficients, u, residual = reg._project(reg.without_affine(reg.features(places)))
    slope = reg.activation.derivative(X @ places.T)
    inputs = reg.without_affine((slope[:, :, None] * X[:, None, :]).reshape(150, -1))
    # The prior on coefficients is more rows, where places have no part.
    inputs = np.vstack([inputs, np.zeros((len(places), inputs.shape[1]))])
    inputs -= u @ (u.T @ inputs)
    jacobian = [inputs * np.repeat(c, X.shape[1]) for c in coefficients.T]
    twin = sum(j.T @ j for j in jacobian) + 0.2 * np.eye(places.size)
    gradient = sum(j.T @ r for j, r in zip(jacobian, residual.T, strict=True))
    np.testing.assert_allclose(hessian, twin, rtol=0, atol=1e-5 * np.abs(twin).max())
    np.testing.assert_allclose(pull, gradient - 0.2 * places.ravel(), rtol=0, atol=1e-10)


def test_atoms_are_no_longer_than_allowed_and_best_among_those():
    rng = np.random.default_rng(2)
    X = rng.standard_normal((200, 2))
    Y = np.tanh(X @ np.array([4.0, 3.0]))[:, None]
    reg = Regression(ACTIVATIONS["tanh"], X, Y, X[:, :0], longest=2.0)
    found = reg.refit(np.array([[-0.5, 1.0]]), 200)
    assert np.linalg.norm(found.places[0]) == pytest.approx(2.0)
    turns = np.linspace(0, np.pi, 2001)
    around = 2.0 * np.column_stack([np.cos(turns), np.sin(turns)])
    least = min(reg.linear(place[None]).rss for place in around)
    assert found.rss == pytest.approx(least, rel=1e-4)
    assert found.rss <= least * (1 + 1e-9)


@pytest.mark.parametrize("name", ["tanh", "erf", "relu", "silu", "abs", "sin"])
def test_noiseless_targets_are_met_to_rounding(name):
    reg, places = regression(name, noise=0.0, affine=False)
    start = places + 0.05 * np.random.default_rng(1).standard_normal(places.shape)
    assert reg.refit(start, 200).rss < 1e-20 * reg.total


def test_never_worse_than_the_start():
    for seed in range(5):
        reg, places = regression("tanh", seed=seed)
        start = places + np.random.default_rng(seed).standard_normal(places.shape)
        assert reg.refit(start).rss <= reg.linear(start).rss * (1 + 1e-12)


def test_gains_and_removal_costs_are_exact_changes():
    reg, places = regression("tanh", 2)
    fit, rng = reg.linear(places), np.random.default_rng(3)
    costs = reg.removal_costs(fit)
    for i in range(3):
        without = reg.linear(np.delete(places, i, axis=0))
        assert without.rss - fit.rss == pytest.approx(costs[i], rel=1e-6)
    more = rng.standard_normal((4, places.shape[1]))
    directions = reg.without_affine(reg.features(more))
    directions /= np.linalg.norm(directions, axis=0)
    gains = reg.gains(places, directions)
    for i in range(4):
        assert fit.rss - reg.linear(np.vstack([places, more[i]])).rss == pytest.approx(
            gains[i], rel=1e-6, abs=1e-9
        )


def test_coinciding_and_vanishing_atoms_cost_nothing_to_drop():
    reg, places = regression("relu", affine=True)
    twice = np.vstack([places, places[:1], np.zeros((1, places.shape[1]))])
    costs = reg.removal_costs(reg.linear(twice)) / reg.total
    assert costs[[0, 3, 4]].max() < 1e-8
    assert costs[[1, 2]].min() > 1e-3


def test_prior_keeps_coinciding_atoms_from_cancelling():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((400, 2))
    # The derivative of an atom: without a prior, two atoms at one place with opposite signs.
    z = X @ np.array([1.0, 0.5])
    Y = (X[:, 0] / np.cosh(z) ** 2 + 0.3 * rng.standard_normal(400))[:, None]
    start = np.array([[1.1, 0.5], [0.9, 0.5]])
    loose = Regression(ACTIVATIONS["tanh"], X, Y, X[:, :0]).refit(start, 100)
    tight = Regression(ACTIVATIONS["tanh"], X, Y, X[:, :0], ridge=0.1).refit(start, 100)
    assert np.abs(tight.coefficients).max() < 20
    assert np.abs(loose.coefficients).max() > 3 * np.abs(tight.coefficients).max()
