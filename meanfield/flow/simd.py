"""Explicit SIMD vectors for numba: a ``Vector`` type of fixed length, and its operations.

LLVM's vectoriser prefers 256-bit registers on AVX-512 machines and gives up on some loops; a value
of LLVM's own vector type is neither guessed nor narrowed: it takes the widest registers there are,
and falls apart into smaller ones elsewhere. Contraction to fused multiply–adds is written out
(`fma`), so no fast-math flag is needed, and the bits do not depend on the optimiser.

In compiled code vectors take ``+ - * / & | ^ << >>``, comparisons (they give masks), and the
functions below; a scalar operand stands for a vector of equal lanes.
"""

from __future__ import annotations

import operator

import llvmlite.binding as llvm
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.imputils import lower_builtin
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, models, overload, register_model

# One group of particles fills four registers: with four data points that makes 16 running sums,
# enough to keep two multiply–add units busy through their latency.
_HAS_AVX512 = bool(llvm.get_host_cpu_features().get("avx512f"))
_GROUP_BYTES = 256 if _HAS_AVX512 else 128

_IR = {
    types.float32: ir.FloatType(),
    types.float64: ir.DoubleType(),
    types.uint32: ir.IntType(32),
    types.uint64: ir.IntType(64),
    types.boolean: ir.IntType(1),
}
_SUFFIX = {types.float32: "f32", types.float64: "f64"}
_BITS = {types.float32: types.uint32, types.float64: types.uint64}
_FLOAT = {bits: value for value, bits in _BITS.items()}


def group_lanes(dtype: types.Type) -> int:
    """Particles in one group."""
    return _GROUP_BYTES * 8 // dtype.bitwidth


class Vector(types.Type):
    """``lanes`` numbers of one type that are computed with together."""

    def __init__(self, dtype: types.Type, lanes: int):
        self.dtype, self.lanes = dtype, lanes
        super().__init__(f"Vector({dtype}, {lanes})")


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, dmm, fe_type):
        super().__init__(dmm, fe_type, _ir(fe_type))


def _ir(vector: Vector) -> ir.VectorType:
    return ir.VectorType(_IR[vector.dtype], vector.lanes)


def _splat(builder, value, vector: Vector):
    """A vector whose lanes all hold the scalar ``value``."""
    if isinstance(value, ir.Constant):
        return ir.Constant(_ir(vector), [value] * vector.lanes)
    one = builder.insert_element(
        ir.Constant(_ir(vector), ir.Undefined), value, ir.Constant(ir.IntType(32), 0)
    )
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), vector.lanes), None)
    return builder.shuffle_vector(one, ir.Constant(_ir(vector), ir.Undefined), zeros)


def _as_vector(context, builder, value, given: types.Type, vector: Vector):
    """``value`` of numba type ``given``, as a vector of type ``vector``."""
    if isinstance(given, Vector):
        return value
    return _splat(builder, context.cast(builder, value, given, vector.dtype), vector)


def _first_vector(args) -> Vector | None:
    return next((a for a in args if isinstance(a, Vector)), None)


def _call(builder, name: str, result: ir.Type, *args):
    """Call the LLVM intrinsic ``name``."""
    kind = ir.FunctionType(result, [a.type for a in args])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), args)


def _elementwise(name: str, vector: Vector) -> str:
    return f"llvm.{name}.v{vector.lanes}{_SUFFIX[vector.dtype]}"


# Operators --------------------------------------------------------------------------------------


def _register(op, build, *, mask: bool = False) -> None:
    """Teach numba the operator ``op`` on vectors; ``build(builder, vector, x, y)`` emits it."""

    @infer_global(op)
    class _Template(AbstractTemplate):
        def generic(self, args, kws):
            vector = _first_vector(args)
            if vector is None or len(args) != 2:
                return None
            if not all(a == vector or isinstance(a, (types.Number)) for a in args):
                return None
            return signature(Vector(types.boolean, vector.lanes) if mask else vector, *args)

    def lower(context, builder, sig, args):
        vector = _first_vector(sig.args)
        x, y = (
            _as_vector(context, builder, value, given, vector)
            for value, given in zip(args, sig.args, strict=True)
        )
        return build(builder, vector, x, y)

    for pair in ((Vector, Vector), (Vector, types.Number), (types.Number, Vector)):
        lower_builtin(op, *pair)(lower)


def _arithmetic(floating: str, integer: str | None):
    def build(builder, vector, x, y):
        return getattr(builder, floating if vector.dtype in _BITS else integer)(x, y)

    return build


