"""The network at rest: the few atoms that minimise the training objective at temperature zero."""

from __future__ import annotations

from typing import Any

import numpy as np

from meanfield import checks
from meanfield.dictionary.descent import MOST, N_STARTS, Descent, SparseMinimiser
from meanfield.dictionary.fitting import as_places, read_network
from meanfield.errors import ArgumentError
from meanfield.problem import Problem
from meanfield.system.threads import fixed_blas


@fixed_blas()
def sparse_minimiser(
    problem: Problem, *, start: Any = None, max_atoms: int = MOST, seed: int = 0
) -> SparseMinimiser:
    r"""Find the few atoms that minimise the training objective: the network at rest.

    In turns, all atoms with their masses descend together, and new ones are added where their
    potential is lowest (a conditional gradient method that slides), until the duality gap
    certifies the minimum.

    Parameters
    ----------
    problem : Problem
        With a penalty on all parameters, all of them trained. Its temperature has no effect.
    start : Particles, Atoms, or tuple (a, w) or (a, w, b), optional
        Atoms to start from, such as a trained network. Saves time and changes nothing else.
    max_atoms : int
        Most atoms.
    seed : int
        Seed of the places where the potential is searched.

    Returns
    -------
    SparseMinimiser
        Atoms, their number, and the duality gap.

    Raises
    ------
    ValueError
        If the objective has no such minimiser: a parameter is not trained or not penalised, the
        activation is affine or grows faster than linearly, or the loss is not convex; or if the
        loss is of straight pieces, whose gap cannot be told.

    Notes
    -----
    The support of the limit at temperature zero is the operational S* of [ISD], abstract. Sliding
    conditional gradients: Denoyelle, Duval, Peyré and Soubies, Inverse Problems 36 (2019).

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> X = np.random.default_rng(0).normal(size=(100, 2))
    >>> problem = mf.Problem(X, np.tanh(2 * X[:, 0]), activation="tanh", bias=False, l2=0.01)
    >>> mf.dictionary.sparse_minimiser(problem).n_atoms
    1
    """
    checks.instance("problem", problem, Problem)
    max_atoms, seed = checks.count("max_atoms", max_atoms), checks.seed(seed)
    if reason := no_rest(problem):
        raise ArgumentError("problem", message=f"A network at rest needs {reason}.")
    places = np.zeros((0, problem.n_features + problem.bias))
    if start is not None:
        places = as_places(read_network("start", start, problem), problem.bias)
        places = places[np.linspace(0, len(places) - 1, min(len(places), N_STARTS)).astype(int)]
    return Descent(problem, places, max_atoms, seed).run()


def no_rest(problem: Problem) -> str:
    """Say what a problem lacks for its networks to come to rest in few atoms; empty if nothing."""
    activation = problem.activation
    if activation.degree == 1:
        return f"an activation with atoms: networks of {activation.name!r} are affine"
    if activation.bounds is None and not np.isfinite(activation.lipschitz):
        return (
            f"an activation of bounded slope, such as 'tanh' or 'relu': under {activation.name!r} "
            "ever fewer and longer neurons cost ever less, and there is no minimiser"
        )
    if not problem.loss.convex:
        return f"a convex loss: under {problem.loss.name!r} there may be several minima"
    targets = problem.targets
    if not any(problem.loss.curvature(f, targets).any() for f in (targets, 0 * targets)):
        return f"a loss that bends, such as huber: {problem.loss.name!r} is of straight pieces"
    if not problem.l2_output > 0 or not problem.l2_input > 0:
        return "a penalty on all weights: set l2 > 0"
    needed = ["a", "w", *(["b"] if problem.bias else [])]
    if missing := [name for name in needed if name not in problem.train]:
        return f"all weights trained: add {', '.join(missing)} to train"
    return ""
