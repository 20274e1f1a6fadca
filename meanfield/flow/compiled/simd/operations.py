"""Functions of SIMD vectors: arithmetic, bits, memory.

Contraction to fused multiply–adds is written out (`fma`), so no fast-math flag is needed anywhere,
and the bits do not depend on the optimiser. What exists on AVX-512 only (`divide`, `times_power`)
is written in plain operations for other machines.
"""

from __future__ import annotations

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic, overload

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
    "GROUP_BYTES", "absolute", "bits", "constant", "copysign", "count_from", "divide", "fma",
    "fold", "from_bits", "join", "lanes", "load", "load_quarter", "lower_half", "mantissa_bits",
    "narrow", "polynomial", "prefetch", "repeat", "select", "signed_to_float", "splat",
    "square_root", "store", "times_power", "to_float", "total", "upper_half", "zeros",
]  # fmt: skip

# Arithmetic functions ---------------------------------------------------------------------------


@intrinsic
def fma(typingctx, x, y, z):
    """x y + z, rounded once."""
    vector = first_vector((x, y, z))

    def lower(context, builder, sig, args):
        xyz = [
            as_vector(context, builder, value, given, vector)
            for value, given in zip(args, sig.args, strict=True)
        ]
        return call(builder, elementwise("fma", vector), ir_type(vector), *xyz)

    return vector(x, y, z), lower


def _unary(name: str):
    @intrinsic
    def function(typingctx, x):
        def lower(context, builder, sig, args):
            return call(builder, elementwise(name, x), ir_type(x), args[0])

        return x(x), lower

    return function


square_root = _unary("sqrt")
absolute = _unary("fabs")


def _by_register(name: str, n_arguments: int, *, rounding: bool = False):
    """An AVX-512 instruction ``name``, applied to one register at a time."""

    @intrinsic
    def function(typingctx, x, y):
        single = x.dtype is types.float32
        lanes = 16 if single else 8
        register = ir.VectorType(IR[x.dtype], lanes)
        full = f"llvm.x86.avx512.{name}.{'ps' if single else 'pd'}.512"
        rest = [ir.Constant(register, None), ir.Constant(ir.IntType(lanes), -1)]
        if rounding:
            rest.append(ir.Constant(ir.IntType(32), 4))  # as the control register says

        def lower(context, builder, sig, args):
            parts = []
            for start in range(0, x.lanes, lanes):
                given = [slice_lanes(builder, a, start, lanes) for a in args[:n_arguments]]
                parts.append(call(builder, full, register, *given, *rest))
            while len(parts) > 1:
                pairs = zip(parts[::2], parts[1::2], strict=True)
                parts = [concatenate(builder, *pair) for pair in pairs]
            return parts[0]

        return x(x, y), lower

    return function


_reciprocal_estimate = _by_register("rcp14", 1)
_scale = _by_register("mask.scalef", 2, rounding=True)


@intrinsic
def mantissa_bits(typingctx, x):
    """Bits of the fraction of a floating-point lane, a constant: 23 or 52."""
    number = 23 if x.dtype is types.float32 else 52

    def lower(context, builder, sig, args):
        return context.get_constant(types.intp, number)

    return types.intp(x), lower


def times_power(x, n):
    """2^n x for integers n, where x, 2^n and the result are normal numbers."""
    raise NotImplementedError("only in compiled code")


@overload(times_power, jit_options={"forceinline": True})
def _times_power(x, n):
    if HAS_AVX512 and not x.lanes % 16:
        return lambda x, n: _scale(x, n)
    shift = 23 if x.dtype is types.float32 else 52
    magic = 1.5 * 2.0**shift
    return lambda x, n: from_bits(bits(x) + (bits(n + magic) << shift))


def divide(x, y):
    """x / y to within 1 ulp or so, for y and 1/y neither infinite nor subnormal."""
    raise NotImplementedError("only in compiled code")


@overload(divide, jit_options={"forceinline": True})
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


