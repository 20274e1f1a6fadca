"""The learning cell ``(w*, D*_orb, S*)`` of an architecture and a target."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol

import numpy as np

from meanfield import checks
from meanfield.dictionary import (
    Dictionary,
    ThresholdNumber,
    coefficient_threshold_number,
    extract_dictionary,
)
from meanfield.dictionary.threshold import own_threshold
from meanfield.errors import ArgumentError, ArgumentTypeError, DivergenceError
from meanfield.flow.initial import InitialLaw
from meanfield.flow.particles import Particles
from meanfield.flow.scheme import Scheme
from meanfield.flow.simulate import simulate_scheme
from meanfield.identify import OrbitDepth, orbit_depth
from meanfield.moments import AdmissibleWeight, admissible_weight
from meanfield.problem import Activation, Problem, get_activation
from meanfield.system import memory
from meanfield.system.generators import generator
from meanfield.system.progress import Progress
from meanfield.system.threads import fixed_blas

__all__ = ["LearningCell", "learning_cell"]

START_TEMPERATURE = 1e-3
"""Training cools from here, geometrically, to the temperature of the problem."""
LARGE = 40
"""Dictionaries with more parameters get fewer points and starts in the search for other orbits."""


@dataclass(frozen=True, eq=False)
class LearningCell:
    """The triple ``(w*, D*_orb, S*)`` with the evidence for each.

    Attributes
    ----------
    w_star : AdmissibleWeight
        Maximal admissible weight of the initial law.
    orbit_depth, depth : int or None, OrbitDepth or None
        ``D*_orb`` of the activation with S* atoms, None when it was not reached or S* is 0; and the
        evidence for it.
    n_atoms, dictionary : int, Dictionary
        ``S*`` as measured, the size of the dictionary.
    threshold : ThresholdNumber or None
        ``S̄``, a count from the target beside S*, no bound that is proved, and the Barron–Hermite
        norm; None for data that do not determine a Hermite expansion.
    particles : Particles
        The trained network.
    within_bound : bool or None
        Whether ``S* ≤ S̄``, at the upper end of what sampling errors allow; None without ``S̄``.
    statement : str
        All of it in a few sentences.

    Examples
    --------
    >>> import meanfield as mf
    >>> target = mf.problem.Teacher([1.0], [[2.0]], activation="tanh")
    >>> cell = mf.learning_cell("tanh", target, n_data=100, n_particles=50, n_steps=300)
    >>> cell.w_star.order.value, cell.orbit_depth, cell.n_atoms
    (2.0, 3, 1)
    """

    w_star: AdmissibleWeight
    orbit_depth: int | None
    n_atoms: int
    depth: OrbitDepth | None
    dictionary: Dictionary
    threshold: ThresholdNumber | None
    particles: Particles
    within_bound: bool | None
    statement: str


@fixed_blas()
def learning_cell(
    activation: str | Activation,
    target: Any,
    *,
    d: int | None = None,
    bias: bool | None = None,
    init: str | InitialLaw = "gaussian",
    problem: Problem | None = None,
    particles: Particles | None = None,
    threshold: float | None = None,
    degree: int | None = None,
    max_degree: int | None = None,
    n_data: int = 1000,
    n_particles: int = 400,
    step_size: float = 0.2,
    n_steps: int = 3000,
    l2: float = 1e-3,
    temperature: float = 1e-5,
    seed: int = 0,
) -> LearningCell:
    r"""Compute the learning cell of an activation and a target.

    ``w*`` comes from the moments of the initial law. A network is trained on the target, with
    falling temperature, and ``S*`` is the size of its dictionary; ``S̄`` of the target's Hermite
    coefficients stands beside it. ``D*_orb`` is the orbit depth for that many atoms. The definition
    is operational, after the abstract of [ISD] ("the natural learning cell of the
    architecture-data pair").

    Parameters
    ----------
    activation : str or Activation
        σ.
    target : Target, callable, or Problem
        ``f*`` on standard normal inputs; or a problem with its own data, when the target is not
        known. Its data are then taken to be standard normal inputs with their values.
    d : int, optional
        Input dimension; needed for a callable that does not record it.
    bias : bool, optional
        Whether atoms have a bias; by default as the target's own atoms, or yes.
    init : str or InitialLaw
        Initial law.
    problem : Problem, optional
        Data, loss, bias, l2 and temperature to train with; by default `n_data` standard normal
        inputs with the values of the target, and squared loss.
    particles : Particles, optional
        A network that is trained already; then there is no training.
    threshold : float, optional
        ``ε`` of the coefficient-threshold number; by default its parts are those that can carry an
        atom under the penalty of the problem.
    degree, max_degree : int, optional
        Largest degree of the Hermite expansion, and in the search for the depth.
    n_data, n_particles, step_size, n_steps, l2, temperature
        Of the training. A step size that diverges is replaced by a stable one.
    seed : int
        Seed of data, training and searches.

    Returns
    -------
    LearningCell
        The triple with its evidence.

    Raises
    ------
    TypeError
        If `target` cannot be evaluated.
    ValueError
        If a number is out of range, the activation has no atoms, or `target` and `problem` are two
        problems.

    Examples
    --------
    >>> import meanfield as mf
    >>> from meanfield.problem.targets import Teacher
    >>> target = Teacher([1.0], [[2.0, 0.0]], activation="tanh")
    >>> cell = mf.learning_cell("tanh", target, n_data=200, n_particles=100, n_steps=500)
    >>> cell.w_star.order.value, cell.orbit_depth, cell.n_atoms
    (2.0, 3, 1)
    """
    activation = get_activation(activation)
    if isinstance(target, Problem):
        if problem is not None and problem is not target:
            raise ArgumentError(
                "problem",
                message="target and problem are two problems; give one as target alone, or as "
                "problem with the function that it learns as target.",
            )
        problem = target
    if problem is None:
        X, y = _labelled(target, d, n_data, seed)
        bias = getattr(target, "b", True) is not None if bias is None else bias
        problem = Problem(X, y, activation, bias=bias, l2=l2, temperature=temperature)
    elif problem.activation != activation:
        raise ArgumentError(
            "activation",
            f"is {activation.name!r} but the problem has {problem.activation.name!r}; "
            "give the same.",
        )
    if particles is None:
        scheme = Scheme.of(
            problem, step_size=step_size, n_steps=checks.steps(n_steps), init=init, seed=seed
        )
        particles = train_cooled(problem, scheme, n_particles)
    dictionary = extract_dictionary(particles, problem, seed=seed)
    options = {"d": d, "degree": degree, "seed": seed, "threshold": threshold}
    parts = parts_around(problem, target, init, dictionary, max_degree, options)
    bound = parts.threshold
    return LearningCell(
        w_star=parts.w_star,
        orbit_depth=None if parts.depth is None else parts.depth.depth,
        n_atoms=dictionary.n_atoms,
        depth=parts.depth,
        dictionary=dictionary,
        threshold=bound,
        particles=particles,
        within_bound=None if bound is None else dictionary.n_atoms <= bound.high,
        statement=parts.statement,
    )


class Counted(Protocol):
    """What is known of the atoms of a network: how many, and why so many."""

    @property
    def n_atoms(self) -> int: ...
    @property
    def statement(self) -> str: ...


class Parts(NamedTuple):
    """What a learning cell has beside its atoms, and all of it in a few sentences."""

    w_star: AdmissibleWeight
    depth: OrbitDepth | None
    threshold: ThresholdNumber | None
    statement: str


def parts_around(
    problem: Problem,
    target: Any,
    init: str | InitialLaw,
    atoms: Counted,
    max_degree: int | None,
    options: dict[str, Any],
) -> Parts:
    """Return the weight, the depth for as many atoms, and ``S̄`` of a target or problem."""
    w_star = admissible_weight(init, problem=problem)
    depth = _depth(problem, atoms.n_atoms, max_degree, options["seed"])
    options = options | own_threshold(problem, options["threshold"])
    if "l2" in options:
        del options["threshold"]
    bound, why_not = _bound(problem.activation, target, options)
    return Parts(w_star, depth, bound, _statement(w_star, depth, atoms, bound, why_not))


def _labelled(target: Any, d: int | None, n_data: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw standard normal inputs and label them by the target."""
    if not callable(target):
        raise ArgumentTypeError(
            "target", f"must be callable or a Problem, got {type(target).__name__}."
        )
    d = getattr(target, "n_features", d)
    if d is None:
        raise ArgumentError("d", "is needed: this target does not record its input dimension.")
    rng = generator(checks.seed(seed), 7)
    n_data, d = checks.count("n_data", n_data), checks.count("d", d)
    memory.fits(n_data=n_data, d=d)
    X = rng.standard_normal((n_data, d))
    return X, np.asarray(target(X), dtype=float)


def train_cooled(
    problem: Problem, scheme: Scheme, n_particles: int, progress: Progress | None = None
) -> Particles:
    """Train one network, its neurons gathered at few atoms by a temperature that falls.

    A constant temperature of the scheme is reached geometrically, from 1e-3, a schedule followed.
    A step size that diverges is replaced by a stable one, where there is one.
    """
    if np.ndim(scheme.temperature) == 0:
        last = max(float(scheme.temperature), 1e-12)
        cooling = np.geomspace(max(START_TEMPERATURE, last), last, scheme.n_steps)
        scheme = replace(scheme, temperature=cooling)
    try:
        return simulate_scheme(problem, scheme, n_particles, progress=progress).particles
    except DivergenceError as error:
        if error.stable_step_size is None:
            raise
        stable = np.minimum(scheme.step_sizes, error.stable_step_size / 2)
        calm = replace(scheme, step_size=stable)
        return simulate_scheme(problem, calm, n_particles, progress=progress).particles


def _depth(problem: Problem, n_atoms: int, max_degree: int | None, seed: int) -> OrbitDepth | None:
    """Compute the orbit depth for that many atoms, with less search where it is dear."""
    if not n_atoms:
        return None
    large = n_atoms * (1 + problem.n_features + problem.bias) > LARGE
    return orbit_depth(
        problem.activation,
        problem.n_features,
        n_atoms,
        bias=problem.bias,
        max_degree=max_degree,
        n_points=2 if large else 3,
        n_starts=8 if large else 20,
        n_paths=1,
        seed=seed,
    )


def _bound(
    activation: Activation, target: Any, options: dict[str, Any]
) -> tuple[ThresholdNumber | None, str]:
    """Return ``S̄``, or None and why there is none."""
    if not isinstance(target, Problem):
        return coefficient_threshold_number(target, activation, **options), ""
    if target.targets.shape[1] > 1:
        return None, "the problem has several outputs"
    source = (target.X, target.targets[:, 0])
    try:
        return coefficient_threshold_number(source, activation, **options), ""
    except ValueError as error:
        return None, str(error).rstrip(".")


def _statement(
    w_star: AdmissibleWeight,
    depth: OrbitDepth | None,
    atoms: Counted,
    bound: ThresholdNumber | None,
    why_not: str,
) -> str:
    """Say what the triple is, and loudly where theory and measurement part."""
    degree = "none" if depth is None else depth.depth if depth.depth is not None else "not reached"
    parts = [
        f"Learning cell: w* of order {w_star.order.value:.3g}, D*_orb = {degree}, "
        f"S* = {atoms.n_atoms}."
    ]
    if depth is not None:
        parts.append(f"Depth: {depth.explanation}")
    parts.append(f"S*: {atoms.statement}")
    if bound is None:
        return " ".join([*parts, f"Count: none, since {why_not}."])
    # What the count assumes where data stand for the target.
    assumed = bound.expansion.method == "least squares"
    taken = " (taking the inputs for standard normal)" if assumed else ""
    parts.append(f"Count{taken}: {bound.explanation}")
    if atoms.n_atoms > bound.high:
        parts.append(
            f"ATTENTION: S* = {atoms.n_atoms} exceeds S̄ = {bound.number}: lower the threshold "
            "or raise the degree, or the dictionary has atoms that the target does not call for."
        )
    return " ".join(parts)