def _comparison(symbol: str):
    def build(builder, vector, x, y):
        if vector.dtype in _BITS:
            return builder.fcmp_ordered(symbol, x, y)
        return builder.icmp_unsigned(symbol, x, y)

    return build


for _op, _floating, _integer in (
    (operator.add, "fadd", "add"), (operator.sub, "fsub", "sub"), (operator.mul, "fmul", "mul"),
    (operator.truediv, "fdiv", None), (operator.and_, None, "and_"), (operator.or_, None, "or_"),
    (operator.xor, None, "xor"), (operator.lshift, None, "shl"), (operator.rshift, None, "lshr"),
):  # fmt: skip
    _register(_op, _arithmetic(_floating, _integer))
for _op, _symbol in ((operator.lt, "<"), (operator.gt, ">"), (operator.ge, ">=")):
    _register(_op, _comparison(_symbol), mask=True)


@infer_global(operator.neg)
class _Negation(AbstractTemplate):
    def generic(self, args, kws):
        return signature(args[0], *args) if isinstance(args[0], Vector) else None


@lower_builtin(operator.neg, Vector)
def _negate(context, builder, sig, args):
    return builder.fneg(args[0])


# Arithmetic functions ---------------------------------------------------------------------------


@intrinsic
def fma(typingctx, x, y, z):
    """x y + z, rounded once."""
    vector = _first_vector((x, y, z))

    def lower(context, builder, sig, args):
        xyz = [
            _as_vector(context, builder, value, given, vector)
            for value, given in zip(args, sig.args, strict=True)
        ]
        return _call(builder, _elementwise("fma", vector), _ir(vector), *xyz)

    return vector(x, y, z), lower


def _unary(name: str):
    @intrinsic
    def function(typingctx, x):
        def lower(context, builder, sig, args):
            return _call(builder, _elementwise(name, x), _ir(x), args[0])

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
        register = ir.VectorType(_IR[x.dtype], lanes)
        full = f"llvm.x86.avx512.{name}.{'ps' if single else 'pd'}.512"
        rest = [ir.Constant(register, None), ir.Constant(ir.IntType(lanes), -1)]
        if rounding:
            rest.append(ir.Constant(ir.IntType(32), 4))  # as the control register says

        def lower(context, builder, sig, args):
            parts = []
            for start in range(0, x.lanes, lanes):
                given = [_slice(builder, a, start, lanes) for a in args[:n_arguments]]
                parts.append(_call(builder, full, register, *given, *rest))
            while len(parts) > 1:
                pairs = zip(parts[::2], parts[1::2], strict=True)
                parts = [_concatenate(builder, *pair) for pair in pairs]
            return parts[0]

        return x(x, y), lower

    return function


def _order(numbers) -> ir.Constant:
    numbers = list(numbers)
    return ir.Constant(ir.VectorType(ir.IntType(32), len(numbers)), numbers)


def _slice(builder, value, start: int, lanes: int):
    return builder.shuffle_vector(value, value, _order(range(start, start + lanes)))


def _concatenate(builder, x, y):
    return builder.shuffle_vector(x, y, _order(range(2 * x.type.count)))


_reciprocal_estimate = _by_register("rcp14", 1)
_scale = _by_register("mask.scalef", 2, rounding=True)
_mantissa_bits = {32: 23, 64: 52}


def times_power(x, n):
    """2^n x for integers n, where x, 2^n and the result are normal numbers."""
    raise NotImplementedError("only in compiled code")


@overload(times_power, jit_options={"forceinline": True})
def _times_power(x, n):
    if _HAS_AVX512 and not x.lanes % 16:
        return lambda x, n: _scale(x, n)
    shift = _mantissa_bits[x.dtype.bitwidth]
    magic = 1.5 * 2.0**shift
    return lambda x, n: from_bits(bits(x) + (bits(n + magic) << shift))


def divide(x, y):
    """x / y to within 1 ulp or so, for y and 1/y neither infinite nor subnormal."""
    raise NotImplementedError("only in compiled code")


@overload(divide, jit_options={"forceinline": True})
def _divide(x, y):
    if not _HAS_AVX512 or y.lanes % 16:
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
        return _call(builder, _elementwise("copysign", x), _ir(x), *args)

    return x(x, y), lower


