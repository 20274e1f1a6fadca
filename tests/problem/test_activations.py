"""Activations: values against closed forms, derivatives against differences, recorded facts."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from meanfield.problem import ACTIVATIONS, get_activation
from tests import naive_functions

NAMES = list(ACTIVATIONS)
EPS = np.finfo(np.float64).eps


@pytest.fixture(params=NAMES)
def activation(request):
    return ACTIVATIONS[request.param]


def test_table_is_complete_and_codes_are_positions():
    assert list(naive_functions.ACTIVATIONS) == NAMES
    assert [activation.code for activation in ACTIVATIONS.values()] == list(range(18))


def test_value_and_derivative_are_the_textbook_formulas(activation):
    z = np.delete(np.linspace(-4, 4, 161), 80)  # 0 is left out, where some have a kink
    naive = naive_functions.ACTIVATIONS[activation.name]
    degree = activation.degree or 1
    rounding = 40 * EPS * (1 + np.abs(z) ** degree)
    assert np.all(np.abs(activation.value(z) - naive.value(z)) <= rounding)
    # He_k′ = k He_{k−1}
    assert np.all(np.abs(activation.derivative(z) - naive.derivative(z)) <= degree * rounding)


def test_derivative_is_the_limit_of_differences(activation):
    # Sixth-order central differences; 0 is left out, where some have a kink.
    z = np.concatenate([np.linspace(-6, -0.1, 60), np.linspace(0.1, 6, 60)])
    h = 1e-2
    value = activation.value
    difference = (
        45 * (value(z + h) - value(z - h))
        - 9 * (value(z + 2 * h) - value(z - 2 * h))
        + (value(z + 3 * h) - value(z - 3 * h))
    ) / (60 * h)
    scale = 1 + np.abs(value(z))
    assert np.max(np.abs(activation.derivative(z) - difference) / scale) < 1e-10


def test_derivative_at_a_kink():
    kinks = {"relu": 0.0, "leaky_relu": 0.01, "abs": 0.0}
    for name, slope in kinks.items():
        assert ACTIVATIONS[name].derivative(np.zeros(1)) == slope
        assert not ACTIVATIONS[name].smooth
    assert sum(not activation.smooth for activation in ACTIVATIONS.values()) == len(kinks)


def test_reflection_relation(activation):
    z = np.random.default_rng(0).normal(scale=4, size=4000)
    q = np.polynomial.polynomial.polyval(z, activation.remainder or (0.0,))
    gap = activation.value(z) - activation.sign * activation.value(-z) - q
    assert np.all(np.abs(gap) <= 4 * EPS * (1 + np.abs(z)))
    if not activation.remainder:
        assert not gap.any()


def test_homogeneity_is_recorded_exactly(activation):
    z = np.array([-1.7, -0.3, 0.4, 2.1])
    holds = [
        np.allclose(activation.value(c * z), c * activation.value(z), rtol=1e-14, atol=0)
        for c in (0.25, 3.0)
    ]
    assert all(holds) == activation.homogeneous


def test_lipschitz_constant_is_the_largest_slope(activation):
    # The suprema lie inside [-6, 6] or are approached at infinity.
    z = np.concatenate([np.linspace(-6, 6, 40_001), [-1e3, 1e3]])
    largest = np.abs(activation.derivative(z)).max()
    if math.isfinite(activation.lipschitz):
        assert largest <= activation.lipschitz * (1 + 4 * EPS)
        assert largest >= activation.lipschitz * (1 - 1e-7)
    else:
        assert np.abs(activation.derivative(np.array(1e6))) > 100 * largest


def test_curvature_is_the_largest_second_derivative(activation):
    z = np.linspace(-12, 12, 240_001)
    largest = np.abs(np.diff(activation.derivative(z)) / np.diff(z)).max()
    if math.isfinite(activation.curvature):
        assert largest == pytest.approx(activation.curvature, rel=1e-6, abs=1e-12)
    elif activation.smooth:
        assert np.abs(np.diff(activation.derivative(np.array([1e6, 1e6 + 1])))) > 100 * largest
    else:
        assert largest > 5000  # a jump of σ′ over one step of z


def test_bounds_are_the_extreme_values(activation):
    value = activation.value(np.linspace(-12, 12, 240_001))
    if activation.bounds is None:
        assert np.abs(activation.value(np.array([-1e6, 1e6]))).max() > 1e5
    else:
        assert (value.min(), value.max()) == pytest.approx(activation.bounds, abs=1e-5)


def test_asymptote_is_followed_within_its_deviation(activation):
    z = np.concatenate([np.linspace(-12, 12, 240_001), [-1e6, 1e6]])
    if activation.asymptote is None:
        assert activation.degree >= 2
        return
    left, right, deviation = activation.asymptote
    largest = np.abs(activation.value(z) - np.where(z < 0, left, right) * z).max()
    assert largest <= deviation * (1 + 4 * EPS)
    assert largest >= 0.99 * deviation
    assert (left == right == 0) == (activation.bounds is not None)


def test_degree_means_polynomial(activation):
    z = np.linspace(-3, 3, 41)
    if activation.degree is not None:
        fit = np.polynomial.Polynomial.fit(z, activation.value(z), activation.degree)
        assert np.abs(fit(z) - activation.value(z)).max() < 1e-10
        assert abs(fit.convert().coef[-1] - 1) < 1e-10
    else:
        fit = np.polynomial.Polynomial.fit(z, activation.value(z), 8)
        assert np.abs(fit(z) - activation.value(z)).max() > 1e-7


def test_hermite_polynomials_are_orthogonal():
    z, weights = special.roots_hermitenorm(20)
    weights = weights / weights.sum()
    values = np.array([ACTIVATIONS[f"he{k}"].value(z) for k in range(1, 7)])
    expected = np.diag([float(math.factorial(k)) for k in range(1, 7)])
    assert np.abs(values * weights @ values.T - expected).max() < 1e-9


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_far_out_nothing_overflows_and_dtype_stays(activation, dtype):
    z = np.array([-1e4, -710, -100, -50, 0, 50, 100, 710, 1e4], dtype=dtype)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        value, derivative = activation.value(z), activation.derivative(z)
    assert value.dtype == derivative.dtype == dtype
    assert value.shape == derivative.shape == z.shape
    assert np.isfinite(value).all()
    assert np.isfinite(derivative).all()


def test_tails_keep_their_relative_accuracy():
    z = np.array([-60.0, -30.0, 30.0, 60.0])
    tail = np.exp(-np.abs(z))
    tanh, sigmoid, softplus = (ACTIVATIONS[name] for name in ("tanh", "sigmoid", "softplus"))
    assert np.allclose(tanh.derivative(z), 4 * tail**2, rtol=1e-12, atol=0)
    assert np.allclose(sigmoid.derivative(z), tail, rtol=1e-12, atol=0)
    assert np.allclose(softplus.value(z[:2]), tail[:2], rtol=1e-12, atol=0)
    # Mills: φ(z)(1/z − 1/z³) < Φ(−z) < φ(z)/z
    x = 20.0
    density = math.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)
    gelu = -ACTIVATIONS["gelu"].value(np.array(-x))
    assert density * (1 - x**-2) < gelu < density


def test_integers_and_lists_become_float64(activation):
    value = activation.value([[1, 2], [3, 4]])
    assert value.dtype == np.float64
    assert value.shape == (2, 2)


def test_input_is_not_written_to(activation):
    z = np.array([-1.0, 0.5])
    z.flags.writeable = False
    assert not np.shares_memory(activation.value(z), z)
    assert not np.shares_memory(activation.derivative(z), z)


def test_a_worker_gets_the_same_entry(activation):
    assert pickle.loads(pickle.dumps(activation)) is activation


@given(st.sampled_from(NAMES), st.sampled_from(["-", "_", " ", ""]), st.booleans())
def test_spelling_does_not_matter(name, mark, upper):
    spelled = name.replace("_", mark)
    assert get_activation(spelled.upper() if upper else spelled) is ACTIVATIONS[name]


def test_aliases_and_entries():
    assert get_activation("Hermite-3") is ACTIVATIONS["he3"]
    assert get_activation("Leaky ReLU") is ACTIVATIONS["leaky_relu"]
    assert get_activation(ACTIVATIONS["sin"]) is ACTIVATIONS["sin"]


def test_unknown_names_get_a_suggestion():
    with pytest.raises(ValueError, match=r"Unknown activation 'tahn'. Did you mean 'tanh'\?"):
        get_activation("tahn")
    with pytest.raises(ValueError, match="Choose one of: identity, tanh"):
        get_activation("zzz")
    with pytest.raises(TypeError, match="activation must be a name or an Activation, not int"):
        get_activation(3)
