"""The activations as compiled code, and the stamp that keeps numba's cache honest.

Each activation is compiled by itself, for arrays that fit the first-level cache, and the kernels
call it by its address: they need no activation in their own code, compile once per float type,
and lose nothing, since one call serves a whole tile.

numba's cache watches the file of the outermost function only. Every entry point here therefore
takes a `Stamp`, whose numba *type* holds a digest of all files of compiled code: code whose
helpers have changed has another signature, and is compiled again.
"""

from __future__ import annotations

import hashlib
from functools import cache, partial
from pathlib import Path

import numpy as np
from llvmlite import ir
from numba import from_dtype, njit, types
from numba.core.datamodel import models
from numba.extending import (
    NativeValue,
    intrinsic,
    overload,
    register_model,
    typeof_impl,
    unbox,
)

from meanfield.flow.compiled import functions
from meanfield.flow.compiled.functions import one, zero
from meanfield.flow.compiled.simd.operations import (
    absolute,
    address,
    fma,
    fold,
    lanes,
    load,
    load_quarter,
    select,
    splat,
    store,
)
from meanfield.problem import activations
from meanfield.problem.activations import ACTIVATIONS, LEAKY_SLOPE

BLOCK = 64  # particles

_inline = njit(forceinline=True)
_entry = njit(cache=True, nogil=True)
_overload = partial(overload, jit_options={"forceinline": True})


def _digest() -> str:
    digest = hashlib.sha256()
    for source in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(source.read_bytes())
    # The codes and the slope of leaky relu are compiled in.
    digest.update(Path(activations.__file__).read_bytes())
    return digest.hexdigest()[:16]


_DIGEST = _digest()


class _StampType(types.Type):
    def __init__(self, code: int | None):
        self.code = code
        super().__init__(f"Stamp({code}, {_DIGEST})")


class Stamp:
    """First argument of every cached entry point; its type names the sources (and a code)."""

    def __init__(self, code: int | None = None):
        self.numba_type = _StampType(code)


register_model(_StampType)(models.OpaqueModel)


@typeof_impl.register(Stamp)
def _typeof(value, context):
    return value.numba_type


@unbox(_StampType)
def _unbox(kind, value, c):
    return NativeValue(c.context.get_dummy_value())


# Derivatives that the value alone determines: only the value need be kept.


@_inline
def _tanh_slope(value):
    return fma(-value, value, 1.0)


@_inline
def _sigmoid_slope(value):
    return fma(-value, value, value)


@_inline
def _relu_slope(value):
    return select(value > 0.0, one(value), zero(value))


@_inline
def _leaky_relu_slope(value):
    return select(value > 0.0, one(value), LEAKY_SLOPE * one(value))


# Each gives the value and the derivative at z.


@_inline
def _identity(z):
    return z, one(z)


@_inline
def _tanh(z):
    value = functions.tanh(z)
    return value, _tanh_slope(value)


@_inline
def _sigmoid(z):
    value = functions.sigmoid(z)
    return value, _sigmoid_slope(value)


@_inline
def _relu(z):
    return select(z < 0.0, zero(z), z), _relu_slope(z)


@_inline
def _leaky_relu(z):
    return select(z > 0.0, z, LEAKY_SLOPE * z), _leaky_relu_slope(z)


@_inline
def _silu(z):
    s = functions.sigmoid(z)
    value = z * s
    return value, fma(value, 1.0 - s, s)


@_inline
def _cosine(z):
    sine, cosine = functions.sine_cosine(z)
    return cosine, -sine


@_inline
def _absolute(z):
    return absolute(z), select(z > 0.0, one(z), select(z < 0.0, -one(z), zero(z)))


@_inline
def _he1(z):
    return z, one(z)


@_inline
def _he2(z):
    return fma(z, z, -1.0), 2.0 * z


@_inline
def _he3(z):
    square = z * z
    return z * (square - 3.0), fma(square, 3.0, -3.0)


@_inline
def _he4(z):
    square = z * z
    return fma(square, square - 6.0, 3.0), 4.0 * z * (square - 3.0)


@_inline
def _he5(z):
    square = z * z
    he4 = fma(square, square - 6.0, 3.0)
    return z * fma(square, square - 10.0, 15.0), 5.0 * he4


@_inline
def _he6(z):
    square = z * z
    he5 = z * fma(square, square - 10.0, 15.0)
    return fma(square, fma(square, square - 15.0, 45.0), -15.0), 6.0 * he5


_ACTIVATIONS = {
    "identity": _identity,
    "tanh": _tanh,
    "erf": functions.erf,
    "sin": functions.sine_cosine,
    "sigmoid": _sigmoid,
    "relu": _relu,
    "leaky_relu": _leaky_relu,
    "silu": _silu,
    "gelu": functions.gelu,
    "softplus": functions.softplus,
    "cos": _cosine,
    "abs": _absolute,
    "he1": _he1,
    "he2": _he2,
    "he3": _he3,
    "he4": _he4,
    "he5": _he5,
    "he6": _he6,
}
_SLOPES = {
    "identity": one,
    "tanh": _tanh_slope,
    "sigmoid": _sigmoid_slope,
    "relu": _relu_slope,
    "leaky_relu": _leaky_relu_slope,
}
_NAMES = tuple(ACTIVATIONS)  # by code


def _value_and_slope(stamp, z):
    raise NotImplementedError("only in compiled code")


def _slope(stamp, value):
    raise NotImplementedError("only in compiled code")


def _keeps_slope(stamp):
    raise NotImplementedError("only in compiled code")


@_overload(_value_and_slope)
def _value_and_slope_of(stamp, z):
    function = _ACTIVATIONS[_NAMES[stamp.code]]
    return lambda stamp, z: function(z)


