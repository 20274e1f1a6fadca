"""Functions of SIMD vectors: arithmetic, bits, memory.

Contraction to fused multiply–adds is written out (`fma`), so no fast-math flag is needed anywhere,
and the bits do not depend on the optimiser. What exists on AVX-512 only (`divide`, `times_power`)
is written in plain operations for other machines.
"""

from __future__ import annotations

import inspect

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic, overload

from meanfield.flow.compiled.simd.mode import INLINE_OPTIONS
from meanfield.flow.compiled.simd.vectors import (
    BITS,
    FLOAT,
    GROUP_BYTES,
    HAS_AVX512,
    IR,
    Vector,
    as_vector,
    call,
    concatenate,
    elementwise,
    first_vector,
    group_lanes,
    ir_type,
    slice_lanes,
    spread,
)

__all__ = [
    "GROUP_BYTES", "absolute", "bits", "by_lane", "constant", "copysign", "count_from", "divide",
    "floor", "fma", "fold", "from_bits", "join", "lanes", "load", "load_quarter", "lower_half",
    "mantissa_bits", "narrow", "polynomial", "prefetch", "repeat", "select", "signed_to_float",
    "splat", "square_root", "store", "times_power", "to_float", "total", "upper_half", "zeros",
]  # fmt: skip

# What makes an operation --------------------------------------------------------------------------


def _operation(result):
    """Make numba know the operation that ``emit(context, builder, sig, args)`` writes.

    ``result`` gives the type of what comes out for the types of the operation's arguments; these
    have the names of its parameters.
    """

    def decorate(emit):
        def typed(typingctx, *given):
            def lower(context, builder, sig, args):
                return emit(context, builder, sig, args)

            return result(*given)(*given), lower

        of_types = inspect.signature(result)
        context = inspect.Parameter("typingctx", inspect.Parameter.POSITIONAL_OR_KEYWORD)
        parameters = [context, *of_types.parameters.values()]
        typed.__signature__ = of_types.replace(parameters=parameters)  # type: ignore[attr-defined]
        typed.__name__, typed.__doc__ = emit.__name__, emit.__doc__
        return intrinsic(typed)

    return decorate


def _like(x):
    return x


def _like_both(x, y):
    return x


def _group(array):
    return Vector(array.dtype, group_lanes(array.dtype))


def _vectors(context, builder, sig, args):
    """The arguments as vectors of the type of the result."""
    return [
        as_vector(context, builder, value, given, sig.return_type)
        for value, given in zip(args, sig.args, strict=True)
    ]


# Arithmetic functions ---------------------------------------------------------------------------


@_operation(lambda x, y, z: first_vector((x, y, z)))
def fma(context, builder, sig, args):
    """x y + z, rounded once."""
    vector = sig.return_type
    values = _vectors(context, builder, sig, args)
    return call(builder, elementwise("fma", vector), ir_type(vector), *values)


def _elementwise(name: str, result):
    """The operation that LLVM has an intrinsic of that name for."""

    @_operation(result)
    def function(context, builder, sig, args):
        vector = sig.return_type
        return call(builder, elementwise(name, vector), ir_type(vector), *args)

    return function


square_root, absolute = _elementwise("sqrt", _like), _elementwise("fabs", _like)
floor = _elementwise("floor", _like)
copysign = _elementwise("copysign", _like_both)  # |x| with the sign of y


def _by_register(name: str, n_arguments: int, *, rounding: bool = False):
    """An AVX-512 instruction ``name``, applied to one register at a time."""

    @_operation(_like_both)
    def function(context, builder, sig, args):
        x = sig.return_type
        single = x.dtype is types.float32
        lanes = 16 if single else 8
        register = ir.VectorType(IR[x.dtype], lanes)
        full = f"llvm.x86.avx512.{name}.{'ps' if single else 'pd'}.512"
        rest = [ir.Constant(register, None), ir.Constant(ir.IntType(lanes), -1)]
        if rounding:
            rest.append(ir.Constant(ir.IntType(32), 4))  # as the control register says
        parts = []
        for start in range(0, x.lanes, lanes):
            given = [slice_lanes(builder, a, start, lanes) for a in args[:n_arguments]]
            parts.append(call(builder, full, register, *given, *rest))
        while len(parts) > 1:
            pairs = zip(parts[::2], parts[1::2], strict=True)
            parts = [concatenate(builder, *pair) for pair in pairs]
        return parts[0]

    return function


_reciprocal_estimate = _by_register("rcp14", 1)
_scale = _by_register("mask.scalef", 2, rounding=True)