@intrinsic
def copysign(typingctx, x, y):
    """|x| with the sign of y."""

    def lower(context, builder, sig, args):
        return call(builder, elementwise("copysign", x), ir_type(x), *args)

    return x(x, y), lower


@intrinsic
def select(typingctx, mask, x, y):
    """x where the mask is set, y elsewhere."""
    vector = first_vector((x, y))

    def lower(context, builder, sig, args):
        x, y = (
            as_vector(context, builder, value, given, vector)
            for value, given in zip(args[1:], sig.args[1:], strict=True)
        )
        return builder.select(args[0], x, y)

    return vector(mask, x, y), lower


def constant(value32: float, value64: float):
    """A function of a vector: the first number in every float32 lane, the second in float64."""

    @intrinsic
    def function(typingctx, x):
        def lower(context, builder, sig, args):
            value = value32 if x.dtype is types.float32 else value64
            return ir.Constant(ir_type(x), [value] * x.lanes)

        return x(x), lower

    return function


def polynomial(coefficients32: tuple[float, ...], coefficients64: tuple[float, ...]):
    """A function of a vector: Horner's rule, coefficients ascending, one set per float type."""

    @intrinsic
    def function(typingctx, x):
        def lower(context, builder, sig, args):
            table = coefficients32 if x.dtype is types.float32 else coefficients64
            *rest, result = (ir.Constant(ir_type(x), [c] * x.lanes) for c in table)
            for c in reversed(rest):
                result = call(builder, elementwise("fma", x), ir_type(x), result, args[0], c)
            return result

        return x(x), lower

    return function


# Bits and conversions ---------------------------------------------------------------------------


@intrinsic
def bits(typingctx, x):
    """The bits of floating-point lanes, as unsigned integers of the same width."""
    result = Vector(BITS[x.dtype], x.lanes)

    def lower(context, builder, sig, args):
        return builder.bitcast(args[0], ir_type(result))

    return result(x), lower


@intrinsic
def from_bits(typingctx, x):
    """The floating-point numbers with these bits."""
    result = Vector(FLOAT[x.dtype], x.lanes)

    def lower(context, builder, sig, args):
        return builder.bitcast(args[0], ir_type(result))

    return result(x), lower


@intrinsic
def narrow(typingctx, x):
    """The low 32 bits of 64-bit lanes."""
    result = Vector(types.uint32, x.lanes)

    def lower(context, builder, sig, args):
        return builder.trunc(args[0], ir_type(result))

    return result(x), lower


def _to_float(conversion: str):
    @intrinsic
    def function(typingctx, x, array):
        result = Vector(array.dtype, x.lanes)

        def lower(context, builder, sig, args):
            return getattr(builder, conversion)(args[0], ir_type(result))

        return result(x, array), lower

    return function


# Integer lanes, read without or with a sign, as floating-point lanes of the type of an array.
to_float, signed_to_float = _to_float("uitofp"), _to_float("sitofp")


def _sixteen(numbers: list[int]):
    @intrinsic
    def function(typingctx, x):
        result = Vector(types.uint64, 16)

        def lower(context, builder, sig, args):
            start = as_vector(context, builder, args[0], x, result)
            return builder.add(start, ir.Constant(ir_type(result), numbers))

        return result(x), lower

    return function


# Sixteen uint64 lanes: x, x, x, … and x, x + 1, x + 2, …
repeat, count_from = _sixteen([0] * 16), _sixteen(list(range(16)))


@intrinsic
def join(typingctx, x, y):
    """The lanes of x, then those of y."""
    result = Vector(x.dtype, 2 * x.lanes)

    def lower(context, builder, sig, args):
        return concatenate(builder, *args)

    return result(x, y), lower


