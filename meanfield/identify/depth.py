"""The two depths of an activation: least degree that fixes dictionaries locally, and globally."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from meanfield import checks
from meanfield.identify.activation_coefficients import Array
from meanfield.identify.fibre import Fibre
from meanfield.identify.moments import MomentMap
from meanfield.identify.rank import RankEvidence, generic_rank
from meanfield.problem import Activation, get_activation
from meanfield.system.generators import generator

N_POINTS, SQUARE_POINTS = 6, 12
"""Generic points by default; where there are as many equations as parameters, orbits are often
there in some fibres and not in others."""


@dataclass(frozen=True)
class VarietyDepth:
    """``D*_var`` with its evidence.

    Attributes
    ----------
    depth : int or None
        Least degree with the wanted rank; None when `max_degree` does not reach it.
    max_degree : int
        Largest degree that was tried.
    evidence : tuple of RankEvidence
        One entry per degree.
    explanation : str
        One sentence.

    Examples
    --------
    >>> import meanfield as mf
    >>> found = mf.variety_depth("tanh", d=1, n_atoms=1)
    >>> found.depth, len(found.evidence)
    (3, 4)
    """

    depth: int | None
    max_degree: int
    evidence: tuple[RankEvidence, ...]
    explanation: str


@dataclass(frozen=True)
class FibreEvidence:
    """Orbits found in fibres of ``Φ_D``, ``D = degree``, through several generic points.

    `orbits` counts them per point, its own included; `n_starts` the searches from random starts
    per point; `n_solved` those that ended on the fibre and `n_paths` the curves followed, over all
    points.
    """

    degree: int
    orbits: tuple[int, ...]
    n_starts: int
    n_solved: int
    n_paths: int


@dataclass(frozen=True)
class OrbitDepth:
    """``D*_orb`` with its evidence.

    Attributes
    ----------
    depth : int or None
        Least degree at which one orbit is found in every fibre; None when `max_degree` does not
        reach it, or when the search had no power.
    variety : VarietyDepth
        ``D*_var``.
    max_degree : int
        Largest degree that was tried.
    evidence : tuple of FibreEvidence
        One entry per degree from ``D*_var`` on.
    explanation : str
        One sentence.

    Examples
    --------
    >>> import meanfield as mf
    >>> found = mf.orbit_depth("tanh", d=1, n_atoms=1, n_points=2, n_starts=5)
    >>> found.variety.depth, found.depth
    (3, 3)
    """

    depth: int | None
    variety: VarietyDepth
    max_degree: int
    evidence: tuple[FibreEvidence, ...]
    explanation: str

    @property
    def unseen(self) -> float:
        """Share of fibres, ``1 − 0.05^{1/k}`` for k points, in which another orbit may be.

        One that is there more often would have shown at 95 %, as far as each search finds what its
        fibre has. 1 where no fibre was explored.
        """
        points = len(self.evidence[-1].orbits) if self.evidence else 0
        return 1 - 0.05 ** (1 / points) if points else 1.0


def variety_depth(
    activation: str | Activation,
    d: int,
    n_atoms: int,
    *,
    bias: bool = False,
    max_degree: int | None = None,
    n_points: int = 6,
    seed: int = 0,
) -> VarietyDepth:
    r"""Compute the moment-variety depth ``D*_var``.

    The least ``D`` at which the Jacobian of ``Φ_D = (T_0, …, T_D)``,
    ``T_k = (k!)^{-1/2} Σ_i a_i γ_k(|w_i|, b_i) ŵ_i^{⊗k}``, reaches at a generic dictionary of S
    atoms the number of parameters less the continuous symmetries: fibres are finite from there.

    Parameters
    ----------
    activation : str or Activation
        σ.
    d, n_atoms : int
        Input dimension, of standard normal inputs, and S.
    bias : bool
        Whether atoms have a bias.
    max_degree : int, optional
        Largest ``D`` to try; ``4 S + 4`` by default, at least 8.
    n_points, seed : int
        Generic points, and their seed.

    Returns
    -------
    VarietyDepth
        The depth, or None when `max_degree` does not reach it, and ranks per degree.

    Raises
    ------
    TypeError, ValueError
        If a number is no integer, or out of range.

    Notes
    -----
    Operational definition, after the abstract of [ISD]. The generic rank is the largest rank over
    the points; where no point has a clear gap between singular values, extended precision is tried
    (not for erf, gelu and the homogeneous activations, whose coefficients have double precision).

    Examples
    --------
    >>> from meanfield.identify import variety_depth
    >>> variety_depth("tanh", d=1, n_atoms=2).depth
    7
    """
    moments, points = _points(activation, d, n_atoms, bias, max_degree, n_points, seed)
    return _variety_depth(moments, points)


def _variety_depth(moments: MomentMap, points: list[Array]) -> VarietyDepth:
    """Raise the degree up to that of `moments` until the rank is full."""
    evidence: list[RankEvidence] = []
    for degree in range(moments.degree + 1):
        evidence.append(generic_rank(replace(moments, degree=degree), points))
        if evidence[-1].rank == evidence[-1].wanted:
            break
    last = evidence[-1]
    depth = last.degree if last.rank == last.wanted else None
    polynomial = moments.activation.degree
    if depth is not None:
        explanation = (
            f"The Jacobian has full rank {last.wanted} from degree {depth} on; the smallest "
            f"singular value is {last.smallest:.1e} of the largest."
        )
    else:
        reason = "Try a larger max_degree or fewer atoms."
        if polynomial is not None:
            reason = f"The activation is a polynomial of degree {polynomial}: there are no moments "
            reason += "above that degree."
        elif not last.clear:
            reason = "Singular values are too small to tell."
        reached = f"rank {last.rank} of {last.wanted}"
        explanation = f"Not reached up to degree {moments.degree}: {reached}. {reason}"
    unclear = [e.degree for e in evidence if not e.clear]
    if unclear:
        explanation += f" The gap between singular values is unclear at degrees {unclear}."
    return VarietyDepth(depth, moments.degree, tuple(evidence), explanation)


def orbit_depth(
    activation: str | Activation,
    d: int,
    n_atoms: int,
    *,
    bias: bool = False,
    max_degree: int | None = None,
    n_points: int | None = None,
    n_starts: int = 40,
    n_paths: int = 2,
    seed: int = 0,
) -> OrbitDepth:
    r"""Compute the orbit identifiability depth ``D*_orb``.

    The least ``D ≥ D*_var`` at which the fibre of ``Φ_D`` through a generic dictionary is a single
    orbit of the realisation symmetry.

    Parameters
    ----------
    activation, d, n_atoms, bias, max_degree
        As for `variety_depth`.
    n_points : int, optional
        Generic points whose fibres are explored; 6 by default, and 12 where there are as many
        equations at ``D*_var`` as parameters.
    n_starts : int
        Random starts of a search, per point: at ``D*_var`` and again at the degree that is found.
    n_paths : int
        Curves followed from every dictionary found, along which all but one equation hold.
    seed : int
        Seed of points and starts.

    Returns
    -------
    OrbitDepth
        The depth, or None when `max_degree` does not reach it, and orbits per degree.

    Raises
    ------
    TypeError, ValueError
        If a number is no integer, or out of range.

    Notes
    -----
    Operational definition, after the abstract of [ISD]. Other orbits are found by search: an orbit
    that was found proves that the depth is larger, one that was not found proves nothing, so the
    result is exact from below and as strong as the search from above. A fibre at degree ``D + 1``
    is a part of that at degree ``D``, so orbits are searched for at ``D*_var`` and then sifted.

    Examples
    --------
    >>> from meanfield.identify import orbit_depth
    >>> orbit_depth("tanh", d=2, n_atoms=2, n_points=2, n_starts=5).depth
    3
    """
    shape = activation, d, n_atoms, bias, max_degree
    moments, points = _points(*shape, N_POINTS if n_points is None else n_points, seed)
    max_degree, rng = moments.degree, generator(checks.seed(seed), 1)
    n_starts = checks.listed("n_starts", n_starts, minimum=0)
    n_paths = checks.listed("n_paths", n_paths, minimum=0)
    variety = _variety_depth(moments, points)
    if variety.depth is None:
        text = f"Fibres are not finite up to degree {max_degree}. {variety.explanation}"
        return OrbitDepth(None, variety, max_degree, (), text)
    further = []
    if n_points is None and _is_square(moments, variety):
        points = _points(*shape, SQUARE_POINTS, seed)[1]
        # More are needed only where the first show nothing.
        points, further = points[:N_POINTS], points[N_POINTS:]
    known = [[point] for point in points]
    evidence: list[FibreEvidence] = []
    for degree in range(variety.depth, max_degree + 1):
        here = replace(moments, degree=degree)
        fibres = [Fibre(here, point) for point in points]
        for fibre, orbits in zip(fibres, known, strict=True):
            orbits[1:] = [theta for theta in orbits[1:] if fibre.still_solves(theta)]
        solved = paths = starts = 0
        # Search where fibres are largest, and where the answer is about to be given.
        if degree == variety.depth or all(len(orbits) == 1 for orbits in known):
            starts = n_starts
            for fibre, orbits in zip(fibres, known, strict=True):
                found, followed = _explore(fibre, orbits, n_starts, n_paths, rng)
                solved, paths = solved + found, paths + followed
            if further and all(len(orbits) == 1 for orbits in known):
                points, more = points + further, [[point] for point in further]
                for point, orbits in zip(further, more, strict=True):
                    found, followed = _explore(Fibre(here, point), orbits, n_starts, n_paths, rng)
                    solved, paths = solved + found, paths + followed
                known, further = known + more, []
        counts = tuple(len(orbits) for orbits in known)
        evidence.append(FibreEvidence(degree, counts, starts, solved, paths))
        if max(counts) == 1:
            break
    last = evidence[-1]
    single = max(last.orbits) == 1
    depth = last.degree if single and last.n_solved else None
    most = ", ".join(f"{max(e.orbits)} at {e.degree}" for e in evidence)
    if depth is not None:
        head = f"D*_orb = {depth}"
    elif single:
        head = (
            f"D*_orb is at least {last.degree} and undecided, since no search ended on a fibre of "
            "that degree (raise n_starts)"
        )
    else:
        head = f"Not reached up to degree {max_degree}"
    text = f"{head}; D*_var = {variety.depth}; most orbits found in a fibre: {most}."
    result = OrbitDepth(depth, variety, max_degree, tuple(evidence), text)
    if depth is None:
        return result
    power = (
        f" {len(points)} fibres were searched: another orbit in more than {result.unseen:.0%} of "
        "all would have shown at 95%."
    )
    return replace(result, explanation=text + power)


def _is_square(moments: MomentMap, variety: VarietyDepth) -> bool:
    """Whether there are as many equations at ``D*_var`` as parameters."""
    last = variety.evidence[-1]
    return len(replace(moments, degree=last.degree).degrees) == last.wanted


def _explore(
    fibre: Fibre, known: list[Array], n_starts: int, n_paths: int, rng: np.random.Generator
) -> tuple[int, int]:
    """Add the orbits found by many starts and by following curves; count successes and curves."""
    solved = paths = 0
    for _ in range(n_starts):
        start = _draw(fibre.moments, rng)
        if not fibre.moments.activation.homogeneous:
            start *= np.exp(0.5 * rng.normal(size=(len(start), 1)))
        theta = fibre.solve(start)
        if theta is not None:
            solved += 1
            if fibre.is_new(theta, known):
                known.append(theta)
    for origin in known:  # which grows as it is gone through
        for _ in range(n_paths):
            paths += 1
            for theta in fibre.trace(origin, rng):
                if fibre.is_new(theta, known):
                    known.append(theta)
    return solved, paths


def _draw(moments: MomentMap, rng: np.random.Generator) -> Array:
    """Draw a dictionary (S, 1 + d [+ 1]) with sizes of order one."""
    n_atoms = moments.n_atoms
    w = rng.normal(size=(n_atoms, moments.d))
    w *= (rng.uniform(0.5, 2, n_atoms) / np.linalg.norm(w, axis=1))[:, None]
    a = rng.choice([-1, 1], n_atoms) * rng.uniform(0.5, 1.5, n_atoms)
    theta = np.column_stack([a, w, rng.normal(size=n_atoms)] if moments.bias else [a, w])
    if moments.activation.homogeneous:
        theta[:, 1:] /= np.linalg.norm(theta[:, 1:], axis=1, keepdims=True)
    return theta


def _points(
    activation: str | Activation,
    d: int,
    n_atoms: int,
    bias: bool,
    max_degree: int | None,
    n_points: int,
    seed: int,
) -> tuple[MomentMap, list[Array]]:
    """Check the arguments; return the map of the largest degree, and generic points.

    Of four times as many those are kept whose atoms differ most.
    """
    d, n_atoms = checks.count("d", d), checks.count("n_atoms", n_atoms)
    if max_degree is None:
        max_degree = max(8, 4 * n_atoms + 4)
    max_degree = checks.count("max_degree", max_degree, minimum=0)
    n_points, rng = checks.listed("n_points", n_points), generator(checks.seed(seed))
    moments = MomentMap(get_activation(activation), d, n_atoms, bias, max_degree)

    def closest(theta: Array) -> float:
        place = theta[:, 1:]
        gaps = (
            min(np.linalg.norm(place[i] - place[j]), np.linalg.norm(place[i] + place[j]))
            for i in range(n_atoms)
            for j in range(i)
        )
        return float(min(gaps, default=0.0))

    points = [_draw(moments, rng) for _ in range(4 * n_points)]
    return moments, sorted(points, key=closest, reverse=True)[:n_points]
