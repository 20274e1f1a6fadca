"""Error bars of atoms, and the test of S atoms against one more."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import curve_fit

from meanfield.dictionary import extract_dictionary
from meanfield.dictionary.fitting import Prior, converged, fit_atoms, make_regression
from meanfield.dictionary.refit import Fit, Regression, full_jacobian
from meanfield.dictionary.score_process import score_test
from meanfield.dictionary.uncertainty import _wide_products, atom_intervals
from meanfield.problem import ACTIVATIONS, Problem
from meanfield.problem.targets import Teacher
from tests.dictionary.dictionary_cases import cloud, problem_of, teacher


def fitted(problem, places):
    """Refit atoms to the labels from places that are given; the fit, its atoms and intervals."""
    regression = make_regression(problem, problem.targets)
    fit = converged(regression, places, places)
    function = fit_atoms(problem, fit, np.ones(len(places)) / len(places))
    prior = Prior.of(regression, places)
    held = prior.ridge, prior.place_ridge
    return fit, function, atom_intervals(function, problem, problem.targets, held, noisy=True)


def places_of(target):
    return target.w if target.b is None else np.column_stack([target.w, target.b])


@pytest.mark.parametrize("name", ["tanh", "silu", "sigmoid"])
@pytest.mark.parametrize("outputs", [1, 2])
def test_jacobian_is_that_of_the_predictions(name, outputs):
    target = teacher(name, 3, 2, seed=1, bias=True, outputs=outputs, angle=35)
    problem = problem_of(target, n=30)
    regression = make_regression(problem, problem.targets)
    places, columns = places_of(target), target.a.reshape(2, outputs)
    affine = np.full((regression.affine.shape[1], outputs), 0.3)
    whole = np.concatenate([places.ravel(), columns.ravel(), affine.ravel()])

    def predicted(whole):
        w, c, rest = np.split(whole, [places.size, places.size + columns.size])
        w, c, rest = w.reshape(places.shape), c.reshape(columns.shape), rest.reshape(affine.shape)
        return regression.predict(Fit(w, c, rest, 0.0, 0.0))

    step = 1e-6
    for i, column in enumerate(np.eye(len(whole))):
        slope = (predicted(whole + step * column) - predicted(whole - step * column)) / (2 * step)
        np.testing.assert_allclose(
            full_jacobian(regression, places, columns)[:, :, i], slope, atol=1e-8
        )


def test_covariance_is_that_of_nonlinear_least_squares():
    """SciPy's curve fit of one atom as an independent twin."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((200, 1))
    y = 1.3 * np.tanh(1.7 * x[:, 0] + 0.4) - 0.2 + 0.05 * rng.standard_normal(200)
    problem = Problem(x, y, "tanh")
    _, function, found = fitted(problem, np.array([[1.7, 0.4]]))
    best, covariance = curve_fit(
        lambda x, w, b, c, level: c * np.tanh(w * x + b) + level, x[:, 0], y, [1.7, 0.4, 1.3, 0]
    )
    np.testing.assert_allclose([function.w[0, 0], function.b[0]], best[:2], rtol=1e-3)
    np.testing.assert_allclose(found.covariance[0], covariance[:3, :3], rtol=0.01)
    assert found.freedom == 196
    half = 1.9721 * np.sqrt(covariance[2, 2])
    np.testing.assert_allclose(found.coefficients.arms[:, 0], half, rtol=0.01)
    assert found.direction[0] == 0  # on a line there is one


@pytest.mark.parametrize("name", ["relu", "abs"])
@pytest.mark.parametrize("bias", [False, True])
def test_lengths_of_homogeneous_atoms_have_no_interval(name, bias):
    target = teacher(name, 3, 2, seed=4, bias=bias, angle=35)
    _, function, found = fitted(problem_of(target, noise=0.1), places_of(target))
    assert np.isnan(found.length.value).all()
    place = np.column_stack([function.w, function.b]) if bias else function.w
    width = place.shape[1]
    along = np.einsum("sd,sde->se", place, found.covariance[:, :width, :])
    np.testing.assert_allclose(along, 0, atol=1e-12)
    assert (found.direction > 0).all()
    assert (found.offset.width > 0).all() == bias
    # Scaling inputs up and weights down is the same function: the same intervals.
    assert found.coefficients.interval is not None


def test_repeated_rows_narrow_nothing():
    target = teacher("tanh", 3, 2, seed=3, bias=True, angle=40)
    problem = problem_of(target, n=150, noise=0.1)
    often = Problem(np.tile(problem.X, (5, 1)), np.tile(problem.y, 5), "tanh")
    one, five = (fitted(p, places_of(target))[2] for p in (problem, often))
    np.testing.assert_allclose(five.covariance, one.covariance, rtol=1e-3)
    assert five.freedom == one.freedom


