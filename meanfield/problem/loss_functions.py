"""The losses of the table, and their derivatives, in NumPy."""

from __future__ import annotations

import numpy as np
from scipy import special

Array = np.ndarray


def squared(f: Array, targets: Array) -> Array:
    return 0.5 * np.square(f - targets).sum(axis=-1)


def squared_derivative(f: Array, targets: Array) -> Array:
    return f - targets


def squared_curvature(f: Array) -> Array:
    return np.broadcast_to(np.eye(f.shape[-1], dtype=f.dtype), (*f.shape, f.shape[-1]))


def logistic(f: Array, targets: Array) -> Array:
    return np.logaddexp(-targets * f, 0).sum(axis=-1)


def logistic_derivative(f: Array, targets: Array) -> Array:
    return -targets * special.expit(-targets * f)


def logistic_curvature(f: Array) -> Array:
    s = special.expit(f)
    return (s * special.expit(-f))[..., None] * np.eye(f.shape[-1], dtype=f.dtype)


def cross_entropy(f: Array, targets: Array) -> Array:
    # Relative to the true class first: a confident, right prediction keeps its small loss.
    margins = f - (f * targets).sum(axis=-1, keepdims=True)
    return special.logsumexp(margins, axis=-1)


def cross_entropy_derivative(f: Array, targets: Array) -> Array:
    return special.softmax(f, axis=-1) - targets


def cross_entropy_curvature(f: Array) -> Array:
    p = special.softmax(f, axis=-1)
    return p[..., None] * np.eye(f.shape[-1], dtype=f.dtype) - p[..., None] * p[..., None, :]
