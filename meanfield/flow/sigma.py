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

from meanfield.flow import functions
from meanfield.flow.functions import one, zero
from meanfield.flow.simd import absolute, address, fma, lanes, load, select, store

_SOURCES = ("simd", "functions", "sigma", "gaussians", "team", "block", "kernels")
_inline = njit(forceinline=True)
_overload = partial(overload, jit_options={"forceinline": True})


def _digest() -> str:
    digest = hashlib.sha256()
    for name in _SOURCES:
        digest.update(Path(__file__).with_name(f"{name}.py").read_bytes())
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
    return select(value > 0.0, one(value), 0.01 * one(value))


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
    return select(z > 0.0, z, 0.01 * z), _leaky_relu_slope(z)


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


# By code, as in meanfield.problem.activations.
_ACTIVATIONS = (
    _identity, _tanh, functions.erf, functions.sine_cosine, _sigmoid, _relu, _leaky_relu, _silu,
    functions.gelu, functions.softplus, _cosine, _absolute,
    _he1, _he2, _he3, _he4, _he5, _he6,
)  # fmt: skip
_SLOPES = {0: one, 1: _tanh_slope, 4: _sigmoid_slope, 5: _relu_slope, 6: _leaky_relu_slope}


def _value_and_slope(stamp, z):
    raise NotImplementedError("only in compiled code")


def _slope(stamp, value):
    raise NotImplementedError("only in compiled code")


@_overload(_value_and_slope)
def _value_and_slope_of(stamp, z):
    function = _ACTIVATIONS[stamp.code]
    return lambda stamp, z: function(z)


@_overload(_slope)
def _slope_of(stamp, value):
    function = _SLOPES.get(stamp.code, zero)
    return lambda stamp, value: function(value)


VALUE, VALUE_AND_SLOPE, SLOPE_FROM_VALUE = 0, 1, 2  # what a call computes


@njit(cache=True, nogil=True)
def _apply(stamp, z, value, slope, count, mode):
    """Evaluate σ, σ and σ′, or σ′ from σ (then ``z`` holds σ) at ``count`` numbers."""
    step = lanes(z)
    if mode == VALUE:
        for i in range(0, count, step):
            v, _ = _value_and_slope(stamp, load(z, i))
            store(value, i, v)
    elif mode == VALUE_AND_SLOPE:
        for i in range(0, count, step):
            v, s = _value_and_slope(stamp, load(z, i))
            store(value, i, v)
            store(slope, i, s)
    else:
        for i in range(0, count, step):
            store(slope, i, _slope(stamp, load(z, i)))


@cache
def pointer(code: int, dtype: np.dtype) -> int:
    """The address of `_apply` for the activation with this code."""
    numbers = types.CPointer(from_dtype(dtype))
    signature = (Stamp(code).numba_type, numbers, numbers, numbers, types.intp, types.intp)
    _apply.compile(signature)
    compiled = _apply.overloads[signature]
    return compiled.library.get_pointer_to_function(compiled.fndesc.llvm_cfunc_wrapper_name)


def keeps_slope(code: int) -> bool:
    """Whether σ does not determine σ′."""
    return code not in _SLOPES


@intrinsic
def apply(typingctx, pointer, z, z_at, value, value_at, slope, slope_at, count, mode):
    """Call the function at ``pointer`` on parts of three arrays of one float type."""

    def lower(context, builder, sig, args):
        def part(position):
            return address(context, builder, sig.args[position], args[position], args[position + 1])

        dummy = context.get_dummy_value()
        arguments = [dummy, part(1), part(3), part(5), args[7], args[8]]
        kind = ir.FunctionType(ir.VoidType(), [a.type for a in arguments])
        builder.call(builder.inttoptr(args[0], kind.as_pointer()), arguments)
        return dummy

    index = types.intp
    return types.void(index, z, index, value, index, slope, index, index, index), lower