@_operation(lambda x: types.intp)
def mantissa_bits(context, builder, sig, args):
    """Bits of the fraction of a floating-point lane, a constant: 23 or 52."""
    return context.get_constant(types.intp, 23 if sig.args[0].dtype is types.float32 else 52)


def times_power(x, n):
    """2^n x for integers n, where x, 2^n and the result are normal numbers."""
    raise NotImplementedError("only in compiled code")


@overload(times_power, jit_options=INLINE_OPTIONS)
def _times_power(x, n):
    if HAS_AVX512 and not x.lanes % 16:
        return lambda x, n: _scale(x, n)
    shift = 23 if x.dtype is types.float32 else 52
    magic = 1.5 * 2.0**shift
    return lambda x, n: from_bits(bits(x) + (bits(n + magic) << shift))


def divide(x, y):
    """x / y to within 1 ulp or so, for y and 1/y neither infinite nor subnormal."""
    raise NotImplementedError("only in compiled code")


@overload(divide, jit_options=INLINE_OPTIONS)
def _divide(x, y):
    if not HAS_AVX512 or y.lanes % 16:
        return lambda x, y: x / y

    # A division keeps its unit busy for 16 cycles; each of these takes half a cycle.
    def refined(x, y):
        r = _reciprocal_estimate(y, y)
        quotient = x * r
        return fma(fma(-y, quotient, x), r, quotient)

    def refined_twice(x, y):
        r = _reciprocal_estimate(y, y)
        r = fma(r, fma(-y, r, 1.0), r)
        quotient = x * r
        return fma(fma(-y, quotient, x), r, quotient)

    return refined if y.dtype is types.float32 else refined_twice


@_operation(lambda mask, x, y: first_vector((x, y)))
def select(context, builder, sig, args):
    """x where the mask is set, y elsewhere."""
    return builder.select(args[0], *_vectors(context, builder, sig, args)[1:])


def constant(value32: float, value64: float):
    """A function of a vector: the first number in every float32 lane, the second in float64."""

    @_operation(_like)
    def function(context, builder, sig, args):
        x = sig.return_type
        value = value32 if x.dtype is types.float32 else value64
        return ir.Constant(ir_type(x), [value] * x.lanes)

    return function


def polynomial(coefficients32: tuple[float, ...], coefficients64: tuple[float, ...]):
    """A function of a vector: Horner's rule, coefficients ascending, one set per float type."""

    @_operation(_like)
    def function(context, builder, sig, args):
        x = sig.return_type
        table = coefficients32 if x.dtype is types.float32 else coefficients64
        *rest, result = (ir.Constant(ir_type(x), [c] * x.lanes) for c in table)
        for c in reversed(rest):
            result = call(builder, elementwise("fma", x), ir_type(x), result, args[0], c)
        return result

    return function


def by_lane(function, of_arrays, n_arguments: int):
    """The function of vectors that calls one of float64 numbers for each lane.

    ``of_arrays`` is the same of arrays, for plain Python.
    """

    def emit(context, builder, sig, args):
        vector, wide = sig.return_type, types.float64
        places = [cgutils.alloca_once(builder, ir_type(vector)) for _ in range(n_arguments + 1)]
        for value, place in zip(_vectors(context, builder, sig, args), places[1:], strict=True):
            builder.store(value, place)
        lanes_at = [builder.bitcast(p, IR[vector.dtype].as_pointer()) for p in places]
        count = context.get_constant(types.intp, vector.lanes)
        with cgutils.for_range(builder, count) as loop:
            given = [
                context.cast(
                    builder, builder.load(builder.gep(p, [loop.index])), vector.dtype, wide
                )
                for p in lanes_at[1:]
            ]
            value = context.compile_internal(builder, function, wide(*[wide] * n_arguments), given)
            value = context.cast(builder, value, wide, vector.dtype)
            builder.store(value, builder.gep(lanes_at[0], [loop.index]))
        return builder.load(places[0])

    if n_arguments == 1:
        return _operation(_like)(emit)
    return _operation(lambda x, y: first_vector((x, y)))(emit)


# Bits and conversions ---------------------------------------------------------------------------


def _converted(conversion: str, result):
    """The operation that LLVM has an instruction of that name for."""

    @_operation(result)
    def function(context, builder, sig, args):
        return getattr(builder, conversion)(args[0], ir_type(sig.return_type))

    return function


# The bits of floating-point lanes, as unsigned integers of the same width; the numbers with these
# bits; the low 32 bits of 64-bit lanes.
bits = _converted("bitcast", lambda x: Vector(BITS[x.dtype], x.lanes))
from_bits = _converted("bitcast", lambda x: Vector(FLOAT[x.dtype], x.lanes))
narrow = _converted("trunc", lambda x: Vector(types.uint32, x.lanes))
# Integer lanes, read without or with a sign, as floating-point lanes of the type of an array.
to_float = _converted("uitofp", lambda x, array: Vector(array.dtype, x.lanes))
signed_to_float = _converted("sitofp", lambda x, array: Vector(array.dtype, x.lanes))


