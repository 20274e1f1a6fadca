"""The operations on plain arrays: the same functions as in `operations.py`, without LLVM.

A vector is an object with an array of its numbers. Each function is ordinary Python, run as it is
or compiled by numba. What it computes is what the vectors compute, to the bit but for two things:
``divide`` rounds once, as division does; and ``fma`` of float32 (of float64) numbers rounds
wrongly where the sum, held in float64 (in two float64 numbers), is within its own rounding error of
halfway between two results.
"""

from __future__ import annotations

import operator

import numpy as np
from numba import config, njit, types
from numba.core import cgutils
from numba.extending import (
    lower_builtin,
    make_attribute_wrapper,
    models,
    overload,
    register_model,
    type_callable,
)

__all__ = [
    "GROUP_BYTES", "absolute", "bits", "by_lane", "constant", "copysign", "count_from", "divide",
    "floor", "fma", "fold", "from_bits", "join", "lanes", "load", "load_quarter", "lower_half",
    "mantissa_bits", "narrow", "polynomial", "prefetch", "repeat", "select", "signed_to_float",
    "splat", "square_root", "store", "times_power", "to_float", "total", "upper_half", "zeros",
]  # fmt: skip

#: As on machines with AVX-512, so that sums are formed in the same order.
GROUP_BYTES = 256

# Plain Python warns of overflow and NaN, which compiled code does not.
_operation = np.errstate(all="ignore") if config.DISABLE_JIT else njit


# The type ---------------------------------------------------------------------------------------


class Vector:
    """Numbers of one type that are computed with together; a scalar operand takes their type."""

    __array_ufunc__ = None  # NumPy's scalars leave the operators to this class

    def __init__(self, numbers: np.ndarray):
        self.numbers = numbers

    @property
    def dtype(self) -> np.dtype:
        """Type of the numbers."""
        return self.numbers.dtype

    def __neg__(self) -> Vector:
        return Vector(-self.numbers)

    def __repr__(self) -> str:
        return f"Vector({self.numbers!r})"


class _VectorType(types.Type):
    def __init__(self, dtype: types.Type):
        self.dtype = dtype
        self.numbers = types.Array(dtype, 1, "C")
        super().__init__(f"ArrayVector({dtype})")


@register_model(_VectorType)
class _VectorModel(models.StructModel):
    def __init__(self, dmm, kind):
        super().__init__(dmm, kind, [("numbers", kind.numbers)])


make_attribute_wrapper(_VectorType, "numbers", "numbers")


@type_callable(Vector)
def _type_of_vector(context):
    return lambda numbers: _VectorType(numbers.dtype)


@lower_builtin(Vector, types.Array)
def _make_vector(context, builder, sig, args):
    vector = cgutils.create_struct_proxy(sig.return_type)(context, builder)
    vector.numbers = args[0]
    context.nrt.incref(builder, sig.args[0], args[0])
    return vector._getvalue()


def _numbers(value, like):
    """The numbers of a vector; a scalar as often, and of the type, as those of ``like``."""
    if isinstance(value, Vector):
        return value.numbers
    return np.full(like.numbers.size, value, like.numbers.dtype)


@overload(_numbers)
def _numbers_of(value, like):
    if isinstance(value, _VectorType):
        return lambda value, like: value.numbers
    return lambda value, like: np.full(like.numbers.size, value, like.numbers.dtype)


# Operators --------------------------------------------------------------------------------------


def _register(op) -> None:
    """Give vectors the operator ``op`` of two operands, in Python and in compiled code."""

    @np.errstate(all="ignore")
    def left(x, y):
        return Vector(op(x.numbers, _numbers(y, x)))

    @np.errstate(all="ignore")
    def right(y, x):
        return Vector(op(_numbers(x, y), y.numbers))

    name = op.__name__.strip("_")
    setattr(Vector, f"__{name}__", left)
    setattr(Vector, f"__r{name}__", right)

    @overload(op)
    def compiled(x, y):
        if isinstance(x, _VectorType):
            return lambda x, y: Vector(op(x.numbers, _numbers(y, x)))
        if isinstance(y, _VectorType):
            return lambda x, y: Vector(op(_numbers(x, y), y.numbers))
        return None


for _op in (
    operator.add, operator.sub, operator.mul, operator.truediv, operator.and_, operator.or_,
    operator.xor, operator.lshift, operator.rshift, operator.lt, operator.gt, operator.ge,
):  # fmt: skip
    _register(_op)


@overload(operator.neg)
def _negative_of(x):
    return (lambda x: Vector(-x.numbers)) if isinstance(x, _VectorType) else None


# Arithmetic functions ---------------------------------------------------------------------------

_SPLITTER = 2.0**27 + 1.0


@_operation
def _product_error(x, y, product):
    """x y − product, exactly, for float64 arrays (Dekker)."""
    high_x, high_y = _SPLITTER * x, _SPLITTER * y
    high_x, high_y = high_x - (high_x - x), high_y - (high_y - y)
    low_x, low_y = x - high_x, y - high_y
    return low_x * low_y - (((product - high_x * high_y) - low_x * high_y) - high_x * low_y)


@_operation
def _fma_of_arrays(x, y, z):
    """x y + z of arrays of one type, rounded (all but) once."""
    if x.itemsize == 4:
        return (x.astype(np.float64) * y + z).astype(x.dtype)
    product = x * y
    total = product + z
    part = total - product
    rest = (product - (total - part)) + (z - part) + _product_error(x, y, product)
    return np.where(np.isfinite(rest), total + rest, total).astype(x.dtype)


