"""Which implementation of the operations is used: SIMD vectors, or arrays of numbers.

The environment variable ``MEANFIELD_SIMD`` chooses, before the first import:

``vector``
    LLVM vectors in compiled code; the default.
``scalar``
    Arrays, one number after the other: slow, but plain Python, which numba compiles (and checks
    for bounds under ``NUMBA_BOUNDSCHECK=1``) or which runs as it stands under
    ``NUMBA_DISABLE_JIT=1``, where it is the default.
"""

from __future__ import annotations

import os
from typing import Any, TypeAlias

from numba import config, njit

from meanfield.errors import ConfigError

_VARIABLE = "MEANFIELD_SIMD"


def _chosen() -> str:
    mode = os.environ.get(_VARIABLE) or ("scalar" if config.DISABLE_JIT else "vector")
    if mode not in ("vector", "scalar"):
        raise ConfigError(f"{_VARIABLE} is {mode!r}; set it to 'vector' or 'scalar', or unset it.")
    if mode == "vector" and config.DISABLE_JIT:
        raise ConfigError(
            f"{_VARIABLE}=vector needs compiled code, but NUMBA_DISABLE_JIT is set; unset one of "
            f"them, or set {_VARIABLE}=scalar."
        )
    return mode


SCALAR = _chosen() == "scalar"

#: In annotations: in compiled code a value of LLVM, in plain Python a `scalar.Vector`.
Vector: TypeAlias = Any

#: Options of functions called from Python or by address: what allocates nothing needs no counting
#: of references, which takes time to compile.
ENTRY_OPTIONS: dict[str, Any] = {}
#: Options of helpers on vectors, for numba's ``njit`` and ``overload``: compiled into their
#: callers, where the vectors stay in registers.
INLINE_OPTIONS: dict[str, Any] = {}
if not SCALAR:
    from meanfield.flow.compiled.simd.helpers import HelperCompiler

    ENTRY_OPTIONS = {"_nrt": False}
    INLINE_OPTIONS = {
        **ENTRY_OPTIONS,
        "forceinline": True,
        "no_cpython_wrapper": True,
        "no_cfunc_wrapper": True,
        "pipeline_class": HelperCompiler,
    }
inline = njit(**INLINE_OPTIONS)
