"""From particles to the few atoms that carry them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from meanfield import checks
from meanfield.dictionary.certificate import dual_certificate
from meanfield.dictionary.fitting import FLOOR, Prior, as_places, fit_atoms, make_regression
from meanfield.dictionary.groups import Crowd
from meanfield.dictionary.path import SizePath, explore
from meanfield.dictionary.refit import Array, Fit, Regression
from meanfield.dictionary.result import Dictionary
from meanfield.dictionary.support import Structure, collect, masses, shares, structure
from meanfield.identify import Atoms
from meanfield.identify.atoms import as_atoms
from meanfield.problem import Problem

SUPPORT = 0.2
"""Least part of an atom's coefficient that the network itself must have."""
AGREEMENT = 0.3
"""Largest relative gap between dictionary and network for one to speak for the other."""


def extract_dictionary(
    particles: Any,
    problem: Problem,
    *,
    target: str | None = None,
    max_atoms: int | None = None,
    normalisation: str = "mean",
    seed: int = 0,
) -> Dictionary:
    r"""Find the few atoms that carry a trained network.

    Particles that together carry all but a hundredth of the network are its active mass. Their
    crowds seed dictionaries of every size, from above by pruning and from below by adding the
    particle that explains most; atoms and coefficients are refit jointly by variable projection.
    The number of atoms is the size of least BIC on the labels. It is believed when the network has
    these atoms and its particles crowd around them. Atoms that the labels call for and the network
    lacks are left out, the others are then refit to the network, and the certificate shows what is
    missing.

    Parameters
    ----------
    particles : Particles, Atoms, or tuple (a, w) or (a, w, b)
        The network; replicas are pooled. Plain arrays may come from any library.
    problem : Problem
        What it was trained on.
    target : {"labels", "network"}, optional
        What atoms are refit to. Labels undo the bias of the penalty, and are the default for the
        squared loss; the network's own predictions are the default otherwise.
    max_atoms : int, optional
        Largest number of atoms; by default 24, or less where data are too few for so many.
    normalisation : {"mean", "sum"}
        Whether the network is ``(1/N) Σ a_i σ`` or, as is usual elsewhere, ``Σ a_i σ``.
    seed : int
        Seed of the random starts of the certificate.

    Returns
    -------
    Dictionary
        Atoms, coefficients, masses, residual by size, certificate, and a statement.

    Raises
    ------
    TypeError
        If `particles` cannot be read.
    ValueError
        If shapes disagree, an entry is not finite, or the activation has no atoms.

    Notes
    -----
    Operational definition, after the abstract of [ISD]: the active support of the long-time limit,
    modulo the realisation symmetry.
    """
    network = _read(particles, problem, normalisation)
    if target is None:
        target = "labels" if problem.loss.name == "squared" else "network"
    checks.choice("target", target, ("labels", "network"))
    predictions = network.predict(problem.X).reshape(problem.targets.shape)
    to_network = make_regression(problem, predictions)
    regression = make_regression(problem, problem.targets) if target == "labels" else to_network
    crowd = collect(regression, network, problem.bias)
    path = SizePath(
        regression,
        crowd,
        _score(problem, regression),
        noise=float(((regression.Y - predictions) ** 2).mean()),
        floor=FLOOR**2 * regression.total,
    )
    limit = _limit(regression, max_atoms)
    explore(path, limit)

    fit = path.fits[path.best()]
    share, resolved = shares(to_network, fit)
    absent = (share < SUPPORT) & resolved
    if absent.any():
        target, regression = "network", to_network
        fit = _converged(to_network, fit.places[~absent], crowd)
    function = _function(problem, regression, fit, crowd)
    compressed = _function(problem, to_network, _converged(to_network, fit.places, crowd), crowd)
    places = as_places(function, problem.bias)
    share, resolved = shares(to_network, regression.linear(places))
    found = structure(regression, places, crowd, problem.n_features, seed)
    gap, compression_gap = (
        _gap(to_network, predictions - atoms.predict(problem.X).reshape(predictions.shape))
        for atoms in (function, compressed)
    )
    confidence = path.weight(path.best())
    doubts = _doubts(crowd, path.best() == limit, confidence, absent, resolved, gap, found)
    certificate = dual_certificate(function, problem, starts=crowd.places[:200], seed=seed)
    sizes = np.array(sorted(path.fits))
    noun = "atom" if len(places) == 1 else "atoms"
    statement = f"{len(places)} {noun}, weight {confidence:.3f} among sizes"
    statement += f", not to be relied on: {'; '.join(doubts)}" if doubts else ""
    return Dictionary(
        n_atoms=len(places),
        atoms=places,
        coefficients=function.coefficients,
        function=function,
        compressed=compressed,
        target=target,
        mass=function.mass,
        share=share,
        inactive_mass=function.inactive_mass,
        sizes=sizes,
        residual=np.array([path.residual(size) for size in sizes]),
        criterion=np.array([path.criterion(size) for size in sizes]),
        network_gap=gap,
        compression_gap=compression_gap,
        spread=found.spread,
        null_spread=found.null_spread,
        certificate=certificate,
        confidence=confidence,
        confident=not doubts,
        statement=f"{statement}. {certificate}",
    )


