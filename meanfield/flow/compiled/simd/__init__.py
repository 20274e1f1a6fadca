"""Vectors of numbers in compiled code; knows nothing of particles. README.md tells more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meanfield.flow.compiled.simd.mode import INLINE_OPTIONS, SCALAR, Vector, inline

# Both have the same `__all__`.
if SCALAR or TYPE_CHECKING:
    from meanfield.flow.compiled.simd.scalar import *  # noqa: F403
else:
    from meanfield.flow.compiled.simd.operations import *  # noqa: F403

__all__ = ["INLINE_OPTIONS", "SCALAR", "Vector", "inline"]
