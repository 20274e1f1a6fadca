"""Each operation on vectors against NumPy, in both precisions and in every lane.

Run with the operations that the process has: SIMD vectors, or arrays under MEANFIELD_SIMD=scalar.
"""

from __future__ import annotations

import inspect
import itertools
from fractions import Fraction

import numba
import numpy as np
import pytest
from numpy.testing import assert_array_equal

from meanfield.flow.compiled import simd
from meanfield.flow.compiled.simd import (
    GROUP_BYTES,
    SCALAR,
    absolute,
    bits,
    constant,
    copysign,
    count_from,
    divide,
    fma,
    fold,
    from_bits,
    join,
    lanes,
    load,
    load_quarter,
    lower_half,
    mantissa_bits,
    narrow,
    polynomial,
    prefetch,
    repeat,
    select,
    signed_to_float,
    splat,
    square_root,
    store,
    times_power,
    to_float,
    total,
    upper_half,
    zeros,
)

pytestmark = pytest.mark.scalar

FLOATS = pytest.mark.parametrize("dtype", [np.float32, np.float64])
UNSIGNED = {np.float32: np.uint32, np.float64: np.uint64}


def groups(dtype, number=3, seed=0):
    """Whole groups of random numbers of both signs and many sizes."""
    rng = np.random.default_rng(seed)
    size = number * GROUP_BYTES // np.dtype(dtype).itemsize
    return (rng.choice([-1, 1], size) * 2 ** rng.uniform(-8, 8, size)).astype(dtype)


def words(dtype, seed=0):
    """Three groups of random unsigned integers, as bits of numbers (loads know floats only)."""
    size = 3 * GROUP_BYTES // np.dtype(dtype).itemsize
    return np.random.default_rng(seed).integers(
        np.iinfo(UNSIGNED[dtype]).max, size=size, dtype=UNSIGNED[dtype], endpoint=True
    )


def evaluate(function, x, *more, like=None):
    """``function`` of the vectors of arrays, group by group, as an array like ``like`` (or x)."""
    function = numba.njit(function) if inspect.isfunction(function) else function
    out = np.empty_like(x if like is None else like)

    @numba.njit
    def one(x, out):
        for i in range(0, x.size, lanes(x)):
            store(out, i, function(load(x, i)))

    @numba.njit
    def two(x, y, out):
        for i in range(0, x.size, lanes(x)):
            store(out, i, function(load(x, i), load(y, i)))

    @numba.njit
    def three(x, y, z, out):
        for i in range(0, x.size, lanes(x)):
            store(out, i, function(load(x, i), load(y, i), load(z, i)))

    (one, two, three)[len(more)](x, *more, out)
    return out


def exact_fma(x, y, z):
    """x y + z, rounded once."""
    sums = [Fraction(float(a)) * Fraction(float(b)) + Fraction(float(c))
            for a, b, c in zip(x, y, z, strict=True)]  # fmt: skip
    return np.array([float(value) for value in sums]).astype(x.dtype)


# Arithmetic ---------------------------------------------------------------------------------------


# Each of the next three compiles all its operators at once, which takes a fifth of the time.


@FLOATS
def test_operators_keep_the_type_of_the_vector(dtype):
    x, y = groups(dtype), groups(dtype, seed=1)
    out, tenth = np.empty((12, x.size), dtype), dtype(0.1)

    @numba.njit
    def run(x, y, out):
        for i in range(0, x.size, lanes(x)):
            a, b = load(x, i), load(y, i)
            store(out[0], i, a + b)
            store(out[1], i, a - b)
            store(out[2], i, a * b)
            store(out[3], i, a / b)
            store(out[4], i, a + 0.1)
            store(out[5], i, a - 0.1)
            store(out[6], i, a * 0.1)
            store(out[7], i, a / 0.1)
            store(out[8], i, 0.1 + a)
            store(out[9], i, 0.1 - a)
            store(out[10], i, 0.1 * a)
            store(out[11], i, 0.1 / a)

    run(x, y, out)
    # A scalar takes the vector's type, 0.1 rounded to it.
    for first, (a, b) in enumerate([(x, y), (x, tenth), (tenth, x)]):
        assert_array_equal(out[4 * first : 4 * first + 4], [a + b, a - b, a * b, a / b])


