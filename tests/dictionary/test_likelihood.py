"""Class labels: the fit by their likelihood, and dictionaries of planted classifiers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize

from meanfield.dictionary import dual_certificate, extract_dictionary
from meanfield.dictionary.fitting import Prior, label_regression
from meanfield.dictionary.score_process import score_test
from meanfield.dictionary.separated import displacement, separated
from meanfield.problem import Problem
from meanfield.problem.targets import Teacher
from tests.dictionary.dictionary_cases import cloud, worst_angle


def classifier(seed=0, n=800, k=1, size=12.0, n_atoms=2, d=3, name="tanh"):
    """Draw a teacher of logits and a problem whose labels are drawn from it."""
    rng = np.random.default_rng([seed, 9])
    w = 1.5 * Teacher.random(d, n_atoms, name, min_angle=40.0, seed=seed).w
    a = size * rng.choice([-1, 1], (n_atoms, k)) * rng.uniform(0.7, 1.3, (n_atoms, k))
    target = Teacher(a[:, 0] if k == 1 else a, w, 0.3 * rng.standard_normal(n_atoms), name)
    X = rng.standard_normal((n, d))
    f = target(X).reshape(n, k)
    if k == 1:
        y = np.where(rng.random(n) < 1 / (1 + np.exp(-f[:, 0])), 1, -1)
    else:
        y = (f - np.log(-np.log(rng.random((n, k))))).argmax(axis=1)
    loss = "logistic" if k == 1 else "cross-entropy"
    return target, Problem(X, y, name, loss=loss, bias=True)


def held(problem, places):
    """Return the likelihood under its prior."""
    labels = label_regression(problem)
    return Prior.of(labels, places).at(labels, 1.0)


@pytest.mark.parametrize("k", [1, 3])
def test_linear_fit_is_that_of_a_minimiser(k):
    target, problem = classifier(k=k, n=200)
    places = np.column_stack([target.w, target.b])
    labels = held(problem, places)
    fit = labels.linear(places)
    columns = np.hstack([labels.features(places), labels.affine])

    def objective(flat):
        c = flat.reshape(-1, k)
        prior = labels.ridge * (c[: len(places)] ** 2).sum() + 1e-5 * (c[len(places) :] ** 2).sum()
        return 2 * problem.loss.value(columns @ c, problem.targets).sum() + prior

    twin = minimize(objective, np.zeros(columns.shape[1] * k), tol=1e-10)
    mine = np.vstack([fit.coefficients, fit.affine])
    assert objective(mine.ravel()) <= twin.fun * (1 + 1e-9)
    np.testing.assert_allclose(mine, twin.x.reshape(-1, k), atol=2e-3)
    if k > 1:
        np.testing.assert_allclose(mine.sum(axis=1), 0, atol=1e-12)


@pytest.mark.parametrize("k", [1, 3])
def test_score_and_information_are_derivatives_of_the_deviance(k):
    target, problem = classifier(k=k, n=150)
    labels = label_regression(problem)
    fit = labels.linear(np.column_stack([target.w, target.b]) + 0.1)
    information, score = labels.information(fit)
    size, q = fit.places.size, labels.outputs
    c = np.vstack([fit.coefficients, fit.affine]) @ q
    at = np.concatenate([fit.places.ravel(), c.ravel()])

    def of(x):
        places, both = x[:size].reshape(fit.places.shape), x[size:].reshape(c.shape)
        return np.hstack([labels.features(places), labels.affine]) @ both @ q.T

    steps = 1e-6 * np.eye(len(at))
    slopes = [(labels.deviance(of(at + e)) - labels.deviance(of(at - e))) / 4e-6 for e in steps]
    np.testing.assert_allclose(-score, slopes, atol=1e-5 * np.abs(slopes).max())
    # The expected product of signals, over the labels that the fit makes likely.
    jacobian = np.array([(of(at + e) - of(at - e)) / 2e-6 for e in steps])
    twin = np.einsum("pnk,nkl,qnl->pq", jacobian, problem.loss.curvature(of(at), problem.targets),
                     jacobian)  # fmt: skip
    np.testing.assert_allclose(information, twin, atol=1e-6 * np.abs(twin).max())


@pytest.mark.parametrize("loss", ["squared", "logistic", "cross-entropy"])
def test_information_beside_the_tangent_space_is_that_of_least_squares(loss):
    """A function at weights W, less its W-projection on the Jacobian in all parameters."""
    target, problem = classifier(k=3 if loss == "cross-entropy" else 1, n=150)
    if loss == "squared":
        rng = np.random.default_rng(0)
        Y = target(problem.X) + 0.1 * rng.standard_normal(150)
        problem = Problem(problem.X, Y, "tanh", bias=True)
    labels = label_regression(problem)
    fit = labels.linear(np.column_stack([target.w, target.b]))
    _, jacobian, root, signals = next(labels.blocks(fit))
    assert len(jacobian) == 150
    width, k = jacobian.shape[2], jacobian.shape[1]
    functions = np.random.default_rng(1).standard_normal((150, k, 2))
    information, score = labels.beside_tangent(fit, functions)
    white = np.einsum("noq,nop->nqp", root, jacobian).reshape(-1, width)
    wanted = np.einsum("noq,nom->nqm", root, functions).reshape(-1, 2)
    moved = np.linalg.lstsq(white, wanted, rcond=None)[0]
    np.testing.assert_allclose(information, ((wanted - white @ moved) ** 2).sum(axis=0), rtol=1e-8)
    left = functions.reshape(-1, 2) - jacobian.reshape(-1, width) @ moved
    np.testing.assert_allclose(score, left.T @ signals.ravel(), rtol=1e-8, atol=1e-10)


def test_repeated_rows_are_no_further_labels():
    target, problem = classifier(n=150)
    places = np.column_stack([target.w, target.b])
    twice = Problem(np.tile(problem.X, (2, 1)), np.tile(problem.y, 2), "tanh", loss="logistic")
    one, two = (held(some, places).refit(places) for some in (problem, twice))
    assert two.rss == pytest.approx(one.rss, rel=1e-9)
    assert label_regression(twice).n_numbers == 150


@pytest.mark.parametrize("k", [1, 3])
def test_planted_classifiers_are_recovered_like_planted_regressions(k):
    target, problem = classifier(seed=1, k=k, n=1200, size=15.0)
    found = extract_dictionary(cloud(target), problem)
    assert found.target == "labels"
    assert found.n_atoms == 2
    assert found.confident, found.statement
    assert not found.certificate.missing
    # As near as labels determine, which say less than numbers.
    assert worst_angle(target, found) < found.intervals.direction.max() < 20
    assert np.isfinite(found.intervals.coefficients.interval).all()


def test_one_atom_less_is_rejected_and_the_certificate_misses_it():
    target, problem = classifier(seed=2, n=1500)
    places = np.column_stack([target.w, target.b])
    labels = held(problem, places)
    whole, part = labels.refit(places), labels.refit(places[:1])
    assert score_test(labels, whole) > 0.05
    assert score_test(labels, part) <= 0.02
    found = extract_dictionary(cloud(target), problem).function
    few = replace(found, coefficients=found.coefficients[:1], w=found.w[:1], b=found.b[:1])
    certificate = dual_certificate(few, problem)
    assert certificate.missing
    # The gain is the fall of the deviance, by an atom near the one that was left out.
    both = np.column_stack([found.w, found.b])
    lost = labels.linear(both[:1]).rss - labels.linear(both).rss
    assert certificate.gain == pytest.approx(lost, rel=0.3)


def test_labels_without_atoms_have_none():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((1000, 3)), rng.choice([-1, 1], 1000)
    problem = Problem(X, y, "tanh", loss="logistic")
    found = extract_dictionary(
        (rng.standard_normal(50), rng.standard_normal((50, 3)), None), problem
    )
    assert found.n_atoms == 0
    assert 0 in found.n_atoms_set


@pytest.mark.parametrize("drawn", [True, False])
def test_cones_hold_directions_that_labels_leave_open(drawn):
    """Two atoms of about one size whose signs a plane all but separates: many pairs do."""
    w = 1.5 * Teacher.random(5, 2, "tanh", min_angle=40.0, seed=3).w
    target = Teacher(np.array([-7.08, -7.45]), w, None, "tanh")
    rng = np.random.default_rng(3)
    X = rng.standard_normal((1000, 5))
    f = target(X)
    y = np.where((rng.random(1000) if drawn else 0.5) < 1 / (1 + np.exp(-f)), 1, -1)
    problem = Problem(X, y, "tanh", loss="logistic", bias=False)
    labels = label_regression(problem)
    prior = Prior.of(labels, w)
    fit = prior.at(labels, 1.0).refit(w, 100)
    assert separated(labels, fit) == (not drawn)
    found = extract_dictionary(cloud(target), problem)
    assert found.n_atoms == 2
    angle = worst_angle(target, found)
    assert angle < found.intervals.direction.max()
    if not drawn:
        # Without a prior on their length, atoms turn away from the teacher for a wider margin.
        own = fit.places / np.linalg.norm(fit.places, axis=1)[:, None]
        true = w / np.linalg.norm(w, axis=1)[:, None]
        apart = np.degrees(np.arccos(np.abs(true @ own.T).max(axis=1).min()))
        assert angle < 0.7 * apart


def test_parameters_move_only_as_far_as_labels_allow():
    target, problem = classifier(n=300)
    labels = held(problem, np.column_stack([target.w, target.b]))
    problem = problem.replace(y=np.where(target(problem.X) > 0, 1, -1))
    labels = replace(labels, Y=problem.targets)
    fit = labels.refit(np.column_stack([target.w, target.b]), 100)
    step = displacement(labels, fit, (labels.ridge, labels.place_ridge))
    places, c = np.split(step, [fit.places.size])
    moved = labels.linear(fit.places + places.reshape(fit.places.shape))
    assert np.linalg.norm(places) > 0.05
    # The 95 % quantile of χ² with 2 · (4 + 1) + 1 degrees of freedom.
    assert moved.rss - fit.rss < 19.68
    np.testing.assert_array_equal(displacement(labels, fit, (labels.ridge, 0.0)), 0 * step)
    assert c.shape == (3,)
