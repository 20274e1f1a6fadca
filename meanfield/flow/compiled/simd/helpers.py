"""How numba compiles a helper that only ever becomes part of its callers.

By itself numba takes every compiled function through all of LLVM's optimisation and makes machine
code of it, with a wrapper for calls from Python and one for calls from C. For a function that is
inlined wherever it is called, nothing of this is used: its callers optimise its code anew. A helper
stops at what its callers link.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler


class _LinkedLibrary(JITCodeLibrary):
    """The code of a helper, ready to be linked into that of its callers and never run by itself."""

    def _optimize_final_module(self) -> None:
        pass

    def _finalize_final_module(self) -> None:
        self._finalize_dynamic_globals()
        self._finalized = True

    def get_pointer_to_function(self, name: str) -> int:
        return 0

    @property
    def codegen(self) -> Any:
        """What has no machine code has no place for an environment."""
        return SimpleNamespace(set_env=lambda name, env: None)


class HelperCompiler(Compiler):
    """numba's compiler, for functions that are inlined wherever they are called."""

    def compile_extra(self, func: Any) -> Any:
        codegen = self.state.targetctx.codegen()
        self.state.library = _LinkedLibrary(codegen, func.__qualname__)
        return super().compile_extra(func)