@FLOATS
def test_operators_on_bits(dtype):
    """Sums wrap around, shifts fill with zeros, and numbers are compared as unsigned ones."""
    x, y = words(dtype), words(dtype, seed=1)
    out, five, nine = np.empty((12, x.size), dtype), x.dtype.type(5), x.dtype.type(9)

    @numba.njit
    def run(x, y, out):
        for i in range(0, x.size, lanes(x)):
            a, b = bits(load(x, i)), bits(load(y, i))
            store(out[0], i, from_bits(a + b))
            store(out[1], i, from_bits(a - b))
            store(out[2], i, from_bits(a * b))
            store(out[3], i, from_bits(a & b))
            store(out[4], i, from_bits(a | b))
            store(out[5], i, from_bits(a ^ b))
            store(out[6], i, from_bits(a & 5))
            store(out[7], i, from_bits(a | 5))
            store(out[8], i, from_bits(a ^ 5))
            store(out[9], i, from_bits(a << 9))
            store(out[10], i, from_bits(a >> 9))
            store(out[11], i, select(a >= b, load(x, i), load(y, i)))

    run(x.view(dtype), y.view(dtype), out)
    want = [x + y, x - y, x * y, x & y, x | y, x ^ y, x & five, x | five, x ^ five]
    want += [x << nine, x >> nine, np.maximum(x, y)]
    assert_array_equal(out.view(x.dtype), want)


@FLOATS
def test_comparisons_select_and_are_false_for_nan(dtype):
    x, y = groups(dtype), groups(dtype, seed=1)
    y[::3] = x[::3]
    x[1::7], y[2::7] = np.nan, np.nan
    out, bound, low = np.empty((6, x.size), dtype), dtype(1.5), dtype(-2)

    @numba.njit
    def run(x, y, out):
        for i in range(0, x.size, lanes(x)):
            a, b = load(x, i), load(y, i)
            store(out[0], i, select(a < b, a, b))
            store(out[1], i, select(a > b, a, b))
            store(out[2], i, select(a >= b, a, b))
            store(out[3], i, select(a < 1.5, a, -2.0))
            store(out[4], i, select(a > 1.5, a, -2.0))
            store(out[5], i, select(a >= 1.5, a, -2.0))

    run(x, y, out)
    assert_array_equal(out[:3], [np.where(which, x, y) for which in (x < y, x > y, x >= y)])
    beyond = (x < bound, x > bound, x >= bound)
    assert_array_equal(out[3:], [np.where(which, x, low) for which in beyond])


@FLOATS
def test_signs_and_roots(dtype):
    x, y = groups(dtype), groups(dtype, seed=1)
    x[:4], y[:4] = [0.0, -0.0, np.inf, -np.inf], [-0.0, 0.0, -1.0, np.nan]
    for function, want in (
        (lambda x: -x, -x),
        (absolute, np.abs(x)),
        (lambda x: square_root(absolute(x)), np.sqrt(np.abs(x))),
    ):
        got = evaluate(function, x)
        assert_array_equal(got, want)
        assert_array_equal(np.signbit(got), np.signbit(want))
    got = evaluate(copysign, x, y)
    assert_array_equal(np.signbit(got), np.signbit(y))
    assert_array_equal(np.abs(got), np.abs(x))


@FLOATS
def test_fma_rounds_once(dtype):
    x, y = groups(dtype), groups(dtype, seed=1)
    # All that is left of half of the sums is the rounding error of the product.
    z = np.where(np.arange(x.size) % 2, groups(dtype, seed=2), -x * y)
    want = exact_fma(x, y, z)
    assert (want != x * y + z).mean() > 0.5
    assert_array_equal(evaluate(fma, x, y, z), want)
    constants = exact_fma(x, np.full_like(x, 0.1), np.full_like(x, -0.3))
    assert_array_equal(evaluate(lambda x: fma(x, 0.1, -0.3), x), constants)


@FLOATS
def test_fma_of_infinity_and_nan(dtype):
    x = groups(dtype, 1)
    x[:5] = [np.inf, -np.inf, np.nan, np.inf, np.finfo(dtype).max]
    y, z = np.full_like(x, 2), np.full_like(x, 1)
    z[3] = -np.inf
    assert_array_equal(evaluate(fma, x, y, z)[:5], [np.inf, -np.inf, np.nan, np.nan, np.inf])


@FLOATS
def test_division_is_right_to_a_unit_in_the_last_place(dtype):
    x, y = groups(dtype), groups(dtype, seed=1)
    want = x.astype(np.longdouble) / y
    assert (
        np.abs(evaluate(lambda x, y: divide(x, y), x, y) - want) <= np.spacing(np.abs(x / y))
    ).all()


@FLOATS
def test_powers_of_two(dtype):
    x = groups(dtype)
    n = np.random.default_rng(1).integers(-100, 100, x.size)
    assert_array_equal(evaluate(lambda x, n: times_power(x, n), x, n.astype(dtype)), np.ldexp(x, n))


@FLOATS
def test_constants_and_polynomials_have_numbers_for_each_type(dtype):
    x = groups(dtype)
    single, double = (1.5, -0.1, 0.2), (0.25, 0.1, -0.3, 0.7)
    table = (single if dtype is np.float32 else double)[::-1]
    assert_array_equal(evaluate(constant(0.1, 0.2), x), dtype(0.1 if len(table) == 3 else 0.2))
    want = np.full_like(x, table[0])
    for coefficient in table[1:]:
        want = exact_fma(want, x, np.full_like(x, coefficient))
    assert_array_equal(evaluate(polynomial(single, double), x), want)


