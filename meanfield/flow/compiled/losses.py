"""The losses in compiled code: ∂ℓ/∂f, by the names of `meanfield.problem.losses`.

To add one, write its derivative here and name it in `_DERIVATIVES`; the step needs no loss's value.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from meanfield.flow.compiled.by_address import address_of, by_address
from meanfield.flow.compiled.cache_key import CacheKey, WithOwn, by_code, entry
from meanfield.flow.compiled.layout import Numbers
from meanfield.flow.compiled.own_functions import scalar_function
from meanfield.flow.compiled.simd.mode import INLINE_OPTIONS, inline
from meanfield.problem.losses import LOSSES


class Residuals(NamedTuple):
    """What `set_residuals` takes."""

    out: Numbers  # (n k,)
    predictions: Numbers  # (n k,) float64, like the targets
    targets: Numbers
    weights: Numbers  # (n,), of mean 1
    n: int
    k: int


# Each derivative sees one output of one datum, and what the outputs of that datum share.
Shared: TypeAlias = tuple[float, float]


@inline
def _nothing(f: Numbers, at: int, k: int) -> Shared:
    return 0.0, 0.0


@inline
def _squared(f: float, y: float, shared: Shared) -> float:
    return f - y


@inline
def _logistic(f: float, y: float, shared: Shared) -> float:
    """−y / (1 + exp(y f)) without overflow."""
    z = -y * f
    t = math.exp(-abs(z))
    return -y * (1.0 / (1.0 + t) if z >= 0 else t / (1.0 + t))


@inline
def _peak_and_mass(f: Numbers, at: int, k: int) -> Shared:
    """max_o f_o and Σ_o exp(f_o − max f)."""
    peak = f[at]
    for o in range(1, k):
        peak = max(peak, f[at + o])
    mass = 0.0
    for o in range(k):
        mass += math.exp(f[at + o] - peak)
    return peak, mass


@inline
def _cross_entropy(f: float, y: float, shared: Shared) -> float:
    """softmax(f) − y."""
    return math.exp(f - shared[0]) / shared[1] - y


_DERIVATIVES = {
    "squared": (_nothing, _squared),
    "logistic": (_nothing, _logistic),
    "cross-entropy": (_peak_and_mass, _cross_entropy),
}
_BY_CODE = {LOSSES[name].code: functions for name, functions in _DERIVATIVES.items()}


def _own_derivative(code: str) -> Any:
    """The derivative in the operations of a loss of one's own."""
    function = scalar_function(code, 1, "fy")

    @inline
    def derivative(f: float, y: float, shared: Shared) -> float:
        return function(f, y)

    return derivative


_shared = by_code(
    WithOwn({code: functions[0] for code, functions in _BY_CODE.items()}, lambda code: _nothing),
    **INLINE_OPTIONS,
)
_derivative = by_code(
    WithOwn({code: functions[1] for code, functions in _BY_CODE.items()}, _own_derivative),
    **INLINE_OPTIONS,
)


@entry
def _set_residuals(key: CacheKey, data: Residuals) -> None:
    """Fill ``out`` with ``w ∂ℓ/∂f / n``; a weight of 1 changes no bit."""
    for j in range(data.n):
        at = j * data.k
        shared = _shared(key, data.predictions, at, data.k)
        for o in range(at, at + data.k):
            slope = _derivative(key, data.predictions[o], data.targets[o], shared)
            data.out[o] = data.weights[j] * slope / data.n


set_residuals = by_address(_set_residuals)


@cache
def residuals_address(loss: int | str, dtype: np.dtype[Any]) -> int | CacheKey:
    """What `set_residuals` takes first, for the loss with this code."""
    none = np.empty(0)
    example = Residuals(np.empty(0, dtype), none, none, none, 0, 0)
    return address_of(_set_residuals, loss, example)
