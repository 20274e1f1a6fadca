"""Elementary functions of the kernels: error in units in the last place over dense sweeps."""

from __future__ import annotations

import functools

import numba
import numpy as np
import pytest
from scipy import special

from meanfield.flow.compiled import functions
from meanfield.flow.compiled.simd import GROUP_BYTES, load, store

LIMIT = 4.0  # ulp, in both float types
POINTS = 2**16
LONG = np.longdouble


@functools.cache
def compiled(function, part=None):
    """Evaluate a function of SIMD vectors (or one of its results) on arrays."""

    @numba.njit
    def whole(x, out, step):
        for i in range(0, x.size, step):
            store(out, i, function(load(x, i)))

    @numba.njit
    def partial(x, out, step):
        for i in range(0, x.size, step):
            store(out, i, function(load(x, i))[part])

    def evaluate(x):
        out = np.empty_like(x)
        step = GROUP_BYTES // x.itemsize
        (whole if part is None else partial)(x, out, step)
        return out

    return evaluate


def sweep(low, high, dtype):
    """Points that are dense near zero and reach both ends."""
    rng = np.random.default_rng(0)
    even = rng.uniform(low, high, POINTS // 2)
    near = rng.choice([-1, 1], POINTS // 2) * 10 ** rng.uniform(-20, 0, POINTS // 2)
    return np.clip(np.concatenate([even, near]), low, high).astype(dtype)


def ulps(got, want):
    """Error in units in the last place of the exact value."""
    unit = np.spacing(np.abs(want).astype(got.dtype)).astype(LONG)
    return np.abs(got.astype(LONG) - want) / unit


def exact_erf(x):
    """erf in long double: the series Σ (−1)^k x^{2k+1} / (k! (2k+1)) · 2/√π, or 1 − erfc."""
    x = x.astype(LONG)
    inner = np.where(np.abs(x) < 2, x, 0)
    term, total = inner.copy(), inner.copy()
    for k in range(1, 60):
        term *= -(inner**2) / k
        total += term / (2 * k + 1)
    series = total * 2 / np.sqrt(LONG(4) * np.arctan(LONG(1)))
    # Beyond 2, erfc < 5e-3: its error in double precision is below 1e-18.
    far = np.sign(x) * (1 - special.erfc(np.abs(x.astype(float))).astype(LONG))
    return np.where(np.abs(x) < 2, series, far)


def logistic(x):
    """1 / (1 + e^{−x}) in long double."""
    return 1 / (1 + np.exp(-x.astype(LONG)))


def softplus(x):
    """ln(1 + e^x) in long double."""
    x = x.astype(LONG)
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


# name: (function, part, exact, range in float32, range in float64)
CASES = {
    "exponential": (functions.exponential, None, lambda x: np.exp(x.astype(LONG)), 87, 708),
    "tanh": (functions.tanh, None, lambda x: np.tanh(x.astype(LONG)), 30, 60),
    "sigmoid": (functions.sigmoid, None, logistic, 86, 700),
    "softplus": (functions.softplus, 0, softplus, 80, 340),
    "softplus'": (functions.softplus, 1, logistic, 80, 340),
    "erf": (functions.erf, 0, exact_erf, 8, 8),
    "sin": (functions.sine_cosine, 0, lambda x: np.sin(x.astype(LONG)), 1e3, 1e5),
    "cos": (functions.sine_cosine, 1, lambda x: np.cos(x.astype(LONG)), 1e3, 1e5),
    "exp2": (functions.exponential2, None, lambda x: np.exp2(x.astype(LONG)), 87, 708),
    "expm1": (functions.exponential_minus_1, None, lambda x: np.expm1(x.astype(LONG)), 87, 708),
    "sinh": (functions.hyperbolic_sine, None, lambda x: np.sinh(x.astype(LONG)), 87, 708),
    "cosh": (functions.hyperbolic_cosine, None, lambda x: np.cosh(x.astype(LONG)), 87, 708),
}


@pytest.mark.skipif(np.finfo(LONG).eps > 2e-19, reason="needs an 80-bit long double")
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", CASES)
def test_error_stays_below_four_units_in_the_last_place(name, dtype):
    function, part, exact, *reach = CASES[name]
    x = sweep(-reach[dtype == "float64"], reach[dtype == "float64"], dtype)
    assert ulps(compiled(function, part)(x), exact(x)).max() <= LIMIT


def test_logarithm_for_the_gaussians():
    for dtype in ("float64", "float32"):
        f = np.linspace(np.sqrt(0.5) - 1, np.sqrt(2) - 1, POINTS).astype(dtype)
        got = compiled(functions.log1p_reduced)(f)
        assert ulps(got, np.log1p(f.astype(LONG))).max() <= LIMIT


@pytest.mark.skipif(np.finfo(LONG).eps > 2e-19, reason="needs an 80-bit long double")
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_logarithms_over_all_numbers(dtype):
    info = np.finfo(dtype)
    exponents = np.log(np.array([info.smallest_subnormal, info.max], LONG))
    even = np.exp(np.linspace(*exponents, POINTS // 2)).astype(dtype)
    near = (1 + sweep(-0.5, 1.0, dtype)[: POINTS // 2]).astype(dtype)
    x = np.concatenate([np.clip(even, info.smallest_subnormal, info.max), near])
    assert ulps(compiled(functions.logarithm)(x), np.log(x.astype(LONG))).max() <= LIMIT
    x = np.concatenate([even, -np.resize(even[even < 0.999], POINTS // 2)])
    got = compiled(functions.logarithm_of_1_plus)(x)
    assert ulps(got, np.log1p(x.astype(LONG))).max() <= LIMIT


@pytest.mark.scalar
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_logarithms_where_they_end(dtype):
    x = np.resize(np.array([0.0, -0.0, -1.0, np.inf, -np.inf, np.nan, 1.0, -0.0], dtype), 64)
    with np.errstate(all="ignore"):
        plain = compiled(functions.logarithm)(x)[:7]
        shifted = compiled(functions.logarithm_of_1_plus)(x)[:7]
    np.testing.assert_array_equal(plain, [-np.inf, -np.inf, np.nan, np.inf, np.nan, np.nan, 0])
    end = [0, 0, -np.inf, np.inf, np.nan, np.nan]
    np.testing.assert_array_equal(shifted[:6], end)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_gelu_and_its_derivative(dtype):
    tolerance = 2 * np.finfo(dtype).eps
    x = sweep(-12, 12, dtype)
    cdf = special.ndtr(x.astype(float))
    density = np.exp(-0.5 * x.astype(float) ** 2) / np.sqrt(2 * np.pi)
    value, slope = compiled(functions.gelu, 0)(x), compiled(functions.gelu, 1)(x)
    assert (np.abs(value - x * cdf) <= tolerance * np.maximum(1, np.abs(x))).all()
    assert (np.abs(slope - (cdf + x * density)) <= tolerance * np.maximum(1, np.abs(x))).all()
    # The lower tail keeps its relative accuracy; 1 + erf would round to zero from −8.3 on.
    tail = x[x < -3].astype(float)
    exact = tail * 0.5 * special.erfcx(-tail / np.sqrt(2)) * np.exp(-0.5 * tail.astype(LONG) ** 2)
    assert ulps(value[x < -3], exact).max() <= 12


@pytest.mark.scalar
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_extremes_and_nan(dtype):
    big = float(np.finfo(dtype).max)
    x = np.resize(np.array([0.0, -0.0, big, -big, np.inf, -np.inf, np.nan, 1e-30], dtype), 64)

    def at(function, part=None):
        with np.errstate(all="ignore"):
            return compiled(function, part)(x)[:8]

    np.testing.assert_array_equal(at(functions.tanh)[:7], [0, 0, 1, -1, 1, -1, np.nan])
    np.testing.assert_array_equal(at(functions.erf, 0)[:7], [0, 0, 1, -1, 1, -1, np.nan])
    sigmoid = at(functions.sigmoid)
    np.testing.assert_array_equal(sigmoid[[0, 2, 4, 6]], [0.5, 1, 1, np.nan])
    assert (sigmoid[[3, 5]] < 1e-37).all()
    assert at(functions.tanh)[7] == x[7]
    gelu = at(functions.gelu, 0)
    assert gelu[2] == big
    assert np.isnan(gelu[6])
    assert np.isnan(at(functions.exponential)[6])
    assert np.isnan(at(functions.sine_cosine, 0)[6])
    assert np.isnan(at(functions.softplus, 0)[6])
