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
    layer, least = deep.fit_least_exponent(WIDTHS, quantity(powers, noise=0.0))
    assert layer == 0
    np.testing.assert_allclose([least.value, *least.interval], -1.0, rtol=1e-12)


def test_exponents_are_slopes_of_the_logarithms_of_the_means():
    values = quantity([-1.0, 0.5], n_networks=10)
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
    layer, least = deep.fit_least_exponent(WIDTHS, values)
    assert (layer, least.value, least.interval) == (0, found.value[0], None)
    for broken in (0.0, np.nan, np.inf):  # a least eigenvalue with fewer units than vectors is zero
        values = quantity([-1.0, 0.5])
        values[0, :, 1] = broken
        found = deep.fit_width_exponents(WIDTHS, values)
        assert np.isnan([found.value, found.low, found.high]).tolist() == [[False, True]] * 3
        layer, least = deep.fit_least_exponent(WIDTHS, values)
        assert layer == 1
        assert not least.known


def test_the_least_exponent_is_that_of_its_layer():
    values = quantity([0.0, -0.7, -0.2], n_networks=10)
    exponents = deep.fit_width_exponents(WIDTHS, values)
    layer, least = deep.fit_least_exponent(WIDTHS, values)
    assert layer == 1
    assert least.value == exponents.value[1] == pytest.approx(-0.7, abs=0.05)
    # The others are far above it: nothing was chosen.
    np.testing.assert_allclose(least.interval, exponents[1].interval, rtol=1e-12)


def test_seeds_are_resampled_with_all_their_widths():
    """What a seed has in common at all widths does not move the exponent."""
    rng = np.random.default_rng(0)
    common = rng.lognormal(0.0, 0.5, (1, 10, 1))
    values = common * WIDTHS[:, None, None] ** np.array([-1.0, -0.5])
    found = deep.fit_width_exponents(WIDTHS, values)
    np.testing.assert_allclose([found.low, found.high], [[-1.0, -0.5]] * 2, rtol=1e-9)


@pytest.mark.parametrize(
    ("n_networks", "n_widths", "gap"), [(10, 7, 0.0), (10, 7, 0.05), (5, 3, 0.0), (5, 3, 1.0)]
)
def test_intervals_hold_the_least_exponent_in_92_to_98_of_100_studies(n_networks, n_widths, gap):
    """Networks scatter by 20 %, and share some of it between widths, layers, or both."""
    rng = np.random.default_rng(0)
    widths, powers = 64.0 * 2 ** np.arange(n_widths), -1.0 + gap * np.arange(3)
    hits = 0
    for i in range(200):
        seed = rng.standard_normal((1, n_networks, 1))
        network = rng.standard_normal((n_widths, n_networks, 1))
        layer = rng.standard_normal((n_widths, n_networks, 3))
        scatter = np.sqrt(0.2) * seed + np.sqrt(0.4) * network + np.sqrt(0.4) * layer
        values = np.exp(0.2 * scatter) * widths[:, None, None] ** powers
        hits += not deep.fit_least_exponent(widths, values, seed=i)[1].excludes(-1.0)
    assert 184 <= hits <= 196


def test_a_layer_that_is_zero_at_every_width_takes_no_part():
    values = quantity([-1.0, 0.5, 0.0], n_networks=10)
    values[..., 0] = 0.0
    layer, least = deep.fit_least_exponent(WIDTHS, values)
    assert layer == 2
    assert least.value == deep.fit_width_exponents(WIDTHS, values).value[2]
    layer, least = deep.fit_least_exponent(WIDTHS, np.zeros_like(values))
    assert (layer, least.known) == (0, False)


@pytest.mark.parametrize("fit", [deep.fit_width_exponents, deep.fit_least_exponent])
@pytest.mark.parametrize(
    ("widths", "shape", "sentence"),
    [
        ([16, 16, 16, 16], (4, 3, 2), "widths must hold two different numbers"),
        ([0, 16, 32, 64], (4, 3, 2), "widths must be finite and greater than 0, got 0"),
        ([16, np.nan, 32, 64], (4, 3, 2), "widths must be finite and greater than 0, got nan"),
        ([16], (1, 3, 2), "widths must be two or more, got 1"),
        ([16, 32], (4, 3, 2), r"values must have shape \(W, R, L\) for 2 widths"),
        ([16, 32], (2, 3), "values must have shape"),
        ([16, 32], (2, 0, 3), "values must have shape"),
        ([16, 32], (2, 3, 0), "values must have shape"),
    ],
)
def test_what_has_no_exponent_is_named(fit, widths, shape, sentence):
    with pytest.raises(ValueError, match=sentence):
        fit(widths, np.ones(shape))
