"""SIMD vectors as a numba type, with their operators.

LLVM's vectoriser prefers 256-bit registers on AVX-512 machines and gives up on some loops; a value
of LLVM's own vector type is neither guessed nor narrowed: it takes the widest registers there are,
and falls apart into smaller ones elsewhere.

In compiled code vectors take ``+ - * / & | ^ << >>`` and comparisons, which give masks; a scalar
operand stands for a vector of equal lanes. Functions of vectors are in `operations.py`.
"""

from __future__ import annotations

import operator

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.imputils import lower_builtin
from numba.core.registry import cpu_target
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import models, register_model

HAS_AVX512 = "+avx512f" in cpu_target.target_context.codegen().magic_tuple()[2]
# Four registers: four running sums of a group are 16 registers, enough to keep two multiply–add
# units busy through their latency.
GROUP_BYTES = 256 if HAS_AVX512 else 128

IR = {
    types.float32: ir.FloatType(),
    types.float64: ir.DoubleType(),
    types.uint32: ir.IntType(32),
    types.uint64: ir.IntType(64),
    types.boolean: ir.IntType(1),
}
_SUFFIX = {types.float32: "f32", types.float64: "f64"}
BITS = {types.float32: types.uint32, types.float64: types.uint64}
FLOAT = {bits: value for value, bits in BITS.items()}


def group_lanes(dtype: types.Type) -> int:
    """Lanes of a group."""
    return GROUP_BYTES * 8 // dtype.bitwidth


class Vector(types.Type):
    """``lanes`` numbers of one type that are computed with together."""

    def __init__(self, dtype: types.Type, lanes: int):
        self.dtype, self.lanes = dtype, lanes
        super().__init__(f"Vector({dtype}, {lanes})")


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, dmm, fe_type):
        super().__init__(dmm, fe_type, ir_type(fe_type))


def ir_type(vector: Vector) -> ir.VectorType:
    return ir.VectorType(IR[vector.dtype], vector.lanes)


def spread(builder, value, vector: Vector):
    """A vector whose lanes all hold the scalar ``value``."""
    if isinstance(value, ir.Constant):
        return ir.Constant(ir_type(vector), [value] * vector.lanes)
    one = builder.insert_element(
        ir.Constant(ir_type(vector), ir.Undefined), value, ir.Constant(ir.IntType(32), 0)
    )
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), vector.lanes), None)
    return builder.shuffle_vector(one, ir.Constant(ir_type(vector), ir.Undefined), zeros)


def as_vector(context, builder, value, given: types.Type, vector: Vector):
    """``value`` of numba type ``given``, as a vector of type ``vector``."""
    if isinstance(given, Vector):
        return value
    return spread(builder, context.cast(builder, value, given, vector.dtype), vector)


def first_vector(args):
    return next((a for a in args if isinstance(a, Vector)), None)


def call(builder, name: str, result: ir.Type, *args):
    """Call the LLVM intrinsic ``name``."""
    kind = ir.FunctionType(result, [a.type for a in args])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), args)


def elementwise(name: str, vector: Vector) -> str:
    return f"llvm.{name}.v{vector.lanes}{_SUFFIX[vector.dtype]}"


def _order(numbers) -> ir.Constant:
    numbers = list(numbers)
    return ir.Constant(ir.VectorType(ir.IntType(32), len(numbers)), numbers)


def slice_lanes(builder, value, start: int, lanes: int):
    return builder.shuffle_vector(value, value, _order(range(start, start + lanes)))


def concatenate(builder, x, y):
    return builder.shuffle_vector(x, y, _order(range(2 * x.type.count)))


# Operators --------------------------------------------------------------------------------------


def _register(op, build, *, mask: bool = False) -> None:
    """Teach numba the operator ``op`` on vectors; ``build(builder, vector, x, y)`` emits it."""

    @infer_global(op)
    class _Template(AbstractTemplate):
        def generic(self, args, kws):
            vector = first_vector(args)
            if vector is None or len(args) != 2:
                return None
            if not all(a == vector or isinstance(a, (types.Number)) for a in args):
                return None
            return signature(Vector(types.boolean, vector.lanes) if mask else vector, *args)

    def lower(context, builder, sig, args):
        vector = first_vector(sig.args)
        x, y = (
            as_vector(context, builder, value, given, vector)
            for value, given in zip(args, sig.args, strict=True)
        )
        return build(builder, vector, x, y)

    for pair in ((Vector, Vector), (Vector, types.Number), (types.Number, Vector)):
        lower_builtin(op, *pair)(lower)


def _arithmetic(floating: str, integer: str):
    def build(builder, vector, x, y):
        return getattr(builder, floating if vector.dtype in BITS else integer)(x, y)

    return build


def _comparison(symbol: str):
    def build(builder, vector, x, y):
        if vector.dtype in BITS:
            return builder.fcmp_ordered(symbol, x, y)
        return builder.icmp_unsigned(symbol, x, y)

    return build


for _op, _floating, _integer in (
    (operator.add, "fadd", "add"), (operator.sub, "fsub", "sub"), (operator.mul, "fmul", "mul"),
    (operator.truediv, "fdiv", ""), (operator.and_, "", "and_"), (operator.or_, "", "or_"),
    (operator.xor, "", "xor"), (operator.lshift, "", "shl"), (operator.rshift, "", "lshr"),
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
