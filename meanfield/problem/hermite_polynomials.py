"""Hermite polynomials of the standard Gaussian: plain ``He_k``, normalised, and as functions.

All come from one recurrence, ``He_{k+1}(z) = z He_k(z) − k He_{k−1}(z)``; normalised,
``h_k = He_k / √(k!)``, it is ``√(k+1) h_{k+1} = z h_k − √k h_{k−1}``.
"""

from __future__ import annotations

import numpy as np

Array = np.ndarray


def hermite_polynomial(z: Array, degree: int) -> Array:
    """Evaluate the plain ``He_degree(z)``, leading coefficient 1, in the dtype of `z`."""
    previous, current = np.zeros_like(z), np.ones_like(z)
    for k in range(degree):
        previous, current = current, z * current - k * previous
    return current


def hermite_table(z: Array, degree: int) -> Array:
    """Evaluate the normalised ``h_0(z), …, h_degree(z)``, shape (degree + 1, *z.shape)."""
    return _normalised(np.ones(np.shape(z)), z, degree)


def hermite_functions(z: Array, degree: int) -> Array:
    """Evaluate ``h_k(z) exp(−z²/4)``, shape (degree + 1, ...), in the dtype of `z`.

    The factor ``exp(−z²/4)`` keeps the recurrence bounded at any degree.
    """
    return _normalised(np.exp(-z * z / 4), z, degree)


def _normalised(first: Array, z: Array, degree: int) -> Array:
    """Run the normalised recurrence from its row of degree 0."""
    table = np.empty((degree + 1, *first.shape), first.dtype)
    table[0] = first
    if degree:
        table[1] = z * first
    root = np.sqrt(np.arange(degree + 1, dtype=first.dtype))
    for k in range(1, degree):
        table[k + 1] = (z * table[k] - root[k] * table[k - 1]) / root[k + 1]
    return table
