"""The two depths of an activation: least degree that fixes dictionaries locally, and globally."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from meanfield import checks
from meanfield.identify.atoms import Array
from meanfield.identify.fibre import Fibre
from meanfield.identify.moments import MomentMap
from meanfield.identify.rank import RankEvidence, generic_rank
from meanfield.problem import Activation, get_activation
from meanfield.system.generators import generator


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
    """

    depth: int | None
    max_degree: int
    evidence: tuple[RankEvidence, ...]
    explanation: str


@dataclass(frozen=True)
class FibreEvidence:
    """Orbits found in fibres of ``Φ_D`` through several generic points.

    Attributes
    ----------
    degree : int
        ``D``.
    orbits : tuple of int
        Number of orbits found through each point, its own included.
    n_starts : int
        Searches from random starts per point at this degree.
    n_solved : int
        How many of them, over all points, ended on the fibre.
    n_paths : int
        Curves followed, over all points.
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
    """

    depth: int | None
    variety: VarietyDepth
    max_degree: int
    evidence: tuple[FibreEvidence, ...]
    explanation: str


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
    d : int
        Input dimension; inputs are standard normal.
    n_atoms : int
        S.
    bias : bool
        Whether atoms have a bias.
    max_degree : int, optional
        Largest ``D`` to try; ``4 S + 4`` by default, at least 8.
    n_points : int
        Generic points.
    seed : int
        Seed of the points.

    Returns
    -------
    VarietyDepth
        The depth, or None when `max_degree` does not reach it, and ranks per degree.

    Raises
    ------
    TypeError
        If a number is not an integer.
    ValueError
        If a number is out of range.

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
    activation = get_activation(activation)
    d, n_atoms, max_degree, n_points, seed = _checked(d, n_atoms, max_degree, n_points, seed)
    points = _points(activation, d, n_atoms, bias, n_points, seed)
    evidence: list[RankEvidence] = []
    for degree in range(max_degree + 1):
        evidence.append(generic_rank(MomentMap(activation, d, n_atoms, bias, degree), points))
        if evidence[-1].rank == evidence[-1].wanted:
            break
    last = evidence[-1]
    depth = last.degree if last.rank == last.wanted else None
    if depth is not None:
        explanation = (
            f"The Jacobian has full rank {last.wanted} from degree {depth} on; the smallest "
            f"singular value is {last.smallest:.1e} of the largest."
        )
    else:
        explanation = (
            f"Not reached up to degree {max_degree}: rank {last.rank} of {last.wanted}. "
            + _why_not(activation, last)
        )
    unclear = [e.degree for e in evidence if not e.clear]
    if unclear:
        explanation += f" The gap between singular values is unclear at degrees {unclear}."
    return VarietyDepth(depth, max_degree, tuple(evidence), explanation)


