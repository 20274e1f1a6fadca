"""The dictionary of a network at rest: the atoms that its long-time limit tends to."""

from __future__ import annotations

import numpy as np

from meanfield.dictionary.certificate import dual_certificate
from meanfield.dictionary.descent import SHARE, SparseMinimiser
from meanfield.dictionary.fitting import (
    AGREEMENT,
    as_places,
    converged,
    fit_atoms,
    make_regression,
    relative_gap,
)
from meanfield.dictionary.minimiser import sparse_minimiser
from meanfield.dictionary.refit import Array
from meanfield.dictionary.result import Dictionary
from meanfield.dictionary.support import collect, masses, shares, structure
from meanfield.dictionary.uncertainty import intervals_at_rest
from meanfield.identify import Atoms
from meanfield.problem import Problem

MOVES = 20
"""Steps that take atoms at rest to those of the network; more gain next to nothing."""


def dictionary_at_rest(
    network: Atoms, problem: Problem, predictions: Array, max_atoms: int | None, seed: int
) -> Dictionary:
    """Find the minimiser of the training objective, and compare the network with it."""
    options = {} if max_atoms is None else {"max_atoms": max_atoms}
    rest = sparse_minimiser(problem, start=network, seed=seed, **options)
    atoms, places = rest.atoms, as_places(rest.atoms, problem.bias)
    to_network = make_regression(problem, predictions)
    crowd = collect(to_network, network, problem.bias)
    fit = converged(to_network, places, crowd.places, MOVES)
    compressed = fit_atoms(problem, fit, masses(to_network, fit.places, crowd))
    spread, null_spread, _ = structure(to_network, places, crowd, problem.n_features, seed)
    gap, compression_gap = (
        relative_gap(to_network, predictions - one.predict(problem.X).reshape(predictions.shape))
        for one in (atoms, compressed)
    )
    certificate = dual_certificate(
        atoms, problem, penalised=True, starts=crowd.places[:200], seed=seed
    )
    reasons = _doubts(rest, gap)
    statement = str(rest).rstrip(".")
    statement += f"; not to be relied on: {'; '.join(reasons)}" if reasons else ""
    near = np.isfinite(gap) and gap <= AGREEMENT
    statement += f". The network differs from it by {gap:.1%}." if near else "."
    return Dictionary(
        n_atoms=rest.n_atoms,
        atoms=places,
        coefficients=atoms.coefficients,
        function=atoms,
        compressed=compressed,
        target="rest",
        mass=atoms.mass,
        share=shares(to_network, to_network.linear(places))[0],
        inactive_mass=atoms.inactive_mass,
        sizes=np.arange(rest.n_atoms + 1),
        residual=_residuals(problem, rest),
        criterion=np.full(rest.n_atoms + 1, np.nan),
        p_values=np.full(rest.n_atoms + 1, np.nan),
        n_atoms_set=rest.n_atoms_set,
        intervals=intervals_at_rest(atoms, problem),
        network_gap=gap,
        compression_gap=compression_gap,
        spread=spread,
        null_spread=null_spread,
        certificate=certificate,
        confidence=float(rest.reached),
        confident=not reasons,
        statement=statement,
    )


def _doubts(rest: SparseMinimiser, gap: float) -> list[str]:
    """Say why the number cannot be relied on."""
    low, high = rest.n_atoms_set[0], rest.n_atoms_set[-1]
    doubts = {
        "the search has not come to the minimum for sure; a larger penalty (problem.l2) or more "
        "room (max_atoms) helps it": not rest.reached,
        f"it may be {low} to {high}, as some atoms carry about {SHARE:.1%} of the network, below "
        "which none is counted, or act nearly alike; a larger penalty (problem.l2) leaves fewer": (
            high > low
        ),
        f"the network differs from it by {gap:.0%} and has not come to rest: more steps "
        "(run.n_steps), a lower last temperature (atoms.cool_to) or more neurons "
        "(atoms.n_particles) bring it there": gap > AGREEMENT,
    }
    return [text for text, holds in doubts.items() if holds]


def _residuals(problem: Problem, rest: SparseMinimiser) -> Array:
    """Return what the atoms of largest share, 0 to all of them, leave of the network at rest."""
    f = rest.atoms.predict(problem.X).reshape(problem.targets.shape)
    regression = make_regression(problem, f)
    order = np.argsort(-rest.share, kind="stable")
    places = as_places(rest.atoms, problem.bias)[order]
    left = [regression.linear(places[:size]).rss for size in range(len(places) + 1)]
    return np.sqrt(np.maximum(left, 0.0) / max(regression.total, 1e-300))
