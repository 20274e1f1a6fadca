"""Calls of compiled functions by their address.

A function that is compiled for each activation (or loss) by itself is called by its address: the
step needs no activation in its own code, compiles once per float type, and loses nothing, since
one call serves a whole tile.

Such a function takes a `CacheKey` and a named tuple of arrays and numbers, and is handed the
arrays' pointers. In the scalar mode it is called as it is, with the arrays themselves, so that
their bounds can be checked and errors come out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from llvmlite import ir
from numba import typeof, types
from numba.extending import intrinsic

from meanfield.flow.compiled.cache_key import CacheKey
from meanfield.flow.compiled.simd.mode import SCALAR


def address_of(function: Any, code: int | str, example: NamedTuple) -> int | CacheKey:
    """First argument of ``by_address(function)`` for one activation or loss.

    ``example`` holds arrays and numbers of the types to compile for.
    """
    key = CacheKey(code)
    if SCALAR:
        return key
    signature = (key.numba_type, _with_pointers(typeof(example)))
    function.compile(signature)
    result = function.overloads[signature]
    return result.library.get_pointer_to_function(result.fndesc.llvm_cfunc_wrapper_name)


def by_address(function: Callable[..., None]) -> Any:
    """The same function, its first argument what `address_of` gives."""
    return function if SCALAR else _call


def _with_pointers(kind: types.Type) -> types.Type:
    """The type of a named tuple whose arrays are replaced by pointers."""
    fields = [
        types.CPointer(field.dtype) if isinstance(field, types.Array) else types.unliteral(field)
        for field in kind
    ]
    return types.NamedTuple(fields, kind.instance_class)


@intrinsic
def _call(typingctx: Any, address: Any, arguments: Any) -> tuple[Any, Callable[..., Any]]:
    passed = _with_pointers(arguments)

    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        fields = []
        for i, (given, wanted) in enumerate(zip(arguments, passed, strict=True)):
            value = builder.extract_value(args[1], i)
            if isinstance(given, types.Array):
                value = context.make_array(given)(context, builder, value).data
            else:
                value = context.cast(builder, value, given, wanted)
            fields.append(value)
        dummy = context.get_dummy_value()
        values = [dummy, context.make_tuple(builder, passed, fields)]
        kind = ir.FunctionType(ir.VoidType(), [value.type for value in values])
        builder.call(builder.inttoptr(args[0], kind.as_pointer()), values)
        return dummy

    return types.void(address, arguments), lower