@intrinsic
def select(typingctx, mask, x, y):
    """x where the mask is set, y elsewhere."""
    vector = _first_vector((x, y))

    def lower(context, builder, sig, args):
        x, y = (
            _as_vector(context, builder, value, given, vector)
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
            return ir.Constant(_ir(x), [value] * x.lanes)

        return x(x), lower

    return function


def polynomial(coefficients32: tuple[float, ...], coefficients64: tuple[float, ...]):
    """A function of a vector: Horner's rule, coefficients ascending, one set per float type."""

    @intrinsic
    def function(typingctx, x):
        def lower(context, builder, sig, args):
            table = coefficients32 if x.dtype is types.float32 else coefficients64
            *rest, result = (ir.Constant(_ir(x), [c] * x.lanes) for c in table)
            for c in reversed(rest):
                result = _call(builder, _elementwise("fma", x), _ir(x), result, args[0], c)
            return result

        return x(x), lower

    return function


# Bits and conversions ---------------------------------------------------------------------------


@intrinsic
def bits(typingctx, x):
    """The bits of floating-point lanes, as unsigned integers of the same width."""
    result = Vector(_BITS[x.dtype], x.lanes)

    def lower(context, builder, sig, args):
        return builder.bitcast(args[0], _ir(result))

    return result(x), lower


@intrinsic
def from_bits(typingctx, x):
    """The floating-point numbers with these bits."""
    result = Vector(_FLOAT[x.dtype], x.lanes)

    def lower(context, builder, sig, args):
        return builder.bitcast(args[0], _ir(result))

    return result(x), lower


@intrinsic
def narrow(typingctx, x):
    """The low 32 bits of 64-bit lanes."""
    result = Vector(types.uint32, x.lanes)

    def lower(context, builder, sig, args):
        return builder.trunc(args[0], _ir(result))

    return result(x), lower


def _to_float(conversion: str):
    @intrinsic
    def function(typingctx, x, array):
        result = Vector(array.dtype, x.lanes)

        def lower(context, builder, sig, args):
            return getattr(builder, conversion)(args[0], _ir(result))

        return result(x, array), lower

    return function


# Integer lanes, read without or with a sign, as floating-point lanes of the type of an array.
to_float, signed_to_float = _to_float("uitofp"), _to_float("sitofp")


def _sixteen(numbers: list[int]):
    @intrinsic
    def function(typingctx, x):
        result = Vector(types.uint64, 16)

        def lower(context, builder, sig, args):
            start = _as_vector(context, builder, args[0], x, result)
            return builder.add(start, ir.Constant(_ir(result), numbers))

        return result(x), lower

    return function


# Sixteen uint64 lanes: x, x, x, … and x, x + 1, x + 2, …
repeat, count_from = _sixteen([0] * 16), _sixteen(list(range(16)))


@intrinsic
def join(typingctx, x, y):
    """The lanes of x, then those of y."""
    result = Vector(x.dtype, 2 * x.lanes)

    def lower(context, builder, sig, args):
        return _concatenate(builder, *args)

    return result(x, y), lower


def _part(upper: bool):
    @intrinsic
    def function(typingctx, x):
        def lower(context, builder, sig, args):
            half = x.lanes // 2
            return _slice(builder, args[0], half if upper else 0, half)

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
                _slice(builder, value, 0, half), _slice(builder, value, half, half)
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
                _slice(builder, value, 0, half), _slice(builder, value, half, half)
            )
            half //= 2
        return builder.extract_element(value, ir.Constant(ir.IntType(32), 0))

    return x.dtype(x), lower


# Memory -----------------------------------------------------------------------------------------


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
            pointer = _pointer(context, builder, array, args[0], index, _ir(result))
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
        pointer = _pointer(context, builder, array, args[0], index, _ir(x))
        builder.store(args[2], pointer, align=array.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, index, x), lower


@intrinsic
def splat(typingctx, array, index):
    """array[index] in every lane of a group, unchecked."""
    result = Vector(array.dtype, group_lanes(array.dtype))

    def lower(context, builder, sig, args):
        index = context.cast(builder, args[1], sig.args[1], types.intp)
        pointer = _pointer(context, builder, array, args[0], index, _IR[array.dtype])
        return _splat(builder, builder.load(pointer), result)

    return result(array, index), lower


@intrinsic
def zeros(typingctx, like):
    """A group of zeros, of the type of an array or like a vector."""
    result = like if isinstance(like, Vector) else Vector(like.dtype, group_lanes(like.dtype))

    def lower(context, builder, sig, args):
        return ir.Constant(_ir(result), None)

    return result(like), lower


@intrinsic
def lanes(typingctx, array):
    """Particles per group of an array, a constant."""

    def lower(context, builder, sig, args):
        return context.get_constant(types.intp, group_lanes(array.dtype))

    return types.intp(array), lower