def _part(upper: bool):
    @intrinsic
    def function(typingctx, x):
        def lower(context, builder, sig, args):
            half = x.lanes // 2
            return slice_lanes(builder, args[0], half if upper else 0, half)

        return Vector(x.dtype, x.lanes // 2)(x), lower

    return function


lower_half, upper_half = _part(False), _part(True)


@intrinsic
def fold(typingctx, x):
    """Sums of four lanes a quarter of the vector apart."""
    result = Vector(x.dtype, x.lanes // 4)

    def lower(context, builder, sig, args):
        value = args[0]
        for half in (x.lanes // 2, x.lanes // 4):
            value = builder.fadd(
                slice_lanes(builder, value, 0, half), slice_lanes(builder, value, half, half)
            )
        return value

    return result(x), lower


@intrinsic
def total(typingctx, x):
    """Sum of the lanes, always in the same order: halves, quarters, …"""

    def lower(context, builder, sig, args):
        value, half = args[0], x.lanes // 2
        while half:
            value = builder.fadd(
                slice_lanes(builder, value, 0, half), slice_lanes(builder, value, half, half)
            )
            half //= 2
        return builder.extract_element(value, ir.Constant(ir.IntType(32), 0))

    return x.dtype(x), lower


# Memory -----------------------------------------------------------------------------------------

_LINE = 64  # bytes


def address(context, builder, kind: types.Array | types.CPointer, array, index):
    """Where array[index] lies, for a contiguous 1-D array or a pointer."""
    if isinstance(kind, types.Array):
        array = context.make_array(kind)(context, builder, array).data
    return builder.gep(array, [index])


def _pointer(context, builder, kind, array, index, pointee: ir.Type):
    return builder.bitcast(address(context, builder, kind, array, index), pointee.as_pointer())


def _load(quarters: int):
    @intrinsic
    def function(typingctx, array, index):
        result = Vector(array.dtype, group_lanes(array.dtype) * quarters // 4)

        def lower(context, builder, sig, args):
            index = context.cast(builder, args[1], sig.args[1], types.intp)
            pointer = _pointer(context, builder, array, args[0], index, ir_type(result))
            return builder.load(pointer, align=array.dtype.bitwidth // 8)

        return result(array, index), lower

    return function


# A group, or a quarter of one, from array[index] on: contiguous, 1-D, unchecked.
load, load_quarter = _load(4), _load(1)


@intrinsic
def store(typingctx, array, index, x):
    """array[index : index + lanes] = x, for a contiguous 1-D array, unchecked."""

    def lower(context, builder, sig, args):
        index = context.cast(builder, args[1], sig.args[1], types.intp)
        pointer = _pointer(context, builder, array, args[0], index, ir_type(x))
        builder.store(args[2], pointer, align=array.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, index, x), lower


@intrinsic
def prefetch(typingctx, array, index):
    """Ask for the group at array[index] in the second-level cache; it may lie beyond the end."""

    def lower(context, builder, sig, args):
        index = context.cast(builder, args[1], sig.args[1], types.intp)
        pointer = _pointer(context, builder, array, args[0], index, ir.IntType(8))
        how = [ir.Constant(ir.IntType(32), value) for value in (0, 2, 1)]
        for line in range(0, group_lanes(array.dtype) * array.dtype.bitwidth // 8, _LINE):
            at = builder.gep(pointer, [ir.Constant(ir.IntType(64), line)])
            call(builder, "llvm.prefetch.p0i8", ir.VoidType(), at, *how)
        return context.get_dummy_value()

    return types.void(array, index), lower


@intrinsic
def splat(typingctx, array, index):
    """array[index] in every lane of a group, unchecked."""
    result = Vector(array.dtype, group_lanes(array.dtype))

    def lower(context, builder, sig, args):
        index = context.cast(builder, args[1], sig.args[1], types.intp)
        pointer = _pointer(context, builder, array, args[0], index, IR[array.dtype])
        return spread(builder, builder.load(pointer), result)

    return result(array, index), lower


@intrinsic
def zeros(typingctx, array):
    """A group of zeros, of the type of an array."""
    result = Vector(array.dtype, group_lanes(array.dtype))

    def lower(context, builder, sig, args):
        return ir.Constant(ir_type(result), None)

    return result(array), lower


@intrinsic
def lanes(typingctx, array):
    """Lanes of a group of an array's numbers, a constant."""

    def lower(context, builder, sig, args):
        return context.get_constant(types.intp, group_lanes(array.dtype))

    return types.intp(array), lower