def _sixteen(numbers: list[int]):
    @_operation(lambda x: Vector(types.uint64, 16))
    def function(context, builder, sig, args):
        (start,) = _vectors(context, builder, sig, args)
        return builder.add(start, ir.Constant(start.type, numbers))

    return function


# Sixteen uint64 lanes: x, x, x, … and x, x + 1, x + 2, …
repeat, count_from = _sixteen([0] * 16), _sixteen(list(range(16)))


@_operation(lambda x, y: Vector(x.dtype, 2 * x.lanes))
def join(context, builder, sig, args):
    """The lanes of x, then those of y."""
    return concatenate(builder, *args)


def _part(upper: bool):
    @_operation(lambda x: Vector(x.dtype, x.lanes // 2))
    def function(context, builder, sig, args):
        half = sig.return_type.lanes
        return slice_lanes(builder, args[0], half if upper else 0, half)

    return function


lower_half, upper_half = _part(False), _part(True)


def _folded(builder, value, lanes: int):
    """Add the upper half of the lanes to the lower one until so many are left."""
    half = value.type.count // 2
    while half >= lanes:
        value = builder.fadd(
            slice_lanes(builder, value, 0, half), slice_lanes(builder, value, half, half)
        )
        half //= 2
    return value


@_operation(lambda x: Vector(x.dtype, x.lanes // 4))
def fold(context, builder, sig, args):
    """Sums of four lanes a quarter of the vector apart."""
    return _folded(builder, args[0], sig.return_type.lanes)


@_operation(lambda x: x.dtype)
def total(context, builder, sig, args):
    """Sum of the lanes, always in the same order: halves, quarters, …"""
    one = _folded(builder, args[0], 1)
    return builder.extract_element(one, ir.Constant(ir.IntType(32), 0))


# Memory: contiguous 1-D arrays or pointers, unchecked -------------------------------------------

_LINE = 64  # bytes


def _pointer(context, builder, sig, args, pointee: ir.Type):
    """Where array[index] lies, for the first two arguments."""
    kind, array = sig.args[0], args[0]
    if isinstance(kind, types.Array):
        array = context.make_array(kind)(context, builder, array).data
    index = context.cast(builder, args[1], sig.args[1], types.intp)
    return builder.bitcast(builder.gep(array, [index]), pointee.as_pointer())


def _load(quarters: int):
    @_operation(lambda array, index: Vector(array.dtype, group_lanes(array.dtype) * quarters // 4))
    def function(context, builder, sig, args):
        pointer = _pointer(context, builder, sig, args, ir_type(sig.return_type))
        return builder.load(pointer, align=sig.args[0].dtype.bitwidth // 8)

    return function


# A group, or a quarter of one, from array[index] on.
load, load_quarter = _load(4), _load(1)


@_operation(lambda array, index, x: types.void)
def store(context, builder, sig, args):
    """array[index : index + lanes] = x."""
    pointer = _pointer(context, builder, sig, args, ir_type(sig.args[2]))
    builder.store(args[2], pointer, align=sig.args[0].dtype.bitwidth // 8)
    return context.get_dummy_value()


@_operation(lambda array, index: types.void)
def prefetch(context, builder, sig, args):
    """Ask for the group at array[index] in the second-level cache; it may lie beyond the end."""
    pointer = _pointer(context, builder, sig, args, ir.IntType(8))
    how = [ir.Constant(ir.IntType(32), value) for value in (0, 2, 1)]
    for line in range(0, GROUP_BYTES, _LINE):
        at = builder.gep(pointer, [ir.Constant(ir.IntType(64), line)])
        call(builder, "llvm.prefetch.p0i8", ir.VoidType(), at, *how)
    return context.get_dummy_value()


@_operation(lambda array, index: _group(array))
def splat(context, builder, sig, args):
    """array[index] in every lane of a group."""
    pointer = _pointer(context, builder, sig, args, IR[sig.args[0].dtype])
    return spread(builder, builder.load(pointer), sig.return_type)


@_operation(_group)
def zeros(context, builder, sig, args):
    """A group of zeros, of the type of an array."""
    return ir.Constant(ir_type(sig.return_type), None)


@_operation(lambda array: types.intp)
def lanes(context, builder, sig, args):
    """Lanes of a group of an array's numbers, a constant."""
    return context.get_constant(types.intp, group_lanes(sig.args[0].dtype))
