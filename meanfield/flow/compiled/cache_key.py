"""What keeps numba's cache honest.

numba's cache watches the file of the outermost function only. Every cached entry point therefore
takes a `CacheKey`, whose numba *type* holds a digest of all that is compiled in: code whose helpers
have changed has another signature, and is compiled again.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from numba import config, types
from numba.core.datamodel import models
from numba.extending import NativeValue, register_model, typeof_impl, unbox

from meanfield.flow.compiled.simd.mode import SCALAR
from meanfield.problem.activations import ACTIVATIONS, LEAKY_SLOPE
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


class _CacheKeyType(types.Type):
    def __init__(self, code: int | None):
        self.code = code
        super().__init__(f"CacheKey({code}, {DIGEST})")


class CacheKey:
    """First argument of every cached entry point.

    Its type also names one activation or one loss by its code, where a function is compiled for
    each of them.
    """

    def __init__(self, code: int | None = None):
        self.code = code
        self.numba_type = _CacheKeyType(code)


register_model(_CacheKeyType)(models.OpaqueModel)


@typeof_impl.register(CacheKey)
def _typeof(value, context):
    return value.numba_type


@unbox(_CacheKeyType)
def _unbox(kind, value, c):
    return NativeValue(c.context.get_dummy_value())


#: For functions that are called from Python or by address. Compiled code warns of nothing.
entry = np.errstate(all="ignore") if config.DISABLE_JIT else cached(nogil=True)
#: The key of the functions that are compiled once per float type.
KEY = CacheKey()
