"""Exponents in the width, on powers that are known."""

from __future__ import annotations

import numpy as np
import pytest

from meanfield import deep

WIDTHS = np.array([16, 32, 64, 128])


def quantity(powers, n_networks=6, noise=0.05):
    """Positive values (width, network, layer) whose means are powers of the width."""
    rng = np.random.default_rng(0)
    values = rng.lognormal(0.0, noise, (len(WIDTHS), n_networks, len(powers)))
    return values * WIDTHS[:, None, None] ** np.array(powers)


def test_exact_powers_have_exact_exponents_and_no_spread():
    powers = [-1.0, -0.5, 0.25]
    found = deep.fit_width_exponents(WIDTHS, quantity(powers, noise=0.0))
    for part in (found.value, found.low, found.high):
        np.testing.assert_allclose(part, powers, rtol=1e-12)


def test_exponents_are_slopes_of_the_logarithms_of_the_means():
    values = quantity([-1.0, 0.5])
    found = deep.fit_width_exponents(WIDTHS, values)
    slopes = np.polyfit(np.log(WIDTHS), np.log(values.mean(axis=1)), 1)[0]
    np.testing.assert_allclose(found.value, slopes, rtol=1e-12)
    assert (found.low < found.value).all()
    assert (found.value < found.high).all()
    assert (found.width < 0.1).all()
    again = deep.fit_width_exponents(WIDTHS, values)
    np.testing.assert_array_equal(again.low, found.low)
    assert (deep.fit_width_exponents(WIDTHS, values, seed=1).low != found.low).all()


def test_a_single_network_has_no_interval_and_a_zero_no_exponent():
    values = quantity([-1.0, 0.5], n_networks=1)
    found = deep.fit_width_exponents(WIDTHS, values)
    assert np.isnan([found.low, found.high]).all()
    values[0, :, 1] = 0.0  # as a least eigenvalue with fewer units than vectors
    exponents = deep.fit_width_exponents(WIDTHS, values)
    assert np.isnan(exponents.value).tolist() == [False, True]
    assert deep.least_exponent(exponents)[0] == 0


def test_the_least_exponent_is_that_of_its_layer():
    exponents = deep.fit_width_exponents(WIDTHS, quantity([0.0, -0.7, -0.2]))
    layer, least = deep.least_exponent(exponents)
    assert layer == 1
    assert least.value == pytest.approx(-0.7, abs=0.05)
    assert least.interval == (exponents.low[1], exponents.high[1])
