"""Hermite expansions of targets: every route gives the same coefficients."""

from __future__ import annotations

import math

import numpy as np
import pytest

from meanfield.dictionary import hermite_expansion
from meanfield.dictionary.hermite_expansion import evaluate_basis, multi_indices
from meanfield.problem.targets import HermiteTarget, IndexTarget, Parity, Teacher
from meanfield.statistics.intervals import normal_quantile


def as_dict(expansion, tolerance=1e-10):
    pairs = zip(expansion.indices, expansion.coefficients, strict=True)
    return {tuple(map(int, i)): float(c) for i, c in pairs if abs(c) > tolerance}


def gaussian(n, d, seed=0):
    return np.random.default_rng(seed).standard_normal((n, d))


def test_basis_is_orthonormal():
    z, weight = np.polynomial.hermite_e.hermegauss(9)
    X = np.stack(np.meshgrid(z, z, indexing="ij"), axis=-1).reshape(-1, 2)
    probability = np.outer(weight, weight).ravel() / weight.sum() ** 2
    basis = evaluate_basis(multi_indices(2, 6), X)
    np.testing.assert_allclose(basis.T @ (probability[:, None] * basis), np.eye(28), atol=1e-11)


def test_recorded_targets_are_read():
    terms = {(1, 0, 0): 1.5, (2, 0, 1): -0.25, (0, 0, 0): 3.0}
    expansion = hermite_expansion(HermiteTarget(3, terms))
    assert as_dict(expansion) == terms
    assert (expansion.degree, expansion.method, expansion.tail) == (3, "exact", 0.0)
    assert as_dict(hermite_expansion(Parity(5, [0, 3]))) == {(1, 0, 0, 1, 0): 1.0}


def test_tail_is_what_lies_above_the_degree():
    expansion = hermite_expansion(HermiteTarget(2, {"1": 3.0, "2,2": 4.0}), degree=2)
    assert expansion.tail == pytest.approx(4.0)
    assert expansion.norm == pytest.approx(5.0)


@pytest.mark.parametrize("d", [1, 2, 3, 5])
def test_polynomials_are_exact(d):
    # x_1⁴ − x_d x_1 = h-expansion by hand.
    expected = {(4, *[0] * (d - 1)): math.sqrt(24), (2, *[0] * (d - 1)): 6 * math.sqrt(2)}
    expected[(0,) * d] = 3.0
    if d == 1:
        expected[(2,)] -= math.sqrt(2)
        expected[(0,)] -= 1
    else:
        expected[(1, *[0] * (d - 2), 1)] = -1.0
    found = hermite_expansion(lambda X: X[:, 0] ** 4 - X[:, -1] * X[:, 0], d, degree=4)
    assert as_dict(found, 1e-9) == pytest.approx(expected, abs=1e-9)
    assert found.errors.max() < 1e-9
    assert found.tail < 1e-6


def test_teacher_by_formula_and_by_quadrature():
    teacher = Teacher.random(2, 3, "tanh", bias=True, weight_norm=0.8, seed=3)
    exact = hermite_expansion(teacher, degree=4)
    found = hermite_expansion(lambda X: teacher(X), 2, degree=4)
    assert as_dict(found, 1e-7) == pytest.approx(as_dict(exact, 1e-7), abs=1e-8)
    assert (found.norm, found.tail) == pytest.approx((exact.norm, exact.tail), abs=1e-7)


def test_regression_on_a_teacher_has_honest_errors():
    deviations = []
    for seed in range(8):
        teacher = Teacher.random(4, 3, "tanh", bias=True, weight_norm=0.8, seed=seed)
        exact = hermite_expansion(teacher, degree=4)
        found = hermite_expansion(lambda X, f=teacher: f(X), 4, degree=4, n_samples=4000, seed=seed)
        lookup = as_dict(exact, 0)
        for i, c, e in zip(found.indices, found.coefficients, found.errors, strict=True):
            deviations.append((c - lookup.get(tuple(map(int, i)), 0.0)) / e)
        assert found.method == "least squares"
        assert found.norm == pytest.approx(exact.norm, rel=0.01)
        assert found.tail == pytest.approx(exact.tail, rel=0.1)
    assert 0.85 < np.sqrt(np.mean(np.square(deviations))) < 1.2
    assert np.abs(deviations).max() < 4.5


