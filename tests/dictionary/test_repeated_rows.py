"""Rows that are there more than once are no further data."""

from __future__ import annotations

import numpy as np
import pytest

import meanfield as mf
from meanfield.dictionary import hermite_expansion

TEACHER = mf.problem.load("teacher", n_features=2, n_atoms=4, n_train=8, n_test=1, seed=1)


def repeated(times, **more):
    X, y = np.tile(TEACHER.X, (times, 1)), np.tile(TEACHER.y, times)
    return mf.Problem(X, y, l2=1e-3, temperature=1e-5, **more)


@pytest.mark.parametrize("target", ["labels", "network"])
@pytest.mark.parametrize("times", [3, 20])
def test_a_dictionary_is_that_of_the_distinct_rows_and_not_relied_on(target, times):
    particles = mf.simulate(repeated(1), 100, 0.5, 200).particles
    once, often = (mf.extract_dictionary(particles, repeated(n), target=target) for n in (1, times))
    assert often.n_atoms == once.n_atoms
    assert often.confidence == pytest.approx(once.confidence, rel=1e-6)
    assert often.certificate.threshold == pytest.approx(once.certificate.threshold)
    assert not often.confident
    assert "8 distinct inputs do not determine so many" in often.statement


def test_one_input_determines_no_atom():
    problem = mf.Problem(np.ones((30, 1)), np.linspace(0, 1, 30), l2=0.01, temperature=1e-4)
    found = mf.extract_dictionary(mf.simulate(problem, 50, 0.2, 50).particles, problem)
    assert not found.confident


def test_hermite_coefficients_and_their_errors_are_those_of_the_distinct_rows():
    once = hermite_expansion((TEACHER.X, TEACHER.y), degree=1)
    X, y = np.tile(TEACHER.X, (20, 1)), np.tile(TEACHER.y, 20)
    often = hermite_expansion((X, y), degree=1)
    np.testing.assert_allclose(often.coefficients, once.coefficients, rtol=1e-9)
    np.testing.assert_allclose(often.errors, once.errors, rtol=1e-9)
    np.testing.assert_allclose(often.norm, once.norm, rtol=1e-9)
    with pytest.raises(ValueError, match="8 distinct inputs cannot determine 15"):
        hermite_expansion((X, y), degree=4)


def test_training_sets_are_drawn_from_distinct_rows():
    held_out = {"X_test": TEACHER.X, "y_test": TEACHER.y}
    plans = [
        mf.decomposition.error_plan.plan_errors(
            repeated(n, **held_out), mf.flow.scheme.Scheme.of(repeated(n), step_size=0.1, n_steps=5)
        )
        for n in (1, 5)
    ]
    assert plans[0].n_population == plans[1].n_population == 8
    assert plans[0].data_counts == plans[1].data_counts
    assert [plan.n_repeats for plan in plans] == [0, 32]


def test_two_distinct_rows_are_too_few_for_errors_and_the_sentence_says_so():
    X, y = np.tile(TEACHER.X[:2], (9, 1)), np.tile(TEACHER.y[:2], 9)
    problem = mf.Problem(X, y, l2=0.1, temperature=0.1, X_test=X, y_test=y)
    with pytest.raises(ValueError, match=r"three training rows that differ.*there are 2"):
        mf.decompose_error(problem)
