"""Bias, spread and exponents, on data that are known to follow them."""

from __future__ import annotations

import numpy as np
import pytest

from meanfield import deep
from meanfield.statistics.power_law import fit_power_law


def _networks(width, n_networks, rng, bias_power=1.0):
    """Predictions with bias 2 sin/n and spread 1/√n that is half inherited from the start."""
    shape = np.sin(np.arange(1, 13)).reshape(4, 3)
    shape[0] = 0
    start = rng.standard_normal((n_networks, 1, 3)) / np.sqrt(width)
    noise = rng.standard_normal((n_networks, 4, 3)) / np.sqrt(width)
    noise[:, :1] = start
    return (
        1
        + 2 * shape / width**bias_power
        + 0.8 * start
        + 0.6 * noise
        - 0.4 * start * (np.arange(4) == 0).reshape(4, 1)
    )


@pytest.mark.parametrize("power", [1.0, 0.5])
def test_exponents_are_recovered(power):
    rng = np.random.default_rng(0)
    limit = np.ones((4, 3))
    limit[0] = 0
    networks = {}
    for width in (16, 32, 64):
        f = _networks(width, 4000, rng, power)
        f[:, 0] -= 1
        networks[width] = f
    result = deep.width_convergence(limit, networks)
    low, high = result.bias_fit.slope.interval
    assert low < -power < high
    assert high - low < 0.3
    low, high = result.spread_fit.slope.interval
    assert low < -0.5 < high
    assert high - low < 0.1
    rms = 2 * np.sqrt(np.mean(np.square(np.sin(np.arange(4, 13)))) * 9 / 12)
    expected = rms / np.array([16, 32, 64]) ** power
    half = result.bias.value - result.bias.low
    assert (np.abs(result.bias.value - expected) < 2 * half).all()
    assert result.bias_constant.value == pytest.approx(64 * result.bias.value[-1])
    assert result.spread_constant.value == pytest.approx(1.0, rel=0.05)
    assert result.spread_constant.label == "Spread times n^0.5 at width 64"
    squares = result.bias.value**2 + result.spread.value**2
    np.testing.assert_allclose(result.gap.value, squares, rtol=0.02)
    assert result.gap_constant.value == pytest.approx(64 * result.gap.value[-1])
    assert result.gap_fit.slope.value == pytest.approx(-1, abs=0.1)


def test_a_bias_below_the_noise_is_not_a_number_or_has_a_large_error():
    rng = np.random.default_rng(1)
    limit = np.zeros((4, 3))
    networks = {w: rng.standard_normal((100, 4, 3)) / np.sqrt(w) for w in (16, 32, 64, 128)}
    result = deep.width_convergence(limit, networks)
    value, half = result.bias.value, result.bias.value - result.bias.low
    small = np.isnan(value) | (value < 1.5 * half + 0.03)
    assert small.all()


def test_the_error_of_the_limit_is_taken_off():
    rng = np.random.default_rng(2)
    error = 0.01
    shift = error * rng.standard_normal((4, 3))
    networks = {w: 0.1 * rng.standard_normal((400, 4, 3)) / w for w in (16, 32)}
    with_error = deep.width_convergence(shift, networks, limit_error=np.full((4, 3), error))
    without = deep.width_convergence(shift, networks)
    assert without.bias.value[1] == pytest.approx(np.sqrt(np.mean(shift**2)), rel=0.1)
    assert not with_error.bias.value[1] > 0.8 * without.bias.value[1]


def test_alignment_is_the_cosine_of_two_kernels():
    K = np.array([[2.0, 1.0], [1.0, 3.0]])
    assert deep.kernel_alignment(K, 5 * K) == pytest.approx(1, rel=1e-15)
    assert deep.kernel_alignment(np.diag([1.0, 0.0]), np.diag([0.0, 1.0])) == 0
    assert deep.kernel_alignment(K, np.eye(2)) == pytest.approx(5 / np.sqrt(15 * 2))
    layers = np.stack([K, np.zeros((2, 2))])
    np.testing.assert_allclose(deep.kernel_alignment(layers, K), [1, np.nan])
    np.testing.assert_array_equal(deep.kernel_alignment([[[1e-200]], [[1e200]]], [[1.0]]), 1)
    with pytest.raises(ValueError, match=r"other must be square matrices of one size.*\(3, 3\)"):
        deep.kernel_alignment(K, np.eye(3))
    with pytest.raises(ValueError, match="kernels must hold at least two widths"):
        deep.kernel_convergence(K[None], {8: layers[None]})
    with pytest.raises(ValueError, match=r"two networks or more, got .* at width 8"):
        deep.kernel_convergence(K[None], {8: K[None, None], 16: K[None, None]})


