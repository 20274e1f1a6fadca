"""The mean-field path that a rate study compares with: chosen, checked, and as a law."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield import checks
from meanfield.flow.minibatch import same_batches
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
    largest particle count; `n_particles` asks for one. `why_particles` says why it was not the
    chain. The Fokker–Planck equation is never chosen
    by itself: it is the law in continuous time, from which the particles of a discrete scheme
    stay O(step_size) away however many they are.

    Options are ``checkpoint`` and ``progress`` of `mean_field`. A method that does not apply to
    the problem is a ValueError that says why.
    """
    checks.choice("reference", method, ("auto", *METHODS))
    method, size = choose_reference(plan, method, n_particles)
    if plan.scheme.minibatch is not None:
        options["full_at"] = plan.times
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
    if plan.scheme.minibatch is not None:  # the others are limits of full gradients
        return "particles"
    if has_closure(plan):
        return "gaussian"
    size = _lattice_size(plan)
    return "chain" if size and not _too_large(plan, size, n_particles) else "particles"


def has_closure(plan: ChaosPlan) -> bool:
    """Whether the Gaussian closure applies: then ``E f_N = f̄`` for every N."""
    try:
        gaussian_closure(plan.problem, plan.scheme.shortened(1))
    except ValueError:
        return False
    return True


def why_particles(plan: ChaosPlan, n_particles: int) -> str:
    """Say why a large system and not the law of the chain, where only the cost of that forbids it.

    Empty where the chain does not apply at all, or would be cheap.
    """
    size = 0 if plan.scheme.minibatch or has_closure(plan) else _lattice_size(plan)
    if not size or not (why := _too_large(plan, size, n_particles)):
        return ""
    return (
        f"the exact law of the chain would take a lattice of {size} points, {why}: the noise of "
        "one step, √(2 step_size temperature), is small for the extent of the law"
    )


def _lattice_size(plan: ChaosPlan) -> int:
    """Lattice points that the law of the chain starts on; 0 where it does not apply."""
    try:
        return lattice_size(plan.problem, plan.scheme)
    except ValueError:
        return 0


def _too_large(plan: ChaosPlan, size: int, n_particles: int) -> str:
    if size > n_particles:
        return f"more than the {n_particles} particles of a large system"
    n_data = plan.problem.n_data
    if size * n_data > _FEATURE_VALUES:
        return f"with {n_data} features to hold for each, more than {_FEATURE_VALUES} in all"
    return ""


def check_reference(plan: ChaosPlan, path: MeanFieldPath) -> None:
    """Refuse a reference that belongs to other dynamics than the plan's."""
    if not isinstance(path, MeanFieldPath):
        raise TypeError(
            "reference must be a method's name or a MeanFieldPath, as mean_field returns it, got "
            f"{type(path).__name__}."
        )
    other = path.problem != plan.problem
    mismatch = "another problem" if other else path.scheme.mismatch(plan.scheme)
    if not mismatch and not same_batches(path.scheme, plan.scheme):
        mismatch = "other minibatches"
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
