"""The losses in compiled code: ∂ℓ/∂f, by the names of `meanfield.problem.losses`.

To add one, write its derivative here and name it in `_DERIVATIVES`; the step needs no loss's value.
"""

from __future__ import annotations

import math
from functools import cache
from typing import NamedTuple

import numpy as np
from numba.extending import overload

from meanfield.flow.compiled.by_address import address_of, by_address
from meanfield.flow.compiled.cache_key import CacheKey, entry
from meanfield.flow.compiled.simd.mode import inline
from meanfield.problem.losses import LOSSES


class Residuals(NamedTuple):
    """What `set_residuals` takes."""

    out: np.ndarray  # (n k,)
    predictions: np.ndarray  # (n k,) float64, like the targets
    targets: np.ndarray
    weights: np.ndarray  # (n,), of mean 1
    n: int
    k: int


# Each derivative sees one output of one datum, and what the outputs of that datum share.


@inline
def _nothing(f, at, k):
    return 0.0, 0.0


@inline
def _squared(f, y, shared):
    return f - y


@inline
def _logistic(f, y, shared):
    """−y / (1 + exp(y f)) without overflow."""
    z = -y * f
    t = math.exp(-abs(z))
    return -y * (1.0 / (1.0 + t) if z >= 0 else t / (1.0 + t))


@inline
def _peak_and_mass(f, at, k):
    """max_o f_o and Σ_o exp(f_o − max f)."""
    peak = f[at]
    for o in range(1, k):
        peak = max(peak, f[at + o])
    mass = 0.0
    for o in range(k):
        mass += math.exp(f[at + o] - peak)
    return peak, mass


@inline
def _cross_entropy(f, y, shared):
    """softmax(f) − y."""
    return math.exp(f - shared[0]) / shared[1] - y


_DERIVATIVES = {
    "squared": (_nothing, _squared),
    "logistic": (_nothing, _logistic),
    "cross-entropy": (_peak_and_mass, _cross_entropy),
}
_BY_CODE = {LOSSES[name].code: functions for name, functions in _DERIVATIVES.items()}


def _shared(key, f, at, k):
    return _BY_CODE[key.code][0](f, at, k)


def _derivative(key, f, y, shared):
    return _BY_CODE[key.code][1](f, y, shared)


@overload(_shared)
def _shared_of(key, f, at, k):
    function = _BY_CODE[key.code][0]
    return lambda key, f, at, k: function(f, at, k)


@overload(_derivative)
def _derivative_of(key, f, y, shared):
    function = _BY_CODE[key.code][1]
    return lambda key, f, y, shared: function(f, y, shared)


@entry
def _set_residuals(key, data):
    """Fill ``out`` with ``w ∂ℓ/∂f / n``; a weight of 1 changes no bit."""
    for j in range(data.n):
        at = j * data.k
        shared = _shared(key, data.predictions, at, data.k)
        for o in range(at, at + data.k):
            slope = _derivative(key, data.predictions[o], data.targets[o], shared)
            data.out[o] = data.weights[j] * slope / data.n


set_residuals = by_address(_set_residuals)


@cache
def residuals_address(loss: int, dtype: np.dtype) -> int | CacheKey:
    """What `set_residuals` takes first, for the loss with this code."""
    numbers = np.empty(0)
    return address_of(_set_residuals, loss, Residuals(np.empty(0, dtype), *[numbers] * 3, 0, 0))
