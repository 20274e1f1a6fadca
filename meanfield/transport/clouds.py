"""Clouds of points as arguments, and the mean that their distances are made of."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meanfield import checks

Array = NDArray[np.float64]


def two_clouds(x: ArrayLike, y: ArrayLike) -> tuple[Array, Array]:
    """Validate two clouds of one dimension."""
    x, y = _cloud(x, "x"), _cloud(y, "y")
    if x.shape[1] != y.shape[1]:
        raise ValueError(
            f"x has points of dimension {x.shape[1]} but y of {y.shape[1]}; give both the same."
        )
    return x, y


def _cloud(points: ArrayLike, name: str) -> Array:
    """Return a cloud as a finite (N, p) float64 array."""
    points = checks.finite(name, points)
    if points.ndim == 1:
        points = points[:, None]
    if points.ndim != 2 or points.size == 0:
        raise ValueError(f"{name} must be a cloud of shape (N, p); got shape {points.shape}.")
    return np.ascontiguousarray(points)


def varying_coordinates(x: Array, y: Array) -> tuple[Array, Array]:
    """Leave out coordinates that all points share, like frozen weights: they cost nothing.

    Point after point in memory, whatever the order was: on it hang the bits of sums over
    coordinates, and one more compilation.
    """
    first = x.reshape(-1, x.shape[-1])[0]
    varying = [
        i
        for i, value in enumerate(first)
        if (x[..., i] != value).any() or (y[..., i] != value).any()
    ]
    if len(varying) < len(first):
        x, y = x[..., varying or [0]], y[..., varying or [0]]
    return np.ascontiguousarray(x), np.ascontiguousarray(y)


def mean_square(difference: Array, weights: Array | float = 1.0) -> float:
    """Return the weighted mean of the squared row norms.

    The sum is correctly rounded, so the same in any order of the rows.
    """
    squares = (difference**2).sum(axis=1)
    return math.fsum(weights * squares) / math.fsum(np.broadcast_to(weights, squares.shape))
