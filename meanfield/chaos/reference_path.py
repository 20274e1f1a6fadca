"""The mean-field path that a rate study compares with: chosen, checked, and as a law."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield import checks
from meanfield.limit.chain import lattice_size
from meanfield.limit.gaussian_closure import GaussianClosure, gaussian_closure
from meanfield.limit.grid import GridLaw, GridPath
from meanfield.limit.mean_field import METHODS, MeanFieldPath, mean_field_path
from meanfield.system import memory

if TYPE_CHECKING:
    from meanfield.chaos.chaos_plan import ChaosPlan

#: A reference of M particles is silent when M is this many times the largest N.
REFERENCE_RATIO = 100

# The law of the chain holds the features of every lattice point at every datum.
_FEATURE_VALUES = 2**24


def reference_path(
    plan: ChaosPlan, method: str = "auto", *, n_particles: int | None = None, **options: Any
) -> MeanFieldPath:
    """Compute the reference of a plan by ``"auto"`` or a method of `mean_field`.

    ``"auto"`` takes the first that applies of the Gaussian closure, the law of the discrete chain
    (exact for this very step size; at most two trained parameters, on no more lattice points than
    the large system would have particles), and a large system, by default of 100 times the
    largest particle count; `n_particles` asks for one. The Fokker–Planck equation is never chosen
    by itself: it is the law in continuous time, from which the particles of a discrete scheme
    stay O(step_size) away however many they are.

    Options are ``checkpoint`` and ``progress`` of `mean_field`. A method that does not apply to
    the problem is a ValueError that says why.
    """
    checks.choice("reference", method, ("auto", *METHODS))
    method, size = choose_reference(plan, method, n_particles)
    return mean_field_path(plan.problem, plan.scheme, method, size, **options)


def choose_reference(plan: ChaosPlan, method: str, n_particles: int | None) -> tuple[str, int]:
    """Return the method that is meant, and the size of a large system; see `reference_path`."""
    size = n_particles or REFERENCE_RATIO * max(plan.particle_counts)
    if method == "auto":
        method = "particles" if n_particles else automatic_method(plan, size)
    if method == "particles":
        memory.fits(n_particles=size, coordinates=plan.problem.n_coordinates)
    return method, size


def automatic_method(plan: ChaosPlan, n_particles: int) -> str:
    """Return the first method that applies and costs no more than `n_particles` particles."""
    try:
        gaussian_closure(plan.problem, plan.scheme.shortened(1))
        return "gaussian"
    except ValueError:
        pass
    try:
        size = lattice_size(plan.problem, plan.scheme)
        cheap = size <= n_particles and size * plan.problem.n_data <= _FEATURE_VALUES
        return "chain" if cheap else "particles"
    except ValueError:
        return "particles"


def check_reference(plan: ChaosPlan, path: MeanFieldPath) -> None:
    """Refuse a reference that belongs to other dynamics than the plan's."""
    if not isinstance(path, MeanFieldPath):
        raise TypeError(
            "reference must be a method's name or a MeanFieldPath, as mean_field returns it, got "
            f"{type(path).__name__}."
        )
    other = path.problem != plan.problem
    mismatch = "another problem" if other else path.scheme.mismatch(plan.scheme)
    if mismatch:
        raise ValueError(
            f"reference was computed for {mismatch}; compute it with the settings of this study."
        )


def laws_in_one_dimension(plan: ChaosPlan, path: MeanFieldPath) -> list[GridLaw]:
    """Return the law of the path at every time of the plan; none where it is not at hand.

    It is for one trained parameter and a path without particles.
    """
    details = path.details
    if plan.problem.n_parameters != 1:
        return []
    if isinstance(details, GridPath):
        return [details.at(step) for step in plan.times]
    if not isinstance(details, GaussianClosure):
        return []
    z = np.linspace(-9.0, 9.0, 1801)
    masses = np.exp(-0.5 * z**2)
    masses /= masses.sum()
    means = [details.mean[step, 0] for step in plan.times]
    spreads = [math.sqrt(details.covariance(step)[0, 0]) for step in plan.times]
    return [GridLaw((m + s * z,), masses) for m, s in zip(means, spreads, strict=True)]