def _read(particles: Any, problem: Problem, normalisation: str) -> Atoms:
    """Check particles against the problem."""
    if problem.activation.degree == 1:
        raise ValueError(
            f"Networks with activation {problem.activation.name!r} are affine and have no atoms."
        )
    network = as_atoms(particles, problem.activation, normalisation=normalisation)
    for what, found, wanted in (
        ("inputs", network.w.shape[1], problem.n_features),
        ("outputs", network.columns.shape[1], problem.n_outputs),
    ):
        if found != wanted:
            raise ValueError(f"particles have {found} {what} but the problem has {wanted}.")
    return network


def _limit(regression: Regression, max_atoms: int | None) -> int:
    """Return the largest number of atoms, with at most a third as many parameters as numbers."""
    width = regression.X.shape[1] + regression.Y.shape[1]
    most = max(1, regression.Y.size // (3 * width))
    return min(24 if max_atoms is None else checks.count("max_atoms", max_atoms), most)


def _score(problem: Problem, regression: Regression) -> Callable[[Fit], float]:
    """Return −2 log likelihood of the labels, with the variance at its best if loss is squared."""
    m = problem.targets.size
    floor = FLOOR**2 * make_regression(problem, problem.targets).total

    def squared(fit: Fit) -> float:
        rss = float(((problem.targets - regression.predict(fit)) ** 2).sum())
        return m * np.log(max(rss, floor, 1e-300) / m)

    def other(fit: Fit) -> float:
        return 2 * float(problem.loss.value(regression.predict(fit), problem.targets).sum())

    return squared if problem.loss.name == "squared" else other


def _converged(regression: Regression, places: Array, crowd: Crowd) -> Fit:
    """Refit until the prior agrees with what the fit leaves."""
    fit, prior = regression.linear(places), Prior.of(regression, crowd.places)
    for _ in range(3):
        fit = prior.at(regression, fit.rss / regression.Y.size).refit(fit.places, 100)
    return fit


def _function(problem: Problem, regression: Regression, fit: Fit, crowd: Crowd) -> Atoms:
    """Return a fit as atoms in canonical form."""
    return fit_atoms(problem, fit, masses(regression, fit.places, crowd))


def _gap(regression: Regression, difference: Array) -> float:
    """Return a distance over the inputs relative to the target, affine part aside."""
    size = np.linalg.norm(regression.without_affine(difference))
    return float(size / max(np.sqrt(regression.total), 1e-300))


def _doubts(
    crowd: Crowd,
    cut_off: bool,
    confidence: float,
    absent: Array,
    resolved: Array,
    gap: float,
    found: Structure,
) -> list[str]:
    """List the reasons not to rely on S."""
    if not len(crowd.places):
        return ["no particle is active"]
    doubts = {
        "the search was cut off at max_atoms": cut_off,
        "neighbouring sizes explain the labels about as well": confidence < 0.9,
        f"the labels call for {absent.sum()} more that the network lacks": absent.any(),
        f"the network does not resolve {(~resolved).sum()} of them": not resolved.all(),
        f"dictionary and network differ by {gap:.0%}": gap > AGREEMENT,
        f"particles do not crowd around the atoms (spread {found.spread:.2g}, "
        f"{found.null_spread:.2g} without structure)": not found.certain,
    }
    return [text for text, holds in doubts.items() if holds]