# Bits and conversions -----------------------------------------------------------------------------


@FLOATS
def test_integers_become_floats(dtype):
    x = words(np.float32)
    x[:3] = [0, 2**32 - 1, 2**31]
    out = np.empty(x.size, dtype)

    def convert(read):
        @numba.njit
        def run(x, out):
            step = lanes(x)
            for i in range(0, x.size, step):
                store(out, i, read(bits(load(x, i)), out))

        run(x.view(np.float32), out)
        return out

    assert_array_equal(convert(to_float), x.astype(dtype))
    assert_array_equal(convert(signed_to_float), x.view(np.int32).astype(dtype))


@FLOATS
def test_bits_of_the_fraction(dtype):
    x = groups(dtype)
    got = evaluate(lambda x: fma(x, 0.0, 1.0) * mantissa_bits(x), x)
    assert_array_equal(got, np.finfo(dtype).nmant)


def test_sixteen_words():
    @numba.njit
    def run(x, repeated, counted, low):
        store(repeated, 0, repeat(x))
        store(counted, 0, count_from(x))
        store(low, 0, narrow(count_from(x)))

    repeated, counted, low = (
        np.zeros(20, np.uint64),
        np.zeros(20, np.uint64),
        np.zeros(20, np.uint32),
    )
    start = 2**64 - 5
    run(np.uint64(start), repeated, counted, low)
    want = [(start + i) % 2**64 for i in range(16)]
    assert repeated.tolist() == [start] * 16 + [0] * 4
    assert counted.tolist() == want + [0] * 4
    assert low.tolist() == [value % 2**32 for value in want] + [0] * 4


@FLOATS
def test_halves_and_joins(dtype):
    x, y = groups(dtype, 1), groups(dtype, 1, seed=1)
    half = x.size // 2
    got = evaluate(lambda x, y: join(upper_half(x), lower_half(y)), x, y)
    assert_array_equal(got, np.concatenate([x[half:], y[:half]]))


@FLOATS
def test_sums_go_by_halves(dtype):
    x = groups(dtype, 1)
    sums, all_sums = np.zeros(x.size, dtype), np.zeros(1, dtype)

    @numba.njit
    def run(x, sums, all_sums):
        store(sums, 0, fold(load(x, 0)))
        all_sums[0] = total(load(x, 0))

    run(x, sums, all_sums)
    want, quarter = x, x.size // 4
    while want.size > 1:
        want = want[: want.size // 2] + want[want.size // 2 :]
        if want.size == quarter:
            assert_array_equal(sums, np.concatenate([want, np.zeros(3 * quarter)]))
    assert all_sums == want


# Memory -------------------------------------------------------------------------------------------


@FLOATS
def test_memory_from_any_index_on(dtype):
    x = groups(dtype)
    size = GROUP_BYTES // x.itemsize
    out = np.zeros((5, x.size), dtype)
    rows = tuple(out)

    @numba.njit
    def run(x, whole, quarter, spread, nothing, count):
        store(whole, 3, load(x, 5))
        store(quarter, 1, load_quarter(x, 2))
        store(spread, 0, splat(x, x.size - 1))
        store(nothing, 0, zeros(x) - 0.0)
        prefetch(x, x.size + 10)
        count[0] = lanes(x)

    rows[3][:] = 1
    run(x, *rows)
    for row, first, want in (
        (0, 3, x[5 : 5 + size]),
        (1, 1, x[2 : 2 + size // 4]),
        (2, 0, [x[-1]] * size),
        (4, 0, [size]),
    ):
        expected = np.zeros(x.size, dtype)
        expected[first : first + len(want)] = want
        assert_array_equal(out[row], expected)
    assert_array_equal(out[3], np.arange(x.size) >= size)


@pytest.mark.skipif(not SCALAR, reason="SIMD vectors are loaded and stored unchecked")
def test_what_reaches_beyond_the_array_is_refused():
    x = groups(np.float64, 1)

    @numba.njit
    def reach(what, x, i):
        if what == "load":
            return total(load(x, i))
        if what == "splat":
            return total(splat(x, i))
        store(x, i, zeros(x))
        return 0.0

    for what, index in itertools.product(["load", "splat", "store"], [-1, 1]):
        with pytest.raises(IndexError, match="beyond"):
            reach(what, x, index * x.size if what == "splat" else index)


def test_both_implementations_offer_the_same():
    from meanfield.flow.compiled.simd import operations, scalar

    assert operations.__all__ == scalar.__all__
    assert set(operations.__all__) <= set(vars(simd))