def test_distance_and_misalignment_of_networks_fall_like_one_over_the_width():
    rng = np.random.default_rng(3)
    X, y = rng.standard_normal((6, 12)) / np.sqrt(12), np.sign(rng.standard_normal(6))
    settings = {"depth": 3, "activation": "tanh", "step_size": 0.05, "n_steps": 10, "save_at": []}
    limit = deep.infinite_width(X, y, n_samples=4096, n_replicas=4, **settings)
    runs = {
        n: deep.train(X, y, width=n, n_replicas=80, engine="dense", **settings)
        for n in (32, 64, 128)
    }
    outputs = {n: run.predictions for n, run in runs.items()}
    found = deep.width_convergence(limit.predictions, outputs, limit.predictions_error)
    kernels = {n: run.kernel_x[:, -1] for n, run in runs.items()}
    aligned = deep.kernel_convergence(limit.kernel_x[-1], kernels)
    for slope in (found.gap_fit.slope, *(fit.slope for fit in aligned.fits)):
        assert abs(slope.value + 1) < 0.25
        assert slope.width < 0.6
    assert aligned.alignment.value.shape == (3, 3)
    assert (np.diff(aligned.alignment.value, axis=0) > 0).all()
    ratio = aligned.scaled.value / aligned.scaled.value[0]
    assert (np.abs(np.log(ratio)) < 0.4).all()


def test_power_laws_through_exact_values():
    n = np.array([10, 20, 40])
    fit = fit_power_law(n, 3.0 * n**-1.5, 0.1 * n**-1.5)
    assert fit.slope.value == pytest.approx(-1.5)
    assert fit.constant.value == pytest.approx(3.0)
    assert np.isnan(fit_power_law(n, np.array([1.0, np.nan, -1.0]), np.ones(3)).slope.value)


@pytest.mark.parametrize(
    ("x", "sentence"),
    [
        ([8, 8, 8], "x must hold two different numbers, got 8 only"),
        ([0.1 + 1e-17] * 3, "x must hold two different numbers, got 0.1 only"),
        ([0, 8, 16], "x must be finite and greater than 0, got 0"),
        ([8, -16, 32], "x must be finite and greater than 0, got -16"),
        ([8, np.nan, 32], "x must be finite and greater than 0, got nan"),
        ([8, 16, np.inf], "x must be finite and greater than 0, got inf"),
        (["8", "16", "32"], "x must hold numbers"),
        ([[8, 16, 32]], r"x must be a list of numbers, got shape \(1, 3\)"),
        ([8, 16], r"values must be one for each x, 2, got shape \(3,\)"),
    ],
)
def test_what_has_no_power_law_is_named(x, sentence):
    with pytest.raises((ValueError, TypeError), match=sentence):
        fit_power_law(x, np.ones(3), np.ones(3))


@pytest.mark.parametrize(
    ("x", "values", "errors"),
    [
        ([8], [1.0], [1.0]),
        ([8, 8, 16], [1.0, 1.0, 0.0], [0.1] * 3),
        ([8, 16, 32], [1.0, np.inf, 1.0], [0.1, 0.1, 0.0]),
        ([8, 16, 32], [1.0] * 3, [np.inf, np.nan, 0.1]),
    ],
)
def test_too_little_is_left_for_a_power_law(x, values, errors):
    slope = fit_power_law(x, values, errors).slope
    assert not slope.known
    assert [note.code for note in slope.notes] == ["few-sizes"]


def test_arguments_are_checked():
    with pytest.raises(ValueError, match="at least two widths"):
        deep.width_convergence(np.zeros((2, 1)), {8: np.zeros((5, 2, 1))})
    with pytest.raises(ValueError, match="like the limit"):
        deep.width_convergence(np.zeros((2, 1)), {w: np.zeros((5, 3, 1)) for w in (8, 16)})
    with pytest.raises(ValueError, match="more than 2 are needed"):
        deep.width_convergence(np.zeros((2, 1)), {w: np.zeros((2, 2, 1)) for w in (8, 16)})