@_overload(_keeps_slope)
def _keeps_slope_of(stamp):
    answer = keeps_slope(stamp.code)
    return lambda stamp: answer


@_overload(_slope)
def _slope_of(stamp, value):
    function = _SLOPES.get(_NAMES[stamp.code], zero)
    return lambda stamp, value: function(value)


@_inline
def _add_share(theta, sums, value, row, g, k):
    """sums[row, o] += a_o σ for one datum and one group, folded to the width of a register."""
    width = lanes(theta) // 4
    for o in range(k):
        to = (row * k + o) * width
        store(sums, to, fold(load(theta, o * BLOCK + g) * value) + load_quarter(sums, to))


@_entry
def _predict_rows(stamp, tile, theta, sums, values, slopes, k, rows, keep):
    """Turn pre-activations (rows, 64) into shares of the predictions; keep σ (and σ′) if asked."""
    step = lanes(tile)
    if keep:
        for row in range(rows):
            for g in range(0, BLOCK, step):
                at = row * BLOCK + g
                value, slope = _value_and_slope(stamp, load(tile, at))
                store(values, at, value)
                if _keeps_slope(stamp):
                    store(slopes, at, slope)
                _add_share(theta, sums, value, row, g, k)
    else:
        for row in range(rows):
            for g in range(0, BLOCK, step):
                value, _ = _value_and_slope(stamp, load(tile, row * BLOCK + g))
                _add_share(theta, sums, value, row, g, k)


@_inline
def _pull(theta, grad, residuals, value, first_grad, row, g, k):
    """⟨r, a⟩ for one datum; the gradient of a grows by r σ, that of the first output in place."""
    r = splat(residuals, row * k)
    pull, first_grad = r * load(theta, g), fma(r, value, first_grad)
    for o in range(1, k):
        r = splat(residuals, row * k + o)
        pull = fma(r, load(theta, o * BLOCK + g), pull)
        store(grad, o * BLOCK + g, fma(r, value, load(grad, o * BLOCK + g)))
    return pull, first_grad


@_entry
def _pull_rows(stamp, tile, theta, grad, residuals, values, slopes, k, rows, kept):
    """Put ⟨r, a⟩ σ′ in the tile, from its pre-activations or from what was kept; add to ∂a."""
    step = lanes(tile)
    for g in range(0, BLOCK, step):
        first = load(grad, g)
        if kept:
            for row in range(rows):
                at = row * BLOCK + g
                value = load(values, at)
                slope = load(slopes, at) if _keeps_slope(stamp) else _slope(stamp, value)
                pull, first = _pull(theta, grad, residuals, value, first, row, g, k)
                store(tile, at, pull * slope)
        else:
            for row in range(rows):
                at = row * BLOCK + g
                value, slope = _value_and_slope(stamp, load(tile, at))
                pull, first = _pull(theta, grad, residuals, value, first, row, g, k)
                store(tile, at, pull * slope)
        store(grad, g, first)


def keeps_slope(code: int) -> bool:
    """Whether σ does not determine σ′, which must then be kept too."""
    return _NAMES[code] not in _SLOPES


def is_polynomial(code: int) -> bool:
    """Whether σ and σ′ are piecewise polynomials, cheaper to compute again than to keep."""
    sigma = ACTIVATIONS[_NAMES[code]]
    return sigma.degree is not None or sigma.homogeneous


@cache
def pointers(code: int, dtype: np.dtype) -> tuple[int, int]:
    """The addresses of `_predict_rows` and `_pull_rows` for the activation with this code."""
    numbers, stamp = types.CPointer(from_dtype(dtype)), Stamp(code).numba_type
    return (
        _compiled(_predict_rows, (stamp, *[numbers] * 5, *[types.intp] * 3)),
        _compiled(_pull_rows, (stamp, *[numbers] * 6, *[types.intp] * 3)),
    )


def _compiled(function, signature) -> int:
    function.compile(signature)
    result = function.overloads[signature]
    return result.library.get_pointer_to_function(result.fndesc.llvm_cfunc_wrapper_name)


def _call_at(arrays: int):
    """Lower a call: a pointer, ``arrays`` pairs of array and index, three integers."""

    def lower(context, builder, sig, args):
        numbers = [
            context.cast(builder, value, given, types.intp)
            if isinstance(given, types.Integer) else value
            for value, given in zip(args, sig.args, strict=True)
        ]  # fmt: skip
        parts = [
            address(context, builder, sig.args[i], numbers[i], numbers[i + 1])
            for i in range(1, 2 * arrays, 2)
        ]
        dummy = context.get_dummy_value()
        arguments = [dummy, *parts, *numbers[2 * arrays + 1 :]]
        kind = ir.FunctionType(ir.VoidType(), [a.type for a in arguments])
        builder.call(builder.inttoptr(numbers[0], kind.as_pointer()), arguments)
        return dummy

    return lower


@intrinsic
def predict_rows(
    typingctx, pointer, tile, t, theta, h, sums, s, values, v, slopes, p, k, rows, keep
):  # fmt: skip
    """Call `_predict_rows` at an address, on arrays from the given indices on."""
    given = (pointer, tile, t, theta, h, sums, s, values, v, slopes, p, k, rows, keep)
    return types.void(*given), _call_at(5)


@intrinsic
def pull_rows(
    typingctx, pointer, tile, t, theta, h, grad, g, residuals, r, values, v, slopes, p, k, rows,
    kept,
):  # fmt: skip
    """Call `_pull_rows` at an address, on arrays from the given indices on."""
    given = (
        pointer, tile, t, theta, h, grad, g, residuals, r, values, v, slopes, p, k, rows, kept
    )  # fmt: skip
    return types.void(*given), _call_at(6)
