"""A sample of points in the coordinates that count."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meanfield import checks
from meanfield.flow.integrators import trained_coordinates
from meanfield.flow.particles import Particles

if TYPE_CHECKING:
    from meanfield.problem import Problem

Array = NDArray[np.float64]

_MIN_POINTS = 1000


def sample_points(particles: Particles | ArrayLike, problem: Problem | None) -> Array:
    """Points (number, p) in the coordinates that vary, all replicas together."""
    if isinstance(particles, Particles):
        points = particles.coordinates
        if problem is not None:
            points = points[..., trained_coordinates(problem)]
    else:
        try:
            points = np.asarray(particles, dtype=float)
        except (TypeError, ValueError):
            raise TypeError(
                "law_or_particles must be a law's name, an InitialLaw, Particles or an array of "
                f"numbers, got {type(particles).__name__}."
            ) from None
        if points.ndim < 2:
            raise ValueError(f"Points must have shape (..., N, p), got {points.shape}.")
    points = checks.finite("law_or_particles", points.reshape(-1, points.shape[-1]))
    if len(points) < _MIN_POINTS:
        raise ValueError(
            f"A sample needs at least {_MIN_POINTS} points for its moment order, got {len(points)}."
        )
    points = points[:, np.ptp(points, axis=0) > 0]
    if points.shape[1] == 0:
        raise ValueError("All points are equal: a point has no moment order; give a spread sample.")
    return points
