"""Hermite coefficients of activations against closed forms and brute quadrature."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.polynomial.hermite_e import hermeval
from scipy.integrate import quad

from meanfield.identify import activation_coefficients
from meanfield.identify.activation_coefficients import coefficient_table
from meanfield.problem import ACTIVATIONS
from tests.identify.identify_cases import ALL


@pytest.mark.parametrize("name", ALL)
def test_against_adaptive_quadrature(name):
    r, b = 0.8, 0.4
    found = activation_coefficients(name, 6, scale=r, shift=b, normalised=False)
    activation = ACTIVATIONS[name]
    for k in range(7):

        def integrand(z, k=k):
            bell = math.exp(-z * z / 2) / math.sqrt(2 * math.pi)
            return float(activation.value(np.array(r * z + b)) * hermeval(z, np.eye(7)[k])) * bell

        expected = quad(integrand, -12, 12, points=[-b / r], limit=200, epsabs=1e-11)[0]
        assert found[k] == pytest.approx(expected, abs=1e-8 * (1 + np.abs(found).max()))


@pytest.mark.parametrize(("name", "k"), [(f"he{k}", k) for k in range(1, 7)])
def test_hermite_activation_is_one_coefficient(name, k):
    found = activation_coefficients(name, 9, normalised=False)
    expected = np.zeros(10)
    expected[k] = math.factorial(k)
    np.testing.assert_allclose(found, expected, atol=1e-11)


def test_sine_in_closed_form():
    # E[exp(i(rz + b)) He_k(z)] = (ir)^k exp(ib − r²/2).
    r, b, k = 1.7, 0.3, np.arange(31)
    expected = ((1j * r) ** k * np.exp(1j * b - r * r / 2)).imag
    expected = expected / np.sqrt([float(math.factorial(i)) for i in k])
    found = activation_coefficients("sin", 30, scale=r, shift=b)
    np.testing.assert_allclose(found, expected, atol=1e-15)


def test_erf_in_closed_form():
    # σ_k of erf: derivative of a Gaussian; k odd only.
    found = activation_coefficients("erf", 61)
    assert np.abs(found[::2]).max() < 1e-15
    k = np.arange(0, 30)
    expected = 2 / np.sqrt(3 * np.pi)  # E[erf(z) z]
    ratio = [-(2 / 3) * (2 * i + 1) / math.sqrt((2 * i + 2) * (2 * i + 3)) for i in k]
    np.testing.assert_allclose(found[1::2], expected * np.cumprod([1, *ratio]), atol=1e-15)


@pytest.mark.parametrize("name", ["tanh", "relu", "silu", "abs", "gelu"])
def test_parseval(name):
    # The sum of squares approaches E σ(z)² from below.
    z, weight = np.polynomial.hermite_e.hermegauss(180)
    second = weight @ ACTIVATIONS[name].value(z) ** 2 / weight.sum()
    squares = np.cumsum(activation_coefficients(name, 400) ** 2)
    assert squares[-1] <= second * (1 + 1e-3)
    assert squares[-1] == pytest.approx(second, rel=2e-3)


@pytest.mark.parametrize("name", ALL)
def test_derivative_table_is_the_derivative_in_the_shift(name):
    activation = ACTIVATIONS[name]
    r, b, h = np.array([0.7]), np.array([0.2]), 1e-5
    found = coefficient_table(activation, 5, r, b, derivative=True)
    difference = (
        coefficient_table(activation, 5, r, b + h) - coefficient_table(activation, 5, r, b - h)
    ) / (2 * h)
    np.testing.assert_allclose(found, difference, atol=1e-7 * (1 + np.abs(found).max()))


@pytest.mark.parametrize(("degree", "scale"), [(-1, 1.0), (2.5, 1.0), (3, -1.0), (3, math.nan)])
def test_bad_arguments(degree, scale):
    with pytest.raises(ValueError, match=r"degree must be|scale must be"):
        activation_coefficients("tanh", degree, scale=scale)
