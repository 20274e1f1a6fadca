"""Hermite polynomials: orthonormality, Cramér's bound, and one recurrence in three forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import special

from meanfield.problem.hermite_polynomials import (
    hermite_functions,
    hermite_polynomial,
    hermite_table,
)


def test_normalised_polynomials_are_orthonormal():
    z, weights = special.roots_hermitenorm(30)
    table = hermite_table(z, 12)
    assert np.abs(table * (weights / weights.sum()) @ table.T - np.eye(13)).max() < 1e-10
    assert hermite_table(np.zeros((2, 3)), 0).shape == (1, 2, 3)


@pytest.mark.parametrize("degree", range(13))
def test_the_forms_are_multiples_of_one_another(degree):
    z = np.linspace(-5, 5, 41)
    plain = hermite_polynomial(z, degree)
    np.testing.assert_allclose(plain, special.eval_hermitenorm(degree, z), rtol=1e-11, atol=1e-9)
    normalised = plain / math.sqrt(math.factorial(degree))
    np.testing.assert_allclose(hermite_table(z, degree)[-1], normalised, rtol=1e-11, atol=1e-9)
    np.testing.assert_allclose(
        hermite_functions(z, degree)[-1], normalised * np.exp(-(z**2) / 4), rtol=1e-11, atol=1e-9
    )


def test_functions_stay_within_the_bound_of_cramer():
    """``|h_k(z)| exp(−z²/4) ≤ 1.0865`` (Abramowitz and Stegun 22.14.17)."""
    table = hermite_functions(np.linspace(-100, 100, 4001), 2000)
    assert 1 <= np.abs(table).max() <= 1.0865
    assert hermite_functions(np.zeros(2, np.longdouble), 3).dtype == np.longdouble