def test_rotated_link_by_formula_and_by_regression():
    target = IndexTarget.random(4, 2, {"1,1": 1.0, "3": 0.5, "0,2": -0.7}, seed=1)
    exact, found = hermite_expansion(target), hermite_expansion(lambda X: target(X), 4, degree=3)
    expected, fitted = as_dict(exact), as_dict(found)
    for index in expected.keys() | fitted.keys():
        assert fitted.get(index, 0) == pytest.approx(expected.get(index, 0), abs=1e-9)
    assert exact.norm == pytest.approx(math.sqrt(1 + 0.25 + 0.49))


def test_activation_link():
    target = IndexTarget.random(3, 2, "relu", seed=2)
    exact = hermite_expansion(target, degree=2)
    X = gaussian(400_000, 3)
    values = evaluate_basis(exact.indices, X) * target(X)[:, None]
    deviation = (values.mean(axis=0) - exact.coefficients) / (values.std(axis=0) / len(X) ** 0.5)
    assert np.abs(deviation).max() < 4.5


def test_data_with_noise_has_honest_errors():
    rng = np.random.default_rng(5)
    covered = []
    for _ in range(40):
        X = rng.standard_normal((600, 2))
        y = X[:, 0] + 0.5 * (X[:, 1] ** 2 - 1) + 0.3 * rng.standard_normal(600)
        found = hermite_expansion((X, y), degree=2)
        lookup = {(1, 0): 1.0, (0, 2): 0.5 * math.sqrt(2)}
        for i, c, e in zip(found.indices, found.coefficients, found.errors, strict=True):
            covered.append(abs(c - lookup.get(tuple(map(int, i)), 0.0)) < normal_quantile() * e)
    assert 0.9 < np.mean(covered) < 0.99


@pytest.mark.parametrize(
    ("target", "keywords", "error", "words"),
    [
        (np.tanh, {}, ValueError, "d is needed"),
        (3.0, {"d": 1}, TypeError, "callable"),
        (lambda X: X, {"d": 2}, ValueError, "scalar"),
        (lambda X: X[:, 0] * np.nan, {"d": 2}, ValueError, "NaN"),
        (lambda X: X[:, 0], {"d": 30, "degree": 6}, ValueError, "lower the degree"),
        (Parity(3, [0]), {"d": 2}, ValueError, "has 3 inputs"),
        ((np.ones((5, 2)), np.ones(5)), {"degree": 2}, ValueError, "cannot determine"),
        (Teacher.random(2, 2, n_outputs=2), {}, ValueError, "one by one"),
    ],
)
def test_bad_input_is_refused_in_words(target, keywords, error, words):
    with pytest.raises(error, match=words):
        hermite_expansion(target, **keywords)


def test_quadrature_errors_hold_for_a_kink():
    """E|z| = √(2/π), E|z| h_2 = 1/√π, E|z| h_4 = −1/√(12 π)."""
    found = hermite_expansion(lambda X: np.abs(X[:, 0]), d=1, degree=4)
    exact = {0: np.sqrt(2 / np.pi), 2: 1 / np.sqrt(np.pi), 4: -1 / np.sqrt(12 * np.pi)}
    for k, value in exact.items():
        (i,) = np.flatnonzero(found.degrees == k)
        assert abs(found.coefficients[i] - value) <= found.errors[i]


def test_inputs_must_be_finite():
    with pytest.raises(ValueError, match="inputs of the target have NaN"):
        hermite_expansion((np.full((50, 2), np.nan), np.ones(50)), degree=1)