@_operation
def fma(x, y, z):
    return Vector(_fma_of_arrays(x.numbers, _numbers(y, x), _numbers(z, x)))


@_operation
def square_root(x):
    return Vector(np.sqrt(x.numbers))


@_operation
def absolute(x):
    return Vector(np.abs(x.numbers))


@_operation
def copysign(x, y):
    return Vector(np.copysign(x.numbers, y.numbers))


@_operation
def floor(x):
    return Vector(np.floor(x.numbers))


@_operation
def select(mask, x, y):
    return Vector(np.where(mask.numbers, x.numbers, _numbers(y, x)))


@_operation
def divide(x, y):
    return x / y


@_operation
def times_power(x, n):
    shift = mantissa_bits(x)
    return from_bits(bits(x) + (bits(n + 1.5 * 2.0**shift) << shift))


def constant(value32: float, value64: float):
    @_operation
    def function(x):
        value = value32 if x.numbers.itemsize == 4 else value64
        return Vector(np.full(x.numbers.size, value, x.numbers.dtype))

    return function


def polynomial(coefficients32: tuple[float, ...], coefficients64: tuple[float, ...]):
    table32, table64 = np.array(coefficients32), np.array(coefficients64)

    @_operation
    def function(x):
        table = table32 if x.numbers.itemsize == 4 else table64
        result = _numbers(table[-1], x)
        for i in range(table.size - 2, -1, -1):
            result = _fma_of_arrays(result, x.numbers, _numbers(table[i], x))
        return Vector(result)

    return function


def by_lane(function, of_arrays, n_arguments: int):
    if config.DISABLE_JIT:  # what plain Python raises of a single number, arrays pass over

        @_operation
        def of_vectors(x, *others):
            numbers = of_arrays(x.numbers, *(_numbers(y, x) for y in others))
            return Vector(numbers.astype(x.numbers.dtype))

        return of_vectors
    number = njit(function)

    @_operation
    def of_one(x):
        out = np.empty_like(x.numbers)
        for i in range(out.size):
            out[i] = number(np.float64(x.numbers[i]))
        return Vector(out)

    @_operation
    def of_two(x, y):
        out, others = np.empty_like(x.numbers), _numbers(y, x)
        for i in range(out.size):
            out[i] = number(np.float64(x.numbers[i]), np.float64(others[i]))
        return Vector(out)

    return of_one if n_arguments == 1 else of_two


# Bits and conversions ---------------------------------------------------------------------------


def bits(x):
    return Vector(x.numbers.view(f"u{x.numbers.itemsize}"))


def from_bits(x):
    return Vector(x.numbers.view(f"f{x.numbers.itemsize}"))


def mantissa_bits(x):
    return 23 if x.numbers.itemsize == 4 else 52


@overload(bits)
def _bits_of(x):
    kind = np.uint32 if x.dtype.bitwidth == 32 else np.uint64
    return lambda x: Vector(x.numbers.view(kind))


@overload(from_bits)
def _from_bits_of(x):
    kind = np.float32 if x.dtype.bitwidth == 32 else np.float64
    return lambda x: Vector(x.numbers.view(kind))


@overload(mantissa_bits)
def _mantissa_bits_of(x):
    number = 23 if x.dtype.bitwidth == 32 else 52
    return lambda x: number


@_operation
def narrow(x):
    return Vector(x.numbers.astype(np.uint32))


@_operation
def to_float(x, array):
    return Vector(x.numbers.astype(array.dtype))


@_operation
def signed_to_float(x, array):
    return Vector(x.numbers.view(np.int32).astype(array.dtype))


@_operation
def repeat(x):
    return Vector(np.full(16, x, np.uint64))


@_operation
def count_from(x):
    return Vector(np.full(16, x, np.uint64) + np.arange(16).astype(np.uint64))


@_operation
def join(x, y):
    return Vector(np.concatenate((x.numbers, y.numbers)))


@_operation
def lower_half(x):
    return Vector(x.numbers[: x.numbers.size // 2].copy())


@_operation
def upper_half(x):
    return Vector(x.numbers[x.numbers.size // 2 :].copy())


@_operation
def fold(x):
    half = lower_half(x) + upper_half(x)
    return lower_half(half) + upper_half(half)


@_operation
def total(x):
    numbers = x.numbers
    while numbers.size > 1:
        half = numbers.size // 2
        numbers = numbers[:half] + numbers[half:]
    return numbers[0]


# Memory -----------------------------------------------------------------------------------------


@_operation
def _check(array, index, size):
    if index < 0 or index + size > array.size:
        raise IndexError("A vector reaches beyond the array.")


@_operation
def lanes(array):
    return GROUP_BYTES // array.itemsize


@_operation
def _load(array, index, size):
    _check(array, index, size)
    return Vector(array[index : index + size].copy())


@_operation
def load(array, index):
    return _load(array, index, lanes(array))


@_operation
def load_quarter(array, index):
    return _load(array, index, lanes(array) // 4)


@_operation
def store(array, index, x):
    _check(array, index, x.numbers.size)
    array[index : index + x.numbers.size] = x.numbers


@_operation
def splat(array, index):
    _check(array, index, 1)
    return Vector(np.full(lanes(array), array[index], array.dtype))


@_operation
def zeros(array):
    return Vector(np.zeros(lanes(array), array.dtype))


@_operation
def prefetch(array, index):
    pass
