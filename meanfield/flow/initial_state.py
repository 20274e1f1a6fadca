"""The particles at step 0: drawn from the initial law, or given."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from meanfield.errors import ArgumentError
from meanfield.flow.dynamics import Dynamics
from meanfield.flow.particles import Particles, check_layout

Array = NDArray[np.floating]


def initial_state(
    dynamics: Dynamics, n_particles: int, n_replicas: int, start: Particles | None = None
) -> Array:
    """Return the particles at step 0, a copy of shape (R, C, N) in the precision of the run.

    They are those of `start`, one replica or R of them, or drawn from the initial law. Refused are
    more particles than the noise can tell apart, and a `start` that does not fit.
    """
    if n_particles > 2**32:
        raise ArgumentError("n_particles", f"must not exceed 2**32, got {n_particles}.")
    if dynamics.first_replica + n_replicas > 2**32:
        raise ArgumentError(
            "n_replicas", message="first_replica + n_replicas must not exceed 2**32."
        )
    if start is None:
        return _drawn(dynamics, n_particles, n_replicas)
    check_layout(dynamics.problem, start, "init")
    points = start.coordinates
    shape = (n_replicas, n_particles, dynamics.problem.n_coordinates)
    if points.shape not in (shape, (1, *shape[1:])):
        raise ArgumentError(
            "init",
            f"holds {start.n_replicas} replicas of {start.n_particles} particles, but this "
            f"run has n_replicas={n_replicas} and n_particles={n_particles}; leave those two out.",
        )
    if not np.isfinite(points).all():
        raise ArgumentError("init", "holds NaN or infinite particles; start from finite ones.")
    points = np.broadcast_to(points, shape).swapaxes(1, 2)
    return np.array(points, dtype=dynamics.scheme.dtype, order="C")


def _drawn(dynamics: Dynamics, n_particles: int, n_replicas: int) -> Array:
    """Draw every replica from the initial law."""
    problem, scheme, law = dynamics.problem, dynamics.scheme, dynamics.scheme.init
    assert law is not None  # a scheme without one starts from given particles
    state = np.empty((n_replicas, problem.n_coordinates, n_particles), scheme.dtype)
    for r in range(n_replicas):
        replica = dynamics.first_replica + r
        with np.errstate(over="ignore"):  # of single precision
            state[r] = law.sample(problem, n_particles, seed=scheme.seed, replica=replica)
    if not np.isfinite(state).all():
        raise ArgumentError(
            "init",
            f"draws particles beyond the range of {scheme.dtype}: {law}; use a lighter tail "
            "(a larger nu or rho) or a smaller scale.",
        )
    return state
