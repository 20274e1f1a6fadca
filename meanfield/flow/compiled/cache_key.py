"""What keeps numba's cache honest.

numba's cache watches the file of the outermost function only. Every cached entry point therefore
takes a `CacheKey`, whose numba *type* holds a digest of all that is compiled in: code whose helpers
have changed has another signature, and is compiled again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numba import config, types
from numba.core.datamodel import models
from numba.extending import NativeValue, overload, register_model, typeof_impl, unbox

from meanfield.flow.compiled.simd.mode import ENTRY_OPTIONS, SCALAR
from meanfield.problem.activation_functions import LEAKY_SLOPE
from meanfield.problem.activations import ACTIVATIONS
from meanfield.problem.losses import LOSSES
from meanfield.system.compiling import cached


def _digest() -> str:
    """A digest of the sources, of the tables whose codes are compiled in, and of the mode."""
    digest = hashlib.sha256()
    for source in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(source.read_bytes())
    tables = [
        [(name, entry.code) for name, entry in table.items()] for table in (ACTIVATIONS, LOSSES)
    ]
    digest.update(repr((tables, LEAKY_SLOPE, SCALAR, config.BOUNDSCHECK, config.OPT)).encode())
    return digest.hexdigest()[:16]


DIGEST = _digest()


class CacheKeyType(types.Type):
    """Type of a `CacheKey` in compiled code."""

    def __init__(self, code: int | str):
        self.code = code
        short = code if isinstance(code, int) else hashlib.sha256(code.encode()).hexdigest()[:32]
        super().__init__(f"CacheKey({short}, {DIGEST})")


class CacheKey:
    """First argument of every cached entry point.

    Its type also names one activation or one loss by its code, where a function is compiled for
    each of them; the code of one's own is all of its operations.
    """

    def __init__(self, code: int | str = -1):
        self.code = code
        self.numba_type = CacheKeyType(code)


register_model(CacheKeyType)(models.OpaqueModel)


@typeof_impl.register(CacheKey)
def _typeof(value: CacheKey, context: Any) -> CacheKeyType:
    return value.numba_type


@unbox(CacheKeyType)
def _unbox(kind: CacheKeyType, value: Any, c: Any) -> NativeValue:
    return NativeValue(c.context.get_dummy_value())


class WithOwn(dict[Any, Any]):
    """Functions by code; those of codes that are operations, ``own(code)``, made when asked for."""

    def __init__(self, known: Mapping[Any, Any], own: Callable[[str], Any]):
        super().__init__(known)
        self._own = own

    def __missing__(self, code: str) -> Any:
        self[code] = self._own(code)
        return self[code]


def by_code(functions: Mapping[Any, Any], **options: Any) -> Any:
    """The function of a `CacheKey` and more that is ``functions[code]`` of what is more.

    ``options`` are those of its compilation.
    """

    def function(key: CacheKey, *args: Any) -> Any:
        return functions[key.code](*args)

    @overload(function, jit_options=options)
    def function_of(key, *args):  # type: ignore[no-untyped-def]  # numba compares annotations
        chosen = functions[key.code]
        return lambda key, *args: chosen(*args)

    return function


#: For functions that are called from Python or by address. Compiled code warns of nothing.
entry = np.errstate(all="ignore") if config.DISABLE_JIT else cached(nogil=True, **ENTRY_OPTIONS)
#: The key of the functions that are compiled once per float type.
KEY = CacheKey()