def orbit_depth(
    activation: str | Activation,
    d: int,
    n_atoms: int,
    *,
    bias: bool = False,
    max_degree: int | None = None,
    n_points: int = 6,
    n_starts: int = 40,
    n_paths: int = 2,
    seed: int = 0,
) -> OrbitDepth:
    r"""Compute the orbit identifiability depth ``D*_orb``.

    The least ``D ≥ D*_var`` at which the fibre of ``Φ_D`` through a generic dictionary is a single
    orbit of the realisation symmetry.

    Parameters
    ----------
    activation : str or Activation
        σ.
    d : int
        Input dimension; inputs are standard normal.
    n_atoms : int
        S.
    bias : bool
        Whether atoms have a bias.
    max_degree : int, optional
        Largest ``D`` to try; ``4 S + 4`` by default, at least 8.
    n_points : int
        Generic points whose fibres are explored.
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
    TypeError
        If a number is not an integer.
    ValueError
        If a number is out of range.

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
    activation = get_activation(activation)
    d, n_atoms, max_degree, n_points, seed = _checked(d, n_atoms, max_degree, n_points, seed)
    n_starts = checks.count("n_starts", n_starts, minimum=0)
    n_paths = checks.count("n_paths", n_paths, minimum=0)
    variety = variety_depth(
        activation, d, n_atoms, bias=bias, max_degree=max_degree, n_points=n_points, seed=seed
    )
    if variety.depth is None:
        text = f"Fibres are not finite up to degree {max_degree}. {variety.explanation}"
        return OrbitDepth(None, variety, max_degree, (), text)
    points = _points(activation, d, n_atoms, bias, n_points, seed)
    rng = generator(seed, 1)
    known = [[point] for point in points]
    evidence: list[FibreEvidence] = []
    for degree in range(variety.depth, max_degree + 1):
        moments = MomentMap(activation, d, n_atoms, bias, degree)
        fibres = [Fibre(moments, point) for point in points]
        for fibre, orbits in zip(fibres, known, strict=True):
            orbits[1:] = [theta for theta in orbits[1:] if fibre.still_solves(theta)]
        solved = paths = starts = 0
        # Search where fibres are largest, and where the answer is about to be given.
        if degree == variety.depth or all(len(orbits) == 1 for orbits in known):
            starts = n_starts
            for fibre, orbits in zip(fibres, known, strict=True):
                found, followed = _explore(fibre, orbits, n_starts, n_paths, rng)
                solved, paths = solved + found, paths + followed
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
    return OrbitDepth(depth, variety, max_degree, tuple(evidence), text)


def _explore(
    fibre: Fibre, known: list[Array], n_starts: int, n_paths: int, rng: np.random.Generator
) -> tuple[int, int]:
    """Add the orbits found by many starts and by following curves; count successes and curves."""
    m = fibre.moments
    solved = paths = 0
    for _ in range(n_starts):
        start = _draw(m.activation, m.d, m.n_atoms, m.bias, rng)
        if not m.activation.homogeneous:
            start *= np.exp(0.5 * rng.normal(size=(m.n_atoms, 1)))
        theta = fibre.solve(start)
        if theta is not None:
            solved += 1
            if fibre.is_new(theta, known):
                known.append(theta)
    done = 0
    while done < len(known):
        for _ in range(n_paths):
            paths += 1
            for theta in fibre.trace(known[done], rng):
                if fibre.is_new(theta, known):
                    known.append(theta)
        done += 1
    return solved, paths


def _checked(
    d: int, n_atoms: int, max_degree: int | None, n_points: int, seed: int
) -> tuple[int, int, int, int, int]:
    """Check the numbers and fill in the largest degree."""
    n_atoms = checks.count("n_atoms", n_atoms)
    if max_degree is None:
        max_degree = max(8, 4 * n_atoms + 4)
    return (
        checks.count("d", d),
        n_atoms,
        checks.count("max_degree", max_degree, minimum=0),
        checks.count("n_points", n_points),
        checks.seed(seed),
    )


def _draw(
    activation: Activation, d: int, n_atoms: int, bias: bool, rng: np.random.Generator
) -> Array:
    """Draw a dictionary (S, 1 + d [+ 1]) with sizes of order one."""
    w = rng.normal(size=(n_atoms, d))
    w *= (rng.uniform(0.5, 2, n_atoms) / np.linalg.norm(w, axis=1))[:, None]
    a = rng.choice([-1, 1], n_atoms) * rng.uniform(0.5, 1.5, n_atoms)
    theta = np.column_stack([a, w, rng.normal(size=n_atoms)] if bias else [a, w])
    if activation.homogeneous:
        theta[:, 1:] /= np.linalg.norm(theta[:, 1:], axis=1, keepdims=True)
    return theta


def _points(
    activation: Activation, d: int, n_atoms: int, bias: bool, n_points: int, seed: int
) -> list[Array]:
    """Draw generic points; of four times as many, keep those whose atoms differ most."""
    rng = generator(seed)
    points = [_draw(activation, d, n_atoms, bias, rng) for _ in range(4 * n_points)]

    def closest(theta: Array) -> float:
        place = theta[:, 1:]
        gaps = [
            min(np.linalg.norm(place[i] - place[j]), np.linalg.norm(place[i] + place[j]))
            for i in range(n_atoms)
            for j in range(i)
        ]
        return min(gaps, default=0.0)

    return sorted(points, key=closest, reverse=True)[:n_points]


def _why_not(activation: Activation, last: RankEvidence) -> str:
    """Give the structural reason for a rank that stays short, where there is one."""
    if activation.degree is not None:
        return (
            f"The activation is a polynomial of degree {activation.degree}: there are no moments "
            "above that degree."
        )
    return (
        "Try a larger max_degree or fewer atoms."
        if last.clear
        else "Singular values are too small to tell."
    )