@pytest.mark.parametrize("name", ["tanh", "relu", "gelu"])
def test_intervals_hold_what_they_should(name):
    held = []
    for seed in range(40):
        target = teacher(name, 3, 2, seed=0, bias=True, angle=40)
        _, function, found = fitted(problem_of(target, noise=0.1, seed=seed), places_of(target))
        truth = fit_atoms(
            problem_of(target),
            Fit(places_of(target), target.a[:, None], np.zeros((4, 1)), 0.0, 0.0),
            np.ones(2),
        )
        assert (np.sign(truth.w[:, 0]) == np.sign(function.w[:, 0])).all()
        order = np.argmax(truth.w @ function.w.T / np.linalg.norm(function.w, axis=1), axis=1)
        true, at = (w / np.linalg.norm(w, axis=1)[:, None] for w in (truth.w, function.w[order]))
        angle = np.degrees(np.arccos(np.clip((true * at).sum(axis=1), -1, 1)))
        for j, i in enumerate(order):
            bars = found.coefficients[i], found.offset[i]
            offset = truth.b[j] / np.linalg.norm(truth.w[j])
            held.append(
                [
                    angle[j] <= found.direction[i],
                    not bars[0].excludes(truth.coefficients[j]),
                    not bars[1].excludes(offset),
                ]
            )
    # Of 80 at 95 %, less than one in a hundred studies falls outside.
    assert ((np.mean(held, axis=0) > 0.87) & (np.mean(held, axis=0) <= 1)).all()


def test_several_outputs_and_no_atoms_have_intervals_of_their_shape():
    target = teacher("tanh", 4, 3, seed=0, outputs=3)
    found = extract_dictionary(cloud(target), problem_of(target, noise=0.1)).intervals
    assert found.coefficients.value.shape == (3, 3)
    assert found.covariance.shape == (3, 7, 7)
    none = extract_dictionary((np.zeros(5), np.ones((5, 4))), problem_of(teacher("tanh", 4, 1, 0)))
    assert none.intervals.direction.shape == (0,)


def test_too_few_data_give_no_intervals_and_do_not_stop_anything():
    target = teacher("tanh", 4, 1, seed=0, bias=True)
    found = extract_dictionary(cloud(target), problem_of(target, n=6, noise=0.1))
    assert found.intervals.freedom <= 0
    assert np.isnan(found.intervals.direction).all()
    assert found.intervals.coefficients.interval is None


def test_p_values_are_uniform_under_the_hypothesis_and_have_no_unit():
    target = teacher("tanh", 3, 2, seed=0, angle=40)
    values = []
    for seed in range(40):
        problem = problem_of(target, n=200, noise=0.2, seed=seed)
        regression = make_regression(problem, problem.targets)
        fit = regression.refit(target.w, 100)
        values.append(score_test(regression, fit, draws=19, seed=seed))
    values = np.array(values)
    # 20 steps of a twentieth: eight or more of forty at the first has probability 6e-4.
    assert (values <= 0.05).sum() < 7
    assert 0.35 < values.mean() < 0.68
    larger = make_regression(problem, 1000 * problem.targets)
    again = score_test(larger, larger.refit(target.w, 100), draws=19, seed=39)
    assert again == values[-1]


@pytest.mark.parametrize("name", ["tanh", "relu", "silu"])
def test_an_atom_that_is_missing_is_found(name):
    target = teacher(name, 4, 3, seed=2, bias=True, angle=40)
    problem = problem_of(target, n=400, noise=0.1)
    regression = make_regression(problem, problem.targets)
    part = regression.refit(places_of(target)[:2], 100)
    whole = regression.refit(places_of(target), 100)
    assert score_test(regression, part, draws=39) == 1 / 40
    assert score_test(regression, whole, draws=39) > 1 / 40


def test_a_size_that_cannot_be_told_is_not_relied_on():
    """A third atom too weak for the criterion, though not for the test."""
    target = teacher("tanh", 3, 3, seed=1, angle=40)
    target = Teacher(np.array([1.0, -1.0, 0.22]), target.w, None, "tanh")
    problem = problem_of(target, n=300, noise=0.15, seed=3)
    found = extract_dictionary(cloud(target), problem)
    assert found.n_atoms == 2
    assert found.n_atoms_set == (2, 3)
    assert not found.confident
    assert "as many as 3 cannot be excluded" in found.statement


def test_without_noise_no_other_size_is_possible():
    target = teacher("silu", 3, 2, seed=1, angle=40)
    found = extract_dictionary(cloud(target), problem_of(target))
    assert found.n_atoms_set == (2,)
    assert found.intervals.direction.max() < 0.01


def test_products_of_many_outputs_are_those_of_the_jacobian():
    rng = np.random.default_rng(0)
    X, places = rng.standard_normal((40, 5)), rng.standard_normal((3, 5))
    columns, residual = rng.standard_normal((3, 2)), rng.standard_normal((40, 2))
    regression = Regression(ACTIVATIONS["gelu"], X, residual, X[:, :2])
    jacobian = full_jacobian(regression, places, columns)
    gram, pulls = _wide_products(regression, places, columns, residual)
    flat = jacobian.reshape(80, -1)
    np.testing.assert_allclose(gram, flat.T @ flat, atol=1e-12)
    np.testing.assert_allclose(pulls, np.einsum("nkp,nk->np", jacobian, residual), atol=1e-12)
